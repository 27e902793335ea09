package definition_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/definition"
)

// loadStacks reads the first of several files, or their folder if it is "".
func loadStacks(tb testing.TB, path string, contents map[string]string) (*definition.Definition, error) {
	tb.Helper()
	contents["code/app.js"] = "exports.handler = async () => ({})"
	dir := files(tb, contents)
	return definition.Load(filepath.Join(dir, path), definition.Options{StackName: "app", WorkDir: filepath.Join(dir, "work")})
}

const (
	nestedAPI = `
Parameters: {Name: {Type: String}, Names: {Type: CommaDelimitedList, Default: ""}}
Conditions: {Never: !Equals [a, b]}
Resources:
  Api: {Type: AWS::ApiGatewayV2::Api, Properties: {Name: !Ref Name, ProtocolType: WEBSOCKET, RouteSelectionExpression: $request.body.action}}
  Stage: {Type: AWS::ApiGatewayV2::Stage, Properties: {ApiId: !Ref Api, StageName: !Select [1, !Ref Names], AutoDeploy: true}}
Outputs:
  ApiId: {Value: !Ref Api}
  StackName: {Value: !Ref AWS::StackName}
  Gone: {Value: !Ref Api, Condition: Never}
`
	nestedRoutes = `
Parameters: {ApiId: {Type: String}}
Resources:
  Function: {Type: AWS::Lambda::Function, Properties: {Code: ../code, Handler: app.handler, Runtime: nodejs22.x, Environment: {Variables: {API: !Ref ApiId}}}}
  Integration: {Type: AWS::ApiGatewayV2::Integration, Properties: {ApiId: !Ref ApiId, IntegrationType: AWS_PROXY, IntegrationUri: !GetAtt Function.Arn}}
  Default: {Type: AWS::ApiGatewayV2::Route, Properties: {ApiId: !Ref ApiId, RouteKey: $default, Target: !Sub "integrations/${Integration}"}}
`
)

// A route in one nested stack belongs to the API in another, whose ID goes through the
// outputs and parameters of both.
func TestStacks_nested(t *testing.T) {
	t.Parallel()
	parent := `
Transform: AWS::Serverless-2016-10-31
Resources:
  Routes:
    Type: AWS::CloudFormation::Stack
    Properties: {TemplateURL: ./nested/routes.yaml, Parameters: {ApiId: !GetAtt Chat.Outputs.ApiId}}
  Chat:
    Type: AWS::Serverless::Application
    Properties: {Location: nested/api.yaml, Parameters: {Name: chat, Names: [dev, prod]}}
  Table: {Type: AWS::DynamoDB::Table, Properties: {TableName: !Sub "${Chat.Outputs.StackName}-table"}}
  Function:
    Type: AWS::Lambda::Function
    Properties: {Code: code, Handler: app.handler, Runtime: nodejs22.x, Environment: {Variables: {TABLE: !Ref Table}}}
`
	d, err := loadStacks(t, "template.yaml", map[string]string{"template.yaml": parent, "nested/api.yaml": nestedAPI, "nested/routes.yaml": nestedRoutes})
	require.NoError(t, err)
	require.Len(t, d.APIs, 1)
	api := d.APIs[0]
	require.Equal(t, "chat", api.Fields["name"])
	require.Equal(t, "prod", api.Stages[0].ID)
	require.Equal(t, "$default", api.Routes[0].Fields["routeKey"])
	require.Equal(t, "integrations/"+api.Integrations[0].ID, api.Routes[0].Fields["target"])
	require.Equal(t, []string{"app-Function", "app-Routes-Function"}, []string{d.Functions[0].Name, d.Functions[1].Name})
	require.Equal(t, "app-Chat-table", d.Functions[0].Env["TABLE"])
	require.Equal(t, api.ID, d.Functions[1].Env["API"])
	require.Equal(t, "code", filepath.Base(d.Functions[1].Dir))
	require.Equal(t, "api.yaml", filepath.Base(api.File))
	require.Equal(t, []string{"template.yaml:10: AWS::DynamoDB::Table (Table): not run here: functions get the name; point them to a database with AWS_ENDPOINT_URL_DYNAMODB, which boto3 reads from 1.28 on"},
		notes(d, definition.NotRun))
	a := newApplied(t)
	a.apply(t, d)
	a.try(t, d)
}

