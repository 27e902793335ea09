package controlplane

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Call is a create call of the REST API, POST, whose path ends in the ID that the resource
// has to get: "/v2/apis/{apiId}/routes/{routeId}". The service itself would choose that ID.
type Call struct {
	// Path is the escaped path of the resource.
	Path string
	// Body has the members of the resource, as in a create. Numbers may be of any type.
	Body map[string]any
	// LogicalID names the resource in errors. It may be empty.
	LogicalID string
}

// Apply makes the resources of a definition as they are described, all of them or none. A
// resource that exists with its ID is changed in place, so that clients stay connected: a
// member that its call lacks is gone, or has its default. Deployments freeze the API as this
// Apply leaves it, and stages with autoDeploy have it when Apply returns. The order of the
// calls does not matter.
//
// What a former Apply made and this one lacks is deleted. Resources that were made through
// the REST API stay as they are, and so does what they use: the service would refuse to
// delete it. An example is the deployment of such a stage. The log tells of it, and a later
// Apply deletes it when nothing uses it any more.
//
// The error names the call, and is the service's for such a call. The quotas of the service
// hold, too, unless Config.NoQuotas is set. A deployment that does
// not work is an error, too. If only an automatic deployment could not be stored, the rest
// is made, the error says so, and the deployment is tried again.
//
// Apply looks at ctx between the calls. When ctx ends, nothing is made and the error is that
// of ctx.
func (s *Server) Apply(ctx context.Context, calls []Call) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var touched *effects
	//nolint:contextcheck // a removed stage closes after Apply has returned
	err := s.updateLocked(func(w Writer, e *effects) error {
		touched = e
		return s.apply(ctx, w, e, calls)
	})
	if err != nil {
		return err
	}
	var failed []error
	for apiID := range touched.drafts {
		if s.pending[apiID] == nil {
			continue
		}
		s.stopDeployment(apiID)
		//nolint:contextcheck // a deployment is made whole or not at all
		if err := s.deployNow(apiID); err != nil {
			failed = append(failed, fmt.Errorf("controlplane: the automatic deployment of the API %s: %w", apiID, err))
			s.deployLater(apiID)
		}
	}
	return errors.Join(failed...)
}

// appliedKey is the key of the list of what the last Apply has made.
const appliedKey = "applied"

// applied is a call of an Apply under way.
type applied struct {
	*change
	call *Call
	doc  document
}

func (a *applied) failed(err error) error {
	name := a.call.LogicalID
	if name == "" {
		name = a.call.Path
	}
	return fmt.Errorf("controlplane: %s: %w", name, err)
}

func (s *Server) apply(ctx context.Context, w Writer, e *effects, calls []Call) error {
	all := make([]*applied, len(calls))
	keys := make([]string, len(calls))
	made := make(map[string]bool, len(calls))
	texts := index{}
	for n := range calls {
		a := &applied{call: &calls[n], change: &change{s: s, w: w, at: time.Now(), applying: true, index: texts, effects: e}}
		if err := a.read(); err != nil {
			return a.failed(err)
		}
		if made[a.key] {
			return a.failed(errors.New("another call makes the same resource"))
		}
		all[n], keys[n], made[a.key] = a, a.key, true
	}
	// First all documents are there, and those of the former Apply are gone. Then each is
	// checked against the others, then the deployments are made, and last those that will be
	// are tried out.
	if err := eachApplied(ctx, all, (*applied).put); err != nil {
		return err
	}
	kept, err := s.discardFormer(ctx, w, e, texts, made)
	if err != nil {
		return err
	}
	if err := haveRoom(all); err != nil {
		return err
	}
	if err := eachApplied(ctx, all, (*applied).complete, (*applied).deploy, tryOut()); err != nil {
		return err
	}
	return writeDocument(w, appliedKey, append(keys, kept...))
}

// haveRoom applies the quotas of the service to each collection that has a new document.
func haveRoom(all []*applied) error {
	counted := map[string]bool{}
	for _, a := range slices.Backward(all) {
		collection := a.res.collection(a.ids)
		if a.before != nil || counted[collection] {
			continue
		}
		counted[collection] = true
		if err := a.hasRoom(0); err != nil {
			return a.failed(err)
		}
	}
	return nil
}

// eachApplied takes one step after the other, each for all calls.
func eachApplied(ctx context.Context, all []*applied, steps ...func(*applied) error) error {
	for _, step := range steps {
		for _, a := range all {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := step(a); err != nil {
				return a.failed(err)
			}
		}
	}
	return nil
}

// read reads the path and the body of a call.
func (a *applied) read() error {
	segments := strings.Split(strings.TrimPrefix(a.call.Path, "/v2/"), "/")
	for n, segment := range segments {
		text, err := url.PathUnescape(segment)
		if err != nil || !isID(text) {
			return fmt.Errorf("the path %s has a bad segment %q", a.call.Path, segment)
		}
		segments[n] = text
	}
	var rest []string
	a.res, a.ids, rest = a.s.table.find(segments)
	if a.res == nil || len(rest) > 0 || len(segments) != len(a.res.segments) {
		return fmt.Errorf("%s is not the path of a resource that ends in its ID", a.call.Path)
	}
	a.key = a.res.key(a.ids)
	text, err := encodeJSON(a.call.Body)
	if err != nil {
		return err
	}
	if a.call.Body == nil {
		text = nil
	}
	if a.body, err = decodeBody(text); err != nil {
		return err
	}
	if field := a.res.idField(); a.res.named {
		id := a.ids[field]
		if given, there := a.body[field]; there && given != id {
			return fmt.Errorf("the path names %s, and the body another %s", id, field)
		}
		a.body[field] = id
	}
	return nil
}

