package definition_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/definition"
)

// loadServerless reads a serverless.yml beside which are the files.
func loadServerless(tb testing.TB, text string, others map[string]string, opts definition.Options) (*definition.Definition, error) {
	tb.Helper()
	contents := map[string]string{"serverless.yml": text, "src/app.js": ""}
	for name, content := range others {
		contents[name] = content
	}
	dir := files(tb, contents)
	if opts.Getenv == nil {
		opts.Getenv = func(string) (string, bool) { return "", false }
	}
	opts.WorkDir = filepath.Join(dir, "work")
	return definition.Load(dir, opts)
}

const serverlessFile = `service: chat
provider:
  name: aws
  runtime: nodejs22.x
  stage: test
  region: eu-west-1
  environment: {TABLE: "${self:service}-${sls:stage}", BOTH: provider}
  websocketsApiName: my-${self:custom.name}
  websocketsApiRouteSelectionExpression: $request.body.type
custom: {name: "chat-${opt:stage, self:provider.stage}"}
plugins: [serverless-offline]
functions:
  on-connect:
    handler: src/app.connect
    timeout: 10
    environment: {BOTH: own, API: {Ref: WebsocketsApi}, ROLE: !GetAtt IamRoleLambdaExecution.Arn}
    events:
      - websocket: {route: $connect, authorizer: {name: auth, identitySource: route.request.querystring.token}}
      - websocket: $disconnect
      - http: {path: /, method: get}
  say:
    handler: src/app.say
    name: own-name
    events: [{websocket: {route: say/it, routeResponseSelectionExpression: $default}}]
  auth: {handler: src/app.auth, memorySize: 256}
resources:
  Resources:
    Table: {Type: AWS::DynamoDB::Table, Properties: {TableName: "${self:provider.environment.TABLE}"}}
`

// The API has the logical IDs and properties that the framework gives.
func TestServerless(t *testing.T) {
	t.Parallel()
	d, err := loadServerless(t, serverlessFile, nil, definition.Options{})
	require.NoError(t, err)
	api := d.APIs[0]
	require.Equal(t, "WebsocketsApi", api.LogicalID)
	require.JSONEq(t, `{"name":"my-chat-test","description":"Serverless Websockets","protocolType":"WEBSOCKET","routeSelectionExpression":"$request.body.type"}`,
		toJSON(t, api.Fields))
	var routes []string
	for _, r := range api.Routes {
		routes = append(routes, r.LogicalID+" "+r.Fields["routeKey"].(string))
	}
	require.Equal(t, []string{"SconnectWebsocketsRoute $connect", "SdisconnectWebsocketsRoute $disconnect", "saySlashitWebsocketsRoute say/it"}, routes)
	require.Equal(t, "CUSTOM", api.Routes[0].Fields["authorizationType"])
	require.Equal(t, api.Authorizers[0].ID, api.Routes[0].Fields["authorizerId"])
	require.Equal(t, "AuthWebsocketsAuthorizer", api.Authorizers[0].LogicalID)
	require.Equal(t, []any{"route.request.querystring.token"}, api.Authorizers[0].Fields["identitySource"])
	require.Contains(t, api.Authorizers[0].Fields["authorizerUri"], "function:chat-test-auth/invocations")
	require.Len(t, api.Integrations, 2, "one for each function")
	require.Equal(t, "OnDashconnectWebsocketsIntegration", api.Integrations[0].LogicalID)
	require.Equal(t, "$default", api.Routes[2].Responses[0].Fields["routeResponseKey"])
	require.Equal(t, "test", api.Stages[0].ID)
	require.Equal(t, api.Deployments[0].ID, api.Stages[0].Fields["deploymentId"])

	require.Len(t, d.Functions, 3)
	f := d.Functions[0]
	require.Equal(t, "OnDashconnectLambdaFunction", f.LogicalID)
	require.Equal(t, "arn:aws:lambda:eu-west-1:123456789012:function:chat-test-on-connect", f.ARN)
	require.Equal(t, "src/app.connect", f.Handler)
	require.FileExists(t, filepath.Join(f.Dir, "src/app.js"))
	require.Equal(t, map[string]string{
		"TABLE": "chat-test", "BOTH": "own", "API": api.ID, "ROLE": "arn:aws:iam::123456789012:role/chat-test-IamRoleLambdaExecution",
	}, f.Env)
	require.Equal(t, 10*time.Second, f.Timeout)
	require.Equal(t, 1024, f.MemoryMB)
	require.Equal(t, "own-name", d.Functions[1].Name)
	require.Equal(t, 6*time.Second, d.Functions[2].Timeout)
	require.Equal(t, 256, d.Functions[2].MemoryMB)
	require.Equal(t, []string{
		"serverless.yml:11: plugins are not run here: serverless-offline. If one compiles the code, give the path of its output with package.artifact",
	}, notes(d, definition.Ignored))
	require.Equal(t, []string{
		"serverless.yml:20: events of the type http: not run here; only WebSocket APIs call functions",
		"serverless.yml:28: AWS::DynamoDB::Table (Table): not run here: functions get the name; point them to a database with AWS_ENDPOINT_URL_DYNAMODB, which boto3 reads from 1.28 on",
	}, notes(d, definition.NotRun))
}

