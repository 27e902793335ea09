package definition

import (
	"path/filepath"
	"slices"
	"strings"
)

// serverless turns a serverless.yml into a template, as the Serverless Framework does. The
// logical IDs are those of the framework, because environments refer to them.
type serverless struct {
	*variables
	path           string
	service        string
	resources      *node // under construction
	template       map[string]*node
	events         map[string]bool
	webSockets     []webSocketEvent
	functionByName map[string]string
}

type webSocketEvent struct {
	function string // its key in functions
	at       position
	route    string
	event    *node
}

// newServerless reads a serverless.yml.
func newServerless(all *stacks, opts Options, path string, root *node) *template {
	v := &variables{
		report: all.report, opts: &opts, root: root, dir: filepath.Dir(path),
		files: map[string]*node{}, resolved: map[*node]*node{},
	}
	s := &serverless{
		variables: v, path: path, resources: &node{kind: mapKind, at: root.at}, template: map[string]*node{},
		events: map[string]bool{}, functionByName: map[string]string{},
	}
	s.readSurroundings()
	s.readFunctions()
	s.makeAPI()
	s.readResources()
	s.noteIgnored()
	s.resources.weigh()
	sections := []any{"Resources", s.resources}
	for _, name := range sortedKeys(s.template) {
		sections = append(sections, name, s.template[name])
	}
	t := newTemplate(all, *v.opts, path, mapNode(root.at, sections...), nil)
	t.lambdaDefaults = lambdaDefaults{timeout: 6, memory: 1024}
	s.implyResources(t)
	return t
}

// at resolves the value of a path of keys. It returns nil if there is none.
func (s *serverless) at(path ...string) *node {
	value, p := s.walk(s.root, strings.Join(path, "."))
	if p != nil {
		s.fail("", p)
	}
	return value
}

// textAt returns the text at a path of keys, or the other text.
func (s *serverless) textAt(otherwise string, path ...string) string {
	n := s.at(path...)
	if text, ok := n.scalar(); ok {
		return text
	}
	if !n.absent() {
		s.failf(n.at, "", "%s has to be a text, but is %s", strings.Join(path, "."), n.kind)
	}
	return otherwise
}

func (s *serverless) readSurroundings() {
	if s.opts.Stage == "" {
		s.opts.Stage = s.opts.Options["stage"]
	}
	stage := s.opts.Stage
	if stage == "" {
		stage = s.textAt("dev", "provider", "stage")
	}
	s.stage = stage
	if s.root.get("useDotenv").str() == "true" {
		s.dotenv = s.opts.readDotenv(s.dir, stage)
	}
	clear(s.resolved) // what was resolved without the stage
	if s.opts.Region == "" {
		if s.opts.Region = s.opts.Options["region"]; s.opts.Region == "" {
			s.opts.Region = s.textAt("us-east-1", "provider", "region")
		}
	}
	s.service = s.textAt("service", "service")
	if n := s.root.get("service"); n.isMap() {
		s.service = s.textAt("service", "service", "name")
	}
	s.opts.setStack(s.textAt(s.service+"-"+stage, "provider", "stackName"))
	s.params, s.opts.Parameters = s.opts.Parameters, nil // not parameters of the template
}

// entries returns the entries of a section that is a map, or a list of maps.
func (s *serverless) entries(section *node) *node {
	if section.absent() || section.kind == mapKind {
		return section
	}
	all := &node{kind: mapKind, at: section.at}
	for _, item := range section.items {
		if !item.isMap() {
			s.failf(item.at, "", "this has to be a map, but is %s", item.kind)
			continue
		}
		for i, key := range item.keys {
			value := item.items[i]
			if before := all.get(key); before.isMap() && value.isMap() {
				value = mergeGlobals(before, value)
			}
			all.set(key, item.keyAt[i], value)
		}
	}
	all.weigh()
	return all
}

