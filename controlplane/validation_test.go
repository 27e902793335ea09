package controlplane_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane"
)

// What is refused, with the texts that clients see.
func TestValidation(t *testing.T) {
	t.Parallel()
	c := newClient(t, controlplane.Config{})
	api := c.api()
	integration, route, otherRoute := c.mock(api), c.route(api, "taken"), c.route(api, "other")
	used := strings.TrimPrefix(textOf(c.must(200, "GET", api+"/routes/"+route, nil), "target"), "integrations/")
	deployment := c.deployment(api)
	c.must(201, "POST", api+"/stages", document{"stageName": "prod", "deploymentId": deployment})
	c.must(201, "POST", "/domainnames", document{"domainName": "ws.example.com"})
	base := document{"name": "n", "protocolType": "WEBSOCKET", "routeSelectionExpression": "$request.body.action"}
	const bad, missing, conflict = "BadRequestException", "NotFoundException", "ConflictException"
	statuses := map[string]int{bad: 400, missing: 404, conflict: 409}
	mapping := document{"apiId": strings.TrimPrefix(api, "/apis/"), "stage": "prod"}
	for _, test := range []struct {
		method, path  string
		body          any
		name, message string
	}{
		{"POST", "/apis", with(base, "protocolType", "TCP"), bad, "Invalid protocol specified. Must be one of [HTTP, WEBSOCKET]"},
		{"POST", "/apis", with(base, "routeSelectionExpression", nil), bad, "RouteSelectionExpression is required to create an Api"},
		{"POST", "/apis", with(base, "name", ""), bad, "Name is required to create an Api"},
		{"POST", "/apis", with(base, "name", strings.Repeat("ä", 129)), bad, "Invalid Name specified: it has 129 characters. Must have 1 to 128"},
		{"POST", "/apis", with(base, "name", 7), bad, "Name must be a string, and not a number"},
		{"POST", "/apis", with(base, "disableExecuteApiEndpoint", "true"), bad, "DisableExecuteApiEndpoint must be a boolean, and not a string"},
		{"POST", "/apis", with(base, "tags", []any{}), bad, "Tags must be an object of strings, and not a list"},
		{"POST", "/apis", with(base, "corsConfiguration", document{"maxAge": 1}), bad, "CorsConfiguration cannot be set for WEBSOCKET protocol Apis."},
		{"POST", "/apis", with(base, "target", "arn:f"), bad, "Target cannot be set for WEBSOCKET protocol Apis."},
		{"POST", "/apis", with(base, "apiKeySelectionExpression", "$request.body.key"), bad, "Invalid ApiKeySelectionExpression specified: $request.body.key. Must be one of [$request.header.x-api-key, $context.authorizer.usageIdentifierKey]"},
		{"PATCH", api, document{"protocolType": "HTTP"}, bad, "ProtocolType cannot be updated"},
		{"PATCH", api, document{"name": ""}, bad, "Name must not be empty"},

		{"POST", api + "/routes", document{"routeKey": "taken"}, conflict, "Route with key taken already exists for this API"},
		{"PATCH", api + "/routes/" + otherRoute, document{"routeKey": "taken"}, conflict, "Route with key taken already exists for this API"},
		{"POST", api + "/routes", document{"routeKey": strings.Repeat("ü", 129)}, bad, "Invalid RouteKey specified: it has 129 characters. Must have 1 to 128"}, // no deployment takes it
		{"PATCH", api + "/routes/" + route, document{"routeKey": "$other"}, bad, "Invalid route key specified: $other. Only the keys $connect, $disconnect and $default may start with $"},
		{"POST", api + "/routes", document{"routeKey": "$join"}, bad, "Invalid route key specified: $join. Only the keys $connect, $disconnect and $default may start with $"},
		{"POST", api + "/routes", document{"routeKey": "$leave"}, bad, "Invalid route key specified: $leave. Only the keys $connect, $disconnect and $default may start with $"},
		{"POST", api + "/routes", document{"routeKey": "a", "target": "integration/x"}, bad, "Invalid target specified"},
		{"POST", api + "/routes", document{"routeKey": "a", "target": "integrations/nope"}, missing, "Invalid Integration identifier specified"},
		{"POST", api + "/routes", document{"routeKey": "$connect", "authorizationType": "JWT"}, bad, "Invalid AuthorizationType specified: JWT. Must be one of [NONE, AWS_IAM, CUSTOM]"},
		{"POST", api + "/routes", document{"routeKey": "a", "requestParameters": document{"route.request.header.x": document{"required": true}}}, bad, "RequestParameters can be set for the $connect route only"},
		{"POST", api + "/routes", document{"routeKey": "$connect", "requestParameters": document{"x": document{}}}, bad, `Invalid RequestParameters specified: the key x must match ^route\.request\.(header|querystring)\.[a-zA-Z0-9._$-]+$`},
		{"POST", api + "/routes", document{"routeKey": "a", "routeResponseSelectionExpression": "x"}, bad, "Invalid RouteResponseSelectionExpression specified: x. Only $default is supported"},
		{"POST", api + "/routes/" + route + "/routeresponses", document{"routeResponseKey": "x"}, bad, "Invalid RouteResponseKey specified: x. Only $default is supported"},
		{"POST", api + "/routes", document{"routeKey": "a", "requestModels": document{"$default": "nope"}}, bad, "Invalid model identifier specified: nope"},
		{"PATCH", api + "/routes/" + route, document{"requestModels": document{"$default": "nope"}}, bad, "Invalid model identifier specified: nope"},
		{"POST", api + "/routes/" + route + "/routeresponses", document{"routeResponseKey": "$default", "responseModels": document{"$default": "nope"}}, bad, "Invalid model identifier specified: nope"},
		{"POST", api + "/routes/nope/routeresponses", document{"routeResponseKey": "$default"}, missing, "Invalid route identifier specified"},

		{"POST", "/apis", document{"name": "n", "protocolType": "HTTP"}, bad, "HTTP APIs are not supported by this gateway: ProtocolType must be WEBSOCKET"},
		{"POST", api + "/integrations", document{}, bad, "IntegrationType is required to create an Integration"},
		{"POST", api + "/integrations", document{"integrationType": "X"}, bad, "Invalid IntegrationType specified: X. Must be one of [AWS, AWS_PROXY, HTTP, HTTP_PROXY, MOCK]"},
		{"POST", api + "/integrations", document{"integrationType": "AWS_PROXY"}, bad, "IntegrationUri is required for integrations of type AWS_PROXY"},
		{"POST", api + "/integrations", document{"integrationType": "HTTP", "integrationUri": "http://x"}, bad, "IntegrationMethod is required for integrations of type HTTP"},
		{"POST", api + "/integrations", document{"integrationType": "MOCK", "connectionType": "VPC_LINK"}, bad, "ConnectionId is required for connections of type VPC_LINK"},
		{"POST", api + "/integrations", document{"integrationType": "MOCK", "timeoutInMillis": 49}, bad, "Invalid TimeoutInMillis specified: 49. Must be between 50 and 29000"},
		{"POST", api + "/integrations", document{"integrationType": "MOCK", "timeoutInMillis": 29001}, bad, "Invalid TimeoutInMillis specified: 29001. Must be between 50 and 29000"},
		{"POST", api + "/integrations", document{"integrationType": "MOCK", "timeoutInMillis": 50.5}, bad, "TimeoutInMillis must be a whole number without an exponent"},
		{"POST", api + "/integrations", document{"integrationType": "MOCK", "credentialsArn": "x"}, bad, "Invalid role ARN"},
		{"POST", api + "/integrations", document{"integrationType": "AWS_PROXY", "integrationUri": "arn:f", "credentialsArn": "arn:aws:iam::*:user/*"}, bad, "Invalid role ARN"},
		{"POST", api + "/integrations", document{"integrationType": "MOCK", "tlsConfig": document{"serverNameToVerify": "x"}}, bad, "TlsConfig cannot be set for WEBSOCKET protocol Apis."},
		{"POST", api + "/integrations", document{"integrationType": "MOCK", "requestTemplates": document{"a": strings.Repeat("x", 32769)}}, bad, "Invalid RequestTemplates specified: it has 32769 characters. Must have 0 to 32768"},
		{"POST", api + "/integrations", document{"integrationType": "MOCK", "requestParameters": document{"integration.request.header.a": "$request.body.a"}}, bad, "Invalid mapping expression specified: Validation Result: warnings : [], errors : [Invalid mapping expression specified: $request.body.a]"},
		{"POST", api + "/integrations", document{"integrationType": "MOCK", "requestParameters": document{"integration.request.body.a": "'x'"}}, bad, `Invalid RequestParameters specified: the key integration.request.body.a must match ^integration\.request\.(header|querystring|path)\.[a-zA-Z0-9._$-]+$`},
		{"DELETE", api + "/integrations/" + used, nil, conflict, "Cannot delete Integration because it is referenced by the following Routes with Ids: [" + route + "]"},
		{"POST", api + "/integrations/" + integration + "/integrationresponses", document{"integrationResponseKey": "200"}, bad, "Invalid IntegrationResponseKey specified: 200. It must be $default or a regular expression between slashes"},

		{"POST", api + "/models", document{"name": "a b", "schema": "{}"}, bad, "Invalid model name specified: a b. It must have only letters and digits"},
		{"POST", api + "/deployments", document{"stageName": "nope"}, missing, "Invalid stage identifier specified"},

		{"POST", api + "/stages", document{"stageName": "prod"}, conflict, "Stage already exists"},
		{"POST", api + "/stages", document{"stageName": "$default"}, bad, "Invalid stage name specified: $default. Stage names have only letters, digits, - and _"},
		{"POST", api + "/stages", document{"stageName": "x", "deploymentId": "nope"}, missing, "Invalid Deployment identifier specified"},
		{"POST", api + "/stages", document{"stageName": "x", "deploymentId": deployment, "autoDeploy": true}, bad, "DeploymentId cannot be set for a stage whose AutoDeploy is true"},
		{"POST", api + "/stages", document{"stageName": "x", "stageVariables": document{"a-b": "x"}}, bad, "Invalid StageVariables specified: the key a-b must match ^[A-Za-z0-9_]+$"},
		{"POST", api + "/stages", document{"stageName": "x", "stageVariables": document{"a": "x y"}}, bad, "Invalid value of a stage variable: it must match [A-Za-z0-9-._~:/?#&=,]+"},
		{"POST", api + "/stages", document{"stageName": "x", "routeSettings": document{"nope": document{}}}, missing, "Unable to find Route by key nope within the provided RouteSettings"},
		{"PATCH", api + "/stages/prod", document{"routeSettings": document{"nope": document{}}}, missing, "Unable to find Route by key nope within the provided RouteSettings"},
		{"PATCH", api + "/stages/prod", document{"accessLogSettings": document{"destinationArn": "arn:l", "format": "$context.requestId\n$context.status"}}, bad, "The following errors are found in Access Log Format: Access Log format must be single line: '$context.requestId\n$context.status'"},
		{"PATCH", api + "/stages/prod", document{"accessLogSettings": document{"destinationArn": "arn:l", "format": "literal-only"}}, bad, "The following errors are found in Access Log Format: Access Log format must include either $context.requestId or $context.extendedRequestId : 'literal-only'"},
		{"PATCH", api + "/stages/prod", document{"accessLogSettings": document{"destinationArn": "not-an-arn"}}, bad, "Invalid ARN specified in the request. ARNs must start with 'arn:': not-an-arn"},
		{"PATCH", api + "/stages/prod", document{"defaultRouteSettings": document{"throttlingBurstLimit": 1 << 31}}, bad, "Invalid ThrottlingBurstLimit specified: 2147483648. Must be between 0 and 2147483647"},
		{"PATCH", api + "/stages/prod", document{"defaultRouteSettings": document{"throttlingRateLimit": -1}}, bad, "Invalid ThrottlingRateLimit specified: -1"},
		{"DELETE", api + "/deployments/" + deployment, nil, bad, "Active stages pointing to this deployment must be moved or deleted"},
		{"GET", api + "/stages/nope", nil, missing, "Invalid stage identifier specified"},
		{"DELETE", api + "/stages/prod/routesettings/%24connect", nil, missing, "Unable to find Route by key $connect within the provided RouteSettings"},
		{"DELETE", api + "/routes/" + route + "/requestparameters/x", nil, missing, "Invalid request parameter key specified"},

		{"POST", "/domainnames", document{"domainName": "WS.example.com"}, conflict, "The domain name resource already exists."},
		{"POST", "/domainnames", document{"domainName": "a/b"}, bad, "Invalid domain name specified: a/b"},
		{"POST", "/domainnames", document{"domainName": "a.example.com", "mutualTlsAuthentication": document{"truststoreUri": "s3://x"}}, bad, "MutualTlsAuthentication cannot be set for WEBSOCKET protocol Apis."},
		{"GET", "/domainnames/nope", nil, missing, "The domain name resource specified in the request was not found."},
		{"GET", "/domainnames/ws.example.com/apimappings/nope", nil, missing, "The api mapping resource specified in the request was not found."},
		{"POST", "/domainnames/ws.example.com/apimappings", with(mapping, "apiMappingKey", "/a"), bad, "API mapping key should not start with a '/' or have consecutive '/'s."},
		{"POST", "/domainnames/ws.example.com/apimappings", with(mapping, "apiMappingKey", "a//b"), bad, "API mapping key should not start with a '/' or have consecutive '/'s."},
		{"POST", "/domainnames/ws.example.com/apimappings", with(mapping, "apiMappingKey", "a/"), bad, "API mapping key should not end with a '/'."},
		{"POST", "/domainnames/ws.example.com/apimappings", with(mapping, "apiMappingKey", "ä"), bad, "Invalid API mapping key specified: ä. It may have letters, digits, / and $-_.+!*'()"},
		{"POST", "/domainnames/ws.example.com/apimappings", with(mapping, "stage", "nope"), bad, "Invalid stage identifier specified"},
		{"POST", "/domainnames/ws.example.com/apimappings", with(mapping, "apiId", "nope"), missing, "Invalid API identifier specified 123456789012:nope"},
	} {
		t.Logf("%s %s %v", test.method, test.path, test.body)
		c.refused(statuses[test.name], test.name, test.message, test.method, test.path, test.body)
	}
	for path, message := range map[string]string{
		"/integrations/nope": "Invalid Integration identifier specified", "/models/nope": "Invalid Model identifier specified",
		"/deployments/nope": "Invalid Deployment identifier specified", "/integrations/" + integration + "/integrationresponses/x": "Invalid IntegrationResponse identifier specified",
		"/routes/" + route + "/routeresponses/x": "Invalid RouteResponse identifier specified",
	} {
		for _, method := range []string{"GET", "PATCH", "DELETE"} {
			c.refused(404, missing, message, method, api+path, nil)
		}
		c.refused(404, missing, "Invalid API identifier specified 123456789012:nope", "GET", "/apis/nope"+path, nil)
	}
}