func TestServerless_stage(t *testing.T) {
	t.Parallel()
	d, err := loadServerless(t, serverlessFile, nil, definition.Options{Stage: "prod", Options: map[string]string{"region": "us-west-2"}})
	require.NoError(t, err)
	require.Equal(t, "prod", d.APIs[0].Stages[0].ID)
	require.Equal(t, "my-chat-prod", d.APIs[0].Fields["name"])
	require.Equal(t, "arn:aws:lambda:us-west-2:123456789012:function:chat-prod-on-connect", d.Functions[0].ARN)
}

func TestServerless_variables(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ variable, want string }{
		"self":                    {"${self:custom.a}", "1"},
		"self in a text":          {"x-${self:custom.a}-y", "x-1-y"},
		"self of self":            {"${self:custom.chain}", "1"},
		"nested":                  {"${self:custom.stages.${sls:stage}.name}", "development"},
		"index of a list":         {"${self:custom.list.1}", "second"},
		"opt":                     {"${opt:color}", "red"},
		"opt default":             {"${opt:size, 'small'}", "small"},
		"opt or self":             {"${opt:size, self:custom.a}", "1"},
		"opt or nested":           {"${opt:size, ${self:custom.a}}", "1"},
		"default number":          {"${opt:size, 5}", "5"},
		"default with a comma":    {"${opt:size, 'a, b'}", "a, b"},
		"stage":                   {"${sls:stage}", "dev"},
		"env":                     {"${env:HOME_TOWN}", "Bern"},
		"env default":             {`${env:NOTHING, "none"}`, "none"},
		"env of a dotenv file":    {"${env:FROM_FILE}", "it is"},
		"param":                   {"${param:host}", "dev.example"},
		"param default":           {"${param:port}", "80"},
		"param given":             {"${param:given}", "given"},
		"file":                    {"${file(./values.yml):table.name}", "t-dev"},
		"file as JSON":            {"${file(values.json):a}", "j"},
		"file that is missing":    {"${file(nowhere.yml):a, 'none'}", "none"},
		"account":                 {"${aws:accountId}", "123456789012"},
		"region":                  {"${aws:region}", "us-east-1"},
		"param of stages":         {"${param:colour}", "dev-blue"},
		"param of a file":         {"${param:filed}", "j"},
		"resolver of AWS":         {"${aws:ssm:/given}", "secret"},
		"own resolver default":    {"${other:s3:bucket/key, 'none'}", "none"},
		"program given":           {"${file(a.js):b}", "made"},
		"program default":         {"${file(c.ts):d, 'none'}", "none"},
		"boolean":                 {"${strToBool(true)}", "true"},
		"value given":             {"${ssm:/given}", "secret"},
		"value elsewhere":         {"${ssm:/elsewhere}", "ssm:/elsewhere"},
		"value elsewhere default": {"${cf:stack.Out, 'none'}", "none"},
		"text of a file":          {"${file(text.pem)}", "-1-\n"},
		"text without an ending":  {"${file(VERSION)}", "012"},
		"part of a tfstate":       {"${file(terraform.tfstate):outputs.a.value}", "7"},
		"no text of a file":       {"${file(none.pem), 'none'}", "none"},
		"account number":          {"${opt:account, 012345670123}", "012345670123"},
		"of CloudFormation":       {"!Sub '${AWS::Region} ${Table}'", "us-east-1 chat-dev-Table"},
		"both kinds":              {"!Sub '${self:custom.a} ${AWS::Region}'", "1 us-east-1"},
		"function with variables": {"!Join ['-', ['${self:custom.a}', !Ref Table]]", "1-chat-dev-Table"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := loadServerless(t, `service: chat
useDotenv: true
provider: {name: aws, runtime: nodejs22.x}
params: {dev: {host: dev.example}, default: {host: x, port: 80}}
stages: {default: {params: {colour: "${sls:stage}-blue", filed: "${file(values.json):a}"}}, dev: {observability: true}}
custom: {a: 1, chain: "${self:custom.link}", link: "${self:custom.a}", list: [first, second], stages: {dev: {name: development}}}
functions:
  f:
    handler: src/app.f
    events: [{websocket: $default}]
    environment:
      X: `+c.variable+`
resources: {Resources: {Table: {Type: AWS::DynamoDB::Table}}}
`, map[string]string{"values.yml": "table: {name: 't-${sls:stage}'}", "values.json": `{"a":"j"}`, ".env": "# comment\nFROM_FILE='it is'\n", "text.pem": "-${self:custom.a}-\n", "VERSION": "012", "terraform.tfstate": `{"outputs": {"a": {"value": 7}}}`},
				definition.Options{
					Options: map[string]string{"color": "red"}, Parameters: map[string]string{"given": "given"}, Values: map[string]string{"ssm:/given": "secret", "aws:ssm:/given": "secret", "file(a.js):b": "made"},
					Getenv: func(name string) (string, bool) { return "Bern", name == "HOME_TOWN" },
				})
			require.NoError(t, err)
			require.Equal(t, c.want, d.Functions[0].Env["X"])
			require.Equal(t, name == "value elsewhere", len(notes(d, definition.Warning)) > 0)
		})
	}
}

