package definition_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/definition"
)

func TestSAM_function(t *testing.T) {
	t.Parallel()
	d := mustLoad(t, `Transform: AWS::Serverless-2016-10-31
Globals:
  Function:
    Runtime: nodejs22.x
    Timeout: 15
    CodeUri: code
    Environment: {Variables: {A: global, B: global}}
Resources:
  One:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.handler
      MemorySize: 256
      Environment: {Variables: {B: own, C: !Ref OneRole, D: !Ref Two.Alias}}
      Policies: [{DynamoDBCrudPolicy: {TableName: !Ref Nothing}}]
      Events: {Get: {Type: Api, Properties: {Path: /, Method: get}}}
  Two:
    Type: AWS::Serverless::Function
    Properties: {InlineCode: "exports.handler = 1", Handler: index.handler, Timeout: 3, FunctionName: two, AutoPublishAlias: live}
`, definition.Options{})
	require.Len(t, d.Functions, 2)
	one, two := d.Functions[0], d.Functions[1]
	require.Equal(t, map[string]string{
		"A": "global", "B": "own", "C": "local-OneRole", "D": "arn:aws:lambda:us-east-1:123456789012:function:two:live",
	}, one.Env)
	require.Equal(t, "nodejs22.x", one.Runtime)
	require.Equal(t, 15*time.Second, one.Timeout)
	require.Equal(t, 256, one.MemoryMB)
	require.True(t, strings.HasSuffix(one.Dir, "code"))
	require.Equal(t, 3*time.Second, two.Timeout)
	require.FileExists(t, two.Dir+"/index.js")
	require.Equal(t, []string{"template.yaml:16: events of the type Api: not run here; only WebSocket APIs call functions"}, notes(d, definition.NotRun))
}

const samAPI = `Globals:
  WebSocketApi:
    Tags: {team: chat}
    StageVariables: {A: global, B: global}
Resources:
  F: {Type: AWS::Serverless::Function, Properties: {CodeUri: code, Handler: app.handler, Runtime: nodejs22.x}}
  Auth: {Type: AWS::Serverless::Function, Properties: {CodeUri: code, Handler: app.handler, Runtime: nodejs22.x}}
  Api:
    Type: AWS::Serverless::WebSocketApi
    Properties:
      RouteSelectionExpression: $request.body.action
`

// The expansion has the logical IDs and properties that the transform gives.
func TestSAM_webSocketAPI(t *testing.T) {
	t.Parallel()
	d := mustLoad(t, samAPI+`      Auth: {AuthType: CUSTOM, AuthArn: !GetAtt Auth.Arn, IdentitySource: [route.request.querystring.token]}
      StageVariables: {B: own}
      RouteSettings: {$default: {ThrottlingRateLimit: 0.7}}
      PropagateTags: true
      Routes:
        $connect: {FunctionArn: !GetAtt F.Arn, RequestParameters: {route.request.querystring.token: {Required: true}}}
        sendMessage: {FunctionArn: !GetAtt F.Arn, IntegrationTimeout: 15000, RouteResponseSelectionExpression: $default, OperationName: Send}
`, definition.Options{})
	api := d.APIs[0]
	require.Empty(t, d.Notes)
	require.JSONEq(t, `{"name":"Api","protocolType":"WEBSOCKET","routeSelectionExpression":"$request.body.action",
		"tags":{"team":"chat","websocketapi:createdBy":"SAM"}}`, toJSON(t, api.Fields))
	require.Equal(t, "ApiConnectAuthorizer", api.Authorizers[0].LogicalID)
	require.JSONEq(t, `{"name":"ApiConnectAuthorizer","authorizerType":"REQUEST","identitySource":["route.request.querystring.token"],
		"authorizerUri":"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:local-Auth/invocations"}`,
		toJSON(t, api.Authorizers[0].Fields))
	require.Equal(t, "ApiConnectRoute", api.Routes[0].LogicalID)
	require.JSONEq(t, `{"routeKey":"$connect","target":"integrations/`+api.Integrations[0].ID+`","authorizationType":"CUSTOM",
		"authorizerId":"`+api.Authorizers[0].ID+`","requestParameters":{"route.request.querystring.token":{"required":true}}}`, toJSON(t, api.Routes[0].Fields))
	require.Equal(t, "ApiSendmessageRoute", api.Routes[1].LogicalID)
	require.Equal(t, "sendMessage", api.Routes[1].Fields["routeKey"])
	require.Equal(t, "Send", api.Routes[1].Fields["operationName"])
	require.Equal(t, "ApiSendmessageIntegration", api.Integrations[1].LogicalID)
	require.JSONEq(t, `{"integrationType":"AWS_PROXY","timeoutInMillis":15000,
		"integrationUri":"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:local-F/invocations"}`,
		toJSON(t, api.Integrations[1].Fields))
	require.Equal(t, "ApiDefaultStage", api.Stages[0].LogicalID)
	require.JSONEq(t, `{"stageName":"default","autoDeploy":true,"stageVariables":{"A":"global","B":"own"},
		"routeSettings":{"$default":{"throttlingRateLimit":0.7}},"tags":{"team":"chat","websocketapi:createdBy":"SAM"}}`, toJSON(t, api.Stages[0].Fields))
}

