package selection_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/selection"
)

// The body of the developer guide's examples.
const selectionBody = `{"service":"chat","action":"join","data":{"room":"room1234"},"items":[{"type":"a"},{"type":"b"}],` +
	`"version":"v1","x.y":"dotted","it's":"quoted","größe":"L","tags":["item1","item2"],"dollars":"$request.body.action",` +
	`"n":1.50,"yes":true,"no":false,"nil":null,"list":[1,"a",null,["b",{ "c" : "d" }]],"obj":{ "b" : 1, "a" : [ 2 ] }}`

func TestExpression_Route(t *testing.T) {
	t.Parallel()

	tests := []struct{ name, expression, want string }{
		// Developer guide: "Working with routes for WebSocket APIs".
		{"documented: a variable", "$request.body.action", "join"},
		{"documented: a variable in braces", "${request.body.action}", "join"},
		{"documented: variables and a literal", "${request.body.service}/${request.body.action}", "chat/join"},
		{"documented: a missing path is empty", "${request.body.action}-${request.body.invalidPath}", "join-"},
		{"documented: a literal", "action", "action"},
		{"documented: an escaped dollar sign", `\$default`, "$default"},
		{"documented: braces set a variable off", "${request.body.version}-beta", "v1-beta"},
		{"documented: a nested path", "$request.body.data.room", "room1234"},
		{"documented: an element of an array", "$request.body.items[0].type", "a"},
		{"documented: an array is written with brackets and commas", "$request.body.tags", "[item1, item2]"},

		{"a variable may follow a variable", "$request.body.service$request.body.action", "chatjoin"},
		{"braces may follow braces", "${request.body.service}${request.body.action}", "chatjoin"},
		{"a slash ends a bare variable", "$request.body.service/$request.body.action", "chat/join"},
		{"a space ends a bare variable", "$request.body.service x", "chat x"},
		{"a comma ends a bare variable", "$request.body.service,x", "chat,x"},
		{"a colon ends a bare variable", "$request.body.service:x", "chat:x"},
		{"a closing brace ends a bare variable", "$request.body.service}", "chat}"},
		{"a backslash ends a bare variable", `$request.body.service\$`, "chat$"},
		{"a hyphen belongs to a bare variable", "$request.body.version-beta", ""},
		{"a bare variable goes on over a bracket", "$request.body['data'].room", "room1234"},
		{"a bare variable goes on over letters beyond ASCII", "$request.body.größe/", "L/"},
		{"a trailing dot is a literal", "Go $request.body.action.", "Go join."},
		{"trailing dots are a literal", "$request.body.action...", "join..."},
		{"a dot before a space is a literal", "$request.body.action. Go", "join. Go"},
		{"an index may count from the end", "$request.body.items[-1].type", "b"},
		{"a quoted name may hold a dot", "$request.body['x.y']!", "dotted!"},
		{"a quoted name may be in double quotes", `${request.body["x.y"]}`, "dotted"},
		{"a quoted name may hold an escaped quote", `$request.body['it\'s']`, "quoted"},
		{"a quoted name may hold a closing brace", `a${request.body['}']}b`, "ab"},
		{"a backslash before anything but a dollar sign is a literal", `a\b\\`, `a\b\\`},
		{"two backslashes before a dollar sign are a backslash and an escape", `\\$request`, `\$request`},
		{"a backslash at the end is a literal", `$request.body.action\`, `join\`},
		{"an escaped dollar sign goes before a variable", `\$$request.body.action`, "$join"},
		{"an escaped dollar sign goes before a brace", `\${request.body.action}`, "${request.body.action}"},
		{"the value is not evaluated again", "$request.body.dollars", "$request.body.action"},
		{"the value is not evaluated again among literals", "a${request.body.dollars}", "a$request.body.action"},

		{"several matches are an array", "$request.body.items[*].type", "[a, b]"},
		{"no match of several is an empty array", "$request.body.items[*].none", "[]"},
		{"several matches in nothing are an empty array", "$request.body.none[*]", "[]"},
		{"one match of several is an array", "$request.body.items[?(@.type == 'b')].type", "[b]"},
		{"a null among several matches is null", "$request.body['nil','yes']", "[null, true]"},
		{"an object among several matches is compact JSON", "$request.body.list..[1]", `[a, {"c":"d"}]`},
		{"a wildcard ends before a slash", "$request.body.data.*/x", "[room1234]/x"},
		{"a wildcard ends before a trailing dot", "$request.body.data.*.", "[room1234]."},
		{"a bare variable goes on behind a wildcard", "$request.body.items.*.type!", "[a, b]!"},
		{"a bare variable goes on over recursive descent", "$request.body..room, $request.body..items[0].type", "[room1234], [a]"},
		{"a bare variable may begin with a wildcard", "$request.body.*.room", "[room1234]"},
		{"a bare variable ends behind a filter", "$request.body.items[?(@.type == ']')] x", "[] x"},
		{"a bracket in a regular expression closes no filter", "$request.body.items[?(@.type =~ /[a]/)].type]", "[a]]"},
		{"a brace in a filter closes no variable", "${request.body.items[?(@.type != '}')].type}}", "[a, b]}"},
		{"an asterisk without a dot is a literal", "$request.body.action*", "join*"},
		{"a slice may be in braces", "${request.body.tags[-1:]}-x", "[item2]-x"},

		{"a number is its text", "$request.body.n", "1.50"},
		{"true is true", "$request.body.yes", "true"},
		{"false is false", "$request.body.no", "false"},
		{"null is empty", "$request.body.nil", ""},
		{"an object is compact JSON", "$request.body.obj", `{"b":1,"a":[2]}`},
		{"arrays nest and keep null", "$request.body.list", `[1, a, null, [b, {"c":"d"}]]`},
		{"a path through a string is empty", "$request.body.action.x", ""},
		{"an index in an object is empty", "$request.body.data[0]", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := mustCompile(t, selection.Route, tt.expression)
			key, ok := e.Route([]byte(selectionBody), nil)
			require.True(t, ok)
			require.Equal(t, tt.want, string(key))
			got := e.Append([]byte("x"), &selection.Input{Body: []byte(selectionBody), BodyValid: true})
			require.Equal(t, "x"+tt.want, string(got))
		})
	}
}

func TestExpression_Route_bodies(t *testing.T) {
	t.Parallel()

	tests := []struct {
		name, expression, body, want string
		ok                           bool
	}{
		{"an empty message is not JSON", "$request.body.action", "", "", false},
		{"text is not JSON", "$request.body.action", "hello", "", false},
		{"an unquoted key is not JSON", "$request.body.action", `{"action":"sendMessage", body:"hello"}`, "", false},
		{"broken JSON is not routed by its intact part", "$request.body.action", `{"action":"join"`, "", false},
		{"a literal needs JSON too", `\$default`, "hello", "", false},
		{"invalid UTF-8 is not JSON", "$request.body.action", "{\"action\":\"\xff\"}", "", false},
		{"nesting without bounds is not JSON", "$request.body.action", strings.Repeat("[", 128<<10), "", false},
		{"a root array has no members", "$request.body.action", `["action"]`, "", true},
		{"a root string has no members", "$request.body.action", `"action"`, "", true},
		{"a root number has no members", "$request.body.action", `1`, "", true},
		{"a root null has no members", "$request.body.action", `null`, "", true},
		{"a root array has elements", "$request.body[0].action", `[{"action":"join"}]`, "join", true},
		{"an absent member is empty", "$request.body.action", `{}`, "", true},
		{"of duplicate members the last counts", "$request.body.action", `{"action":"public","action":"admin"}`, "admin", true},
		{"an escaped duplicate counts too", "$request.body.action", `{"action":"public","\u0061ction":"admin"}`, "admin", true},
		{"names are compared in case", "$request.body.action", `{"Action":"join"}`, "", true},
		{"escapes in the value are decoded", "$request.body.action", `{"action":"j\u006fin"}`, "join", true},
		{"half a surrogate pair is U+FFFD", "$request.body.action", `{"action":"\ud83dx"}`, "\uFFFDx", true},
		{"a value that looks like $connect is just a value", "$request.body.action", `{"action":"$connect"}`, "$connect", true},
		{"white space around the message is allowed", "$request.body.action", " {\"action\":\"join\"}\r\n", "join", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			key, ok := mustCompile(t, selection.Route, tt.expression).Route([]byte(tt.body), nil)
			require.Equal(t, tt.ok, ok)
			require.Equal(t, tt.want, string(key))
		})
	}
}

func TestExpression_Route_buffer(t *testing.T) {
	t.Parallel()

	e := mustCompile(t, selection.Route, "${request.body.a}-${request.body.b}")
	buf := make([]byte, 3, 16)
	key, ok := e.Route([]byte(`{"a":"x","b":"y"}`), buf)
	require.True(t, ok)
	require.Equal(t, "x-y", string(key), "what was in the buffer is overwritten")
	require.Equal(t, "x-y", string(buf), "the key is in the buffer")

	body := []byte(`{"a":"x","b":"y"}`)
	key, _ = mustCompile(t, selection.Route, "$request.body.a").Route(body, nil)
	_ = append(key, '!')
	require.JSONEq(t, `{"a":"x","b":"y"}`, string(body), "an append to the key leaves the body alone")
}

func TestExpression_Append(t *testing.T) {
	t.Parallel()

	in := &selection.Input{
		Body: []byte(selectionBody), BodyValid: true,
		RequestHeader:        http.Header{"X-Api-Key": {"key from header"}},
		UsageIdentifierKey:   "key from authorizer",
		BasePath:             "v1",
		IntegrationStatus:    201,
		IntegrationHeader:    http.Header{"Content-Type": {"text/plain"}, "X-Kind": {"a", "b"}},
		IntegrationBody:      []byte(`{"errorMessage":"BadRequest: x","errorType":"Error"}`),
		IntegrationBodyValid: true,
	}
	tests := []struct {
		name       string
		kind       selection.Kind
		expression string
		want       string
	}{
		{"an API key comes from the header", selection.APIKey, "$request.header.x-api-key", "key from header"},
		{"an API key comes from the authorizer", selection.APIKey, "$context.authorizer.usageIdentifierKey", "key from authorizer"},
		{"an API key variable may be in braces", selection.APIKey, "${request.header.x-api-key}", "key from header"},
		{"a model is selected by the body", selection.Model, "${request.body.action}", "join"},
		{"a model is selected by $default", selection.Model, `\$default`, "$default"},
		{"a request template is selected by the body", selection.RequestTemplate, "${request.body.service}-${request.body.action}", "chat-join"},
		{"a request template is selected by $default", selection.RequestTemplate, `\$default`, "$default"},
		{"a Lambda integration response is selected by its error message", selection.LambdaIntegrationResponse, "$integration.response.body.errorMessage", "BadRequest: x"},
		{"an HTTP integration response is selected by its status", selection.HTTPIntegrationResponse, "$integration.response.statuscode", "201"},
		{"a mock integration response is selected by its status", selection.MockIntegrationResponse, "${integration.response.statuscode}", "201"},
		{"a status has a short name in braces", selection.MockIntegrationResponse, "${response.statuscode}", "201"},
		{"a status has a short name without braces", selection.HTTPIntegrationResponse, "$response.statuscode", "201"},
		{"a response template is selected by the body", selection.ResponseTemplate, "${request.body.action}", "join"},
		{"a response template is selected by the status", selection.ResponseTemplate, "s${integration.response.statuscode}", "s201"},
		{"a response template is selected by a header", selection.ResponseTemplate, "${integration.response.header.content-type}", "text/plain"},
		{"a header without braces ends as any variable does", selection.ResponseTemplate, "$integration.response.header.content-type/x", "text/plain/x"},
		{"of several header values the first counts", selection.ResponseTemplate, "${integration.response.header.X-Kind}", "a"},
		{"a multi-value header is written as an array", selection.ResponseTemplate, "${integration.response.multivalueheader.x-kind}", "[a, b]"},
		{"a multi-value header may have one value", selection.ResponseTemplate, "${integration.response.multivalueheader.content-type}", "[text/plain]"},
		{"an absent header is empty", selection.ResponseTemplate, "<${integration.response.header.x-none}>", "<>"},
		{"an absent multi-value header is empty", selection.ResponseTemplate, "<${integration.response.multivalueheader.x-none}>", "<>"},
		{"a response template is selected by $default", selection.ResponseTemplate, `\$default`, "$default"},
		{"a route response is always $default", selection.RouteResponse, "$default", "$default"},
		{"an API mapping is selected by the base path", selection.APIMapping, "$request.basepath", "v1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := mustCompile(t, tt.kind, tt.expression)
			require.Equal(t, tt.want, string(e.Append(nil, in)))
			invalid := *in
			invalid.BodyValid, invalid.IntegrationBodyValid = false, false
			got := string(e.Append(nil, &invalid))
			require.NotContains(t, got, "join", "a body that is not JSON has no paths")
			require.NotContains(t, got, "BadRequest", "an integration's body that is not JSON has no paths")
		})
	}
}

func TestExpression_Append_withoutInput(t *testing.T) {
	t.Parallel()

	for kind, expression := range map[selection.Kind]string{
		selection.Route:                     "$request.body.action",
		selection.APIKey:                    "$request.header.x-api-key",
		selection.LambdaIntegrationResponse: "$integration.response.body.errorMessage",
		selection.HTTPIntegrationResponse:   "$integration.response.statuscode",
		selection.ResponseTemplate:          "${integration.response.header.a}${integration.response.multivalueheader.a}",
		selection.APIMapping:                "$request.basepath",
	} {
		require.Empty(t, mustCompile(t, kind, expression).Append(nil, &selection.Input{}), expression)
	}
}

func TestCompile_errors(t *testing.T) {
	t.Parallel()

	const allowed = "may use $request.body.<path>"
	tests := []struct {
		name       string
		kind       selection.Kind
		expression string
		position   int
		reason     string
	}{
		{"an empty expression is refused", selection.Route, "", 0, "the expression is empty"},
		{"a lone dollar sign is refused", selection.Route, "$", 0, `"$" must be followed by a name`},
		{"a dollar sign before a space is refused", selection.Route, "a $ b", 2, `a literal dollar sign is written \$`},
		{"a dollar sign before a dollar sign is refused", selection.Route, "$$request.body.a", 0, `"$" must be followed`},
		{"a dollar sign before a dot is refused", selection.Route, "$.action", 0, `"$" must be followed`},
		{"a dollar sign before a bracket is refused", selection.Route, "$['action']", 0, `"$" must be followed`},
		{"an open brace is refused", selection.Route, "a/${request.body.a", 2, `"${" is not closed by "}"`},
		{"an open brace before a good variable is refused", selection.Route, "${request.body.a ${request.body.b}", 16, "JSONPath"},
		{"a brace hidden by an open quote is refused", selection.Route, "${request.body['a}", 0, "not closed"},
		{"empty braces are refused", selection.Route, "a${}", 3, `unknown variable ""`},
		{"blanks in braces are refused", selection.Route, "${ request.body.a }", 2, "unknown variable"},
		{"a misspelt variable is pointed at", selection.Route, "$request.boddy.x", 9, allowed},
		{"a misspelt variable in braces is pointed at", selection.Route, "a/${request.boddy.x}", 12, allowed},
		{"a longer name is not the body", selection.Route, "$request.bodyx.a", 9, `unknown variable "request.bodyx.a"`},
		{"variables are compared in case", selection.Route, "$request.Body.a", 9, "unknown variable"},
		{"an unknown variable is refused", selection.Route, "$context.connectionId", 1, allowed},
		{"a bare $default is explained", selection.Route, "$default", 1, `the literal $default is written \$default`},
		{"the whole body is refused", selection.Route, "$request.body", 13, "cannot use the whole body, only $request.body.<path>"},
		{"the whole body in braces is refused", selection.Route, "${request.body}", 14, "cannot use the whole body"},
		{"the whole body before a literal is refused", selection.Route, "$request.body/x", 13, "cannot use the whole body"},
		{"the whole body before a dot is refused", selection.Route, "$request.body.", 13, "cannot use the whole body"},
		{"a route cannot use a header", selection.Route, "$request.header.x", 9, allowed},
		{"a route cannot use the query string", selection.Route, "$request.querystring.x", 9, allowed},
		{"a dot at the end of braces is pointed at", selection.Route, "${request.body.}", 15, "expected a name"},
		{"a bad step of a slice is pointed at", selection.Route, "$request.body.items[0:1:0]", 24, "above zero"},
		{"a bad filter is pointed at", selection.Route, "$request.body.items[?(@.a[0]=='b' && @.c in 1)].c", 41, "operators"},
		{"a bad filter in braces is pointed at", selection.Route, "x${request.body.items[?(@.a)}", 1, `not closed by "}"`},
		{"a bad regular expression is pointed at", selection.Route, "$request.body.items[?(@ =~ /(]/)]", 27, "missing"},
		{"a function is not supported", selection.Route, "${request.body.items.length()}", 27, "functions are not supported"},
		{"a name right behind a wildcard is refused", selection.Route, "$request.body.items.*-x", 21, "expected"},
		{"a name right behind a filter is refused", selection.Route, "$request.body.items[?(@.a)]x", 27, `expected "." or "["`},
		{"an open bracket is refused", selection.Route, "$request.body.items[0", 21, `expected "]"`},
		{"a name without quotes in brackets is refused", selection.Route, "$request.body[action]", 14, "in quotes"},
		{"the second variable is checked too", selection.Route, "$request.body.a-$request.header.b", 25, "unknown variable"},

		{"a model cannot use the status", selection.Model, "${integration.response.statuscode}", 2, "a model selection expression " + allowed},
		{"a model does not take $default bare", selection.Model, "$default", 1, `\$default`},
		{"a request template cannot use a response header", selection.RequestTemplate, "${integration.response.header.a}", 2, "a template selection expression " + allowed},
		{"a response template cannot use a request header", selection.ResponseTemplate, "${request.header.a}", 10, "$integration.response.multivalueheader.<name>"},
		{"a response template cannot use the response body", selection.ResponseTemplate, "${integration.response.body.a}", 23, "$integration.response.statuscode"},
		{"a status has no parts", selection.ResponseTemplate, "${integration.response.statuscode.a}", 23, "unknown variable"},
		{"a header needs a name", selection.ResponseTemplate, "${integration.response.header.}", 30, `"" is not a header name`},
		{"a header name has no blanks", selection.ResponseTemplate, "${integration.response.header.a b}", 30, `"a b" is not a header name`},

		{"an API key comes from no other header", selection.APIKey, "$request.header.x-key", 16, "must be $request.header.x-api-key or $context.authorizer.usageIdentifierKey"},
		{"an API key expression holds no literal", selection.APIKey, "$request.header.x-api-key/", 16, "must be"},
		{"an API key expression is not empty", selection.APIKey, "", 0, "must be"},
		{"an API key expression begins with a dollar sign", selection.APIKey, "request.header.x-api-key", 15, "must be"},
		{"a Lambda integration response has no status", selection.LambdaIntegrationResponse, "$integration.response.statuscode", 22, "must be $integration.response.body.errorMessage"},
		{"an HTTP integration response has no error message", selection.HTTPIntegrationResponse, "$integration.response.body.errorMessage", 22, "must be $integration.response.statuscode or $response.statuscode"},
		{"a mock integration response holds no literal", selection.MockIntegrationResponse, "a${response.statuscode}", 0, "must be"},
		{"a route response is nothing but $default", selection.RouteResponse, "$request.body.a", 1, "must be $default"},
		{"a route response takes no escape", selection.RouteResponse, `\$default`, 0, "must be $default"},
		{"a route response takes no braces", selection.RouteResponse, "${default}", 2, "must be $default"},
		{"an API mapping is nothing but the base path", selection.APIMapping, "$request.path", 9, "must be $request.basepath"},
		{"an open brace is no fixed expression", selection.APIMapping, "${request.basepath", 1, "must be $request.basepath"},
		{"an unknown kind allows nothing", selection.APIMapping + 1, "a", 0, "kind 10"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := selection.Compile(tt.kind, tt.expression)
			var wrong *selection.Error
			require.ErrorAs(t, err, &wrong)
			require.Equal(t, tt.expression, wrong.Expression)
			require.Equal(t, tt.position, wrong.Position, wrong.Reason)
			require.Contains(t, wrong.Reason, tt.reason)
		})
	}
}

func TestError_Error(t *testing.T) {
	t.Parallel()

	_, err := selection.Compile(selection.Route, "$request.boddy.x")
	require.EqualError(t, err, `selection expression "$request.boddy.x": position 9: `+
		`unknown variable "request.boddy.x"; a route selection expression may use $request.body.<path>`)

	_, err = selection.Compile(selection.Route, "$request.body.items[::0]")
	require.EqualError(t, err, `selection expression "$request.body.items[::0]": position 22: `+
		`JSONPath ".items[::0]": the step of a slice is above zero`)
}

// Not parallel: testing.AllocsPerRun counts the allocations of all goroutines.
func TestExpression_Route_doesNotAllocate(t *testing.T) {
	body := []byte(`{"text":"line\n\"two\"","n":1e999,"service":"chat","action":"join","esc":"j\u006fin"}`)
	tests := []struct {
		name, expression, want string
		buf                    []byte
	}{
		{"a string needs no buffer", "$request.body.action", "join", nil},
		{"a number needs no buffer", "$request.body.n", "1e999", nil},
		{"a missing value needs no buffer", "$request.body.none", "", nil},
		{"a string with escapes fits a buffer", "$request.body.esc", "join", make([]byte, 0, 16)},
		{"a concatenation fits a buffer", "${request.body.service}/${request.body.action}", "chat/join", make([]byte, 0, 16)},
		{"a literal fits a buffer", `\$default`, "$default", make([]byte, 0, 16)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := mustCompile(t, selection.Route, tt.expression)
			key, ok := e.Route(body, tt.buf)
			require.True(t, ok)
			require.Equal(t, tt.want, string(key))
			require.Zero(t, testing.AllocsPerRun(100, func() { e.Route(body, tt.buf) }))
		})
	}
}

func TestExpression_questions(t *testing.T) {
	t.Parallel()

	for _, tt := range []struct {
		kind              selection.Kind
		expression        string
		constant          bool
		isDefault         bool
		usesAuthorizerKey bool
		pattern           string
	}{
		{kind: selection.Route, expression: "$request.body.action", pattern: ".*"},
		{kind: selection.Route, expression: "${request.body.a}.${request.body.b}", pattern: `.*\..*`},
		{kind: selection.RequestTemplate, expression: "a.b", constant: true, pattern: `a\.b`},
		{kind: selection.RequestTemplate, expression: `\$default`, constant: true, isDefault: true, pattern: `\$default`},
		{kind: selection.RequestTemplate, expression: `\$default$request.body.a`, pattern: `\$default.*`},
		{kind: selection.ResponseTemplate, expression: "s${integration.response.statuscode}", pattern: "s-?[0-9]+"},
		{kind: selection.ResponseTemplate, expression: "${integration.response.header.a}", pattern: ".*"},
		{kind: selection.APIKey, expression: "$request.header.x-api-key", pattern: ".*"},
		{kind: selection.APIKey, expression: "${context.authorizer.usageIdentifierKey}", usesAuthorizerKey: true, pattern: ".*"},
	} {
		t.Run(tt.expression, func(t *testing.T) {
			t.Parallel()
			e := mustCompile(t, tt.kind, tt.expression)
			require.Equal(t, tt.constant, e.Constant())
			require.Equal(t, tt.isDefault, e.Is("$default"))
			require.Equal(t, tt.usesAuthorizerKey, e.UsesAuthorizerKey())
			require.Equal(t, tt.pattern, e.Pattern())
		})
	}
}

func BenchmarkRouteSelection(b *testing.B) {
	for _, size := range []struct {
		name  string
		bytes int
	}{{"128B", 128}, {"4KiB", 4 << 10}, {"128KiB", 128 << 10}} {
		b.Run("body="+size.name, func(b *testing.B) {
			body := benchmarkBody(size.bytes)
			e := mustCompile(b, selection.Route, "$request.body.action")
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if key, ok := e.Route(body, nil); !ok || string(key) != "sendmessage" {
					b.Fatal(string(key), ok)
				}
			}
		})
	}
}

// benchmarkBody returns a chat message of exactly the given size: members of
// every kind, and text with an escape every 40 bytes or so.
func benchmarkBody(size int) []byte {
	head := `{"action":"sendmessage","id":12345,"tags":["a",{"b":null}],"text":"`
	tail := `"}`
	line := `The quick brown fox said \"hello\"\n to him. `
	fill := size - len(head) - len(tail)
	text := strings.Repeat(line, fill/len(line))
	return fmt.Appendf(nil, "%s%s%s%s", head, text, strings.Repeat(".", fill-len(text)), tail)
}

func mustCompile(tb testing.TB, kind selection.Kind, text string) *selection.Expression {
	tb.Helper()
	e, err := selection.Compile(kind, text)
	require.NoError(tb, err)
	return e
}
