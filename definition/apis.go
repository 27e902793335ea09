package definition

import (
	"encoding/json"
	"slices"
	"strings"
)

// isGateway reports whether a resource is part of a WebSocket API here.
func (t *template) isGateway(r *resource) bool {
	switch {
	case schemaOf(r.typ) == nil:
		return false
	case r.typ == typeDomain || r.typ == typeMapping:
		return !t.onlyHTTP()
	case r.typ == typeAPI:
		return !t.isHTTP(r)
	default:
		return !t.ofHTTP(r)
	}
}

// onlyHTTP reports whether the templates have APIs, but none for WebSocket.
func (s *stacks) onlyHTTP() bool {
	known, only := false, true
	s.ofType(typeAPI, func(t *template, api *resource) {
		known, only = true, only && t.isHTTP(api)
	})
	return known && only
}

func (t *template) isHTTP(api *resource) bool {
	value, p := t.property(api, "ProtocolType")
	return p == nil && strings.EqualFold(value.str(), "HTTP")
}

// ofHTTP reports whether a resource belongs to an HTTP API by its ApiId.
func (t *template) ofHTTP(r *resource) bool {
	value, p := t.property(r, "ApiId")
	if p != nil || value == nil {
		return false
	}
	found := false
	t.stacks.ofType(typeAPI, func(other *template, api *resource) {
		found = found || other.id(api) == value.str() && other.isHTTP(api)
	})
	return found
}

// gateways evaluates the APIs and domain names.
func (s *stacks) gateways() ([]API, []Domain) {
	var apis []API
	s.ofType(typeAPI, func(t *template, r *resource) {
		if t.isHTTP(r) {
			return
		}
		doc, _ := t.document(r)
		if protocol, ok := doc.Fields["protocolType"].(string); ok && protocol != "WEBSOCKET" {
			t.failf(r.props.lineOf("ProtocolType"), r.logicalID, "ProtocolType is %q: it has to be WEBSOCKET", protocol)
		}
		apis = append(apis, API{Document: doc})
	})
	for _, typ := range []string{typeModel, typeAuthorizer, typeIntegration, typeIntResponse, typeRoute, typeResponse, typeDeployment, typeStage} {
		s.ofType(typ, func(t *template, r *resource) {
			if t.ofHTTP(r) {
				return
			}
			doc, path := t.document(r)
			if api := t.ownerOf(apis, r, path); api != nil {
				t.addTo(api, r, doc, path)
			}
		})
	}
	for i := range apis {
		s.checkAPI(&apis[i])
		renameDeployments(&apis[i])
	}
	return apis, s.domains(apis)
}

// addTo adds a resource to its API.
func (t *template) addTo(api *API, r *resource, doc Document, path map[string]*node) {
	switch r.typ {
	case typeModel:
		api.Models = append(api.Models, doc)
	case typeAuthorizer:
		api.Authorizers = append(api.Authorizers, doc)
	case typeIntegration:
		api.Integrations = append(api.Integrations, Integration{Document: doc})
	case typeIntResponse:
		t.addIntegrationResponse(r, doc, path, api)
	case typeRoute:
		t.addRoute(r, doc, api)
	case typeResponse:
		t.addRouteResponse(r, doc, path, api)
	case typeDeployment:
		api.Deployments = append(api.Deployments, doc)
	case typeStage:
		t.addStage(r, doc, api)
	}
}

// ownerOf returns the API that a resource names, and records a problem if it is none.
func (t *template) ownerOf(apis []API, r *resource, path map[string]*node) *API {
	value := path["ApiId"]
	if value == nil {
		return nil // told already
	}
	for i := range apis {
		if apis[i].ID == value.str() {
			return &apis[i]
		}
	}
	text := value.str()
	if name, ok := strings.CutPrefix(text, "Ref! "); ok {
		t.failf(value.at, r.logicalID, "ApiId is the text %q: write !Ref %s", text, name)
		return nil
	}
	t.failf(value.at, r.logicalID, "ApiId is %q, which is no API of this template: write !Ref and the logical ID of one", text)
	return nil
}

func (t *template) addIntegrationResponse(r *resource, doc Document, path map[string]*node, api *API) {
	for i := range api.Integrations {
		if api.Integrations[i].ID == path["IntegrationId"].str() {
			api.Integrations[i].Responses = append(api.Integrations[i].Responses, doc)
			return
		}
	}
	if path["IntegrationId"] != nil {
		t.failf(path["IntegrationId"].at, r.logicalID, "IntegrationId is %q, which is no integration of the API %s", path["IntegrationId"].str(), api.LogicalID)
	}
}

func (t *template) addRouteResponse(r *resource, doc Document, path map[string]*node, api *API) {
	for i := range api.Routes {
		if api.Routes[i].ID == path["RouteId"].str() {
			api.Routes[i].Responses = append(api.Routes[i].Responses, doc)
			return
		}
	}
	if path["RouteId"] != nil {
		t.failf(path["RouteId"].at, r.logicalID, "RouteId is %q, which is no route of the API %s", path["RouteId"].str(), api.LogicalID)
	}
}

