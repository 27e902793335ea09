package config

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/lambda/process"
)

// base is a configuration without mistakes, to which a test adds one line.
const base = `stage: prod
listen: [{address: ":8080"}]
integrations: {ok: {mock: {}}}
routes: {$default: {integration: ok}}
`

func load(t *testing.T, text string) (*Built, []Problem, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	built, warnings, err := Load(file, Options{}, &Builder{})
	for n := range warnings {
		warnings[n].File = ""
	}
	return built, warnings, err
}

// Each mistake is reported once, at its line, with what to do.
func TestLoad_Mistakes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"empty":                {"", ": the file is empty: write at least stage, listen and routes"},
		"not YAML":             {"stage: [", ":1:8: this is not YAML: sequence end token ']' not found"},
		"not YAML, and large":  {"{" + strings.Repeat("{a: ", 500) + strings.Repeat("!Ref A::B,", 100_000), ":1:2: this is not YAML: could not find flow map content"},
		"a key twice":          {base + "stage: x", `:5:1: this is not YAML: mapping key "stage" already defined at [1:1]`},
		"several documents":    {base + "---\nstage: x", ": the file has several documents: remove the lines with ---"},
		"a list":               {"- a", `write an object: one line for each member, as in "name: value"`},
		"unknown key":          {base + "origin: x", `:5:1: origin: there is no such key: did you mean "origins"?`},
		"unknown key, no idea": {base + "log: {zzz: 1}", ":5:7: log.zzz: there is no such key: use level, format"},
		"no value":             {base + "origins:", ":5:1: origins: there is no value: write one, or remove the key"},
		"not a list":           {base + "origins: x", ":5:1: origins: write a list: one line for each value, beginning with -"},
		"not an object":        {base + "log: json", `:5:1: log: write an object`},
		"not one value":        {base + "health: [x]", ":5:1: health: write one value, not a list or an object"},
		"not text":             {base + "health: true", ":5:1: health: true is not text: put it into quotes"},
		"not a number":         {base + "throttle: {rate: fast}", `:5:12: throttle.rate: "fast" is not a number`},
		"not a whole number":   {base + "throttle: {rate: 1, burst: 1.5}", `throttle.burst: "1.5" is not a whole number`},
		"not a boolean":        {base + "quotas: {pingsResetIdle: yes}", `"yes" is neither true nor false`},
		"not a time":           {base + "quotas: {idleTimeout: 10}", `"10" is not a time: write a number with a unit`},
		"a negative time":      {base + "shutdown: {timeout: -1s}", `"-1s" is not a time`},
		"not a limit":          {base + "quotas: {connections: 0}", `"0" is not a limit: write a whole number above 0, or off for no limit`},
		"a merge":              {base + "log:\n  <<: x\n", "log: << is not supported: write the members themselves"},
		"quotas of no sense":   {base + "quotas: {frameBytes: 2000, messageBytes: 1000}", ":5:1: quotas: "},
		"no stage":             {strings.Replace(base, "stage: prod", "path: /x", 1), ": stage is missing: name the stage"},
		"bad stage":            {strings.Replace(base, "prod", "a b", 1), `:1:1: stage: stage name "a b"`},
		"no listen":            {strings.Replace(base, `listen: [{address: ":8080"}]`, "", 1), ": listen is missing"},
		"no address":           {strings.Replace(base, `{address: ":8080"}`, "{tls: {certificate: a, key: b}}", 1), "listen.1: address is missing"},
		"bad address":          {strings.Replace(base, ":8080", "8080", 1), `listen.1.address: "8080" is not an address with a port`},
		"half of TLS":          {base + "management: {access: open, listen: {address: \":1\", tls: {key: x}}}", "management.listen.tls: write both certificate and key"},
		"no certificate":       {base + "management: {access: open, listen: {address: \":1\", tls: {key: x, certificate: y}}}", "no such file or directory"},
		"relative path":        {base + "path: prod", `:5:1: path: "prod" is not a path: write one as /prod`},
		"path with a slash":    {base + "path: /prod/", `path: "/prod/" ends in a slash: remove it`},
		"path of @connections": {base + "path: /@connections", "choose another path"},
		"log level":            {base + "log: {level: loud}", `log.level: "loud" is not possible: write debug or info or warn or error`},
		"origin":               {base + "origins: [good.example, https://a/b]", `:5:25: origins.2: `},
		"compression":          {base + "compression: {level: 10}", "gateway.yaml:5:1: compression: Level is 10"},
		"proxy":                {base + "proxies: [10.0.0.0/99]", `proxies.1: "10.0.0.0/99" is not an address or a network`},
		"proxies of all":       {base + "proxies: [127.0.0.1, 0.0.0.0/0]", ":5:22: proxies.2: network 0.0.0.0/0 is everybody"},
		"answer to no text":    {base + "autoResponse: {'': pong}", "gateway.yaml:5:16: autoResponse: the text is empty"},
		"expression":           {base + "routeSelectionExpression: action", ":5:1: routeSelectionExpression: "},
		"throttle":             {base + "throttle: {burst: 5}", ":5:1: throttle: "},
		"no routes":            {"stage: a\nlisten: [{address: \":1\"}]", ": routes is missing: write at least one route"},
		"no integration":       {strings.Replace(base, "{integration: ok}", "{}", 1), ":4:10: routes.$default: integration is missing: name one of integrations"},
		"unknown integration":  {base + "# x\n" + "apiKeySource: header\nauthorizers: {a: {lambda: {integration: okay}}}", `authorizers.a.lambda: integration has to name a lambda or process integration, and "okay" is none`},
		"misspelt integration": {strings.Replace(strings.Replace(base, "{ok:", "{backend:", 1), "integration: ok", "integration: bakend", 1), `:4:21: routes.$default.integration: there is no integration "bakend": did you mean "backend"?`},
		"two kinds":            {strings.Replace(base, "{mock: {}}", "{mock: {}, http: {uri: http://x}}", 1), ":3:16: integrations.ok: write one of http, lambda, process and mock"},
		"bad URI":              {strings.Replace(base, "{mock: {}}", "{http: {uri: ftp://x}}", 1), ":3:16: integrations.ok: "},
		"bad template":         {strings.Replace(base, "{mock: {}}", "{mock: {transform: {requestTemplates: {$default: '#if'}}}}", 1), ":3:16: integrations.ok: "},
		"bad function":         {strings.Replace(base, "{mock: {}}", "{lambda: {url: x}}", 1), ":3:16: integrations.ok: "},
		"process without dir":  {strings.Replace(base, "{mock: {}}", "{process: {runtime: provided}}", 1), ":3:21: integrations.ok.process: dir is missing: write the folder with the function's code"},
		"process elsewhere":    {strings.Replace(base, "{mock: {}}", "{process: {dir: nowhere, runtime: provided}}", 1), "nowhere is not a folder: set it to the folder with the function's code"},
		"process of what":      {strings.Replace(base, "{mock: {}}", "{process: {dir: .}}", 1), "integrations.ok.process: runtime is missing: write one, such as nodejs22.x, python3.12 or provided.al2023, or a command"},
		"unknown runtime":      {strings.Replace(base, "{mock: {}}", "{process: {dir: ., runtime: cobol}}", 1), `integrations.ok.process: there is no bootstrap for the runtime "cobol"`},
		"no such program":      {strings.Replace(base, "{mock: {}}", "{process: {dir: ., command: [no-such-program]}}", 1), "integrations.ok.process: Command: no-such-program is not on the PATH"},
		"variable of a list":   {strings.Replace(base, "{mock: {}}", "{process: {dir: ., runtime: provided, env: {A: [x]}}}", 1), "integrations.ok.process.env.A: write an object"},
		"variable of two":      {strings.Replace(base, "{mock: {}}", "{process: {dir: ., runtime: provided, env: {A: {file: a, environment: b}}}}", 1), "integrations.ok.process.env.A: write either environment or file: where the secret is"},
		"authorizer, function": {strings.Replace(base, "{mock: {}}", "{process: {dir: .}}", 1) + "authorizers: {a: {lambda: {integration: ok}}}", "integrations.ok.process: runtime is missing: write one, such as nodejs22.x, python3.12 or provided.al2023, or a command"},
		"reserved key":         {strings.Replace(base, "$default", "$other", 1), `:4:10: routes.$other: route key "$other": only $connect, $disconnect and $default begin with $, and $join and $leave`},
		"authorizer elsewhere": {base + "authorizers: {a: {jwt: {issuer: 'https://x.example', anyAudience: true}}}\n# x", "WARNING"},
		"unknown authorizer":   {strings.Replace(base, "{integration: ok}", "{integration: ok, authorizer: a}", 1), `routes.$default.authorizer: there is no authorizer "a"`},
		"bad authorizer":       {base + "authorizers: {a: {jwt: {}}}", ":5:19: authorizers.a.jwt: "},
		"no API keys":          {strings.Replace(base, "{integration: ok}", "{integration: ok, apiKeyRequired: true}", 1), "routes.$default.apiKeyRequired: there are no API keys: write usagePlans"},
		"no model":             {strings.Replace(base, "{integration: ok}", "{integration: ok, model: nofile.json}", 1), "routes.$default.model: nofile.json: no such file or directory"},
		"model and models":     {strings.Replace(base, "{integration: ok}", "{integration: ok, model: x, models: {a: x}}", 1), "write either model, for all messages, or modelSelectionExpression and models"},
		"management without":   {base + "management: {}", ":5:1: management: access is missing: write signed, and keys, or open"},
		"signed without keys":  {base + "management: {access: signed}", "management: keys is missing"},
		"open with keys":       {base + "management: {access: open, keys: [{id: A, secret: {file: gateway.yaml}}]}", "with access: open nobody is asked for a key"},
		"key without secret":   {base + "management: {access: signed, keys: [{id: A}]}", "management.keys.1: secret is missing: write {environment: NAME} or {file: NAME}"},
		"key twice":            {base + "management: {access: signed, keys: [{id: A, secret: {file: gateway.yaml}}, {id: A, secret: {file: gateway.yaml}}]}", "management.keys.2: the access key ID A is there twice"},
		"no such file":         {base + "management: {access: signed, keys: [{id: A, secret: {file: nofile}}]}", "management.keys.1.secret.file: nofile: no such file or directory"},
		"secret of two":        {base + "management: {access: signed, keys: [{id: A, secret: {file: a, environment: B}}]}", "write either environment or file: where the secret is"},
		"some policies":        {base + "management: {access: signed, keys: [{id: A, secret: {file: gateway.yaml}, policy: nofile}, {id: B, secret: {file: gateway.yaml}}]}", "some keys have a policy and others do not"},
		"plan":                 {base + "usagePlans: {free: {quota: {limit: 0, period: day}, keys: {a: {file: gateway.yaml}}}}", "usagePlans.free: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, warnings, err := load(t, tc.text)
			if tc.want == "WARNING" {
				require.NoError(t, err)
				require.Equal(t, []Problem{{Line: 5, Column: 15, Text: "authorizers.a: no route uses this authorizer"}}, warnings)
				return
			}
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, 1, strings.Count(err.Error(), tc.want))
			for _, line := range strings.Split(err.Error(), "\n") {
				require.Contains(t, line, "gateway.yaml:", "each line names the file")
			}
		})
	}
}