func TestSAM_webSocketAPI_domain(t *testing.T) {
	t.Parallel()
	d := mustLoad(t, samAPI+`      StageName: Prod
      Routes: {$default: {FunctionArn: !GetAtt F.Arn}}
      Domain: {DomainName: chat.example, CertificateArn: c, SecurityPolicy: TLS_1_2, BasePath: [/get, /post], Route53: {HostedZoneId: z}}
`, definition.Options{})
	require.Equal(t, "ApiProdStage", d.APIs[0].Stages[0].LogicalID)
	require.Len(t, d.Domains, 1)
	require.JSONEq(t, `{"domainName":"chat.example","domainNameConfigurations":[{"certificateArn":"c","endpointType":"REGIONAL","securityPolicy":"TLS_1_2"}]}`,
		toJSON(t, d.Domains[0].Fields))
	require.Equal(t, "ApigetApiMapping", d.Domains[0].Mappings[0].LogicalID)
	require.Equal(t, map[string]any{"apiId": d.APIs[0].ID, "stage": "Prod", "apiMappingKey": "get"}, d.Domains[0].Mappings[0].Fields)
	require.Equal(t, "post", d.Domains[0].Mappings[1].Fields["apiMappingKey"])
}

func TestSAM_webSocketAPI_auth(t *testing.T) {
	t.Parallel()
	for _, typ := range []string{"NONE", "AWS_IAM"} {
		d := mustLoad(t, samAPI+"      Auth: {AuthType: "+typ+"}\n      Routes: {$connect: {FunctionArn: !GetAtt F.Arn}}\n", definition.Options{})
		require.Equal(t, typ, d.APIs[0].Routes[0].Fields["authorizationType"])
		require.Empty(t, d.APIs[0].Authorizers)
	}
}

func TestSAM_refused(t *testing.T) {
	t.Parallel()
	const routes = "Routes: {$connect: {FunctionArn: !GetAtt F.Arn}}"
	for name, c := range map[string]struct{ property, want string }{
		"no routes":                   {"Name: a", "11: Api: the API needs at least one route: Routes is a map of route keys"},
		"routes as properties":        {routes + "\n      sendmessage: {FunctionArn: x}", `13: Api: AWS::Serverless::WebSocketApi has no property "sendmessage": route keys stand in Routes`},
		"route key":                   {"Routes: {send-message: {FunctionArn: x}}", `12: Api: SAM refuses the route key "send-message": it may have letters and digits, or be $connect, $disconnect or $default`},
		"no function":                 {"Routes: {a: {}}", "12: Api: the route a needs FunctionArn, as in FunctionArn: !GetAtt Function.Arn"},
		"unknown in a route":          {"Routes: {a: {FunctionArn: x, Timeout: 1}}", `12: Api: a route has no property "Timeout"`},
		"parameters of another route": {"Routes: {a: {FunctionArn: x, RequestParameters: {}}}", "12: Api: RequestParameters are for the route $connect only"},
		"auth without $connect":       {"Routes: {a: {FunctionArn: x}}\n      Auth: {AuthType: NONE}", "13: Api: Auth needs a route $connect: only there clients are authorized"},
		"auth without a type":         {routes + "\n      Auth: {AuthArn: x}", "13: Api: Auth needs AuthType: NONE, AWS_IAM or CUSTOM"},
		"auth of another type":        {routes + "\n      Auth: {AuthType: JWT}", `13: Api: AuthType is "JWT": it has to be NONE, AWS_IAM or CUSTOM`},
		"auth with too much":          {routes + "\n      Auth: {AuthType: AWS_IAM, AuthArn: x}", "13: Api: with the AuthType AWS_IAM, Auth has no other properties: remove them"},
		"auth without a function":     {routes + "\n      Auth: {AuthType: CUSTOM}", "13: Api: with the AuthType CUSTOM, Auth needs AuthArn, as in AuthArn: !GetAtt Function.Arn"},
		"auth unknown":                {routes + "\n      Auth: {AuthType: NONE, Authoriser: x}", "13: Api: Auth has no property \"Authoriser\""},
		"stage $default":              {routes + "\n      StageName: $default", "13: Api$defaultStage: a stage of a WebSocket API cannot be $default: give it another name"},
		"domain":                      {routes + "\n      Domain: {DomainName: x}", "13: Api: Domain needs DomainName and CertificateArn"},
		"mutual TLS":                  {routes + "\n      Domain: {DomainName: x, CertificateArn: c, MutualTlsAuthentication: {}}", "13: Api: SAM refuses MutualTlsAuthentication for WebSocket APIs: remove it"},
		"base path":                   {routes + "\n      Domain: {DomainName: x, CertificateArn: c, BasePath: [a.b]}", "13: Api: BasePath has to be a text, or a list of texts, with letters, digits, /, - and _"},
		"event of a function": {
			routes + "\n  G: {Type: AWS::Serverless::Function, Properties: {CodeUri: code, Handler: app.handler, Runtime: nodejs22.x, Events: {Ws: {Type: WebSocket}}}}",
			"13: G: SAM has no event WebSocket (Ws): name the function in Routes of an AWS::Serverless::WebSocketApi",
		},
		"property of a function": {
			routes + "\n  G: {Type: AWS::Serverless::Function, Properties: {CodeUrl: code}}",
			`13: G: AWS::Serverless::Function has no property "CodeUrl": did you mean "CodeUri"?`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := problems(t, samAPI+"      "+c.property+"\n", definition.Options{})
			require.Contains(t, found, "template.yaml:"+c.want)
		})
	}
	require.Equal(t, []string{`template.yaml:1: Globals has no section "Functions": did you mean "Function"?`},
		problems(t, "Globals: {Functions: {}}\nResources: {}\n", definition.Options{}))
}