// A program that watches a definition hears of the templates of nested stacks, too.
func TestStacks_OnFile(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{
		"template.yaml": "Resources:\n  A: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: a.yaml}}\n  B: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: b.yaml}}\n",
		"a.yaml":        "Resources: {}\n",
	})
	var heard []string
	_, err := definition.Load(dir, definition.Options{OnFile: func(path string) { heard = append(heard, filepath.Base(path)) }})
	require.ErrorContains(t, err, "the template of the nested stack is not at")
	require.Equal(t, []string{"template.yaml", "a.yaml", "b.yaml"}, heard)
}

// "cdk synth" names the template of a nested stack as an asset, and the place that it will
// have in a bucket.
func TestStacks_nestedByCDK(t *testing.T) {
	t.Parallel()
	parent := `{"Resources": {"Nested": {"Type": "AWS::CloudFormation::Stack",
		"Properties": {"TemplateURL": {"Fn::Join": ["", ["https://s3.", {"Ref": "AWS::Region"}, ".", {"Ref": "AWS::URLSuffix"}, "/bucket/0f.json"]]}, "Parameters": {"referenceToName": {"Ref": "AWS::StackName"}}},
		"Metadata": {"aws:asset:path": "AppNested12.nested.template.json", "aws:asset:property": "TemplateURL"}}}}`
	nested := `{"Parameters": {"referenceToName": {"Type": "String"}}, "Resources": {
		"Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Name": {"Ref": "referenceToName"}, "ProtocolType": "WEBSOCKET", "RouteSelectionExpression": "$request.body.action"}}}}`
	for _, path := range []string{"cdk.out/App.template.json", "cdk.out", ""} {
		d, err := loadStacks(t, path, map[string]string{"cdk.out/App.template.json": parent, "cdk.out/AppNested12.nested.template.json": nested})
		require.NoError(t, err)
		require.Len(t, d.APIs, 1, path)
		require.Equal(t, "app", d.APIs[0].Fields["name"])
	}
}

// Stacks of one CDK app import from each other. A stack that is named brings those with it
// from which it imports; a folder stands for all of them.
func TestStacks_ofOneApp(t *testing.T) {
	t.Parallel()
	stacks := map[string]string{
		"cdk.out/Api.template.json": `{"Resources": {
			"Chat": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Name": "chat", "ProtocolType": "WEBSOCKET", "RouteSelectionExpression": "$request.body.action"}},
			"Stage": {"Type": "AWS::ApiGatewayV2::Stage", "Properties": {"ApiId": {"Ref": "Chat"}, "StageName": "prod", "AutoDeploy": true}}},
			"Outputs": {"ExportChat": {"Value": {"Ref": "Chat"}, "Export": {"Name": "Api:ExportChat"}}}}`,
		"cdk.out/Other.template.json": `{"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}`,
		"cdk.out/Routes.template.json": `{"Resources": {
			"Mock": {"Type": "AWS::ApiGatewayV2::Integration", "Properties": {"ApiId": {"Fn::ImportValue": "Api:ExportChat"}, "IntegrationType": "MOCK"}},
			"Default": {"Type": "AWS::ApiGatewayV2::Route", "Properties": {"ApiId": {"Fn::ImportValue": "Api:ExportChat"}, "RouteKey": "$default",
				"Target": {"Fn::Join": ["/", ["integrations", {"Ref": "Mock"}]]}}}}}`,
	}
	for path, others := range map[string]int{"cdk.out/Routes.template.json": 0, "": 1} {
		d, err := loadStacks(t, path, stacks)
		require.NoError(t, err)
		require.Len(t, d.APIs, 1)
		require.Len(t, d.APIs[0].Routes, 1)
		require.Len(t, d.APIs[0].Stages, 1)
		require.Len(t, notes(d, definition.NotRun), others, "the queue of the stack Other")
	}
}

