package definition_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/definition"
)

// files writes files into a new folder and returns it.
func files(tb testing.TB, contents map[string]string) string {
	tb.Helper()
	dir := tb.TempDir()
	for name, content := range contents {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(tb, os.MkdirAll(filepath.Dir(path), 0o750))
		require.NoError(tb, os.WriteFile(path, []byte(content), 0o600))
	}
	return dir
}

// load reads a template with the name template.yaml, beside which is a folder "code" with app.js.
func load(tb testing.TB, template string, opts definition.Options) (*definition.Definition, error) {
	tb.Helper()
	dir := files(tb, map[string]string{"template.yaml": template, "code/app.js": "exports.handler = async () => ({})"})
	if opts.WorkDir == "" {
		opts.WorkDir = filepath.Join(dir, "work")
	}
	return definition.Load(filepath.Join(dir, "template.yaml"), opts)
}

func mustLoad(tb testing.TB, template string, opts definition.Options) *definition.Definition {
	tb.Helper()
	d, err := load(tb, template, opts)
	require.NoError(tb, err)
	return d
}

// problems returns the problems of a template without the folder of the file.
func problems(tb testing.TB, template string, opts definition.Options) []string {
	tb.Helper()
	_, err := load(tb, template, opts)
	var failed *definition.Error
	require.ErrorAs(tb, err, &failed)
	var texts []string
	for _, p := range failed.Problems {
		p.File = filepath.Base(p.File)
		texts = append(texts, p.String())
	}
	return texts
}

func notes(d *definition.Definition, kind definition.NoteKind) []string {
	var texts []string
	for _, n := range d.Notes {
		if n.Kind == kind {
			n.File = filepath.Base(n.File)
			texts = append(texts, n.String())
		}
	}
	return texts
}

func toJSON(tb testing.TB, v any) string {
	tb.Helper()
	text, err := json.Marshal(v)
	require.NoError(tb, err)
	return string(text)
}

// withEnv is a template whose only function has one environment variable for each test.
func withEnv(sections, variable string) string {
	return sections + `
Resources:
  Table: {Type: AWS::DynamoDB::Table, Properties: {TableName: connections}}
  Api:
    Type: AWS::ApiGatewayV2::Api
    Properties: {Name: chat, ProtocolType: WEBSOCKET, RouteSelectionExpression: $request.body.action}
  Function:
    Type: AWS::Lambda::Function
    Properties:
      Code: code
      Handler: app.handler
      Runtime: nodejs22.x
      Environment:
        Variables:
          X: ` + variable + "\n"
}

const sections = `
Parameters:
  Size: {Type: Number, Default: 5}
  Name: {Type: String, Default: red}
  Names: {Type: CommaDelimitedList, Default: "a, b,c"}
Mappings:
  ByRegion:
    us-east-1: {Host: one.example, Ports: [80, 443]}
    eu-west-1: {Host: two.example}
Conditions:
  IsRed: !Equals [!Ref Name, red]
  IsBlue: !Equals [!Ref Name, blue]
  NotBlue: !Not [Condition: IsBlue]
  Both: !And [Condition: IsRed, !Condition NotBlue]
  Either: {"Fn::Or": [{Condition: IsBlue}, {Condition: IsRed}]}
`

