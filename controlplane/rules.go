package controlplane

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// This file has the rules of the table: what is between members of a document, and
// between documents. The texts are the service's where they are known.

// siblings returns the documents of a collection of the same API.
func (c *change) siblings(collection string) ([]entry, error) {
	return listDocuments(c.w, "apis/"+c.ids["apiId"]+"/"+collection, "", 0)
}

// exists tells whether an API has a document.
func (c *change) exists(collection, id string) (bool, error) {
	if !isID(id) {
		return false, nil
	}
	value, err := c.w.Get("apis/" + c.ids["apiId"] + "/" + collection + "/" + id)
	return value != nil, err
}

// hasRoom applies the quotas of the service, if the collection will have so many new
// documents.
func (c *change) hasRoom(added int) error {
	most := c.res.most
	if c.s.cfg.NoQuotas || most == 0 {
		return nil
	}
	n := added
	err := eachValue(c.w, c.res.collection(c.ids), "", func(string, []byte) (bool, error) {
		n++
		return n <= most, nil
	})
	if err == nil && n > most {
		err = badRequest("Maximum number of %ss for this %s has been reached. Please contact AWS if you need additional %[1]ss.", c.res.name, c.res.owner())
	}
	return err
}

func apiIsMapped(c *change, _ document) error {
	mappings, err := c.find(mappedAPIs(), c.ids["apiId"], 1)
	if err == nil && len(mappings) > 0 {
		err = badRequest("Deleting API %s failed. Please remove all API mappings for the API from your custom domain names.", c.ids["apiId"])
	}
	return err
}

func routeIsUnique(c *change, d document) error {
	taken, err := c.isTaken(c.sameIn("routeKey"), d)
	if err == nil && taken {
		err = conflict("Route with key %s already exists for this API", textOf(d, "routeKey"))
	}
	return err
}

func authorizationOnConnect(_ *change, d document) error {
	if textOf(d, "authorizationType") != "NONE" && textOf(d, "routeKey") != "$connect" {
		return badRequest("Currently, authorization is restricted to the $connect route only")
	}
	return nil
}

func authorizerExists(c *change, d document) error {
	if textOf(d, "authorizationType") != "CUSTOM" {
		return nil
	}
	known, err := c.exists("authorizers", textOf(d, "authorizerId"))
	if err == nil && !known {
		err = badRequest("Invalid authorizer ID specified. Setting the authorization type to CUSTOM or COGNITO_USER_POOLS requires a valid authorizer.")
	}
	return err
}

func targetExists(c *change, d document) error {
	_, id, given := strings.Cut(textOf(d, "target"), "/")
	if !given {
		return nil
	}
	known, err := c.exists("integrations", id)
	if err == nil && !known {
		err = notFound("Invalid Integration identifier specified")
	}
	return err
}

// modelsExist returns the rule for a member that names models: the ones that an update
// does not change may have gone.
func modelsExist(member string) rule {
	return func(c *change, d document) error {
		before := textsOf(c.before, member)
		names := textsOf(d, member)
		for _, key := range slices.Sorted(maps.Keys(names)) {
			if names[key] == before[key] {
				continue
			}
			models, err := c.find(c.below("models", "name"), names[key], 1)
			if err != nil {
				return err
			}
			if len(models) == 0 {
				return badRequest("Invalid model identifier specified: %s", clip(names[key]))
			}
		}
		return nil
	}
}

// responseIsUnique returns the rule for the key of a route response or an integration
// response.
func responseIsUnique(member, exists string) rule {
	return func(c *change, d document) error {
		taken, err := c.isTaken(c.sameIn(member), d)
		if err == nil && taken {
			err = conflict(exists, textOf(d, member))
		}
		return err
	}
}

func parametersOnConnect(_ *change, d document) error {
	if d["requestParameters"] != nil && textOf(d, "routeKey") != "$connect" {
		return badRequest("RequestParameters can be set for the $connect route only")
	}
	return nil
}

// integrationIsComplete has what depends on the type of an integration.
func integrationIsComplete(_ *change, d document) error {
	kind := textOf(d, "integrationType")
	isAWS := kind == "AWS" || kind == "AWS_PROXY"
	if isAWS && d["integrationMethod"] == nil {
		d["integrationMethod"] = "POST"
	}
	switch {
	case kind == "MOCK":
	case d["integrationUri"] == nil:
		return badRequest("IntegrationUri is required for integrations of type %s", kind)
	case d["integrationMethod"] == nil:
		return badRequest("IntegrationMethod is required for integrations of type %s", kind)
	}
	if textOf(d, "connectionType") == "VPC_LINK" && d["connectionId"] == nil {
		return badRequest("ConnectionId is required for connections of type VPC_LINK")
	}
	if isAWS && strings.HasSuffix(textOf(d, "credentialsArn"), ":user/*") {
		return badRequest("Invalid role ARN")
	}
	return nil
}

