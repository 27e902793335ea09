package controlplane

import (
	"slices"
	"strings"
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

// mostAdvice is how many APIs the log has advice for: who asks for APIs that do not exist could
// name any number of them.
const mostAdvice = 1000

// first tells whether it is called for an API for the first time.
func (a *advice) first(apiID string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.given[apiID] || len(a.given) == mostAdvice {
		return false
	}
	if a.given == nil {
		a.given = map[string]bool{}
	}
	a.given[apiID] = true
	return true
}

func (a *advice) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.given = nil
}

// adviseAbout logs what to do so that clients can connect: to an API or a stage that does not
// exist, or to a stage that has no deployment.
func (s *Server) adviseAbout(apiID, stage string) {
	var say []any // attributes of the line
	known := isID(apiID)
	err := s.store.View(func(r Reader) error {
		if known {
			value, err := r.Get("apis/" + apiID)
			if err != nil {
				return err
			}
			known = value != nil
		}
		if !s.advice.first(clip(apiID)) {
			return nil
		}
		var err error
		if known {
			say, err = s.adviceAboutStage(r, apiID, stage)
			return err
		}
		addresses, err := s.addressesOf(r, "")
		say = []any{"api_id", clip(apiID), "addresses", addresses}
		return err
	})
	switch {
	case err != nil:
		s.log.Error("the store could not be read", "api_id", clip(apiID), "error", err)
	case say == nil: // it has been said
	case known:
		s.log.Warn("a client got 403, because the API has no such stage, or the stage has no deployment", say...)
	default:
		s.log.Warn("a client got 403, because its address names no API", say...)
	}
}

func (s *Server) adviceAboutStage(r Reader, apiID, stage string) ([]any, error) {
	deployments, err := listDocuments(r, "apis/"+apiID+"/deployments", "", 0)
	if err != nil {
		return nil, err
	}
	exists := false
	if isID(stage) {
		value, err := r.Get("apis/" + apiID + "/stages/" + stage)
		if err != nil {
			return nil, err
		}
		exists = value != nil
	}
	addresses, err := s.addressesOf(r, apiID)
	return []any{"api_id", apiID, "stage", clip(stage), "addresses", addresses, "do", remedy(apiID, stage, exists, deployments)}, err
}

// mostAddresses is how many addresses a line of the log has.
const mostAddresses = 10

// addressesOf returns the addresses of the stages of an API, or of all, that have a deployment.
func (s *Server) addressesOf(r Reader, apiID string) (string, error) {
	stages, err := s.stagesOf(r, apiID)
	if err != nil {
		return "", err
	}
	var all []string
	for _, st := range stages {
		if st.Deployed {
			all = append(all, st.URL)
		}
	}
	switch n := len(all); {
	case n == 0:
		return "none", nil
	case n > mostAddresses:
		all = append(all[:mostAddresses], "…")
	}
	return strings.Join(all, " "), nil
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
