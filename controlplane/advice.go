package controlplane

import (
	"slices"
	"sync"
)

// This file says in the log why a client got 403: the answer itself is the service's, which
// has no reason.

// advice remembers which APIs the log has advice for, until something changes: a client that
// tries again and again must not fill the log.
type advice struct {
	mu    sync.Mutex
	given map[string]bool
}

// first tells whether it is called for an API for the first time.
func (a *advice) first(apiID string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	first := !a.given[apiID]
	if a.given == nil {
		a.given = map[string]bool{}
	}
	a.given[apiID] = true
	return first
}

func (a *advice) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.given = nil
}

// adviseAbout logs what to do so that clients can connect to a stage that does not exist, or
// has no deployment. It says nothing about an API that does not exist.
func (s *Server) adviseAbout(apiID, stage string) {
	if !isID(apiID) {
		return
	}
	exists := false
	var deployments []entry
	first := false
	err := s.store.View(func(r Reader) error {
		value, err := r.Get("apis/" + apiID)
		if err != nil || value == nil || !s.advice.first(apiID) {
			return err
		}
		first = true
		deployments, err = listDocuments(r, "apis/"+apiID+"/deployments", "", 0)
		if err != nil {
			return err
		}
		if isID(stage) {
			value, err = r.Get("apis/" + apiID + "/stages/" + stage)
			exists = value != nil
		}
		return err
	})
	switch {
	case err != nil:
		s.log.Error("the store could not be read", "api_id", apiID, "error", err)
	case first:
		s.log.Warn("a client got 403, because the API has no such stage, or the stage has no deployment",
			"api_id", apiID, "stage", clip(stage), "do", remedy(apiID, stage, exists, deployments))
	}
}

// remedy returns commands of the AWS CLI.
func remedy(apiID, stage string, exists bool, deployments []entry) string {
	if !stageName.MatchString(stage) || len(stage) > 128 {
		stage = "prod"
	}
	deployment, before := "{deploymentId}", "aws apigatewayv2 create-deployment --api-id "+apiID+", and then "
	for _, d := range slices.Backward(deployments) { // the newest that a stage can use
		if textOf(d.doc, "deploymentStatus") == "DEPLOYED" {
			deployment, before = d.id(), ""
			break
		}
	}
	verb := "create-stage"
	if exists {
		verb = "update-stage"
	}
	return before + "aws apigatewayv2 " + verb + " --api-id " + apiID + " --stage-name " + stage + " --deployment-id " + deployment
}