// discardFormer deletes what a former Apply made and this one lacks. It returns the keys of
// what stays, because the service would refuse to delete it.
func (s *Server) discardFormer(ctx context.Context, w Writer, e *effects, texts index, made map[string]bool) (kept []string, err error) {
	value, err := w.Get(appliedKey)
	if err != nil || value == nil {
		return nil, err
	}
	var former []string
	if err := json.Unmarshal(value, &former); err != nil {
		return nil, fmt.Errorf("controlplane: the store holds no list at %s: %w", appliedKey, err)
	}
	former = slices.DeleteFunc(former, func(key string) bool { return made[key] })
	// A resource may be free when another one is gone: a stage goes before its deployment.
	why := map[string]error{}
	for n := -1; n != len(former); {
		n = len(former)
		kept = nil
		for _, key := range former {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			refused, err := s.discardKey(w, e, texts, key)
			if err != nil {
				return nil, err
			}
			if refused != nil {
				kept, why[key] = append(kept, key), refused
			}
		}
		former = kept
	}
	for _, key := range kept {
		e.note("a resource of a former definition stays, because something else uses it", "resource", key, "reason", why[key])
	}
	return kept, nil
}

// discardKey deletes what a former Apply made. refused is why it stays.
func (s *Server) discardKey(w Writer, e *effects, texts index, key string) (refused, err error) {
	c := &change{s: s, w: w, key: key, at: time.Now(), applying: true, index: texts, effects: e}
	c.res, c.ids, _ = s.table.find(strings.Split(key, "/"))
	if c.res == nil {
		return nil, nil
	}
	switch c.before, err = readDocument(w, key); {
	case errors.Is(err, errNoDocument):
		return nil, nil // gone with its parent, or by the REST API
	case err != nil:
		return nil, err
	}
	for _, refuse := range c.res.refuse {
		if err := refuse(c, c.before); err != nil {
			if _, known := answerOf(err); known {
				return err, nil
			}
			return nil, err
		}
	}
	return nil, c.discard()
}

// put stores the document as its call describes it.
func (a *applied) put() (err error) {
	a.before, err = readDocument(a.w, a.key)
	if err != nil && !errors.Is(err, errNoDocument) {
		return err
	}
	if a.doc, err = a.res.newDocument(a.body); err != nil {
		return err
	}
	a.doc[a.res.idField()] = a.ids[a.res.idField()]
	a.setDate(a.doc, "createdDate")
	a.setDate(a.doc, "lastUpdatedDate")
	for n := range a.res.fields {
		f := &a.res.fields[n]
		if old, there := a.before[f.name]; there && f.readOnly {
			a.doc[f.name] = old
		}
	}
	if err := a.keepDeployment(); err != nil {
		return err
	}
	return writeDocument(a.w, a.key, a.doc)
}

// keepDeployment keeps the deployment of a stage with autoDeploy, which no call names,
// until the next one is made.
func (a *applied) keepDeployment() error {
	old, there := a.before["deploymentId"]
	if a.res.name != "Stage" || !there || !boolOf(a.doc, "autoDeploy") {
		return nil
	}
	known, err := a.exists("deployments", textOf(a.before, "deploymentId"))
	if known {
		a.doc["deploymentId"] = old
	}
	return err
}

// complete runs the rules, and stores the document if it differs from the one before.
func (a *applied) complete() error {
	if err := a.s.parentsExist(a.w, a.res, a.ids); err != nil {
		return err
	}
	if a.res.name == "Deployment" {
		return nil
	}
	if err := a.checkRules(a.doc); err != nil {
		return err
	}
	if a.before != nil && same(a.doc, a.before) {
		return writeDocument(a.w, a.key, a.before) // as it was before put
	}
	a.setDate(a.doc, "lastUpdatedDate")
	return a.finish(a.doc)
}

// deploy freezes the draft, and lets the stages that use the deployment know.
func (a *applied) deploy() error {
	if a.res.name != "Deployment" {
		return nil
	}
	frozen := snapshotKey(a.ids["apiId"], a.ids["deploymentId"])
	old, err := a.w.Get(frozen)
	if err != nil {
		return err
	}
	old = slices.Clone(old)
	if err := a.checkRules(a.doc); err != nil {
		return err
	}
	if textOf(a.doc, "deploymentStatus") != "DEPLOYED" {
		return errors.New(textOf(a.doc, "deploymentStatusMessage"))
	}
	if err := a.finish(a.doc); err != nil {
		return err
	}
	if now, err := a.w.Get(frozen); err != nil || string(now) == string(old) {
		return err
	}
	stages, err := a.find(a.below("stages", "deploymentId"), a.ids["deploymentId"], 0)
	for _, stage := range stages {
		a.stages[stageKey{a.ids["apiId"], stage.id()}] = true
	}
	return err
}

// tryOut returns the step that checks the automatic deployment which the stages of an API
// will get. They share it, so it is checked once.
func tryOut() func(*applied) error {
	tried := map[string]bool{}
	return func(a *applied) error {
		apiID := a.ids["apiId"]
		if a.res.name != "Stage" || !boolOf(a.doc, "autoDeploy") || tried[apiID] {
			return nil
		}
		tried[apiID] = true
		draft, err := newSnapshot(a.w, apiID)
		if err != nil || len(draft.Routes) == 0 {
			return err
		}
		return checkSnapshot(&a.s.cfg, draft, true)
	}
}
