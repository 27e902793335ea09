package definition_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/definition"
)

// laughs is a list whose items are used twice by the next, many times.
func laughs(n int) string {
	var b strings.Builder
	b.WriteString("a0: &a0 [lol, lol]\n")
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [*a%d, *a%d]\n", i, i, i-1, i-1)
	}
	return b.String()
}

// names are queues of which each has the name of the next twice in its own.
func names(n int) string {
	var b strings.Builder
	b.WriteString("Resources:\n")
	for i := range n {
		fmt.Fprintf(&b, "  Q%d: {Type: AWS::SQS::Queue, Properties: {QueueName: !Sub '${Q%d.Arn}${Q%d.Arn}'}}\n", i, i+1, i+1)
	}
	fmt.Fprintf(&b, "  Q%d: {Type: AWS::SQS::Queue}\n", n)
	b.WriteString("  F: {Type: AWS::Lambda::Function, Properties: {Code: code, Runtime: nodejs22.x, Handler: app.handler, FunctionName: !Ref Q0}}\n")
	return b.String()
}

// Files that are made to take endless time or memory are refused soon, with the reason.
func TestLimits(t *testing.T) {
	t.Parallel()
	variables := "service: x\nprovider: {name: aws}\ncustom:\n  v0: lollollol\n"
	for i := 1; i < 60; i++ {
		variables += fmt.Sprintf("  v%d: '${self:custom.v%d}${self:custom.v%d}'\n", i, i-1, i-1)
	}
	deep := strings.Repeat("[", 200) + strings.Repeat("]", 200)
	nested := "service: x\nprovider: {name: aws}\ncustom: {v: '" + strings.Repeat("${", 20_000) + "a" + strings.Repeat("}", 20_000) + "'}\n" +
		"functions: {f: {handler: a.b, environment: {X: '${self:custom.v}'}}}\n"
	list := strings.Repeat("a,", 2_000)
	common := "Transform: AWS::Serverless-2016-10-31\nGlobals: {Function: {Environment: {Variables: {" + flowKeys("G", 3_000) + "}}}}\nResources:\n" +
		repeated(3_000, "  F%d: {Type: AWS::Serverless::Function, Properties: {Environment: {Variables: {A: b}}}}\n")
	framework := "service: x\nprovider: {name: aws, environment: {" + flowKeys("G", 3_000) + "}}\nfunctions:\n" +
		repeated(3_000, "  f%d: {handler: a.b, environment: {A: b}}\n")
	for name, c := range map[string]struct{ text, want string }{
		"lists in one line":   {"Resources: " + deep, "values are nested more than 100 deep"},
		"many lists":          {strings.Repeat("[", 200_000), "values are nested more than 100 deep"},
		"entries in one line": {"a:\n  " + strings.Repeat("- ", 100_000) + "x", "values are nested more than 100 deep"},
		"tags":                {"a: " + strings.Repeat("!Ref ", 100_000) + "x", "values are nested more than 100 deep"},
		"blocks":              {blocks(300), "values are nested more than 100 deep"},
		"JSON":                {`{"Resources":` + deep + "}", "values are nested more than 100 deep"},
		"anchors":             {laughs(60) + "Resources: {}\n", "the file is too large once its anchors are expanded"},
		"merge keys":          {"common: &a {" + flowKeys("K", 1_000) + "}\n" + repeated(5_000, "m%d: {<<: *a}\n") + "Resources: {}\n", "<< copies more than 1048576 keys in this file"},
		"merged lists":        {strings.Replace(laughs(40), "[lol, lol]", "{lol: lol}", 1) + "m: {<<: *a40}\nResources: {}\n", "<< copies more than 1048576 keys in this file"},
		"globals":             {common, "the merging of maps and lists copies more than 1048576 values"},
		"environments":        {framework, "the merging of maps and lists copies more than 1048576 values"},
		"nested variables":    {nested, "variables refer to variables more than 100 deep"},
		"values of ForEach": {
			"Resources:\n  Fn::ForEach::X:\n  - A\n  - [" + strings.Repeat("x", 10_000) + "]\n  - {'Q&{A}': {Type: AWS::SQS::Queue, Metadata: {M: '" + strings.Repeat("${A}", 100_000) + "'}}}\n",
			"the functions of this template make more than 16 MiB of text",
		},
		"keys as JSON": {
			"Mappings: {A: {B: {C: &k {'" + strings.Repeat("k", 10_000) + "': v}}}}\n" + withEnv("", "!ToJsonString ["+strings.Repeat("*k, ", 3_000)+"]"),
			"the functions of this template make more than 16 MiB of text",
		},
		"values of JSON":  {`{"Resources": [` + strings.Repeat("0,", 5_000_000) + "0]}", "the file is too large: it may have about 4000000 values"},
		"list parameters": {"{\"Parameters\": {" + repeated(600, `"P%d": {"Type": "CommaDelimitedList", "Default": "`+list+`"}, `) + `"P": {"Type": "String", "Default": ""}}, "Resources": {}}`, "the functions of this template make more than 16 MiB of text"},
		"resources":       {`{"Resources": {` + repeated(20_000, `"R%d": {"Type": "AWS::SQS::Queue"}, `) + `"R": {"Type": "AWS::SQS::Queue"}}}`, "the templates have more than 10000 resources"},
		"conditions":      {"{\"Conditions\": {" + chain(2_000) + `"C2000": {"Fn::Equals": [1, 1]}}, "Resources": {"Q": {"Type": "AWS::SQS::Queue", "Condition": "C0"}}}`, "this condition refers to other conditions more than 500 deep"},
		"names":           {names(60), "the functions of this template make more than 16 MiB of text"},
		"variables":       {variables + "functions: {f: {handler: a.b, environment: {X: '${self:custom.v59}'}}}\n", "make more than 16 MiB of text"},
		"size":            {"# " + strings.Repeat("x", 16<<20), "the file has 16777218 bytes: it may have 16777216"},
		"keys of one map": {manyKeys(100_000), "a map has more than 20000 keys"},
		"lines":           {strings.Repeat("- a\n", 1<<20+1), "the file has more than 1048576 lines and commas"},
		"an error late":   {strings.Repeat("{}", 1<<20), "this is not YAML"},
		"two documents":   {"Resources: {}\n---\nResources: {}\n", "a second document begins here"},
		"UTF-16":          {"\xff\xfeR\x00", "the file is in UTF-16: save it as UTF-8"},
		"empty":           {"# nothing\n", "the file is empty"},
		"no map":          {"- a\n", "the file has to be a map"},
		"something else":  {"a: b\n", "this is neither a template"},
		"no YAML":         {"a: [\n", "this is not YAML"},
		"no JSON":         {`{"a": 1,}`, "this is not JSON"},
		"JSON that ends":  {"{\"a\":\n", "this is not JSON: it ends too early"},
		"JSON key twice":  {"{\"a\": 1,\n\"a\": 2}", `the key "a" is here twice: remove one`},
		"YAML key twice":  {"a: 1\na: 2\n", "this is not YAML"},
		"unknown anchor":  {"a: *b\n", "the alias *b has no anchor &b before it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, c.text, definition.Options{})
			require.ErrorContains(t, err, c.want)
			require.Less(t, len(err.Error()), 4000)
		})
	}
}

