package definition_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/definition"
)

func archive(tb testing.TB, entries map[string]string) string {
	tb.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, content := range entries {
		w, err := z.Create(name)
		require.NoError(tb, err)
		_, err = w.Write([]byte(content))
		require.NoError(tb, err)
	}
	require.NoError(tb, z.Close())
	return b.String()
}

// loadFiles reads the first of the files, with a WorkDir of its own.
func loadFiles(tb testing.TB, name string, contents map[string]string) (*definition.Definition, string, error) {
	tb.Helper()
	dir := files(tb, contents)
	d, err := definition.Load(filepath.Join(dir, filepath.FromSlash(name)), definition.Options{WorkDir: filepath.Join(dir, "work")})
	return d, dir, err
}

func TestFunction(t *testing.T) {
	t.Parallel()
	d := mustLoad(t, `Resources:
  Given:
    Type: AWS::Lambda::Function
    Properties: {FunctionName: given, Code: code, Handler: app.handler, Runtime: nodejs22.x, Timeout: 10, MemorySize: 512,
      Environment: {Variables: {A: 1, B: true}}}
  Defaults:
    Type: AWS::Lambda::Function
    Properties: {Code: ./code/, Handler: app.handler, Runtime: nodejs22.x}
`, definition.Options{StackName: "chat"})
	require.Len(t, d.Functions, 2)
	f := d.Functions[0]
	require.Equal(t, "code", filepath.Base(f.Dir))
	require.True(t, filepath.IsAbs(f.Dir))
	dir := f.Dir
	require.Equal(t, definition.Function{
		LogicalID: "Given", Name: "given", ARN: "arn:aws:lambda:us-east-1:123456789012:function:given", Dir: dir,
		Handler: "app.handler", Runtime: "nodejs22.x", Env: map[string]string{"A": "1", "B": "true"}, Timeout: 10 * time.Second, MemoryMB: 512,
	}, f)
	require.Equal(t, definition.Function{
		LogicalID: "Defaults", Name: "chat-Defaults", ARN: "arn:aws:lambda:us-east-1:123456789012:function:chat-Defaults", Dir: dir,
		Handler: "app.handler", Runtime: "nodejs22.x", Env: map[string]string{}, Timeout: 3 * time.Second, MemoryMB: 128,
	}, d.Functions[1])
}

func function(properties string) string {
	return "Resources:\n  F:\n    Type: AWS::Lambda::Function\n    Properties: {Runtime: nodejs22.x, Handler: index.handler, " + properties + "}\n"
}

// Code is found in a folder, an archive, the text of the template, an asset of CDK, and
// what "sls package" leaves beside its template.
func TestFunction_code(t *testing.T) {
	t.Parallel()
	const program = "exports.handler = async () => 1"
	zipped := archive(t, map[string]string{"index.js": program, "lib/a.js": "a"})
	asset := `{"Resources":{"F":{"Type":"AWS::Lambda::Function","Metadata":{"aws:asset:path":"asset.abc"},
		"Properties":{"Runtime":"nodejs22.x","Handler":"index.handler","Code":{"S3Bucket":{"Fn::Sub":"cdk-assets-${AWS::AccountId}"},"S3Key":"abc.zip"}}}}}`
	for name, c := range map[string]struct {
		file  string
		files map[string]string
	}{
		"folder":             {"template.yaml", map[string]string{"template.yaml": function("Code: src"), "src/index.js": program}},
		"folder above":       {"a/template.yaml", map[string]string{"a/template.yaml": function("Code: ../src"), "src/index.js": program}},
		"archive":            {"template.yaml", map[string]string{"template.yaml": function("Code: f.zip"), "f.zip": zipped}},
		"text":               {"template.yaml", map[string]string{"template.yaml": function("Code: {ZipFile: '" + program + "'}")}},
		"text of a Join":     {"template.yaml", map[string]string{"template.yaml": function("Code: {ZipFile: !Join ['', ['" + program[:9] + "', '" + program[9:] + "']]}")}},
		"asset of CDK":       {"cdk.out/S.template.json", map[string]string{"cdk.out/S.template.json": asset, "cdk.out/asset.abc/index.js": program}},
		"archive of CDK":     {"S.template.json", map[string]string{"S.template.json": strings.Replace(asset, "asset.abc", "asset.abc.zip", 1), "asset.abc.zip": zipped}},
		"beside the file":    {"t.json", map[string]string{"t.json": `{"Resources":{"F":{"Type":"AWS::Lambda::Function","Properties":{"Runtime":"nodejs22.x","Handler":"index.handler","Code":{"S3Bucket":{"Ref":"B"},"S3Key":"serverless/x/f.zip"}}},"B":{"Type":"AWS::S3::Bucket"}}}`, "f.zip": zipped}},
		"folder of template": {".", map[string]string{"template.yaml": function("Code: src"), "src/index.js": program}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, _, err := loadFiles(t, c.file, c.files)
			require.NoError(t, err)
			require.Len(t, d.Functions, 1)
			content, err := os.ReadFile(filepath.Join(d.Functions[0].Dir, "index.js"))
			require.NoError(t, err)
			require.Equal(t, program, string(content))
			require.NotContains(t, toJSON(t, d.Notes), "handler")
		})
	}
}