// No error shows a secret.
func TestLoad_SecretsStaySecret(t *testing.T) {
	t.Setenv("SHORT_SECRET", "hush-hush")
	_, _, err := load(t, base+`
authorizers: {a: {jwt: {anyAudience: true, secrets: [{environment: SHORT_SECRET}]}}}
usagePlans: {p: {keys: {k: {environment: SHORT_SECRET}, l: {environment: SHORT_SECRET}}}}
management: {access: signed, keys: [{secret: {environment: SHORT_SECRET}}]}`)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hush")
}

func TestLoad_Values(t *testing.T) {
	t.Parallel()
	built, _, err := load(t, base+`
stageVariables: &v {a: 007}
quotas: {idleTimeout: off, connections: off, messageBytes: 70000}
usagePlans: {}
`)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"a": "007"}, built.Deployment.StageVariables)
	q := built.Quotas.quotas()
	require.Equal(t, []any{time.Duration(-1), -1, 70000, 0}, []any{q.IdleTimeout, q.Connections, q.MessageBytes, q.FrameBytes})
	require.Equal(t, "/prod", built.Path)
	require.Equal(t, 25*time.Second, built.Shutdown.Timeout)
}

// What has not changed is not built again: an issuer's keys and a function's calls stay.
func TestBuilder_Again(t *testing.T) {
	t.Parallel()
	text := base + "authorizers: {a: {jwt: {issuer: 'https://x.example', anyAudience: true}}}\n"
	text = strings.Replace(text, "{mock: {}}", "{lambda: {url: 'http://127.0.0.1:9000', concurrency: 1}}", 1)
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	b := &Builder{}
	read := func(text string) {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		_, _, err := Load(file, Options{}, b)
		require.NoError(t, err)
	}
	read(text)
	function, tokens := b.functions.remote["ok"].thing, b.tokens["a"].thing
	read(text + "throttle: {rate: 1}\n")
	require.Same(t, function, b.functions.remote["ok"].thing)
	require.Same(t, tokens, b.tokens["a"].thing)
	read(strings.Replace(text, "concurrency: 1", "concurrency: 2", 1))
	require.NotSame(t, function, b.functions.remote["ok"].thing)
	require.Same(t, tokens, b.tokens["a"].thing)
}

