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
}

// Stages returns the stages of an API, or those of all APIs in the order of their IDs if
// apiID is "". The error is that of the store.
func (s *Server) Stages(apiID string) (all []Stage, err error) {
	err = s.store.View(func(r Reader) error {
		apis, err := apisOf(r, apiID)
		if err != nil {
			return err
		}
		for _, api := range apis {
			keys, err := s.routeKeys(r, api.key)
			if err != nil {
				return err
			}
			stages, err := listDocuments(r, api.key+"/stages", "", 0)
			if err != nil {
				return err
			}
			for _, stage := range stages {
				all = append(all, Stage{
					APIID: api.id(), APIName: textOf(api.doc, "name"), Name: stage.id(), RouteKeys: keys,
					URL:      strings.TrimSuffix(s.apiEndpoint(api.id()), "/") + "/" + url.PathEscape(stage.id()),
					Deployed: textOf(stage.doc, "deploymentId") != "",

					RouteSelectionExpression: textOf(api.doc, "routeSelectionExpression"),
				})
			}
		}
		return nil
	})
	return all, err
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

func (s *Server) routeKeys(r Reader, api string) (keys []string, err error) {
	routes, err := listDocuments(r, api+"/routes", "", 0)
	for _, route := range routes {
		keys = append(keys, textOf(route.doc, "routeKey"))
	}
	slices.Sort(keys)
	return keys, err
}