func TestFunction_codeRefused(t *testing.T) {
	t.Parallel()
	many := manyFolders(t)
	for name, c := range map[string]struct{ properties, want string }{
		"missing folder": {"Code: nowhere", "the code of the function is not at DIR/nowhere: build it first, or correct the path"},
		"no archive":     {"Code: template.yaml", "DIR/template.yaml is no folder, no zip file and no jar file: give the folder of the code"},
		"broken archive": {"Code: broken.zip", "DIR/broken.zip cannot be unpacked: zip: not a valid zip file"},
		"symbolic link":  {"Code: link.zip", `DIR/link.zip cannot be unpacked: the entry "node_modules/.bin/a" is a symbolic link: pack what it points to, as zip does without -y`},
		"outside":        {"Code: outside.zip", `DIR/outside.zip cannot be unpacked: the entry "../../evil" would lie outside of the folder`},
		"deep folders":   {"Code: deep.zip", "has more than 1024 bytes or 100 folders"},
		"long names":     {"Code: long.zip", "has more than 1024 bytes or 100 folders"},
		"many folders":   {"Code: many.zip", "DIR/many.zip cannot be unpacked: it has more than 50000 files and folders"},
		"none":           {"", "the function has no code: give the path of its folder"},
		"timeout":        {"Code: ., Timeout: 901", "Timeout has to be a whole number from 1 to 900"},
		"environment":    {"Code: ., Environment: {Variables: [a]}", "Environment.Variables has to be a map, but is a list"},
		"text for Go":    {"Code: {ZipFile: x}, Runtime: provided.al2023", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template := function(c.properties)
			if c.want == "" {
				template = strings.Replace(function("Code: {ZipFile: x}"), "nodejs22.x", "provided.al2023", 1)
				c.want = `the text of a program is for Node.js and Python only, but Runtime is "provided.al2023": put the code into a folder`
			}
			_, dir, err := loadFiles(t, "template.yaml", map[string]string{
				"template.yaml": template, "broken.zip": "no", "outside.zip": archive(t, map[string]string{"../../evil": "x"}), "link.zip": link(t),
				"deep.zip": archive(t, map[string]string{strings.Repeat("a/", 101) + "f": "x"}), "long.zip": archive(t, map[string]string{strings.Repeat("a", 1025): "x"}),
				"many.zip": many,
			})
			require.ErrorContains(t, err, strings.ReplaceAll(c.want, "DIR", dir))
			require.NoFileExists(t, filepath.Join(filepath.Dir(dir), "evil"))
		})
	}
}

// manyFolders is an archive with few files and very many folders.
func manyFolders(tb testing.TB) string {
	tb.Helper()
	entries := map[string]string{}
	for i := range 600 {
		entries[fmt.Sprintf("%d/%s", i, strings.Repeat("a/", 90))] = ""
	}
	return archive(tb, entries)
}

// link is an archive with a symbolic link, as "zip -y" makes it.
func link(tb testing.TB) string {
	tb.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	header := &zip.FileHeader{Name: "node_modules/.bin/a"}
	header.SetMode(0o777 | os.ModeSymlink)
	w, err := z.CreateHeader(header)
	require.NoError(tb, err)
	_, err = w.Write([]byte("../a/cli.js"))
	require.NoError(tb, err)
	require.NoError(tb, z.Close())
	return b.String()
}

// Code that has changed is in another folder. The earlier one stays while it is needed, and
// nothing but such folders is removed.
func TestDefinition_RemoveUnused(t *testing.T) {
	t.Parallel()
	layers := "  L: {Type: AWS::Lambda::LayerVersion, Properties: {Content: layer.zip}}\n"
	dir := files(t, map[string]string{"layer.zip": archive(t, map[string]string{"nodejs/a.js": ""}), "work/mine/a": "", "work/.new-123/half": "", "work/Gone-0123456789abcdef/index.js": ""})
	read := func(program string) *definition.Definition {
		template := function("Layers: [!Ref L], Code: {ZipFile: '"+program+"'}") + layers
		require.NoError(t, os.WriteFile(filepath.Join(dir, "template.yaml"), []byte(template), 0o600))
		d, err := definition.Load(dir, definition.Options{WorkDir: filepath.Join(dir, "work")})
		require.NoError(t, err)
		return d
	}
	names := func() (all []string) {
		entries, err := os.ReadDir(filepath.Join(dir, "work"))
		require.NoError(t, err)
		for _, e := range entries {
			all = append(all, e.Name())
		}
		return all
	}
	code := func(d *definition.Definition) string { return filepath.Base(d.Functions[0].Dir) }
	first := read("one")
	layer := filepath.Base(filepath.Dir(first.Functions[0].Env["NODE_PATH"]))
	require.ElementsMatch(t, []string{"mine", ".new-123", "Gone-0123456789abcdef", code(first), layer}, names())
	require.NoError(t, first.RemoveUnused())
	require.ElementsMatch(t, []string{"mine", code(first), layer}, names())
	second := read("two")
	require.NoError(t, second.RemoveUnused(first))
	require.ElementsMatch(t, []string{"mine", code(first), code(second), layer}, names())
	require.NoError(t, second.RemoveUnused())
	require.ElementsMatch(t, []string{"mine", code(second), layer}, names())

	without := mustLoad(t, "Resources: {}", definition.Options{})
	require.NoError(t, without.RemoveUnused(), "there is no folder")
}