// The value of a variable may be secret: no note and no problem has it.
func TestServerless_secrets(t *testing.T) {
	t.Parallel()
	for variable, want := range map[string]string{
		"${ssm:/a/${env:SECRET}}":           "${ssm:/a/${env:SECRET}} is not on this machine: its name is used as its value. Give its value, or a default as in ${ssm:/a/${env:SECRET}, 'value'}",
		"${cf:${env:SECRET}.Out}":           "${cf:${env:SECRET}.Out} is not on this machine",
		"${file(${env:SECRET}.js)}":         "${file(${env:SECRET}.js)} is the result of a program, which is not run here",
		"${file(/${env:SECRET}.yml)}":       "${file(/${env:SECRET}.yml)}: write the path relative",
		"${file(${env:SECRET}":              "",
		"${strToBool(${env:SECRET}":         "",
		"${self:custom.${env:SECRET}}":      "the variable ${self:custom.${env:SECRET}} has no value",
		"${file(none-${env:SECRET}.yml):a}": "the variable ${file(none-${env:SECRET}.yml):a} has no value",
		"${self:x, file(${env:SECRET}}":     "the variable file(${env:SECRET} has no closing parenthesis",
	} {
		t.Run(variable, func(t *testing.T) {
			t.Parallel()
			d, err := loadServerless(t, "service: chat\nprovider: {name: aws, runtime: nodejs22.x}\nfunctions: {f: {handler: src/app.f, environment: {X: \""+variable+"\"}}}\n", nil,
				definition.Options{Getenv: func(string) (string, bool) { return "hunter2", true }})
			told := fmt.Sprint(err)
			if err == nil {
				told = toJSON(t, d.Notes)
			}
			require.Contains(t, told, want)
			require.NotContains(t, told, "hunter2")
		})
	}
}

