package controlplane

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// This file makes deployments: frozen copies of an API, and the automatic ones.

// snapshot is what a deployment freezes of an API.
type snapshot struct {
	API                  document              `json:"api"`
	Routes               []document            `json:"routes"`
	RouteResponses       map[string][]document `json:"routeResponses"` // by routeId
	Integrations         []document            `json:"integrations"`
	IntegrationResponses map[string][]document `json:"integrationResponses"` // by integrationId
	Authorizers          []document            `json:"authorizers"`
	Models               []document            `json:"models"`
}

func snapshotKey(apiID, deploymentID string) string {
	return "snapshots/" + apiID + "/" + deploymentID
}

func readSnapshot(r Reader, apiID, deploymentID string) (*snapshot, error) {
	key := snapshotKey(apiID, deploymentID)
	value, err := r.Get(key)
	if err != nil || value == nil {
		return nil, fmt.Errorf("controlplane: reading %s: %w", key, firstError(err, errNoDocument))
	}
	decoder := json.NewDecoder(bytes.NewReader(value))
	decoder.UseNumber()
	var snap snapshot
	if err := decoder.Decode(&snap); err != nil {
		return nil, fmt.Errorf("controlplane: the store holds no frozen copy at %s: %w", key, err)
	}
	return &snap, nil
}

// newSnapshot copies the draft of an API.
func newSnapshot(r Reader, apiID string) (*snapshot, error) {
	api := "apis/" + apiID
	d, err := readDocument(r, api)
	if err != nil {
		return nil, err
	}
	snap := &snapshot{API: d, RouteResponses: map[string][]document{}, IntegrationResponses: map[string][]document{}}
	delete(snap.API, "tags") // clients never see them
	for _, collection := range []struct {
		name, below string
		into        *[]document
		responses   map[string][]document
	}{
		{"routes", "routeresponses", &snap.Routes, snap.RouteResponses},
		{"integrations", "integrationresponses", &snap.Integrations, snap.IntegrationResponses},
		{"authorizers", "", &snap.Authorizers, nil},
		{"models", "", &snap.Models, nil},
	} {
		entries, err := listDocuments(r, api+"/"+collection.name, "", 0)
		if err != nil {
			return nil, err
		}
		*collection.into = documentsOf(entries)
		if collection.below == "" {
			continue
		}
		for _, e := range entries {
			below, err := listDocuments(r, e.key+"/"+collection.below, "", 0)
			if err != nil {
				return nil, err
			}
			if below != nil {
				collection.responses[e.id()] = documentsOf(below)
			}
		}
	}
	return snap, nil
}

func documentsOf(entries []entry) []document {
	documents := make([]document, len(entries))
	for n, e := range entries {
		documents[n] = e.doc
	}
	return documents
}

// freeze is the rule of deployments that makes the frozen copy, and moves the stage that
// the client names.
func freeze(c *change, d document) error {
	stage := textOf(d, "stageName")
	delete(d, "stageName")
	if c.before != nil && !c.applying {
		return nil
	}
	if err := c.freezeDraft(d); err != nil {
		return err
	}
	if stage == "" {
		return nil
	}
	key := "apis/" + c.ids["apiId"] + "/stages/" + stage
	doc, err := readDocument(c.w, key)
	switch {
	case !isID(stage) || err == errNoDocument: //nolint:errorlint // it is compared as it was returned
		return notFound("Invalid stage identifier specified")
	case err != nil:
		return err
	case boolOf(doc, "autoDeploy"):
		return badRequest("StageName cannot name a stage whose AutoDeploy is true: %s", stage)
	case textOf(d, "deploymentStatus") != "DEPLOYED":
		return nil
	}
	return c.moveStage(key, doc, textOf(d, "deploymentId"))
}

// moveStage lets a stage use a deployment.
func (c *change) moveStage(key string, stage document, deploymentID string) error {
	stage["deploymentId"] = deploymentID
	stage["lastUpdatedDate"] = c.date()
	c.stages[stageKey{c.ids["apiId"], textOf(stage, "stageName")}] = true
	return writeDocument(c.w, key, stage)
}