// The models that a member names exist when it is set, and there is one response for each
// key.
func TestConflicts_Responses(t *testing.T) {
	t.Parallel()
	c := newClient(t, controlplane.Config{})
	api := c.api()
	request := textOf(c.must(201, "POST", api+"/models", document{"name": "in", "schema": "{}"}), "modelId")
	c.must(201, "POST", api+"/models", document{"name": "out", "schema": "{}"})
	route := api + "/routes/" + textOf(c.must(201, "POST", api+"/routes", document{"routeKey": "a", "requestModels": document{"$default": "in"}}), "routeId")
	routeResponse := c.must(201, "POST", route+"/routeresponses", document{"routeResponseKey": "$default", "responseModels": document{"$default": "out"}})
	c.refused(409, "ConflictException", "Route response with key $default already exists for this Route", "POST", route+"/routeresponses", document{"routeResponseKey": "$default"})
	c.must(200, "PATCH", route+"/routeresponses/"+textOf(routeResponse, "routeResponseId"), document{"routeResponseKey": "$default"})
	c.must(200, "PATCH", api+"/models/"+request, document{"name": "renamed"})
	c.must(200, "PATCH", route, document{"operationName": "x"}) // a name that is not changed may lead nowhere
	c.must(204, "DELETE", api+"/models/"+request, nil)

	for _, kind := range []document{{"integrationType": "MOCK"}, {"integrationType": "AWS_PROXY", "integrationUri": functionURI}} {
		responses := api + "/integrations/" + textOf(c.must(201, "POST", api+"/integrations", kind), "integrationId") + "/integrationresponses"
		c.must(201, "POST", responses, document{"integrationResponseKey": "$default"})
		other := textOf(c.must(201, "POST", responses, document{"integrationResponseKey": "/4../"}), "integrationResponseId")
		c.refused(409, "ConflictException", "Integration response with key $default already exists for this Integration", "POST", responses, document{"integrationResponseKey": "$default"})
		c.refused(409, "ConflictException", "Integration response with key $default already exists for this Integration", "PATCH", responses+"/"+other, document{"integrationResponseKey": "$default"})
	}
	for _, source := range []string{
		"route.request.querystring.a", "route.request.header.a", "route.request.multivaluequerystring.a", "route.request.multivalueheader.a",
		"route.request.body.a.b", "route.request.body['a']", "stageVariables.a", "context.authorizer.principalId", "'static'", "''",
	} {
		c.must(201, "POST", api+"/integrations", document{"integrationType": "MOCK", "requestParameters": document{"integration.request.header.a": source}})
	}
}