// repeated is a text for each number.
func repeated(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// flowKeys are keys of a map within braces.
func flowKeys(prefix string, n int) string { return repeated(n, prefix+"%d: v, ") }

// chain are conditions of which each is the next.
func chain(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"C%d": {"Condition": "C%d"}, `, i, i+1)
	}
	return b.String()
}

func manyKeys(n int) string {
	var b strings.Builder
	b.WriteString("Resources:\n")
	for i := range n {
		fmt.Fprintf(&b, "  R%d: 1\n", i)
	}
	return b.String()
}

// A template of 10 MiB is read, as JSON and as YAML.
func TestLoad_large(t *testing.T) {
	t.Parallel()
	comment := strings.Repeat("x", 20<<10)
	for name, form := range map[string][3]string{
		"YAML": {"Resources:\n", "  T%d: {Type: AWS::DynamoDB::Table, Metadata: {Comment: %s}}\n", ""},
		"JSON": {"{\"Resources\":{", "\"T%d\":{\"Type\":\"AWS::DynamoDB::Table\",\"Metadata\":{\"Comment\":\"%s\"}},\n", "\"L\":{\"Type\":\"AWS::DynamoDB::Table\"}}}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b strings.Builder
			b.WriteString(form[0])
			for i := 0; b.Len() < 10<<20; i++ {
				fmt.Fprintf(&b, form[1], i, comment)
			}
			b.WriteString(form[2])
			d := mustLoad(t, b.String(), definition.Options{})
			require.Len(t, notes(d, definition.NotRun), 1)
		})
	}
}

func blocks(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

// Not more than 25 problems are told, in the order of the lines.
func TestError_many(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("Resources:\n")
	for i := range 40 {
		fmt.Fprintf(&b, "  R%d: {}\n", i)
	}
	found := problems(t, b.String(), definition.Options{})
	require.Len(t, found, 26)
	require.Equal(t, "template.yaml:2: R0: the resource has no Type", found[0])
	require.Equal(t, "template.yaml:26: and 15 more problems: mend these first", found[25])
}

// What YAML has beside the short forms: anchors, merge keys, blocks, keys of other types.
func TestYAML(t *testing.T) {
	t.Parallel()
	d := mustLoad(t, `
x-common: &common
  Runtime: nodejs22.x
  Handler: other.handler
  Code: code
Resources:
  F:
    Type: AWS::Lambda::Function
    Properties:
      <<: *common
      Handler: app.handler
      Environment:
        Variables:
          BLOCK: |
            {Fn::Sub: a}
            b
          FOLDED: >-
            c
            d
          QUOTED: "a {Fn::Sub: b}"
          FLOW: {Fn::Join: ["", [{Fn::Sub: "${AWS::Region}"}, {Ref: AWS::Region}]]}
          LIST: !Join ['', [!Ref AWS::Region, '/', !Sub arn:aws:x, "!Ref a:b, "]]
          MAP: {"Fn::Join": ['', [!Ref AWS::Region, {Ref: AWS::Region}]]}
          HEX: 0x10
          FLOAT: 1.50
          ACCOUNT: 012345670123
          ZEROS: 00
          LONG: 0x11111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111
          UNDERSCORES: 1_000
          NOTHING:
`, definition.Options{})
	require.Equal(t, "app.handler", d.Functions[0].Handler)
	require.Equal(t, map[string]string{
		"BLOCK": "{Fn::Sub: a}\nb\n", "FOLDED": "c d", "QUOTED": "a {Fn::Sub: b}", "FLOW": "us-east-1us-east-1", "HEX": "16",
		"LIST": "us-east-1/arn:aws:x!Ref a:b, ", "MAP": "us-east-1us-east-1", "FLOAT": "1.50", "NOTHING": "",
		"ACCOUNT": "012345670123", "ZEROS": "00", "LONG": "0x11111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111", "UNDERSCORES": "1000",
	}, d.Functions[0].Env)
}

func TestLoad_folder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"nothing":         {map[string]string{"a.txt": ""}, "has none of template.yaml, template.yml"},
		"several stacks":  {map[string]string{"cdk.out/A.template.json": `{"Resources": {}}`, "cdk.out/B.template.json": `{"Resources": {}}`}, ""},
		"a CDK project":   {map[string]string{"cdk.json": "{}"}, `is a CDK project: run "cdk synth" first`},
		"a program":       {map[string]string{"serverless.ts": ""}, `run "serverless print --format yaml > serverless.local.yml" first`},
		"a missing file":  {nil, "no such file"},
		"a stack of CDK":  {map[string]string{"cdk.out/A.template.json": `{"Resources": {}}`}, ""},
		"a template file": {map[string]string{"template.yml": "Resources: {}"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "nowhere")
			if c.files != nil {
				dir = files(t, c.files)
			}
			_, err := definition.Load(dir, definition.Options{})
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
		})
	}
}

// Any file gives a definition or an error that has the file, in a short time.
func FuzzLoad(f *testing.F) {
	shapes, err := filepath.Glob("testdata/shapes/*.y*ml")
	require.NoError(f, err)
	more, err := filepath.Glob("testdata/shapes/*/*.[yj]*")
	require.NoError(f, err)
	for _, name := range append(shapes, more...) {
		content, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(string(content))
	}
	f.Add(laughs(30))
	f.Add("service: x\nprovider: {name: aws}\nresources: {Resources: [{A: {Type: AWS::SQS::Queue}}, {B: {Type: AWS::SQS::Queue}}], Outputs: [{O: {Value: a}}]}\n")
	f.Add("service: x\nprovider: {name: aws}\ncustom: {v: '${${${self:custom.w}}}'}\n")
	f.Add("a: &a {b: c}\nd: {<<: [*a, *a]}\nResources: {}\n")
	f.Add(samAPI)
	f.Add(serverlessFile)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(dir, "template.yaml")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		d, err := definition.Load(path, definition.Options{WorkDir: filepath.Join(dir, "work")})
		if err != nil {
			require.Contains(t, err.Error(), path)
			return
		}
		ids := map[string]bool{}
		for _, c := range d.Calls() {
			require.False(t, ids[c.Path], "two calls for %s", c.Path)
			ids[c.Path] = true
			require.NotNil(t, c.Body)
		}
	})
}

// Any function of a template gives a text or a problem with a line.
func FuzzIntrinsics(f *testing.F) {
	for _, seed := range []string{
		"!Sub '${A}-${!B}-${AWS::Region}'", "!Join ['/', [a, !Ref Name]]", "!If [IsRed, a, b]", "!Select [0, !Split [',', 'a,b']]",
		"!FindInMap [ByRegion, !Ref AWS::Region, Host]", "!GetAtt Table.Arn", "{Fn::Base64: {Fn::Sub: a}}", "!Sub ['${a}', {a: !Ref Size}]", "!Ref",
		"!Select [1, !Cidr [10.0.0.0/16, 2, 8]]", "!ToJsonString {a: [!Ref Names]}", "!FindInMap [A, b, c, {DefaultValue: d}]", "!ImportValue a",
		"{Fn::ForEach::X: [A, !Ref Names, {'${A}': {Ref: A}}]}", "{Ref: A, Fn::ForEach::X: [A, [a, a], {b: c}]}",
	} {
		f.Add(seed)
	}
	dir := files(f, map[string]string{"code/app.js": ""})
	f.Fuzz(func(t *testing.T, variable string) {
		if strings.ContainsAny(variable, "\n\r") {
			t.Skip("one line only, so that the line is known")
		}
		path := filepath.Join(dir, "template.yaml")
		require.NoError(t, os.WriteFile(path, []byte(withEnv(sections, variable)), 0o600))
		d, err := definition.Load(path, definition.Options{WorkDir: filepath.Join(dir, "work")})
		if err != nil {
			require.Contains(t, err.Error(), path+":")
			return
		}
		require.Len(t, d.Functions, 1)
	})
}