// A function that runs as a process gets its variables, with secrets from files. It stays
// while nothing about it changes.
func TestBuilder_Process(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("run", "#!/bin/sh\nread -r event <<END\nx\nEND\n")
	require.NoError(t, os.Chmod(filepath.Join(dir, "run"), 0o700))
	write("key", "first\n")
	b := &Builder{}
	read := func(text string) *Builder {
		earlier := *b
		write("gateway.yaml", text)
		_, _, err := Load(filepath.Join(dir, "gateway.yaml"), Options{}, b)
		require.NoError(t, err)
		return &earlier
	}
	text := strings.Replace(base, "{mock: {}}", "{process: {dir: ., command: [./run], env: {TABLE: 007, KEY: {file: key}}}}", 1) +
		"authorizers: {a: {lambda: {integration: ok}}}\n"
	read(text)
	first := b.functions.local["ok"].thing
	require.Equal(t, "ok", first.FunctionName())
	require.Equal(t, map[string]Variable{
		"TABLE": {Text: "007"}, "KEY": {Secret: Secret{File: "key", value: "first"}},
		"AWS_ACCESS_KEY_ID": {Text: "test"}, "AWS_SECRET_ACCESS_KEY": {Text: "test"},
	}, b.functions.local["ok"].of.Env)
	require.Empty(t, b.Removed(read(text+"throttle: {rate: 1}\n")))
	require.Same(t, first, b.functions.local["ok"].thing)
	write("key", "second\n")
	require.Equal(t, []*process.Function{first}, b.Removed(read(text)), "its secret has changed")
	second := b.functions.local["ok"].thing
	require.Equal(t, []*process.Function{second}, b.Removed(read(base)))
	require.NoError(t, b.Close())
}