func TestIntrinsics(t *testing.T) {
	t.Parallel()
	opts := definition.Options{StackName: "chat", Imports: map[string]string{"shared-table": "orders"}}
	api := mustLoad(t, withEnv(sections, "x"), opts).APIs[0].ID
	for name, c := range map[string]struct{ variable, want string }{
		"text":                      {"plain", "plain"},
		"number":                    {"5", "5"},
		"boolean":                   {"true", "true"},
		"number with a zero before": {"012345678901", "012345678901"},
		"version":                   {"2010-09-09", "2010-09-09"},
		"Ref of a parameter":        {"!Ref Name", "red"},
		"Ref of a number":           {"{Ref: Size}", "5"},
		"Ref of a table":            {"!Ref Table", "connections"},
		"Ref of an API":             {"!Ref Api", api},
		"Ref of a region":           {"!Ref AWS::Region", "us-east-1"},
		"Ref of the account":        {"!Ref AWS::AccountId", "123456789012"},
		"Ref of the partition":      {"!Ref AWS::Partition", "aws"},
		"Ref of the suffix":         {"!Ref AWS::URLSuffix", "amazonaws.com"},
		"Ref of the stack":          {"!Ref AWS::StackName", "chat"},
		"GetAtt short":              {"!GetAtt Table.Arn", "arn:aws:dynamodb:us-east-1:123456789012:table/connections"},
		"GetAtt list":               {"{Fn::GetAtt: [Table, Arn]}", "arn:aws:dynamodb:us-east-1:123456789012:table/connections"},
		"GetAtt text":               {"{Fn::GetAtt: Table.Arn}", "arn:aws:dynamodb:us-east-1:123456789012:table/connections"},
		"GetAtt of an API":          {"!GetAtt Api.ApiEndpoint", "wss://" + api + ".execute-api.us-east-1.amazonaws.com"},
		"Sub":                       {"!Sub 'https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}/prod'", "https://" + api + ".execute-api.us-east-1.amazonaws.com/prod"},
		"Sub with an attribute":     {"!Sub '${Table.Arn}/index/*'", "arn:aws:dynamodb:us-east-1:123456789012:table/connections/index/*"},
		"Sub with variables":        {"!Sub ['${A}-${Name}', {A: !Ref Size}]", "5-red"},
		"Sub with a literal":        {"!Sub 'a ${!Name} ${Name}'", "a ${Name} red"},
		"Sub without an end":        {"!Sub 'a ${Name'", "a ${Name"},
		"Sub block":                 {"!Sub |\n            ${Name}\n            x", "red\nx\n"},
		"Join":                      {"!Join ['/', [a, !Ref Name, !Ref Size]]", "a/red/5"},
		"Join of a list":            {"!Join [':', !Ref Names]", "a:b:c"},
		"Join without values":       {"!Join ['/', []]", ""},
		"Select":                    {"!Select [1, [a, b]]", "b"},
		"Select with a text":        {"!Select ['0', !Ref Names]", "a"},
		"Split":                     {"!Select [2, !Split ['-', a-b-c]]", "c"},
		"If true":                   {"!If [IsRed, yes it is, no]", "yes it is"},
		"If false":                  {"!If [IsBlue, yes it is, no]", "no"},
		"If not":                    {"!If [NotBlue, a, b]", "a"},
		"If and":                    {"!If [Both, a, b]", "a"},
		"If or":                     {"!If [Either, a, b]", "a"},
		"If takes one branch only":  {"!If [IsRed, a, !Ref Nothing]", "a"},
		"FindInMap":                 {"!FindInMap [ByRegion, !Ref AWS::Region, Host]", "one.example"},
		"FindInMap list":            {"!Select [1, !FindInMap [ByRegion, us-east-1, Ports]]", "443"},
		"FindInMap default":         {"!FindInMap [ByRegion, us-west-2, Host, {DefaultValue: none}]", "none"},
		"ImportValue":               {"!ImportValue shared-table", "orders"},
		"ImportValue of a Sub":      {"{Fn::ImportValue: !Sub 'shared-${Kind}'}", ""},
		"Base64":                    {"!Base64 {Ref: Name}", "cmVk"},
		"GetAZs":                    {"!Select [0, !GetAZs '']", "us-east-1a"},
		"Cidr":                      {"!Join [' ', !Cidr [10.0.0.0/16, 3, 6]]", "10.0.0.0/26 10.0.0.64/26 10.0.0.128/26"},
		"Cidr over bytes":           {"!Select [255, !Cidr [10.0.0.0/16, 256]]", "10.0.255.0/24"},
		"Cidr of IPv6":              {"!Select [1, !Cidr ['2001:db8::/56', 2, 64]]", "2001:db8:0:1::/64"},
		"GetAtt of a domain":        {"!GetAtt Domain.DomainNameArn", "arn:aws:apigateway:us-east-1::/domainnames/red.example.com"},
		"Length":                    {"!Length {Ref: Names}", "3"},
		"ToJsonString":              {"!ToJsonString {b: 1, a: [!Ref Name]}", `{"b":1,"a":["red"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "ImportValue of a Sub" {
				c.variable, c.want = "{Fn::ImportValue: !Sub ['shared-${Kind}', {Kind: table}]}", "orders"
			}
			domain := "  Domain: {Type: AWS::ApiGatewayV2::DomainName, Properties: {DomainName: !Sub '${Name}.example.com'}}\n"
			d := mustLoad(t, withEnv(sections, c.variable)+domain, opts)
			require.Equal(t, map[string]string{"X": c.want}, d.Functions[0].Env)
		})
	}
}

func TestIntrinsics_noValue(t *testing.T) {
	t.Parallel()
	d := mustLoad(t, withEnv(sections, "x\n          Y: !If [IsBlue, a, !Ref AWS::NoValue]\n          Z: !Join ['', [a, !Ref AWS::NoValue, b]]"), definition.Options{})
	require.Equal(t, map[string]string{"X": "x", "Z": "ab"}, d.Functions[0].Env)
}

func TestIntrinsics_refused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ variable, want string }{
		"unknown Ref":       {"!Ref Tabel", `template.yaml:30: Function: the template has no parameter and no resource "Tabel": did you mean "Table"?`},
		"unknown in Sub":    {"!Sub 'a-${Nam}'", `template.yaml:30: Function: the template has no parameter and no resource "Nam": did you mean "Name"?`},
		"unknown GetAtt":    {"!GetAtt Tables.Arn", `template.yaml:30: Function: the template has no parameter and no resource "Tables": did you mean "Table"?`},
		"unknown attribute": {"!GetAtt Api.Url", `template.yaml:30: Function: Api (AWS::ApiGatewayV2::Api) has no attribute "Url": it has ApiEndpoint and ApiId`},
		"unknown function":  {"!Subs x", `template.yaml:30: !Subs is not a function of CloudFormation: did you mean "Fn::Sub"?`},
		"no tag value":      {"!Ref", `template.yaml:30: !Ref has no value: write it behind the tag`},
		"long form":         {"{Fn::Joint: x}", `template.yaml:30: Function: Fn::Joint is not a function of CloudFormation: did you mean "Fn::Join"?`},
		"Cidr":              {"!Cidr [a, 1, 2]", `template.yaml:30: Function: Fn::Cidr needs a block as 10.0.0.0/16, a count and a number of bits: netip.ParsePrefix("a"): no '/'`},
		"Cidr too small":    {"!Cidr [10.0.0.0/24, 4, 7]", `template.yaml:30: Function: Fn::Cidr cannot divide 10.0.0.0/24 into 4 blocks with 7 bits each`},
		"Transform":         {"{Fn::Transform: {Name: AWS::Include}}", `template.yaml:30: Function: Fn::Transform is not supported here: write its result instead, or run the tool that replaces it first`},
		"Join":              {"!Join [a]", `template.yaml:30: Function: Fn::Join is written [delimiter, [values]]`},
		"Join of maps":      {"!Join ['', [{a: b}]]", `template.yaml:30: Function: Fn::Join needs texts, but value 1 is a map`},
		"Select":            {"!Select [2, [a, b]]", `template.yaml:30: Function: Fn::Select has no value with the index "2": the index is a number from 0, and there are 2 values`},
		"Split":             {"!Select [0, !Split ['', abc]]", `template.yaml:30: Function: Fn::Split needs a delimiter, but it is empty`},
		"If":                {"!If [IsGreen, a, b]", `template.yaml:30: Function: the template has no condition "IsGreen"`},
		"FindInMap":         {"!FindInMap [ByRegion, us-east-2, Host]", `template.yaml:30: Function: Fn::FindInMap finds no "us-east-2" in the mapping ByRegion: did you mean "us-east-1"?`},
		"ImportValue":       {"!ImportValue x", `template.yaml:30: Function: another stack exports "x", which is not known here: give its value in the file of imported values`},
		"list in Sub":       {"!Sub '${Names}'", `template.yaml:30: Function: Fn::Sub cannot put ${Names} into a text: it is a list`},
		"list as variable":  {"!Ref Names", ``},
		"map as variable":   {"{a: {b: c}}", `template.yaml:30: Function: the environment variable X has to be a text, but is a map`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.want == "" {
				c.want = `template.yaml:30: Function: the environment variable X has to be a text, but is a list`
			}
			require.Equal(t, []string{c.want}, problems(t, withEnv(sections, c.variable), definition.Options{}))
		})
	}
}

func TestParameters(t *testing.T) {
	t.Parallel()
	const parameters = `Parameters:
  Stage: {Type: String, AllowedValues: [dev, prod], Default: dev}
  Name: {Type: String, MinLength: 3, MaxLength: 5, AllowedPattern: "^[a-z]+$", Default: abc, ConstraintDescription: small letters}
  Size: {Type: Number, MinValue: 5, MaxValue: 10, Default: 5}
  Secret: {Type: String, NoEcho: true, MinLength: 20, Default: 01234567890123456789}
  Label: {Type: String, MinLength: 3, MaxLength: 3, Default: ééé}
`
	d := mustLoad(t, withEnv(parameters, "!Sub '${Stage} ${Name} ${Size}'"), definition.Options{
		Parameters: map[string]string{"Stage": "prod", "Name": "wxyz", "Size": "10"},
	})
	require.Equal(t, "prod wxyz 10", d.Functions[0].Env["X"])
	for name, c := range map[string]struct{ value, want string }{
		"Stage":  {"test", `template.yaml:2: Stage: the parameter may not be "test": allowed are dev, prod`},
		"Name":   {"ABC", `template.yaml:3: Name: the parameter may not be "ABC" (small letters): it has to match ^[a-z]+$`},
		"Label":  {"éé", `template.yaml:6: Label: the parameter may not be "éé": it needs at least 3 characters`},
		"Size":   {"11", `template.yaml:4: Size: the parameter may not be "11": it may have at most 10 as value`},
		"Secret": {"hunter2", `template.yaml:5: Secret: the parameter may not be its secret value: it needs at least 20 characters`},
		"Stages": {"x", `template.yaml: the template has no parameter "Stages", which was given a value: did you mean "Stage"?`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := definition.Options{Parameters: map[string]string{name: c.value}}
			require.Equal(t, []string{c.want}, problems(t, withEnv(parameters, "x"), opts))
		})
	}
	t.Run("without a default", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, []string{"template.yaml:1: Table: the parameter has no default: give it a value"},
			problems(t, "Parameters: {Table: {Type: String}}\nResources: {}\n", definition.Options{}))
	})
	t.Run("of the Parameter Store", func(t *testing.T) {
		t.Parallel()
		d := mustLoad(t, withEnv("Parameters: {Token: {Type: 'AWS::SSM::Parameter::Value<String>', Default: /chat/token}}", "!Ref Token"), definition.Options{})
		require.Equal(t, "/chat/token", d.Functions[0].Env["X"])
		require.Contains(t, notes(d, definition.Warning),
			`template.yaml:1: Token: the value is in the Parameter Store, which is not here: the name "/chat/token" is used. Give the parameter a value`)
	})
}

func TestOtherResources(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ resource, variable, want string }{
		"table without a name": {"{Type: AWS::DynamoDB::Table}", "!Ref R", "local-R"},
		"stream":               {"{Type: AWS::DynamoDB::Table}", "!GetAtt R.StreamArn", "arn:aws:dynamodb:us-east-1:123456789012:table/local-R/stream/2020-01-01T00:00:00.000"},
		"queue":                {"{Type: AWS::SQS::Queue, Properties: {QueueName: jobs.fifo}}", "!Ref R", "https://sqs.us-east-1.amazonaws.com/123456789012/jobs.fifo"},
		"queue ARN":            {"{Type: AWS::SQS::Queue, Properties: {QueueName: jobs}}", "!GetAtt R.Arn", "arn:aws:sqs:us-east-1:123456789012:jobs"},
		"queue name":           {"{Type: AWS::SQS::Queue}", "!GetAtt R.QueueName", "local-R"},
		"topic":                {"{Type: AWS::SNS::Topic}", "!Ref R", "arn:aws:sns:us-east-1:123456789012:local-R"},
		"topic name":           {"{Type: AWS::SNS::Topic}", "!GetAtt R.TopicName", "local-R"},
		"bucket":               {"{Type: AWS::S3::Bucket}", "!Ref R", "local-r"},
		"bucket ARN":           {"{Type: AWS::S3::Bucket, Properties: {BucketName: b}}", "!GetAtt R.Arn", "arn:aws:s3:::b"},
		"bucket domain":        {"{Type: AWS::S3::Bucket, Properties: {BucketName: b}}", "!GetAtt R.DomainName", "b.s3.us-east-1.amazonaws.com"},
		"role":                 {"{Type: AWS::IAM::Role}", "!GetAtt R.Arn", "arn:aws:iam::123456789012:role/local-R"},
		"log group":            {"{Type: AWS::Logs::LogGroup, Properties: {LogGroupName: /a/b}}", "!Ref R", "/a/b"},
		"state machine":        {"{Type: AWS::StepFunctions::StateMachine}", "!Ref R", "arn:aws:states:us-east-1:123456789012:stateMachine:local-R"},
		"secret":               {"{Type: AWS::SecretsManager::Secret}", "!Ref R", "arn:aws:secretsmanager:us-east-1:123456789012:secret:local-R"},
		"parameter":            {"{Type: AWS::SSM::Parameter, Properties: {Name: /p, Value: v}}", "!Sub '${R} ${R.Value}'", "/p v"},
		"custom resource":      {"{Type: Custom::Thing}", "!GetAtt R.Anything", "local-R-Anything"},
		"version":              {"{Type: AWS::Lambda::Version, Properties: {FunctionName: f}}", "!Ref R", "arn:aws:lambda:us-east-1:123456789012:function:f:1"},
		"alias":                {"{Type: AWS::Lambda::Alias, Properties: {FunctionName: f, Name: live}}", "!Ref R", "arn:aws:lambda:us-east-1:123456789012:function:f:live"},
		"name from a table":    {"{Type: AWS::SQS::Queue, Properties: {QueueName: !Sub '${Table}-queue'}}", "!GetAtt R.QueueName", "connections-queue"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template := strings.Replace(withEnv("", c.variable), "Resources:\n", "Resources:\n  R: "+c.resource+"\n", 1)
			require.Equal(t, c.want, mustLoad(t, template, definition.Options{}).Functions[0].Env["X"])
		})
	}
	t.Run("are told once for each type", func(t *testing.T) {
		t.Parallel()
		template := strings.Replace(withEnv("", "x"), "Resources:\n", "Resources:\n  Other: {Type: AWS::DynamoDB::Table}\n  Role: {Type: AWS::IAM::Role}\n", 1)
		require.Equal(t, []string{
			"template.yaml:3: AWS::DynamoDB::Table (Other, Table): not run here: functions get the name; point them to a database with AWS_ENDPOINT_URL_DYNAMODB, which boto3 reads from 1.28 on",
			"template.yaml:4: AWS::IAM::Role (Role): not needed here",
		}, notes(mustLoad(t, template, definition.Options{}), definition.NotRun))
	})
}

// A program that watches a definition learns which files it consists of, also those that are
// missing.
func TestLoad_OnFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("serverless.yml", `service: chat
useDotenv: true
provider: {name: aws, runtime: nodejs20.x, environment: "${file(env.yml), null}", stage: "${file(stage.json):name, 'dev'}"}
functions: {f: {handler: app.handler, events: [{websocket: $connect}]}}
`)
	write("env.yml", "A: b\n")
	var files []string
	_, err := definition.Load(dir, definition.Options{OnFile: func(path string) {
		rel, err := filepath.Rel(dir, path)
		require.NoError(t, err)
		files = append(files, rel)
	}})
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"template.yaml", "template.yml", "template.json", "serverless.yml", "env.yml", "stage.json", ".env", ".env.dev"}, files)
}

// A terminal shows the control characters of a file, and does not obey them.
func TestNote_controlCharacters(t *testing.T) {
	t.Parallel()
	found := problems(t, `Resources: {"F\e[31m": {Type: "AWS::ApiGatewayV2::Ap\e]0;x\a\u009b\u202e"}}`, definition.Options{})
	require.Equal(t, []string{`template.yaml:1: F\x1b[31m: there is no type AWS::ApiGatewayV2::Ap\x1b]0;x\a\u009b\u202e`}, found)
	require.Equal(t, `a\nb: c\t\r�é`, definition.Note{File: "a\nb", Text: "c\t\r\x9bé"}.String())
}
