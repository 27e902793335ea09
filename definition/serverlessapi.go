package definition

import (
	"slices"
	"strings"
)

// routeID returns a route key as a part of a logical ID.
func routeID(key string) string {
	return strings.NewReplacer("$", "S", "/", "Slash", "-", "Dash", "_", "Underscore", ".", "Period", " ", "Space").Replace(key)
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
			s.checkKeys(function, event, "a websocket event", "route", "routeKey", "routeResponseSelectionExpression", "authorizer")
		}
		if old := event.get("routeKey"); old != nil {
			s.failf(event.lineOf("routeKey"), function, "a websocket event has no property \"routeKey\", which the old plugin for WebSocket APIs had: call it route")
			continue
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
	s.checkProvider()
	description := textNode(at, s.textAt("Serverless Websockets", "provider", "websocketsDescription"))
	deployment := mapNode(at, "Description", description)
	api := s.externalAPI()
	if api != nil {
		deployment.set("StageName", at, textNode(at, s.stage))
	} else {
		api = refNode(at, "WebsocketsApi")
		s.add("WebsocketsApi", typeAPI, at, mapNode(at,
			"Name", textNode(at, s.textAt(s.stage+"-"+s.service+"-websockets", "provider", "websocketsApiName")),
			"RouteSelectionExpression", textNode(at, s.textAt("$request.body.action", "provider", "websocketsApiRouteSelectionExpression")),
			"Description", description, "ProtocolType", textNode(at, "WEBSOCKET"), "Tags", s.tags()))
		s.add("WebsocketsDeploymentStage", typeStage, at, s.stageOf(api, at, description))
	}
	for _, e := range s.webSockets {
		s.makeRoute(api, e)
	}
	deployment.set("ApiId", at, api)
	deployment.weigh()
	s.add("WebsocketsDeployment", typeDeployment, at, deployment)
}

// checkProvider refuses a misspelled setting of the API.
func (s *serverless) checkProvider() {
	provider := s.at("provider")
	if !provider.isMap() {
		return
	}
	known := []string{"websocket", "websocketsApiName", "websocketsApiRouteSelectionExpression", "websocketsDescription"}
	for i, key := range provider.keys {
		if strings.HasPrefix(strings.ToLower(key), "websocket") && !slices.Contains(known, key) {
			s.failf(provider.keyAt[i], "", "provider has no setting %q%s", key, didYouMean(key, known))
		}
	}
}

// externalAPI returns the API to which the routes belong if that is not one of their own.
func (s *serverless) externalAPI() *node {
	external := s.at("provider", "apiGateway", "websocketApiId")
	if external.absent() {
		return nil
	}
	if name, of := external.intrinsic(); name == "Ref" && of.str() != "" {
		return external
	}
	s.notef(Warning, external.at, "", "websocketApiId names the API of another service: here this service gets an API of its own")
	return nil
}

func (s *serverless) tags() *node {
	if s.at("provider", "websocket", "useProviderTags").str() != "true" {
		return nil
	}
	return s.at("provider", "tags")
}

// stageOf returns the properties of the stage, with the settings of its logs.
func (s *serverless) stageOf(api *node, at position, description *node) *node {
	stage := mapNode(at, "ApiId", api, "StageName", textNode(at, s.stage), "Description", description,
		"DeploymentId", refNode(at, "WebsocketsDeployment"), "Tags", s.tags())
	logs := s.at("provider", "logs", "websocket")
	if logs.absent() || logs.str() == "false" {
		return stage
	}
	level, trace := "INFO", "true"
	if own := logs.get("level"); !own.absent() {
		level = own.str()
	}
	if logs.get("executionLogging").str() == "false" {
		level = "OFF"
	}
	if logs.get("fullExecutionData").str() == "false" {
		trace = "false"
	}
	stage.set("DefaultRouteSettings", logs.at, mapNode(logs.at, "DataTraceEnabled", textNode(logs.at, trace), "LoggingLevel", textNode(logs.at, level)))
	if logs.get("accessLogging").str() != "false" {
		format := logs.get("format")
		if format.absent() {
			format = textNode(logs.at, `$context.identity.sourceIp $context.identity.caller $context.identity.user [$context.requestTime] `+
				`"$context.eventType $context.routeKey $context.connectionId" $context.requestId`)
		}
		stage.set("AccessLogSettings", logs.at, mapNode(logs.at, "Format", format, "DestinationArn",
			mapNode(logs.at, "Fn::Sub", textNode(logs.at, "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:${WebsocketsLogGroup}"))))
	}
	stage.weigh()
	return stage
}

// checkKeys refuses what an event cannot have. What http events have is only ignored, because
// it is written by habit.
func (s *serverless) checkKeys(function string, n *node, what string, known ...string) {
	habits := []string{"cors", "type", "resultTtlInSeconds", "identityValidationExpression", "private", "method", "path", "description"}
	for i, key := range n.keys {
		switch {
		case slices.Contains(known, key):
		case slices.Contains(habits, key):
			s.notef(Ignored, n.keyAt[i], function, "%s of %s has no effect", key, what)
		default:
			s.failf(n.keyAt[i], function, "%s has no property %q%s", what, key, didYouMean(key, known))
		}
	}
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
		s.checkKeys(e.function, auth, "an authorizer", "name", "arn", "identitySource")
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
		s.failf(at, e.function, "the authorizer needs the name of a function, and also if its arn is no text")
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