// What an API mapping holds cannot be deleted.
func TestConflicts_Mapped(t *testing.T) {
	t.Parallel()
	c := newClient(t, controlplane.Config{})
	api := c.api()
	id := strings.TrimPrefix(api, "/apis/")
	c.must(201, "POST", api+"/stages", document{"stageName": "prod"})
	c.must(201, "POST", "/domainnames", document{"domainName": "ws.example.com"})
	mapping := document{"apiId": id, "stage": "prod", "apiMappingKey": "a/b"}
	c.must(201, "POST", "/domainnames/ws.example.com/apimappings", mapping)
	c.refused(409, "ConflictException", "An API mapping with the key 'a/b' already exists for this domain name", "POST", "/domainnames/ws.example.com/apimappings", mapping)
	c.refused(400, "BadRequestException", "Deleting API "+id+" failed. Please remove all API mappings for the API from your custom domain names.", "DELETE", api, nil)
	c.refused(400, "BadRequestException", "Deleting stage prod failed. Please remove all API mappings for the stage from your custom domain names.", "DELETE", api+"/stages/prod", nil)
	c.must(204, "DELETE", "/domainnames/ws.example.com", nil)
	c.must(204, "DELETE", api, nil)
}

// The second payload format is accepted, because much is written with it, unless the
// server is strict.
func TestStrict(t *testing.T) {
	t.Parallel()
	body := document{"integrationType": "AWS_PROXY", "integrationUri": "arn:f", "payloadFormatVersion": "2.0"}
	c := newClient(t, controlplane.Config{})
	require.Equal(t, "2.0", c.must(201, "POST", c.api()+"/integrations", body)["payloadFormatVersion"])
	c = newClient(t, controlplane.Config{Strict: true})
	c.refused(400, "BadRequestException", "Invalid PayloadFormatVersion specified: 2.0. Must be 1.0 for WEBSOCKET protocol Apis.", "POST", c.api()+"/integrations", body)
}

// The quotas of the service hold unless they are lifted.
func TestQuotas(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, path string
		most       int
		body       func(n int) document
	}{
		{"Stage", "/stages", 10, func(n int) document { return document{"stageName": fmt.Sprint(n)} }},
		{"Authorizer", "/authorizers", 10, func(int) document { return authorizerBody() }},
		{"Route", "/routes", 300, func(n int) document { return document{"routeKey": fmt.Sprint(n)} }},
		{"Integration", "/integrations", 300, func(int) document { return document{"integrationType": "MOCK"} }},
	} {
		c := newClient(t, controlplane.Config{})
		api := c.api()
		for n := range test.most {
			c.must(201, "POST", api+test.path, test.body(n))
		}
		c.refused(400, "BadRequestException", fmt.Sprintf("Maximum number of %ss for this API has been reached. Please contact AWS if you need additional %[1]ss.", test.name),
			"POST", api+test.path, test.body(test.most))
	}
	c := newClient(t, controlplane.Config{NoQuotas: true})
	api := c.api()
	for range 11 {
		c.must(201, "POST", api+"/authorizers", authorizerBody())
	}
}