// freezeDraft stores a copy of the draft for the deployment d, and says in d whether it
// works.
func (c *change) freezeDraft(d document) error {
	apiID := c.ids["apiId"]
	snap, err := newSnapshot(c.w, apiID)
	if err != nil {
		return err
	}
	if len(snap.Routes) == 0 {
		return badRequest("At least one route is required before deploying the Api")
	}
	d["deploymentStatus"] = "DEPLOYED"
	d["autoDeployed"] = boolOf(d, "autoDeployed")
	delete(d, "deploymentStatusMessage")
	if err := checkSnapshot(&c.s.cfg, snap, c.applying); err != nil { // a stage that uses it warns of the rest
		d["deploymentStatus"] = "FAILED"
		d["deploymentStatusMessage"] = err.Error()
		c.note("the deployment has failed", "api_id", apiID, "deployment_id", textOf(d, "deploymentId"), "error", err)
	}
	return writeDocument(c.w, snapshotKey(apiID, textOf(d, "deploymentId")), snap)
}

// autoDeployDelay is how long an automatic deployment waits for further changes. One that
// could not be stored is tried again, each time after twice as long, up to longestDelay.
const (
	autoDeployDelay = 50 * time.Millisecond
	longestDelay    = time.Minute
)

// autoDeployment is an automatic deployment that will be made.
type autoDeployment struct {
	timer *time.Timer
	delay time.Duration
}

// deployLater makes an automatic deployment soon, for the stages of an API that have
// autoDeploy. The caller holds s.mu.
func (s *Server) deployLater(apiID string) {
	waits := s.pending[apiID]
	again := waits != nil && waits.delay > autoDeployDelay // it has failed, and may work now
	if s.closed || waits != nil && !again || !s.deploysItself(apiID) {
		return
	}
	if !again || s.stopDeployment(apiID) {
		s.deployAfter(apiID, autoDeployDelay)
	}
}

func (s *Server) deployAfter(apiID string, delay time.Duration) {
	s.running.Add(1)
	s.pending[apiID] = &autoDeployment{delay: delay, timer: time.AfterFunc(delay, func() {
		defer s.running.Done()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.closed {
			return
		}
		delete(s.pending, apiID)
		s.deployOrRetry(apiID, delay)
	})}
}

// stopDeployment takes back a deployment that will be made. It returns false if it is being
// made already. The caller holds s.mu.
func (s *Server) stopDeployment(apiID string) bool {
	stopped := s.pending[apiID].timer.Stop()
	if stopped {
		s.running.Done()
		delete(s.pending, apiID)
	}
	return stopped
}

// deployOrRetry makes the automatic deployment of an API. If it cannot be stored, it is made
// later. The caller holds s.mu.
func (s *Server) deployOrRetry(apiID string, delay time.Duration) {
	err := s.deployNow(apiID)
	if err == nil {
		return
	}
	s.log.Error("an automatic deployment could not be made", "api_id", apiID, "error", err)
	if _, known := answerOf(err); !known { // the store has failed
		s.deployAfter(apiID, min(2*delay, longestDelay))
	}
}

// deployNow makes the automatic deployment of an API, for the stages that do not have its
// draft. The caller holds s.mu.
func (s *Server) deployNow(apiID string) error {
	var stages []entry
	err := s.store.View(func(r Reader) (err error) { // an Update costs a flush even if it changes nothing
		stages, err = staleStages(r, apiID)
		return err
	})
	if err != nil || len(stages) == 0 {
		return err
	}
	return s.updateLocked(func(w Writer, e *effects) error { return s.autoDeploy(w, e, apiID, stages) })
}

// deploysItself tells whether an API has a stage with autoDeploy.
func (s *Server) deploysItself(apiID string) bool {
	var stages []entry
	err := s.store.View(func(r Reader) (err error) {
		stages, err = autoDeployed(r, apiID)
		return err
	})
	return len(stages) > 0 || err != nil // the deployment finds the error again
}