func payloadIsOne(c *change, d document) error {
	if textOf(d, "payloadFormatVersion") == "1.0" {
		return nil
	}
	if c.s.cfg.Strict {
		return badRequest("Invalid PayloadFormatVersion specified: %s. Must be 1.0 for WEBSOCKET protocol Apis.", textOf(d, "payloadFormatVersion"))
	}
	if c.before == nil || textOf(c.before, "payloadFormatVersion") == "1.0" {
		c.note("the service refuses this payloadFormatVersion for WebSocket APIs; here the function gets events in the form 1.0",
			"key", c.key, "payload_format_version", textOf(d, "payloadFormatVersion"))
	}
	return nil
}

func integrationIsUsed(c *change, _ document) error {
	routes, err := c.find(c.below("routes", "target"), "integrations/"+c.ids["integrationId"], 0)
	if err != nil || len(routes) == 0 {
		return err
	}
	ids := make([]string, len(routes))
	for n, route := range routes {
		ids[n] = route.id()
	}
	return conflict("Cannot delete Integration because it is referenced by the following Routes with Ids: [%s]", strings.Join(ids, ", "))
}

func expressionCompiles(_ *change, d document) error {
	expression := textOf(d, "identityValidationExpression")
	if _, err := regexp.Compile(expression); err != nil {
		return badRequest("Invalid validation expression: %s", clip(expression))
	}
	return nil
}

func authorizerIsUsed(c *change, d document) error {
	routes, err := c.find(c.below("routes", "authorizerId"), c.ids["authorizerId"], 0)
	for _, route := range routes {
		if textOf(route.doc, "authorizationType") == "CUSTOM" {
			return conflict("Cannot delete authorizer '%s', is referenced in route: %s", textOf(d, "name"), textOf(route.doc, "routeKey"))
		}
	}
	return err
}

func modelIsUnique(c *change, d document) error {
	taken, err := c.isTaken(c.sameIn("name"), d)
	if err == nil && taken {
		err = conflict("Model with name %s already exists for this API", textOf(d, "name"))
	}
	return err
}

func deploymentIsUsed(c *change, _ document) error {
	stages, err := c.find(c.below("stages", "deploymentId"), c.ids["deploymentId"], 1)
	if err == nil && len(stages) > 0 {
		err = badRequest("Active stages pointing to this deployment must be moved or deleted")
	}
	return err
}

// deploymentOfStage checks the deployment that a client names: the one of a stage with
// autoDeploy is not the client's to choose.
func deploymentOfStage(c *change, d document) error {
	id := textOf(d, "deploymentId")
	if boolOf(d, "autoDeploy") && textOf(c.body, "deploymentId") != "" && id != textOf(c.before, "deploymentId") {
		return badRequest("DeploymentId cannot be set for a stage whose AutoDeploy is true")
	}
	if id == "" {
		return nil
	}
	deployment, err := readDocument(c.w, "apis/"+c.ids["apiId"]+"/deployments/"+id)
	switch {
	case !isID(id) || err == errNoDocument: //nolint:errorlint // it is compared as it was returned
		return notFound("Invalid Deployment identifier specified")
	case err == nil && textOf(deployment, "deploymentStatus") == "FAILED" && id != textOf(c.before, "deploymentId"):
		return badRequest("The deployment %s has failed, so no stage can use it: %s", id, textOf(deployment, "deploymentStatusMessage"))
	}
	return err
}

func settingsOfRoutes(c *change, d document) error {
	settings, _ := d["routeSettings"].(map[string]any)
	if len(settings) == 0 {
		return nil
	}
	routes, err := c.texts(c.below("routes", "routeKey"))
	if err != nil {
		return err
	}
	before, _ := c.before["routeSettings"].(map[string]any)
	for key := range settings {
		_, already := before[key]
		if !already && routes[key] == nil && key != "$connect" && key != "$disconnect" && key != "$default" {
			return notFound("Unable to find Route by key %s within the provided RouteSettings", clip(key))
		}
	}
	return nil
}

// formatOfLogs checks the format of access logs when it is set.
func formatOfLogs(c *change, d document) error {
	format := textOf(objectOf(d, "accessLogSettings"), "format")
	why := ""
	switch {
	case format == "" || format == textOf(objectOf(c.before, "accessLogSettings"), "format"):
		return nil
	case strings.Contains(strings.TrimSuffix(format, "\n"), "\n"):
		why = "must be single line"
	case !strings.Contains(format, "$context.requestId") && !strings.Contains(format, "$context.extendedRequestId"):
		why = "must include either $context.requestId or $context.extendedRequestId "
	default:
		return nil
	}
	return badRequest("The following errors are found in Access Log Format: Access Log format %s: '%s'", why, clip(format))
}

