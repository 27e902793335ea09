package controlplane

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Call is a create call of the REST API whose path ends in the ID that the resource has to
// get: "/v2/apis/{apiId}/routes/{routeId}". The service itself would choose that ID.
type Call struct {
	// Method is POST.
	Method string
	// Path is the escaped path of the resource.
	Path string
	// Body has the members of the resource, as in a create. Numbers may be of any type.
	Body map[string]any
	// LogicalID names the resource in errors. It may be empty.
	LogicalID string
}

// Apply makes the resources of a definition as they are described, all of them or none. A
// resource that exists with its ID is changed in place, so that clients stay connected: a
// member that its call lacks is gone, or has its default. What a former Apply made and
// this one lacks is deleted. Deployments freeze the API as this Apply leaves it, and stages
// with autoDeploy have it when Apply returns. The order of the calls does not matter.
//
// Resources that were made through the REST API stay as they are. The error names the
// call, and is the service's for such a call. A deployment that does not work is an error,
// too.
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
		return s.apply(w, e, calls)
	})
	if err != nil {
		return err
	}
	for apiID := range touched.drafts {
		if timer := s.pending[apiID]; timer != nil {
			if timer.Stop() {
				s.running.Done()
			}
			s.deployNow(apiID) //nolint:contextcheck // a deployment is made whole or not at all
		}
	}
	return nil
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

func (s *Server) apply(w Writer, e *effects, calls []Call) error {
	all := make([]*applied, len(calls))
	keys := make([]string, len(calls))
	made := make(map[string]bool, len(calls))
	for n := range calls {
		a := &applied{call: &calls[n], change: &change{s: s, w: w, at: time.Now(), applying: true, effects: e}}
		if err := a.read(); err != nil {
			return a.failed(err)
		}
		if made[a.key] {
			return a.failed(errors.New("another call makes the same resource"))
		}
		all[n], keys[n], made[a.key] = a, a.key, true
	}
	if err := s.discardFormer(w, e, made); err != nil {
		return err
	}
	// First all documents are there, then each is checked against the others, then the
	// deployments are made, and last those that will be are tried out.
	for _, step := range []func(*applied) error{(*applied).put, (*applied).complete, (*applied).deploy, (*applied).tryOut} {
		for _, a := range all {
			if err := step(a); err != nil {
				return a.failed(err)
			}
		}
	}
	return writeDocument(w, appliedKey, keys)
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
	if a.call.Method != http.MethodPost || a.res == nil || len(rest) > 0 || len(segments) != len(a.res.segments) {
		return fmt.Errorf("%s %s is no create call whose path ends in an ID", a.call.Method, a.call.Path)
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

// discardFormer deletes what a former Apply made and this one lacks.
func (s *Server) discardFormer(w Writer, e *effects, made map[string]bool) error {
	value, err := w.Get(appliedKey)
	if err != nil || value == nil {
		return err
	}
	var former []string
	if err := json.Unmarshal(value, &former); err != nil {
		return fmt.Errorf("controlplane: the store holds no list at %s: %w", appliedKey, err)
	}
	for _, key := range former {
		if made[key] {
			continue
		}
		c := &change{s: s, w: w, key: key, at: time.Now(), applying: true, effects: e}
		c.res, c.ids, _ = s.table.find(strings.Split(key, "/"))
		if value, err := w.Get(key); err != nil || value == nil || c.res == nil {
			if err != nil {
				return err
			}
			continue // gone with its parent, or by the REST API
		}
		if err := c.discard(); err != nil {
			return err
		}
	}
	return nil
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
	stages, err := a.siblings("stages")
	for _, stage := range stages {
		if textOf(stage.doc, "deploymentId") == a.ids["deploymentId"] {
			a.stages[stageKey{a.ids["apiId"], stage.id()}] = true
		}
	}
	return err
}

// tryOut checks the automatic deployment that a stage will get.
func (a *applied) tryOut() error {
	if a.res.name != "Stage" || !boolOf(a.doc, "autoDeploy") {
		return nil
	}
	draft, err := newSnapshot(a.w, a.ids["apiId"])
	if err != nil || len(draft.Routes) == 0 {
		return err
	}
	_, err = checkSnapshot(&a.s.cfg, draft, true)
	return err
}