// A condition, and the values of Fn::ForEach, may import from another stack of a CDK app, which
// is then read before the stack itself is complete.
func TestStacks_importInCondition(t *testing.T) {
	t.Parallel()
	other := `{"Resources": {"Q": {"Type": "AWS::SQS::Queue"}}, "Outputs": {"Names": {"Value": "prod", "Export": {"Name": "Other:Stage"}}}}`
	condition := `{"Conditions": {"IsProd": {"Fn::Equals": [{"Fn::ImportValue": "Other:Stage"}, "prod"]}},
		"Resources": {"Chat": {"Type": "AWS::ApiGatewayV2::Api", "Condition": "IsProd", "Properties": {"Name": "chat", "ProtocolType": "WEBSOCKET", "RouteSelectionExpression": "$request.body.action"}}}}`
	loop := `{"Resources": {"Fn::ForEach::Apis": ["Name", [{"Fn::ImportValue": "Other:Stage"}], {
		"Api&{Name}": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Name": "chat", "ProtocolType": "WEBSOCKET", "RouteSelectionExpression": "$request.body.action"}}}]}}`
	for name, first := range map[string]string{"condition": condition, "loop": loop} {
		for _, path := range []string{"cdk.out/First.template.json", ""} {
			d, err := loadStacks(t, path, map[string]string{"cdk.out/First.template.json": first, "cdk.out/Other.template.json": other})
			require.NoError(t, err, name)
			require.Len(t, d.APIs, 1, name)
		}
	}
}

// A program that watches hears of all places where code and templates may appear.
func TestStacks_OnFileMissing(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{".serverless/cloudformation-template-update-stack.json": `{"Resources": {
		"N": {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "https://s3.amazonaws.com/b/n.json"}},
		"A": {"Type": "AWS::Lambda::Function", "Properties": {"Code": {"S3Key": "x/ab.zip"}, "Handler": "app.handler", "Runtime": "nodejs22.x"}}}}`})
	var heard []string
	_, err := definition.Load(filepath.Join(dir, ".serverless", "cloudformation-template-update-stack.json"), definition.Options{OnFile: func(path string) { heard = append(heard, filepath.Base(path)) }})
	require.NoError(t, err)
	require.Subset(t, heard, []string{"serverless-state.json", "n.json", "cloudformation-template-n.json", "ab.zip", "asset.ab", "asset.ab.zip"})
}