func stageIsMapped(c *change, _ document) error {
	mappings, err := c.find(mappedStages(), c.ids["apiId"]+"/"+c.ids["stageName"], 1)
	if err == nil && len(mappings) > 0 {
		err = badRequest("Deleting stage %s failed. Please remove all API mappings for the stage from your custom domain names.", c.ids["stageName"])
	}
	return err
}

// domainIsUnique compares as DNS does: capitals do not matter.
func domainIsUnique(c *change, d document) error {
	taken, err := c.isTaken(query{collection: "domainnames", member: "domainName", fold: true}, d)
	if err == nil && taken {
		err = conflict("%s", c.res.exists)
	}
	return err
}

// domainHasAddress fills in what the service would say of a domain name. A client that
// waits for the name to become available finds that it is.
func domainHasAddress(c *change, d document) error {
	d["apiMappingSelectionExpression"] = "$request.basepath"
	configurations, _ := d["domainNameConfigurations"].([]any)
	before, _ := c.before["domainNameConfigurations"].([]any)
	for n, configuration := range configurations {
		configuration, _ := configuration.(map[string]any)
		address := ""
		if n < len(before) {
			old, _ := before[n].(map[string]any)
			address = textOf(old, "apiGatewayDomainName")
		}
		if address == "" {
			address = "d-" + c.s.newID(apiIDLength, c.at) + ".execute-api." + c.s.cfg.Region + ".amazonaws.com"
		}
		configuration["apiGatewayDomainName"] = address
		configuration["hostedZoneId"] = "Z1UJRXOUMOOFQ8"
		configuration["domainNameStatus"] = "AVAILABLE"
	}
	return nil
}

func mappingKeyIsPath(_ *change, d document) error {
	key := textOf(d, "apiMappingKey")
	switch {
	case strings.HasPrefix(key, "/") || strings.Contains(key, "//"):
		return badRequest("API mapping key should not start with a '/' or have consecutive '/'s.")
	case strings.HasSuffix(key, "/"):
		return badRequest("API mapping key should not end with a '/'.")
	}
	return nil
}

func mappedStageExists(c *change, d document) error {
	apiID, stage := textOf(d, "apiId"), textOf(d, "stage")
	if !isID(apiID) || !isID(stage) {
		return badRequest("Invalid stage identifier specified")
	}
	if value, err := c.w.Get("apis/" + apiID); err != nil || value == nil {
		return firstError(err, notFound("Invalid API identifier specified %s:%s", c.s.cfg.AccountID, apiID))
	}
	if value, err := c.w.Get("apis/" + apiID + "/stages/" + stage); err != nil || value == nil {
		return firstError(err, badRequest("Invalid stage identifier specified"))
	}
	return nil
}

func firstError(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

func mappingIsUnique(c *change, d document) error {
	taken, err := c.isTaken(c.sameIn("apiMappingKey"), d)
	if err == nil && taken {
		err = conflict("An API mapping with the key '%s' already exists for this domain name", textOf(d, "apiMappingKey"))
	}
	return err
}

// discardStages notes that the stages of an API are gone, and deletes its frozen copies.
func discardStages(c *change) error {
	stages, err := c.siblings("stages")
	if err != nil {
		return err
	}
	for _, stage := range stages {
		c.stages[stageKey{c.ids["apiId"], stage.id()}] = false
	}
	return c.w.Delete("snapshots/" + c.ids["apiId"])
}

func showAPI(s *Server, visible document, created bool) {
	visible["apiEndpoint"] = s.apiEndpoint(textOf(visible, "apiId"))
	if visible["tags"] == nil && !created {
		visible["tags"] = map[string]any{}
	}
}

// apiEndpoint is the address to which a client adds "/" and a stage.
func (s *Server) apiEndpoint(apiID string) string {
	if s.cfg.Endpoint != "" {
		return strings.TrimSuffix(s.cfg.Endpoint, "/") + "/" + apiID
	}
	return "wss://" + apiID + ".execute-api." + s.cfg.Region + ".amazonaws.com"
}

// showSelection shows what selects an integration response.
func showSelection(_ *Server, visible document, _ bool) {
	switch textOf(visible, "integrationType") {
	case "AWS":
		visible["integrationResponseSelectionExpression"] = "${integration.response.body.errorMessage}"
	case "HTTP", "MOCK":
		visible["integrationResponseSelectionExpression"] = "${integration.response.statuscode}"
	}
}
