package definition_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/definition"
)

// withAPI is a template with an API, an integration and a route, and one more resource R.
func withAPI(resource string) string {
	return `Resources:
  Api:
    Type: AWS::ApiGatewayV2::Api
    Properties: {Name: chat, ProtocolType: WEBSOCKET, RouteSelectionExpression: $request.body.action}
  Integration: {Type: AWS::ApiGatewayV2::Integration, Properties: {ApiId: !Ref Api, IntegrationType: MOCK}}
  Route: {Type: AWS::ApiGatewayV2::Route, Properties: {ApiId: !Ref Api, RouteKey: $connect}}
  Deployment: {Type: AWS::ApiGatewayV2::Deployment, Properties: {ApiId: !Ref Api}}
  Stage: {Type: AWS::ApiGatewayV2::Stage, Properties: {ApiId: !Ref Api, StageName: prod, DeploymentId: !Ref Deployment}}
  R: ` + resource + "\n"
}

func callOf(tb testing.TB, d *definition.Definition, logicalID string) definition.Call {
	tb.Helper()
	for _, c := range d.Calls() {
		if c.LogicalID == logicalID {
			return c
		}
	}
	require.Fail(tb, "no call", logicalID)
	return definition.Call{}
}

// Each type of AWS::ApiGatewayV2, with each of its properties, becomes the body of one call.
func TestResources(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ resource, path, want string }{
		"api": {
			`{Type: AWS::ApiGatewayV2::Api, Properties: {Name: n, ProtocolType: WEBSOCKET, RouteSelectionExpression: $request.body.a, Version: 1.0,
    Description: d, ApiKeySelectionExpression: $request.header.x-api-key, IpAddressType: dualstack, DisableExecuteApiEndpoint: true,
    DisableSchemaValidation: "false", Tags: {a: b, n: 1}}}`,
			"/v2/apis/",
			`{"name":"n","protocolType":"WEBSOCKET","routeSelectionExpression":"$request.body.a","version":"1.0","description":"d",
			"apiKeySelectionExpression":"$request.header.x-api-key","ipAddressType":"dualstack","disableExecuteApiEndpoint":true,
			"disableSchemaValidation":false,"tags":{"a":"b","n":"1"}}`,
		},
		"route": {
			`{Type: AWS::ApiGatewayV2::Route, Properties: {ApiId: !Ref Api, RouteKey: say, Target: !Sub "integrations/${Integration}", AuthorizationType: NONE,
    ApiKeyRequired: false, OperationName: Say, ModelSelectionExpression: $default, RequestModels: {$default: Say},
    RequestParameters: {route.request.header.a: {Required: true}, route.request.querystring.b: false}, RouteResponseSelectionExpression: $default}}`,
			"/v2/apis/API/routes/",
			`{"routeKey":"say","target":"integrations/INTEGRATION","authorizationType":"NONE","apiKeyRequired":false,"operationName":"Say",
			"modelSelectionExpression":"$default","requestModels":{"$default":"Say"},
			"requestParameters":{"route.request.header.a":{"required":true},"route.request.querystring.b":{"required":false}},
			"routeResponseSelectionExpression":"$default"}`,
		},
		"route response": {
			`{Type: AWS::ApiGatewayV2::RouteResponse, Properties: {ApiId: !Ref Api, RouteId: !Ref Route, RouteResponseKey: $default,
    ModelSelectionExpression: $default, ResponseModels: {$default: M}, ResponseParameters: {a: {Required: false}}}}`,
			"/v2/apis/API/routes/ROUTE/routeresponses/",
			`{"routeResponseKey":"$default","modelSelectionExpression":"$default","responseModels":{"$default":"M"},"responseParameters":{"a":{"required":false}}}`,
		},
		"integration": {
			`{Type: AWS::ApiGatewayV2::Integration, Properties: {ApiId: !Ref Api, IntegrationType: HTTP, IntegrationUri: "https://example.com", IntegrationMethod: PUT,
    ConnectionType: VPC_LINK, ConnectionId: abc, ContentHandlingStrategy: CONVERT_TO_TEXT, CredentialsArn: "arn:aws:iam::1:role/r", Description: d,
    PassthroughBehavior: NEVER, PayloadFormatVersion: "1.0", TemplateSelectionExpression: '\$default', TimeoutInMillis: "5000",
    RequestParameters: {integration.request.header.a: "'b'"}, RequestTemplates: {$default: '{"a":1}'}}}`,
			"/v2/apis/API/integrations/",
			`{"integrationType":"HTTP","integrationUri":"https://example.com","integrationMethod":"PUT","connectionType":"VPC_LINK","connectionId":"abc",
			"contentHandlingStrategy":"CONVERT_TO_TEXT","credentialsArn":"arn:aws:iam::1:role/r","description":"d","passthroughBehavior":"NEVER",
			"payloadFormatVersion":"1.0","templateSelectionExpression":"\\$default","timeoutInMillis":5000,
			"requestParameters":{"integration.request.header.a":"'b'"},"requestTemplates":{"$default":"{\"a\":1}"}}`,
		},
		"integration response": {
			`{Type: AWS::ApiGatewayV2::IntegrationResponse, Properties: {ApiId: !Ref Api, IntegrationId: !Ref Integration, IntegrationResponseKey: "/2\\d\\d/",
    ContentHandlingStrategy: CONVERT_TO_TEXT, TemplateSelectionExpression: a, ResponseTemplates: {$default: t}, ResponseParameters: {a: b}}}`,
			"/v2/apis/API/integrations/INTEGRATION/integrationresponses/",
			`{"integrationResponseKey":"/2\\d\\d/","contentHandlingStrategy":"CONVERT_TO_TEXT","templateSelectionExpression":"a",
			"responseTemplates":{"$default":"t"},"responseParameters":{"a":"b"}}`,
		},
		"authorizer": {
			`{Type: AWS::ApiGatewayV2::Authorizer, Properties: {ApiId: !Ref Api, Name: a, AuthorizerType: REQUEST, AuthorizerUri: u, AuthorizerCredentialsArn: c,
    IdentitySource: [route.request.header.Auth, route.request.querystring.t]}}`,
			"/v2/apis/API/authorizers/",
			`{"name":"a","authorizerType":"REQUEST","authorizerUri":"u","authorizerCredentialsArn":"c",
			"identitySource":["route.request.header.Auth","route.request.querystring.t"]}`,
		},
		"model": {
			`{Type: AWS::ApiGatewayV2::Model, Properties: {ApiId: !Ref Api, Name: M, ContentType: application/json, Description: d,
    Schema: {type: object, required: [a], properties: {a: {maxLength: 3}}}}}`,
			"/v2/apis/API/models/",
			`{"name":"M","contentType":"application/json","description":"d","schema":"{\"type\":\"object\",\"required\":[\"a\"],\"properties\":{\"a\":{\"maxLength\":3}}}"}`,
		},
		"deployment": {`{Type: AWS::ApiGatewayV2::Deployment, Properties: {ApiId: !Ref Api, Description: d}}`, "/v2/apis/API/deployments/", `{"description":"d"}`},
		"stage": {
			`{Type: AWS::ApiGatewayV2::Stage, Properties: {ApiId: !Ref Api, StageName: dev, AutoDeploy: true, Description: d, ClientCertificateId: c,
    StageVariables: {a: 1}, AccessLogSettings: {DestinationArn: arn, Format: f}, DefaultRouteSettings: {ThrottlingRateLimit: 2.5, ThrottlingBurstLimit: 5},
    RouteSettings: {$connect: {LoggingLevel: INFO, dataTraceEnabled: true, DetailedMetricsEnabled: false}}, Tags: [{Key: a, Value: b}]}}`,
			"/v2/apis/API/stages/dev",
			`{"stageName":"dev","autoDeploy":true,"description":"d","clientCertificateId":"c","stageVariables":{"a":"1"},
			"accessLogSettings":{"destinationArn":"arn","format":"f"},"defaultRouteSettings":{"throttlingRateLimit":2.5,"throttlingBurstLimit":5},
			"routeSettings":{"$connect":{"loggingLevel":"INFO","dataTraceEnabled":true,"detailedMetricsEnabled":false}},"tags":{"a":"b"}}`,
		},
		"domain name": {
			`{Type: AWS::ApiGatewayV2::DomainName, Properties: {DomainName: chat.example, RoutingMode: API_MAPPING_ONLY, Tags: {a: b},
    DomainNameConfigurations: [{CertificateArn: c, EndpointType: REGIONAL, SecurityPolicy: TLS_1_2}]}}`,
			"/v2/domainnames/chat.example",
			`{"domainName":"chat.example","routingMode":"API_MAPPING_ONLY","tags":{"a":"b"},
			"domainNameConfigurations":[{"certificateArn":"c","endpointType":"REGIONAL","securityPolicy":"TLS_1_2"}]}`,
		},
		"API mapping": {
			`{Type: AWS::ApiGatewayV2::ApiMapping, Properties: {DomainName: chat.example, ApiId: !Ref Api, Stage: !Ref Stage, ApiMappingKey: v1}}`,
			"/v2/domainnames/chat.example/apimappings/", `{"apiId":"API","stage":"prod","apiMappingKey":"v1"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := mustLoad(t, withAPI(c.resource), definition.Options{})
			ids := strings.NewReplacer(d.APIs[0].ID, "API", d.APIs[0].Integrations[0].ID, "INTEGRATION", d.APIs[0].Routes[0].ID, "ROUTE")
			var call definition.Call
			for _, found := range d.Calls() {
				if found.LogicalID == "R" {
					call = found // of a mapping, the call after the one for its domain name
				}
			}
			require.True(t, strings.HasPrefix(ids.Replace(call.Path), c.path), call.Path)
			require.JSONEq(t, c.want, ids.Replace(toJSON(t, call.Body)))
		})
	}
}

func TestResources_refused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ resource, want string }{
		"unknown property":    {`{Type: AWS::ApiGatewayV2::Stage, Properties: {ApiId: !Ref Api, StageName: a, AutoDeploi: true}}`, `AWS::ApiGatewayV2::Stage has no property "AutoDeploi": did you mean "AutoDeploy"?`},
		"missing property":    {`{Type: AWS::ApiGatewayV2::Route, Properties: {ApiId: !Ref Api}}`, `RouteKey is missing: AWS::ApiGatewayV2::Route needs it`},
		"no type":             {`{Properties: {}}`, `the resource has no Type`},
		"HTTP only":           {`{Type: AWS::ApiGatewayV2::Authorizer, Properties: {ApiId: !Ref Api, Name: a, AuthorizerType: REQUEST, EnableSimpleResponses: true}}`, `EnableSimpleResponses is a property of HTTP APIs: remove it from this WebSocket API`},
		"no number":           {`{Type: AWS::ApiGatewayV2::Integration, Properties: {ApiId: !Ref Api, IntegrationType: MOCK, TimeoutInMillis: 2s}}`, `TimeoutInMillis has to be a whole number`},
		"no boolean":          {`{Type: AWS::ApiGatewayV2::Stage, Properties: {ApiId: !Ref Api, StageName: a, AutoDeploy: sure}}`, `AutoDeploy has to be true or false, but is a text`},
		"no text":             {`{Type: AWS::ApiGatewayV2::Route, Properties: {ApiId: !Ref Api, RouteKey: [a]}}`, `RouteKey has to be a text, but is a list`},
		"unknown setting":     {`{Type: AWS::ApiGatewayV2::Stage, Properties: {ApiId: !Ref Api, StageName: a, AutoDeploy: true, DefaultRouteSettings: {Rate: 1}}}`, `DefaultRouteSettings has no key "Rate"`},
		"wrong setting":       {`{Type: AWS::ApiGatewayV2::Stage, Properties: {ApiId: !Ref Api, StageName: a, AutoDeploy: true, RouteSettings: {x: {ThrottlingBurstLimit: 1.5}}}}`, `RouteSettings["x"].ThrottlingBurstLimit has to be a whole number`},
		"route key twice":     {`{Type: AWS::ApiGatewayV2::Route, Properties: {ApiId: !Ref Api, RouteKey: $connect}}`, `the API Api has the route key "$connect" twice: Route has it, too`},
		"target":              {`{Type: AWS::ApiGatewayV2::Route, Properties: {ApiId: !Ref Api, RouteKey: a, Target: !Ref Integration}}`, `Target is "INTEGRATION": it has to be "integrations/" and the ID of an integration of the API Api, as in !Sub integrations/${Integration}`},
		"authorizer":          {`{Type: AWS::ApiGatewayV2::Route, Properties: {ApiId: !Ref Api, RouteKey: a, AuthorizerId: x}}`, `AuthorizerId is "x", which is no authorizer of the API Api: write !Ref and its logical ID`},
		"API":                 {`{Type: AWS::ApiGatewayV2::Route, Properties: {ApiId: Api, RouteKey: a}}`, `ApiId is "Api", which is no API of this template: write !Ref and the logical ID of one`},
		"misspelt Ref":        {`{Type: AWS::ApiGatewayV2::Route, Properties: {ApiId: Ref! Api, RouteKey: a}}`, `ApiId is the text "Ref! Api": write !Ref Api`},
		"route of a response": {`{Type: AWS::ApiGatewayV2::RouteResponse, Properties: {ApiId: !Ref Api, RouteId: x, RouteResponseKey: $default}}`, `RouteId is "x", which is no route of the API Api`},
		"stage twice":         {`{Type: AWS::ApiGatewayV2::Stage, Properties: {ApiId: !Ref Api, StageName: prod, AutoDeploy: true}}`, `the API Api has the stage "prod" twice: Stage is it, too`},
		"stage $default":      {`{Type: AWS::ApiGatewayV2::Stage, Properties: {ApiId: !Ref Api, StageName: $default, AutoDeploy: true}}`, `a stage of a WebSocket API cannot be $default: give it another name`},
		"two deployments":     {`{Type: AWS::ApiGatewayV2::Stage, Properties: {ApiId: !Ref Api, StageName: a, AutoDeploy: true, DeploymentId: !Ref Deployment}}`, `a stage has either AutoDeploy or a DeploymentId: remove one`},
		"deployment":          {`{Type: AWS::ApiGatewayV2::Stage, Properties: {ApiId: !Ref Api, StageName: a, DeploymentId: x}}`, `DeploymentId is "x", which is no deployment of the API Api: write !Ref and its logical ID`},
		"stage of a mapping":  {`{Type: AWS::ApiGatewayV2::ApiMapping, Properties: {DomainName: d, ApiId: !Ref Api, Stage: x}}`, `Stage is "x", which is no stage of the API Api`},
		"depends on nothing":  {`{Type: AWS::ApiGatewayV2::Deployment, DependsOn: [Rote], Properties: {ApiId: !Ref Api}}`, `DependsOn names "Rote", which is no resource of this template: did you mean "Route"?`},
		"circle": {
			`{Type: AWS::Lambda::Function, Properties: {Code: code, Handler: app.handler, Runtime: nodejs22.x, FunctionName: !Ref R}}`,
			`these resources depend on each other in a circle: R → R. Break it by writing one of the names as text`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := problems(t, withAPI(c.resource), definition.Options{})
			d := mustLoad(t, withAPI("{Type: AWS::IAM::Role}"), definition.Options{})
			want := strings.ReplaceAll(c.want, "INTEGRATION", d.APIs[0].Integrations[0].ID)
			require.Equal(t, []string{"template.yaml:9: R: " + want}, found)
		})
	}
}

// A circle over several resources is told as the way around it.
func TestCircle(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"template.yaml:2: A: these resources depend on each other in a circle: A → B → C → A. Break it by writing one of the names as text"},
		problems(t, `Resources:
  A: {Type: AWS::SQS::Queue, Properties: {QueueName: !Sub "${B}"}}
  B: {Type: AWS::SQS::Queue, Properties: {QueueName: !GetAtt C.Arn}}
  C: {Type: AWS::SQS::Queue, DependsOn: A}
`, definition.Options{}))
}

func TestConditions_resource(t *testing.T) {
	t.Parallel()
	template := "Parameters: {Env: {Type: String, Default: dev}}\nConditions: {IsProd: !Equals [!Ref Env, prod]}\n" +
		withAPI(`{Type: AWS::ApiGatewayV2::Route, Condition: IsProd, Properties: {ApiId: !Ref Api, RouteKey: admin}}`)
	require.Len(t, mustLoad(t, template, definition.Options{}).APIs[0].Routes, 1)
	require.Len(t, mustLoad(t, template, definition.Options{Parameters: map[string]string{"Env": "prod"}}).APIs[0].Routes, 2)
	t.Run("a name whose condition is false", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, []string{`template.yaml:12: Response: R does not exist, because its condition "IsProd" is false: refer to it only within Fn::If with the same condition`},
			problems(t, template+"  Response: {Type: AWS::ApiGatewayV2::RouteResponse, Properties: {ApiId: !Ref Api, RouteId: !Ref R, RouteResponseKey: $default}}\n", definition.Options{}))
	})
	t.Run("a condition that refers to itself", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, []string{`template.yaml:1: R: the condition "A" refers to itself`},
			problems(t, "Conditions: {A: !Not [!Condition B], B: !Not [!Condition A]}\n"+withAPI("{Type: AWS::IAM::Role, Condition: A}"), definition.Options{}))
	})
}

// The calls come in an order in which each names only what is there already, in whatever
// order the file has them, and with the same IDs each time.
func TestCalls_order(t *testing.T) {
	t.Parallel()
	const template = `Resources:
  Mapping: {Type: AWS::ApiGatewayV2::ApiMapping, Properties: {DomainName: !Ref Domain, ApiId: !Ref Api, Stage: !Ref Stage}}
  Domain: {Type: AWS::ApiGatewayV2::DomainName, Properties: {DomainName: chat.example}}
  Stage: {Type: AWS::ApiGatewayV2::Stage, Properties: {ApiId: !Ref Api, StageName: prod, DeploymentId: !Ref Deployment}}
  Deployment: {Type: AWS::ApiGatewayV2::Deployment, Properties: {ApiId: !Ref Api}}
  RouteResponse: {Type: AWS::ApiGatewayV2::RouteResponse, Properties: {ApiId: !Ref Api, RouteId: !Ref Route, RouteResponseKey: $default}}
  Route: {Type: AWS::ApiGatewayV2::Route, Properties: {ApiId: !Ref Api, RouteKey: $connect, AuthorizationType: CUSTOM, AuthorizerId: !Ref Authorizer,
    Target: !Join ['', [integrations/, !Ref Integration]], RequestModels: {$default: M}}}
  IntegrationResponse: {Type: AWS::ApiGatewayV2::IntegrationResponse, Properties: {ApiId: !Ref Api, IntegrationId: !Ref Integration, IntegrationResponseKey: $default}}
  Integration: {Type: AWS::ApiGatewayV2::Integration, Properties: {ApiId: !Ref Api, IntegrationType: MOCK}}
  Authorizer: {Type: AWS::ApiGatewayV2::Authorizer, Properties: {ApiId: !Ref Api, AuthorizerType: REQUEST, Name: a, AuthorizerUri: u}}
  Model: {Type: AWS::ApiGatewayV2::Model, Properties: {ApiId: !Ref Api, Name: M, Schema: '{}'}}
  Api: {Type: AWS::ApiGatewayV2::Api, Properties: {Name: chat, ProtocolType: WEBSOCKET, RouteSelectionExpression: $request.body.action}}
`
	var order []string
	d := mustLoad(t, template, definition.Options{})
	for _, c := range d.Calls() {
		order = append(order, c.LogicalID)
	}
	require.Equal(t, []string{
		"Api", "Model", "Authorizer", "Integration", "IntegrationResponse", "Route", "RouteResponse", "Deployment", "Stage", "Domain", "Mapping",
	}, order)
	require.Equal(t, d.Calls(), mustLoad(t, template, definition.Options{}).Calls())
	require.Regexp(t, "^/v2/apis/[a-z0-9]{10}/routes/[a-z0-9]{7}$", callOf(t, d, "Route").Path)
	other := mustLoad(t, template, definition.Options{StackName: "other"})
	require.NotEqual(t, d.APIs[0].ID, other.APIs[0].ID, "two stacks do not meet")
}

// A changed API is another deployment of the same stage; everything else keeps its ID.
func TestCalls_change(t *testing.T) {
	t.Parallel()
	before := mustLoad(t, withAPI("{Type: AWS::IAM::Role}"), definition.Options{})
	same := mustLoad(t, "# only a comment\n"+withAPI("{Type: AWS::IAM::Role}"), definition.Options{})
	after := mustLoad(t, withAPI("{Type: AWS::ApiGatewayV2::Route, Properties: {ApiId: !Ref Api, RouteKey: more}}"), definition.Options{})
	require.Equal(t, callOf(t, before, "Route"), callOf(t, after, "Route"))
	require.Equal(t, callOf(t, before, "Stage").Path, callOf(t, after, "Stage").Path)
	require.Equal(t, callOf(t, before, "Deployment"), callOf(t, same, "Deployment"))
	require.NotEqual(t, callOf(t, before, "Deployment").Path, callOf(t, after, "Deployment").Path)
	id := after.APIs[0].Deployments[0].ID
	require.Equal(t, id, callOf(t, after, "Stage").Body["deploymentId"])
}

// A deployment that names its stage comes after it.
func TestCalls_deploymentWithStage(t *testing.T) {
	t.Parallel()
	d := mustLoad(t, `Resources:
  Api: {Type: AWS::ApiGatewayV2::Api, Properties: {Name: chat, ProtocolType: WEBSOCKET, RouteSelectionExpression: $request.body.action}}
  Route: {Type: AWS::ApiGatewayV2::Route, Properties: {ApiId: !Ref Api, RouteKey: $connect}}
  Deployment: {Type: AWS::ApiGatewayV2::Deployment, Properties: {ApiId: !Ref Api, StageName: !Ref Stage}}
  Stage: {Type: AWS::ApiGatewayV2::Stage, Properties: {ApiId: !Ref Api, StageName: prod}}
`, definition.Options{})
	calls := d.Calls()
	require.Equal(t, "Stage", calls[2].LogicalID)
	require.Equal(t, map[string]any{"stageName": "prod"}, calls[3].Body)
	require.Empty(t, d.Notes)
}

func TestHTTPAPI(t *testing.T) {
	t.Parallel()
	d := mustLoad(t, withAPI(`{Type: AWS::ApiGatewayV2::Api, Properties: {Name: web, ProtocolType: HTTP, CorsConfiguration: {AllowOrigins: ['*']}}}
  WebRoute: {Type: AWS::ApiGatewayV2::Route, Properties: {ApiId: !Ref R, RouteKey: GET /}}`), definition.Options{})
	require.Len(t, d.APIs, 1)
	require.Equal(t, []string{
		"template.yaml:9: AWS::ApiGatewayV2::Api (R): not run here: only WebSocket APIs are",
		"template.yaml:10: AWS::ApiGatewayV2::Route (WebRoute): not run here: only WebSocket APIs are",
	}, notes(d, definition.NotRun))
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	const api = "Resources:\n  Api: {Type: AWS::ApiGatewayV2::Api, Properties: {Name: a, ProtocolType: WEBSOCKET, RouteSelectionExpression: x, FailOnWarnings: true}}\n"
	d := mustLoad(t, api, definition.Options{})
	require.Equal(t, []string{"template.yaml:2: Api: the API has no stage, so no client can connect: add an AWS::ApiGatewayV2::Stage"}, notes(d, definition.Warning))
	require.Equal(t, []string{"template.yaml:2: Api: FailOnWarnings has no effect here"}, notes(d, definition.Ignored))
	d = mustLoad(t, api+"  S: {Type: AWS::ApiGatewayV2::Stage, Properties: {ApiId: !Ref Api, StageName: a}}\n", definition.Options{})
	require.Equal(t, []string{"template.yaml:3: S: the stage has no deployment, so no client can connect: set DeploymentId, or AutoDeploy to true"}, notes(d, definition.Warning))
	d = mustLoad(t, "Resources: {}\nOutputs: {A: {Value: !Ref B}}\n", definition.Options{})
	require.Equal(t, []string{
		"template.yaml:1: the file has no WebSocket API",
		`template.yaml:2: an output cannot be given: the template has no parameter and no resource "B"`,
	}, notes(d, definition.Warning))
}

// What is misspelled is an error with the nearest right name, if it would change an API or a
// function; other sections of a template are only ignored.
func TestMisspelled(t *testing.T) {
	t.Parallel()
	for resource, want := range map[string]string{
		"{Type: AWS::ApiGatewayV2::Rout, Properties: {ApiId: !Ref Api}}":                                      `template.yaml:9: R: there is no type AWS::ApiGatewayV2::Rout: did you mean "AWS::ApiGatewayV2::Route"?`,
		"{Type: AWS::Serverless::WebsocketApi}":                                                               `template.yaml:9: R: there is no type AWS::Serverless::WebsocketApi: did you mean "AWS::Serverless::WebSocketApi"?`,
		"{Type: AWS::ApiGatewayV2::Model, Propertes: {ApiId: !Ref Api, Name: n, Schema: {}}}":                 `template.yaml:9: R: a resource has no attribute "Propertes": did you mean "Properties"?`,
		"{Type: AWS::Lambda::Function, Properties: {Runtime: python311, Handler: a.b, Code: {ZipFile: x}}}":   `template.yaml:9: R: there is no runtime "python311": did you mean "python3.11"?`,
		"{Type: AWS::ApiGatewayV2::Model, DependOn: Api, Properties: {ApiId: !Ref Api, Name: n, Schema: {}}}": `template.yaml:9: R: a resource has no attribute "DependOn": did you mean "DependsOn"?`,
	} {
		require.Equal(t, want, problems(t, withAPI(resource), definition.Options{})[0])
	}
	d := mustLoad(t, "Resurces: {}\nResources: {}\n", definition.Options{})
	require.Equal(t, []string{`template.yaml:1: a template has no section "Resurces": did you mean "Resources"?`}, notes(d, definition.Ignored))
}