const examples = "../../testdata/examples/"

// Each example of the documents is valid.
func TestExamples(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(examples + "*.yaml")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 3)
	for _, file := range files {
		_, _, err := Load(file, Options{WithoutSecrets: true}, &Builder{})
		require.NoError(t, err)
	}
}

// docs/serve.md describes every key, and an example has it.
func TestDocuments(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../../../docs/serve.md")
	require.NoError(t, err)
	used := ""
	for _, name := range []string{"full.yaml", "authorizers.yaml"} {
		text, err := os.ReadFile(examples + name)
		require.NoError(t, err)
		used += string(text)
	}
	for _, key := range keys(reflect.TypeFor[Config](), nil) {
		if !strings.Contains(string(document), "`"+key+"`") && !strings.Contains(string(document), key+":") {
			t.Errorf("docs/serve.md does not describe %s", key)
		}
		if !regexp.MustCompile(`[\s{,]` + key + `:`).MatchString(used) {
			t.Errorf("no example has %s", key)
		}
	}
}

// keys returns the names of all keys below a type.
func keys(of reflect.Type, found []string) []string {
	switch of.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return keys(of.Elem(), found)
	case reflect.Struct:
		for n := range of.NumField() {
			if name := of.Field(n).Tag.Get("yaml"); name != "" && !slices.Contains(found, name) {
				found = keys(of.Field(n).Type, append(found, name))
			}
		}
		return found
	default:
		return found
	}
}

// Any text is read or refused. It never panics.
func FuzzLoad(f *testing.F) {
	f.Add(base)
	for _, name := range []string{"full.yaml", "authorizers.yaml", "chat.yaml", "hello.yaml"} {
		text, err := os.ReadFile(examples + name)
		require.NoError(f, err)
		f.Add(string(text))
	}
	f.Add("a: &a [*a]\n")
	f.Add("stage: &a *a\nlog: &b {level: *b}\n")
	f.Fuzz(func(t *testing.T, text string) {
		file := filepath.Join(t.TempDir(), "gateway.yaml")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		built, _, err := Load(file, Options{WithoutSecrets: true}, &Builder{})
		require.Equal(t, err != nil, built == nil)
	})
}