// logicalName returns a name as a part of a logical ID, as the framework does.
func logicalName(name string) string {
	name = strings.NewReplacer("-", "Dash", "_", "Underscore").Replace(name)
	if name == "" {
		return name
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

func functionID(name string) string { return logicalName(name) + "LambdaFunction" }

// routeID returns a route key as a part of a logical ID.
func routeID(key string) string {
	return logicalName(strings.NewReplacer("$", "S", "/", "Slash", "-", "Dash", "_", "Underscore", ".", "Period", " ", "Space").Replace(key))
}

func (s *serverless) readFunctions() {
	functions := s.at("functions")
	if functions.absent() {
		return
	}
	functions = s.entries(functions)
	for i, name := range functions.keys {
		body := functions.items[i]
		if !body.isMap() {
			s.failf(functions.keyAt[i], name, "the function has to be a map, but is %s", body.kind)
			continue
		}
		s.readFunction(name, functions.keyAt[i], body)
	}
}

func (s *serverless) readFunction(name string, at position, body *node) {
	props := &node{kind: mapKind, at: at}
	fullName := body.get("name")
	if fullName == nil {
		fullName = textNode(at, s.service+"-"+s.stage+"-"+name)
	}
	props.set("FunctionName", fullName.at, fullName)
	for _, setting := range [][2]string{{"runtime", "Runtime"}, {"timeout", "Timeout"}, {"memorySize", "MemorySize"}, {"layers", "Layers"}} {
		value, place := body.get(setting[0]), body.lineOf(setting[0])
		if value.absent() {
			if value = s.at("provider", setting[0]); value != nil {
				place = value.at
			}
		}
		if !value.absent() {
			props.set(setting[1], place, value)
		}
	}
	if image := body.get("image"); image != nil {
		props.set("Code", body.lineOf("image"), mapNode(image.at, "ImageUri", textNode(image.at, "image")))
	} else {
		if handler := body.get("handler"); handler != nil {
			props.set("Handler", body.lineOf("handler"), handler)
		}
		props.set("Code", at, s.package_(at, body))
	}
	if props.get("Runtime") == nil && body.get("image") == nil {
		props.set("Runtime", at, textNode(at, "nodejs20.x")) // the framework's own default
	}
	if env := s.environmentOf(body); env != nil {
		props.set("Environment", env.at, mapNode(env.at, "Variables", env))
	}
	props.weigh()
	s.functionByName[name] = functionID(name)
	s.add(functionID(name), typeFunction, at, props)
	s.readEvents(name, body.get("events"))
}

// package_ returns where the code of a function is: an archive, or the folder of the file.
func (s *serverless) package_(at position, body *node) *node { //nolint:revive // package is a keyword
	if artifact := body.get("package", "artifact"); artifact != nil {
		return artifact
	}
	if artifact := s.at("package", "artifact"); artifact != nil {
		return artifact
	}
	return textNode(at, ".")
}

// environmentOf returns the variables of the provider and of the function, which win.
func (s *serverless) environmentOf(body *node) *node {
	common, own := s.at("provider", "environment"), body.get("environment")
	switch {
	case common.absent() && own.absent():
		return nil
	case common.absent():
		return own
	case own.absent():
		return common
	}
	return mergeEnvironment(common, own)
}

func mergeEnvironment(common, own *node) *node {
	if !common.isMap() || !own.isMap() {
		return own
	}
	m := &node{kind: mapKind, at: own.at}
	for _, from := range []*node{common, own} {
		for i, key := range from.keys {
			m.set(key, from.keyAt[i], from.items[i])
		}
	}
	m.weigh()
	return m
}

func (s *serverless) add(logicalID, typ string, at position, props *node) {
	s.resources.set(logicalID, at, mapNode(at, "Type", textNode(at, typ), "Properties", props))
}

func (s *serverless) readEvents(function string, events *node) {
	if events.absent() {
		return
	}
	for _, item := range events.items {
		typ := item.str()
		var event *node
		if item.isMap() && len(item.keys) > 0 {
			typ, event = item.keys[0], item.items[0]
		}
		if typ != "websocket" {
			s.events[typ] = true
			s.noteOnce(NotRun, item.at, "events of the type "+typ+": not run here; only WebSocket APIs call functions")
			continue
		}
		route := event.str()
		if event.isMap() {
			route = event.get("route").str()
		}
		if route == "" {
			s.failf(item.at, function, "the websocket event needs a route, as in \"route: $connect\"")
			continue
		}
		s.webSockets = append(s.webSockets, webSocketEvent{function: function, at: item.at, route: route, event: event})
	}
}

// makeAPI makes the API of all websocket events, as the framework does.
func (s *serverless) makeAPI() {
	if len(s.webSockets) == 0 {
		return
	}
	at := s.webSockets[0].at
	if external := s.at("provider", "apiGateway", "websocketApiId"); external != nil {
		s.notef(Warning, external.at, "", "websocketApiId names the API of another service: here this service gets an API of its own")
	}
	description := textNode(at, s.textAt("Serverless Websockets", "provider", "websocketsDescription"))
	s.add("WebsocketsApi", typeAPI, at, mapNode(at,
		"Name", textNode(at, s.textAt(s.stage+"-"+s.service+"-websockets", "provider", "websocketsApiName")),
		"RouteSelectionExpression", textNode(at, s.textAt("$request.body.action", "provider", "websocketsApiRouteSelectionExpression")),
		"Description", description, "ProtocolType", textNode(at, "WEBSOCKET")))
	api := refNode(at, "WebsocketsApi")
	for _, e := range s.webSockets {
		s.makeRoute(api, e)
	}
	s.add("WebsocketsDeployment", typeDeployment, at, mapNode(at, "ApiId", api, "Description", description))
	s.add("WebsocketsDeploymentStage", typeStage, at, mapNode(at, "ApiId", api, "StageName", textNode(at, s.stage),
		"Description", description, "DeploymentId", refNode(at, "WebsocketsDeployment")))
}

func (s *serverless) makeRoute(api *node, e webSocketEvent) {
	at := e.at
	integration := logicalName(e.function) + "WebsocketsIntegration"
	s.add(integration, typeIntegration, at, mapNode(at, "ApiId", api, "IntegrationType", textNode(at, "AWS_PROXY"),
		"IntegrationUri", invocationURI(at, getAttNode(at, functionID(e.function), "Arn"))))
	id := routeID(e.route)
	if s.resources.get(id+"WebsocketsRoute") != nil {
		s.failf(at, e.function, "there is another websocket event with the route %q: remove one", e.route)
		return
	}
	route := mapNode(at, "ApiId", api, "RouteKey", textNode(at, e.route), "AuthorizationType", textNode(at, "NONE"),
		"Target", mapNode(at, "Fn::Sub", textNode(at, "integrations/${"+integration+"}")))
	if auth := e.event.get("authorizer"); !auth.absent() {
		if name, ok := s.makeAuthorizer(api, e, auth); ok {
			route.set("AuthorizationType", at, textNode(at, "CUSTOM"))
			route.set("AuthorizerId", at, refNode(at, name))
		}
	}
	if expression := e.event.get("routeResponseSelectionExpression"); expression != nil {
		route.set("RouteResponseSelectionExpression", at, expression)
		s.add(id+"WebsocketsRouteResponse", typeResponse, at, mapNode(at, "ApiId", api,
			"RouteId", refNode(at, id+"WebsocketsRoute"), "RouteResponseKey", textNode(at, "$default")))
	}
	route.weigh()
	s.add(id+"WebsocketsRoute", typeRoute, at, route)
}

// makeAuthorizer makes the authorizer of a route: the name of a function, an ARN, or a map
// with name or arn and identitySource.
func (s *serverless) makeAuthorizer(api *node, e webSocketEvent, auth *node) (string, bool) {
	at := auth.at
	if e.route != "$connect" {
		s.failf(at, e.function, "the route %s cannot have an authorizer: only $connect can", e.route)
		return "", false
	}
	name, arn := auth.str(), (*node)(nil)
	source := textNode(at, "route.request.header.Auth")
	if auth.isMap() {
		name, arn = auth.get("name").str(), auth.get("arn")
		if own := auth.get("identitySource"); !own.absent() {
			source = own
		}
		if arn != nil && name == "" {
			name = arn.str()[strings.LastIndexByte(arn.str(), ':')+1:]
		}
	} else if strings.Contains(name, ":") {
		arn = textNode(at, name)
		name = name[strings.LastIndexByte(name, ':')+1:]
	}
	if name == "" {
		s.failf(at, e.function, "the authorizer needs the name or the arn of a function")
		return "", false
	}
	if arn == nil {
		if s.root.get("functions", name) == nil && !slices.Contains(s.functionNames(), name) {
			s.failf(at, e.function, "the authorizer %q is no function of this file%s", name, didYouMean(name, s.functionNames()))
			return "", false
		}
		arn = getAttNode(at, functionID(name), "Arn")
	}
	id := logicalName(name) + "WebsocketsAuthorizer"
	s.add(id, typeAuthorizer, at, mapNode(at, "ApiId", api, "Name", textNode(at, name), "AuthorizerType", textNode(at, "REQUEST"),
		"AuthorizerUri", invocationURI(at, arn), "IdentitySource", source))
	return id, true
}

func (s *serverless) functionNames() []string {
	functions := s.at("functions")
	if functions.absent() {
		return nil
	}
	return s.entries(functions).keys
}

// readResources takes the template that the file has under "resources".
func (s *serverless) readResources() {
	resources := s.at("resources")
	if resources.absent() {
		return
	}
	resources = s.entries(resources)
	for i, section := range resources.keys {
		value := resources.items[i]
		switch section {
		case "Resources":
			if value.absent() {
				continue
			}
			for j, logicalID := range s.entries(value).keys {
				s.takeResource(logicalID, value.keyAt[j], value.items[j])
			}
		case "Conditions", "Mappings", "Outputs", "Parameters":
			s.template[section] = value
		case "extensions":
			s.notef(Ignored, resources.keyAt[i], "", "resources.extensions is ignored")
		}
	}
}

// takeResource adds a resource of the file, or merges it into one that the framework makes.
func (s *serverless) takeResource(logicalID string, at position, body *node) {
	if before := s.resources.get(logicalID); before.isMap() && body.isMap() {
		body = mergeGlobals(before, body)
	}
	s.resources.set(logicalID, at, body)
}

// noteIgnored tells what of the file has no effect here.
func (s *serverless) noteIgnored() {
	if plugins := s.at("plugins"); !plugins.absent() {
		list := plugins
		if plugins.isMap() {
			list = plugins.get("modules")
		}
		var names []string
		if list != nil {
			for _, item := range list.items {
				names = append(names, item.str())
			}
		}
		if len(names) > 0 {
			s.notef(Ignored, plugins.at, "", "plugins are not run here: %s. If one compiles the code, give the path of its output with package.artifact", listed(names))
		}
	}
	known := []string{
		"service", "frameworkVersion", "provider", "functions", "custom", "resources", "plugins", "package", "useDotenv", "params", "stages",
		"configValidationMode", "deprecationNotificationMode", "variablesResolutionMode", "disabledDeprecations", "org", "app", "console",
	}
	for i, key := range s.root.keys {
		if !slices.Contains(known, key) {
			s.notef(Ignored, s.root.keyAt[i], "", "%s is ignored%s", key, didYouMean(key, known))
		}
	}
}

// implyResources adds what the framework makes, because the file may refer to it.
func (s *serverless) implyResources(t *template) {
	made := &resource{at: s.root.at, body: mapNode(s.root.at), active: true}
	t.imply("ServerlessDeploymentBucket", "AWS::S3::Bucket", made, nil)
	t.imply("IamRoleLambdaExecution", "AWS::IAM::Role", made, nil)
	if s.events["http"] {
		t.imply("ApiGatewayRestApi", "AWS::ApiGateway::RestApi", made, nil)
	}
	if s.events["httpApi"] {
		t.imply("HttpApi", "AWS::Serverless::HttpApi", made, nil)
	}
	for _, name := range sortedKeys(s.functionByName) {
		t.imply(logicalName(name)+"LogGroup", "AWS::Logs::LogGroup", made, nil)
	}
}