// autoDeployed returns the stages of an API that have autoDeploy.
func autoDeployed(r Reader, apiID string) (stages []entry, err error) {
	all, err := listDocuments(r, "apis/"+apiID+"/stages", "", 0)
	for _, stage := range all {
		if boolOf(stage.doc, "autoDeploy") {
			stages = append(stages, stage)
		}
	}
	return stages, err
}

// staleStages returns the stages with autoDeploy, unless they all have the draft already, or
// there is no route yet.
func staleStages(r Reader, apiID string) ([]entry, error) {
	stages, err := autoDeployed(r, apiID)
	if err != nil || len(stages) == 0 { // the API may be gone by now
		return nil, err
	}
	draft, err := newSnapshot(r, apiID)
	if err != nil || len(draft.Routes) == 0 {
		return nil, err
	}
	text, err := encodeJSON(draft)
	if err != nil {
		return nil, err
	}
	for _, stage := range stages {
		frozen, err := r.Get(snapshotKey(apiID, textOf(stage.doc, "deploymentId")))
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(frozen, text) {
			return stages, nil
		}
	}
	return nil, nil
}

// autoDeploy makes a deployment for stages.
func (s *Server) autoDeploy(w Writer, e *effects, apiID string, stages []entry) error {
	c := &change{s: s, w: w, res: s.table.named("Deployment"), ids: map[string]string{"apiId": apiID}, at: time.Now(), effects: e}
	d := document{"autoDeployed": true, "description": "Automatic deployment triggered by changes to the Api configuration"}
	if err := c.name(d, ""); err != nil {
		return err
	}
	c.setDate(d, "createdDate")
	if err := c.freezeDraft(d); err != nil {
		return err
	}
	if err := writeDocument(w, c.key, d); err != nil {
		return err
	}
	if err := c.moveStages(stages, d); err != nil {
		return err
	}
	return c.pruneDeployments()
}

// moveStages lets the stages with autoDeploy use a deployment, or tells them that it has
// failed.
func (c *change) moveStages(stages []entry, d document) error {
	id := textOf(d, "deploymentId")
	for _, stage := range stages {
		if textOf(d, "deploymentStatus") != "DEPLOYED" {
			stage.doc["lastDeploymentStatusMessage"] = "Failed to deploy stage with deployment ID '" + id + "': " + textOf(d, "deploymentStatusMessage")
			if err := writeDocument(c.w, stage.key, stage.doc); err != nil {
				return err
			}
			continue
		}
		stage.doc["lastDeploymentStatusMessage"] = "Successfully deployed stage with deployment ID '" + id + "'"
		if err := c.moveStage(stage.key, stage.doc, id); err != nil {
			return err
		}
	}
	return nil
}

// keptDeployments is how many automatic deployments stay that no stage uses: an editor
// that saves often must not fill the store.
const keptDeployments = 20

// pruneDeployments deletes the oldest automatic deployments that no stage uses.
func (c *change) pruneDeployments() error {
	deployments, err := c.siblings("deployments")
	if err != nil {
		return err
	}
	stages, err := c.siblings("stages")
	if err != nil {
		return err
	}
	used := map[string]bool{}
	for _, stage := range stages {
		used[textOf(stage.doc, "deploymentId")] = true
	}
	var idle []entry
	for _, deployment := range deployments {
		if boolOf(deployment.doc, "autoDeployed") && !used[deployment.id()] {
			idle = append(idle, deployment)
		}
	}
	for _, old := range idle[:max(0, len(idle)-keptDeployments)] {
		for _, key := range []string{old.key, snapshotKey(c.ids["apiId"], old.id())} {
			if err := c.w.Delete(key); err != nil {
				return fmt.Errorf("controlplane: deleting %s: %w", key, err)
			}
		}
	}
	return nil
}