// A stack that cannot be read is an error where it is needed; an empty one is none.
func TestStacks_broken(t *testing.T) {
	t.Parallel()
	good := `{"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}`
	for name, c := range map[string]struct{ path, broken, want string }{
		"in a folder":   {"", `{"Resources": [`, "B.template.json:1: this is not JSON: it ends too early"},
		"beside a file": {"cdk.out/A.template.json", `{"Resources": [`, ""},
		"empty":         {"", `{"Rules": {}}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := loadStacks(t, c.path, map[string]string{"cdk.out/A.template.json": good, "cdk.out/B.template.json": c.broken})
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
		})
	}
	d, err := loadStacks(t, "cdk.out/A.template.json", map[string]string{"cdk.out/A.template.json": "{}"})
	require.NoError(t, err)
	require.Empty(t, d.Functions)
}

// A CDK app with a stage has its stacks in a folder for the stage, and its assets above.
func TestStacks_ofAStage(t *testing.T) {
	t.Parallel()
	stack := `{"Resources": {
		"F": {"Type": "AWS::Lambda::Function", "Properties": {"Code": {"S3Key": "0f.zip"}, "Handler": "app.handler", "Runtime": "nodejs22.x"}, "Metadata": {"aws:asset:path": "asset.0f"}}}}`
	d, err := loadStacks(t, "", map[string]string{"cdk.out/assembly-Prod/ProdApi.template.json": stack, "cdk.out/asset.0f/app.js": ""})
	require.NoError(t, err)
	require.Equal(t, "asset.0f", filepath.Base(d.Functions[0].Dir))
	_, err = loadStacks(t, "", map[string]string{"cdk.out/assembly-Prod/ProdApi.template.json": stack, "cdk.out/assembly-Dev/DevApi.template.json": stack})
	require.ErrorContains(t, err, "has several stages: name one of assembly-Dev, assembly-Prod")
}

func TestStacks_refused(t *testing.T) {
	t.Parallel()
	stack := func(properties string) string {
		return "Resources:\n  Nested:\n    Type: AWS::CloudFormation::Stack\n    Properties: {" + properties + "}\n"
	}
	use := "  F: {Type: AWS::Lambda::Function, Properties: {Code: code, Handler: app.handler, Runtime: nodejs22.x, FunctionName: !GetAtt %s}}\n"
	for name, c := range map[string]struct{ parent, want string }{
		"no file":           {stack("TemplateURL: nothing.yaml"), "template.yaml:4: Nested: the template of the nested stack is not at"},
		"no template":       {stack("TemplateURL: list.yaml"), "list.yaml:1: Nested: this is no template: it has no Resources"},
		"no path":           {stack("Parameters: {}"), "template.yaml:2: Nested: TemplateURL is missing: give the path of the template"},
		"no value":          {stack("TemplateURL: api.yaml"), `template.yaml:2: Nested: the parameter "Name" of the nested stack has no default: add it to Parameters`},
		"unknown parameter": {stack("TemplateURL: api.yaml, Parameters: {Name: a, Namse: b}"), `template.yaml:4: Nested: the template has no parameter "Namse", which was given a value: did you mean "Name"?`},
		"unknown output":    {stack("TemplateURL: api.yaml, Parameters: {Name: a, Names: 'a,b'}") + fmt.Sprintf(use, "Nested.Outputs.ApiD"), `template.yaml:5: F: the template of Nested (api.yaml) has no output "ApiD": did you mean "ApiId"?`},
		"output that is gone": {
			stack("TemplateURL: api.yaml, Parameters: {Name: a, Names: 'a,b'}") + fmt.Sprintf(use, "Nested.Outputs.Gone"),
			`template.yaml:5: F: the output "Gone" does not exist, because its condition "Never" is false`,
		},
		"itself": {stack("TemplateURL: template.yaml"), "template.yaml:2: Nested: stacks are nested more than 10 deep"},
		"itself twice": {
			stack("TemplateURL: template.yaml") + "  Second: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: template.yaml}}\n",
			"there are more than 100 nested stacks",
		},
		"a circle":   {stack("TemplateURL: api.yaml, Parameters: {Name: !GetAtt Nested.Outputs.ApiId}"), "template.yaml:2: Nested: these resources depend on each other in a circle: Nested → Nested"},
		"two of one": {stack("TemplateURL: named.yaml") + "  Second: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: named.yaml}}\n", "named.yaml:2: F: the function has the name same, as F has: give one of them another name, or name the file of one stack"},
		"imports": {"Resources: {Q: {Type: AWS::SQS::Queue}}\nOutputs:\n  A: {Value: !ImportValue b, Export: {Name: a}}\n  B: {Value: !ImportValue a, Export: {Name: b}}\n" +
			"  C: {Value: !ImportValue a}\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := files(t, map[string]string{
				"template.yaml": c.parent, "list.yaml": "{a: b}", "api.yaml": nestedAPI, "code/app.js": "",
				"named.yaml": "Resources:\n  F: {Type: AWS::Lambda::Function, Properties: {Code: code, Handler: app.handler, Runtime: nodejs22.x, FunctionName: same}}\n",
			})
			_, err := definition.Load(filepath.Join(dir, "template.yaml"), definition.Options{WorkDir: filepath.Join(dir, "work")})
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
		})
	}
}

// A nested stack that is only in a bucket does not run here, and its outputs are plausible.
func TestStacks_elsewhere(t *testing.T) {
	t.Parallel()
	d := mustLoad(t, `
Resources:
  Nested: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: "https://bucket.s3.amazonaws.com/a.yaml"}}
  App: {Type: AWS::Serverless::Application, Properties: {Location: {ApplicationId: "arn:aws:serverlessrepo:x", SemanticVersion: 1.0.0}}}
  F: {Type: AWS::Lambda::Function, Properties: {Code: code, Handler: app.handler, Runtime: nodejs22.x, Environment: {Variables: {X: !GetAtt Nested.Outputs.Url}}}}
`, definition.Options{})
	require.Equal(t, "local-Nested-Outputs.Url", d.Functions[0].Env["X"])
	require.Equal(t, []string{
		"template.yaml:3: AWS::CloudFormation::Stack (Nested): not run here: its template is not on this machine. Give the path of the template",
		"template.yaml:4: AWS::Serverless::Application (App): not run here: its template is not on this machine. Give the path of the template",
	}, notes(d, definition.NotRun))
}

// Fn::ForEach makes resources, conditions and outputs, also within each other.
func TestForEach(t *testing.T) {
	t.Parallel()
	d := mustLoad(t, `
Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]
Parameters: {Actions: {Type: CommaDelimitedList, Default: "join,say-it"}}
Conditions:
  Fn::ForEach::Stages: [Stage, [dev, prod], {"Is${Stage}": !Equals [!Ref Stage, prod]}]