func TestFunction_notes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		properties string
		kind       definition.NoteKind
		want       string
		runs       bool
	}{
		"image":      {"PackageType: Image, Code: {ImageUri: x}", definition.NotRun, "the function is a container image, which does not run here: its events fail", false},
		"S3":         {"Code: {S3Bucket: b, S3Key: a/f.zip}", definition.NotRun, "the code is in S3 (a/f.zip), and not beside this file: give the template as it was before packaging, or put f.zip beside it", false},
		"layers":     {"Code: src, Layers: [x]", definition.Warning, "the layer is not a folder of this machine: put what it has into the folder of the code", true},
		"TypeScript": {"Code: ts", definition.Warning, `it is TypeScript, so build it first and use the output, as ".aws-sam/build/template.yaml" of "sam build"`, true},
		"no handler": {"Code: empty", definition.Warning, `empty: correct Handler`, true},
		"secret":     {"Code: src, Environment: {Variables: {A: '{{resolve:ssm:/a}}'}}", definition.Warning, "the environment variable A is resolved only on AWS: set it yourself", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, _, err := loadFiles(t, "template.yaml", map[string]string{
				"template.yaml": function(c.properties), "src/index.js": "", "ts/index.ts": "", "empty/x": "",
			})
			require.NoError(t, err)
			require.Contains(t, strings.Join(notes(d, c.kind), "\n"), c.want)
			require.Equal(t, c.runs, len(d.Functions) == 1)
		})
	}
}

// A key of the metadata names the program of a function whose runtime is not on this machine.
func TestFunction_command(t *testing.T) {
	t.Parallel()
	function := func(command string) string {
		return "Resources:\n  F:\n    Type: AWS::Lambda::Function\n    Metadata: {'gateway:command': " + command + "}\n    Properties: {Code: code, Runtime: java21, Handler: x}\n"
	}
	d := mustLoad(t, function("[java, -jar, !Sub '${AWS::Region}.jar']"), definition.Options{})
	require.Equal(t, []string{"java", "-jar", "us-east-1.jar"}, d.Functions[0].Command)
	d = mustLoad(t, function("./run"), definition.Options{})
	require.Equal(t, []string{"./run"}, d.Functions[0].Command)
	require.Equal(t, []string{"template.yaml:4: F: gateway:command has to be a program and its arguments, as in [java, -jar, app.jar]"},
		problems(t, function("[{a: b}]"), definition.Options{}))
}

// Layers whose content is a folder give their modules through the environment.
func TestFunction_layers(t *testing.T) {
	t.Parallel()
	template := `
Transform: AWS::Serverless-2016-10-31
Globals: {Function: {CodeUri: code, Handler: app.handler, Layers: [!Ref Shared]}}
Resources:
  Shared: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: layers/shared}}
  Plain: {Type: AWS::Lambda::LayerVersion, Properties: {Content: layers/plain}}
  Far: {Type: AWS::Lambda::LayerVersion, Properties: {Content: {S3Bucket: b, S3Key: k}}}
  Node: {Type: AWS::Serverless::Function, Properties: {Runtime: nodejs22.x, Environment: {Variables: {NODE_PATH: /own}}}}
  Python: {Type: AWS::Serverless::Function, Properties: {Runtime: python3.12, Layers: [!Ref Plain]}}
  Other: {Type: AWS::Serverless::Function, Properties: {Runtime: provided.al2023, Layers: [!Ref Far, "arn:aws:lambda:us-east-1:1:layer:x:1"]}}
`
	dir := files(t, map[string]string{
		"template.yaml": template, "code/app.js": "", "code/app.py": "", "layers/shared/nodejs/node_modules/a/index.js": "", "layers/shared/python/b.py": "", "layers/plain/c.py": "",
	})
	d, err := definition.Load(filepath.Join(dir, "template.yaml"), definition.Options{WorkDir: filepath.Join(dir, "work")})
	require.NoError(t, err)
	at := func(names ...string) string {
		for i := range names {
			names[i] = filepath.Join(dir, "layers", names[i])
		}
		return strings.Join(names, string(os.PathListSeparator))
	}
	require.Equal(t, "/own"+string(os.PathListSeparator)+at("shared/nodejs/node_modules", "shared/nodejs"), d.Functions[0].Env["NODE_PATH"])
	require.Equal(t, map[string]string{"PYTHONPATH": at("shared/python", "plain")}, d.Functions[1].Env)
	require.Empty(t, d.Functions[2].Env)
	require.Contains(t, notes(d, definition.Warning),
		"template.yaml:10: Other: the layer is not a folder of this machine: put what it has into the folder of the code")
}
