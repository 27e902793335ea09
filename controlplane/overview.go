package controlplane

import (
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
}

// Stages returns all stages, in the order of the IDs of their APIs. The error is that of the
// store.
func (s *Server) Stages() (all []Stage, err error) {
	err = s.store.View(func(r Reader) error {
		apis, err := listDocuments(r, "apis", "", 0)
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
				})
			}
		}
		return nil
	})
	return all, err
}

func (s *Server) routeKeys(r Reader, api string) (keys []string, err error) {
	routes, err := listDocuments(r, api+"/routes", "", 0)
	for _, route := range routes {
		keys = append(keys, textOf(route.doc, "routeKey"))
	}
	slices.Sort(keys)
	return keys, err
}