Resources:
  Chat: {Type: AWS::ApiGatewayV2::Api, Properties: {Name: chat, ProtocolType: WEBSOCKET, RouteSelectionExpression: $request.body.action}}
  Fn::ForEach::Routes:
    - Action
    - !Ref Actions
    - Function&{Action}:
        Type: AWS::Serverless::Function
        Properties: {FunctionName: !Ref Action, CodeUri: ./code, Handler: app.handler, Runtime: nodejs22.x}
      Integration&{Action}:
        Type: AWS::ApiGatewayV2::Integration
        Properties: {ApiId: !Ref Chat, IntegrationType: AWS_PROXY, IntegrationUri: !GetAtt "Function&{Action}.Arn"}
      Route&{Action}:
        Type: AWS::ApiGatewayV2::Route
        Properties: {ApiId: !Ref Chat, RouteKey: "${Action}", Target: !Sub "integrations/${Integration&{Action}}"}
  Fn::ForEach::Stages:
    - Stage
    - [dev, prod]
    - Fn::ForEach::Colours:
        - Colour
        - [Red, Blue]
        - "${Stage}${Colour}":
            Type: AWS::ApiGatewayV2::Stage
            Condition: "Is${Stage}"
            Properties:
              ApiId: !Ref Chat
              StageName: !Sub "${Stage}${Colour}"
              AutoDeploy: true
              StageVariables: {"Fn::ForEach::Names": [Name, [a, b], {"${Name}": "${Name}-${Colour}"}]}
`, definition.Options{})
	api := d.APIs[0]
	require.Equal(t, []any{"join", "say-it"}, []any{api.Routes[0].Fields["routeKey"], api.Routes[1].Fields["routeKey"]})
	require.Equal(t, "Routesayit", api.Routes[1].LogicalID)
	require.Equal(t, "integrations/"+api.Integrations[1].ID, api.Routes[1].Fields["target"])
	require.Contains(t, api.Integrations[1].Fields["integrationUri"], "function:say-it")
	require.Equal(t, []string{"prodRed", "prodBlue"}, []string{api.Stages[0].ID, api.Stages[1].ID})
	require.Equal(t, map[string]any{"a": "a-Blue", "b": "b-Blue"}, api.Stages[1].Fields["stageVariables"])
	require.Empty(t, notes(d, definition.Warning))
}

func TestForEach_refused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string][2]string{
		"form":         {"[A, [b]]", "Fn::ForEach::X is written [identifier, [values], {key with ${identifier}: value}]"},
		"identifier":   {"[[A], [b], {c: d}]", "Fn::ForEach::X is written [identifier, [values], {key with ${identifier}: value}]"},
		"no list":      {"[A, b, {c: d}]", "Fn::ForEach::X needs a list of values, but has a text"},
		"no texts":     {"[A, [{b: c}], {c: d}]", "Fn::ForEach::X needs texts as values, but has a map"},
		"the same key": {"[A, [b, c], {Same: {Type: AWS::SQS::Queue}}]", "Fn::ForEach::X makes Same twice: its key needs ${A}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, []string{"template.yaml:2: " + c[1]}, problems(t, "Resources:\n  Fn::ForEach::X: "+c[0]+"\n", definition.Options{}))
		})
	}
}

// What needs the transform on AWS works without it here, and a warning says so.
func TestLanguageExtensions_missing(t *testing.T) {
	t.Parallel()
	d := mustLoad(t, "Resources:\n  Fn::ForEach::X: [A, [b], {\"Q${A}\": {Type: AWS::SQS::Queue}}]\n", definition.Options{})
	require.Contains(t, notes(d, definition.Warning),
		"template.yaml:1: Fn::ForEach works on AWS only with the transform AWS::LanguageExtensions: add it to Transform, before all others")
}