func TestServerless_refused(t *testing.T) {
	t.Parallel()
	const head = "service: chat\nprovider: {name: aws, runtime: nodejs22.x}\nfunctions:\n  f:\n    handler: src/app.f\n"
	for name, c := range map[string]struct{ text, want string }{
		"no value":          {head + "    environment: {X: '${self:custom.x}'}\n", ":6: the variable ${self:custom.x} has no value: give one, or a default as in ${self:custom.x, 'value'}"},
		"no environment":    {head + "    environment: {X: '${env:X}'}\n", ":6: the variable ${env:X} has no value: give one, or a default as in ${env:X, 'value'}"},
		"circle":            {head + "custom: {a: '${self:custom.b}', b: '${self:custom.a}'}\nresources: {Resources: {T: {Type: '${self:custom.a}'}}}\n", ":6: this value refers to itself by its variables"},
		"map in a text":     {head + "    environment: {X: 'a-${self:provider}'}\n", ":6: ${self:provider} cannot be put into a text: it is a map"},
		"a program's map":   {head + "resources: '${file(a.js):b}'\n", ":6: resources has to be a map, or a list of maps, but is a text"},
		"absolute file":     {head + "    environment: {X: '${file(/etc/passwd.yml)}'}\n", ":6: ${file(/etc/passwd.yml)}: write the path relative to the folder of this file"},
		"no route":          {head + "    events: [{websocket: {authorizer: x}}]\n", ":6: f: the websocket event needs a route, as in \"route: $connect\""},
		"route twice":       {head + "    events: [{websocket: a}, {websocket: a}]\n", `:6: f: there is another websocket event with the route "a": remove one`},
		"misspelled route":  {head + "    events: [{websocket: {rout: b}}]\n", ":6: f: a websocket event has no property \"rout\": did you mean \"route\"?"},
		"old plugin":        {head + "    events: [{websocket: {routeKey: a}}]\n", ":6: f: a websocket event has no property \"routeKey\", which the old plugin for WebSocket APIs had: call it route"},
		"misspelled source": {head + "    events: [{websocket: {route: $connect, authorizer: {name: f, identitySources: [a]}}}]\n", ":6: f: an authorizer has no property \"identitySources\": did you mean \"identitySource\"?"},
		"misspelled name":   {strings.Replace(head, "nodejs22.x", "nodejs22.x, websocketApiName: a", 1) + "    events: [{websocket: a}]\n", `:2: provider has no setting "websocketApiName": did you mean "websocketsApiName"?`},
		"arn of a function": {head + "    events: [{websocket: {route: $connect, authorizer: {arn: !GetAtt FLambdaFunction.Arn}}}]\n", ":6: f: the authorizer needs the name of a function, and also if its arn is no text"},
		"param in a circle": {head + "    environment: {X: '${param:a}'}\nparams: {default: {a: '${param:b}', b: '${param:a}'}}\n", "this value refers to itself by its variables"},
		"authorizer":        {head + "    events: [{websocket: {route: $connect, authorizer: g}}]\n", `:6: f: the authorizer "g" is no function of this file`},
		"authorizer of say": {head + "    events: [{websocket: {route: say, authorizer: f}}]\n", ":6: f: the route say cannot have an authorizer: only $connect can"},
		"no such resource":  {head + "    environment: {X: !Ref WebsocketApi}\n    events: [{websocket: a}]\n", `:6: FLambdaFunction: the template has no parameter and no resource "WebsocketApi": did you mean "WebsocketsApi"?`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := loadServerless(t, c.text, nil, definition.Options{})
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestServerless_authorizers(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:lambda:us-east-1:1234567890:function:auth"
	for name, authorizer := range map[string]string{"as text": arn, "as arn": "{arn: " + arn + "}", "with a name": "{name: auth, arn: " + arn + "}"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := loadServerless(t, "service: chat\nprovider: {name: aws, runtime: nodejs22.x}\nfunctions: {f: {handler: src/app.f, events: [{websocket: {route: $connect, authorizer: "+
				authorizer+"}}]}}\n", nil, definition.Options{})
			require.NoError(t, err)
			require.Equal(t, map[string]any{
				"name": "auth", "authorizerType": "REQUEST", "identitySource": []any{"route.request.header.Auth"},
				"authorizerUri": "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/" + arn + "/invocations",
			}, d.APIs[0].Authorizers[0].Fields)
		})
	}
}

// A section may be a list of maps, also within the resources. What is neither is told with the
// name of the section.
func TestServerless_lists(t *testing.T) {
	t.Parallel()
	file := "service: chat\nprovider: {name: aws, runtime: nodejs22.x}\nfunctions: {f: {handler: src/app.f, environment: {A: !Ref A, B: !Ref B}}}\n"
	d, err := loadServerless(t, file+`resources:
  - Resources: [{A: {Type: AWS::SQS::Queue, Properties: {QueueName: !Ref P}}}, {B: {Type: AWS::DynamoDB::Table, Properties: {TableName: b}}}]
    Parameters: [{P: {Type: String, Default: a}}]
    Outputs:
`, nil, definition.Options{})
	require.NoError(t, err)
	require.Equal(t, "https://sqs.us-east-1.amazonaws.com/123456789012/a", d.Functions[0].Env["A"])
	require.Equal(t, "b", d.Functions[0].Env["B"])
	for text, want := range map[string]string{
		"resources: {Resources: x}":          "resources.Resources has to be a map, or a list of maps, but is a text",
		"resources: {Resources: [{}, x]}":    "resources.Resources has to be a list of maps, but one is a text",
		"resources: [x]":                     "resources has to be a list of maps, but one is a text",
		"resources: {extensions: 1}":         "resources.extensions has to be a map, or a list of maps, but is a number",
		"resources: {Outputs: x}\nlayers: x": "layers has to be a map, or a list of maps, but is a text",
	} {
		_, err := loadServerless(t, file+text+"\n", nil, definition.Options{})
		require.ErrorContains(t, err, want)
	}
}

// websocketApiId puts the routes into an API that the file describes itself. The stage of
// the deployment is one of that API.
func TestServerless_externalAPI(t *testing.T) {
	t.Parallel()
	d, err := loadServerless(t, `service: chat
provider: {name: aws, runtime: nodejs22.x, apiGateway: {websocketApiId: !Ref Own}}
functions: {f: {handler: src/app.f, events: [{websocket: $default}]}}
resources:
  Resources:
    Own: {Type: AWS::ApiGatewayV2::Api, Properties: {Name: own, ProtocolType: WEBSOCKET, RouteSelectionExpression: $request.body.type}}
    Stage: {Type: AWS::ApiGatewayV2::Stage, Properties: {ApiId: !Ref Own, StageName: "${sls:stage}"}}
`, nil, definition.Options{})
	require.NoError(t, err)
	require.Len(t, d.APIs, 1)
	require.Equal(t, "own", d.APIs[0].Fields["name"])
	a := newApplied(t)
	a.apply(t, d)
	a.try(t, d)
}

// The logs of the WebSocket API are settings of its stage.
func TestServerless_logs(t *testing.T) {
	t.Parallel()
	for logs, want := range map[string]string{
		"false":                                `{}`,
		"true":                                 `{"dataTraceEnabled":true,"loggingLevel":"INFO"}`,
		"{level: ERROR}":                       `{"dataTraceEnabled":true,"loggingLevel":"ERROR"}`,
		"{executionLogging: false, format: x}": `{"dataTraceEnabled":true,"loggingLevel":"OFF"}`,
	} {
		d, err := loadServerless(t, "service: chat\nprovider: {name: aws, runtime: nodejs22.x, logs: {websocket: "+logs+"}}\n"+
			"functions: {f: {handler: src/app.f, events: [{websocket: $default}]}}\n", nil, definition.Options{})
		require.NoError(t, err)
		settings := d.APIs[0].Stages[0].Fields["defaultRouteSettings"]
		if settings == nil {
			settings = map[string]any{}
		}
		require.JSONEq(t, want, toJSON(t, settings), logs)
		require.Equal(t, logs != "false", d.APIs[0].Stages[0].Fields["accessLogSettings"] != nil)
	}
}
