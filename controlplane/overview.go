package controlplane

import (
	"errors"
	"net/url"
	"slices"
	"strings"
)

// Stage describes a stage of a [Server] for a person who wants to connect.
type Stage struct {
	APIID, APIName string
	Name           string
	// URL is the address that clients dial, below Config.Endpoint or the address on AWS.
	URL string
	// Deployed tells whether there is a deployment: without one, clients get 403.
	Deployed bool
	// RouteKeys are those of the API as it is now, sorted. The deployment may have others.
	RouteKeys []string
	// RouteSelectionExpression is that of the API as it is now.
	RouteSelectionExpression string
	// IdentitySource is what the authorizer of $connect wants to find in an upgrade, such as
	// route.request.querystring.token, as the API is now. It is empty without an authorizer.
	IdentitySource []string
	// APIKeyRequired tells whether $connect wants an API key, as the API is now.
	APIKeyRequired bool
}

// Stages returns the stages of an API, or those of all APIs in the order of their IDs if
// apiID is "". The error is that of the store.
func (s *Server) Stages(apiID string) (all []Stage, err error) {
	err = s.store.View(func(r Reader) error {
		all, err = s.stagesOf(r, apiID)
		return err
	})
	return all, err
}

func (s *Server) stagesOf(r Reader, apiID string) (all []Stage, err error) {
	apis, err := apisOf(r, apiID)
	if err != nil {
		return nil, err
	}
	for _, api := range apis {
		about := Stage{APIID: api.id(), APIName: textOf(api.doc, "name"), RouteSelectionExpression: textOf(api.doc, "routeSelectionExpression")}
		if err := about.readRoutes(r, api.key); err != nil {
			return nil, err
		}
		stages, err := listDocuments(r, api.key+"/stages", "", 0)
		if err != nil {
			return nil, err
		}
		for _, stage := range stages {
			st := about
			st.Name = stage.id()
			st.URL = strings.TrimSuffix(s.apiEndpoint(api.id()), "/") + "/" + url.PathEscape(stage.id())
			st.Deployed = textOf(stage.doc, "deploymentId") != ""
			all = append(all, st)
		}
	}
	return all, nil
}

// apisOf returns one API, if it is there, or all.
func apisOf(r Reader, apiID string) ([]entry, error) {
	if apiID == "" {
		return listDocuments(r, "apis", "", 0)
	}
	key := "apis/" + apiID
	doc, err := readDocument(r, key)
	if errors.Is(err, errNoDocument) {
		return nil, nil
	}
	return []entry{{key: key, doc: doc}}, err
}

// readRoutes sets what the routes of an API say.
func (st *Stage) readRoutes(r Reader, api string) error {
	routes, err := listDocuments(r, api+"/routes", "", 0)
	for _, route := range routes {
		key := textOf(route.doc, "routeKey")
		st.RouteKeys = append(st.RouteKeys, key)
		if key != "$connect" {
			continue
		}
		st.APIKeyRequired = boolOf(route.doc, "apiKeyRequired")
		if id := textOf(route.doc, "authorizerId"); id != "" {
			authorizer, err := readDocument(r, api+"/authorizers/"+id)
			if err != nil && !errors.Is(err, errNoDocument) {
				return err
			}
			st.IdentitySource = listOf(authorizer, "identitySource")
		}
	}
	slices.Sort(st.RouteKeys)
	return err
}