func (t *template) addRoute(r *resource, doc Document, api *API) {
	for _, other := range api.Routes {
		if other.Fields["routeKey"] == doc.Fields["routeKey"] {
			t.failf(r.props.lineOf("RouteKey"), r.logicalID, "the API %s has the route key %q twice: %s has it, too", api.LogicalID, doc.Fields["routeKey"], other.LogicalID)
		}
	}
	if target, ok := doc.Fields["target"].(string); ok {
		id, form := strings.CutPrefix(target, "integrations/")
		if !form || !slices.ContainsFunc(api.Integrations, func(i Integration) bool { return i.ID == id }) {
			t.failf(r.props.lineOf("Target"), r.logicalID,
				`Target is %q: it has to be "integrations/" and the ID of an integration of the API %s, as in !Sub integrations/${Integration}`, target, api.LogicalID)
		}
	}
	if id, ok := doc.Fields["authorizerId"].(string); ok {
		if !slices.ContainsFunc(api.Authorizers, func(a Document) bool { return a.ID == id }) {
			t.failf(r.props.lineOf("AuthorizerId"), r.logicalID, "AuthorizerId is %q, which is no authorizer of the API %s: write !Ref and its logical ID", id, api.LogicalID)
		}
	}
	api.Routes = append(api.Routes, Route{Document: doc})
}

func (t *template) addStage(r *resource, doc Document, api *API) {
	name, ok := doc.Fields["stageName"].(string)
	if !ok {
		return
	}
	if name == "$default" {
		t.failf(r.props.lineOf("StageName"), r.logicalID, "a stage of a WebSocket API cannot be $default: give it another name")
		return
	}
	for _, other := range api.Stages {
		if other.ID == name {
			t.failf(r.at, r.logicalID, "the API %s has the stage %q twice: %s is it, too", api.LogicalID, name, other.LogicalID)
		}
	}
	deployment := doc.Fields["deploymentId"]
	if deployment != nil && doc.Fields["autoDeploy"] == true {
		t.failf(r.props.lineOf("DeploymentId"), r.logicalID, "a stage has either AutoDeploy or a DeploymentId: remove one")
	}
	if deployment != nil && !slices.ContainsFunc(api.Deployments, func(d Document) bool { return d.ID == deployment }) {
		t.failf(r.props.lineOf("DeploymentId"), r.logicalID, "DeploymentId is %q, which is no deployment of the API %s: write !Ref and its logical ID", deployment, api.LogicalID)
	}
	doc.ID = name
	api.Stages = append(api.Stages, doc)
}

// checkAPI notes what would make an API useless.
func (s *stacks) checkAPI(api *API) {
	at := position{api.File, api.Line}
	switch {
	case len(api.Stages) == 0:
		s.notef(Warning, at, api.LogicalID, "the API has no stage, so no client can connect: add an AWS::ApiGatewayV2::Stage")
	case len(api.Routes) == 0 && len(api.Deployments) > 0:
		s.failf(at, api.LogicalID, "the API has a deployment, but no route: a deployment needs at least one route")
	}
	for _, stage := range api.Stages {
		named := slices.ContainsFunc(api.Deployments, func(d Document) bool { return d.Fields["stageName"] == stage.ID })
		if stage.Fields["deploymentId"] == nil && stage.Fields["autoDeploy"] != true && !named {
			s.notef(Warning, position{stage.File, stage.Line}, stage.LogicalID, "the stage has no deployment, so no client can connect: set DeploymentId, or AutoDeploy to true")
		}
	}
}

// renameDeployments makes the ID of a deployment depend on what it contains. So a file that
// has changed is deployed again, which on AWS needs a new logical ID.
func renameDeployments(api *API) {
	if len(api.Deployments) == 0 {
		return
	}
	deployed := *api
	deployed.Deployments, deployed.Stages = nil, nil
	content, err := json.Marshal(deployed.calls())
	if err != nil {
		return // texts, numbers, maps and lists always have a JSON form
	}
	for i := range api.Deployments {
		before := api.Deployments[i].ID
		api.Deployments[i].ID = stableID(7, before, string(content))
		for _, s := range api.Stages {
			if s.Fields["deploymentId"] == before {
				s.Fields["deploymentId"] = api.Deployments[i].ID
			}
		}
	}
}

// domains evaluates the domain names and their API mappings.
func (s *stacks) domains(apis []API) []Domain {
	if s.onlyHTTP() {
		return nil
	}
	var domains []Domain
	s.ofType(typeDomain, func(t *template, r *resource) {
		doc, _ := t.document(r)
		doc.ID, _ = doc.Fields["domainName"].(string)
		domains = append(domains, Domain{Document: doc})
	})
	s.ofType(typeMapping, func(t *template, r *resource) {
		doc, path := t.document(r)
		index := slices.IndexFunc(domains, func(d Domain) bool { return d.ID == path["DomainName"].str() })
		if index < 0 && path["DomainName"] != nil {
			// The domain name belongs to another stack: it is made here, so that the mapping works.
			name := path["DomainName"].str()
			domain := Document{LogicalID: r.logicalID, ID: name, Fields: map[string]any{"domainName": name}, File: r.at.file, Line: r.at.line}
			domains, index = append(domains, Domain{Document: domain}), len(domains)
		}
		t.checkMapping(r, doc, apis)
		if index >= 0 {
			domains[index].Mappings = append(domains[index].Mappings, doc)
		}
	})
	return domains
}

func (t *template) checkMapping(r *resource, doc Document, apis []API) {
	index := slices.IndexFunc(apis, func(a API) bool { return a.ID == doc.Fields["apiId"] })
	if index < 0 {
		t.failf(r.props.lineOf("ApiId"), r.logicalID, "ApiId is no WebSocket API of this template: write !Ref and the logical ID of one")
		return
	}
	stage := doc.Fields["stage"]
	if !slices.ContainsFunc(apis[index].Stages, func(s Document) bool { return s.ID == stage }) {
		t.failf(r.props.lineOf("Stage"), r.logicalID, "Stage is %q, which is no stage of the API %s", stage, apis[index].LogicalID)
	}
}
