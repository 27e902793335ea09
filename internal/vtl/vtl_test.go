package vtl_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/vtl"
)

// example returns the request of the tests.
func example() *vtl.Env {
	context := map[string]string{
		"connectionId":        "abc=",
		"connectedAt":         "1708326702789",
		"identity.sourceIp":   "192.0.2.1",
		"authorizer.tier":     "gold",
		"authorizer.a.b":      "deep",
		"error.messageString": `"bad"`,
	}
	return &vtl.Env{
		Body: []byte(`{"action":"join", "room":{"id":7, "tags":["a","b"], "none":null}, "price":1.50, "big":12345678901234567890,
			"text":"say \"hi\" \u00e9", "items":[{"n":"x"},{"n":"y"}], "yes":true}`),
		Params: func() vtl.Params {
			return vtl.Params{
				Path:        map[string]string{"id": "path"},
				Querystring: map[string]string{"id": "query", "q": "1"},
				Header:      map[string]string{"id": "header", "q": "header", "X-Token": "t"},
			}
		},
		Context: func(name string) (any, bool) {
			if name == "requestTimeEpoch" {
				return int64(1708326702789), true
			}
			value, ok := context[name]
			return value, ok
		},
		StageVariables: map[string]string{"table": "chat", "a-b": "dash"},
	}
}

func render(t *testing.T, template string, env *vtl.Env) string {
	t.Helper()

	parsed, err := vtl.Parse(template)
	require.NoError(t, err)
	out, err := parsed.Append(nil, env)
	require.NoError(t, err)
	return string(out)
}

func TestTemplate_Append_variables(t *testing.T) {
	t.Parallel()

	for _, test := range []struct{ name, template, want string }{
		// $input
		{"input.json gives JSON text", `$input.json('$.room') $input.json("$.action") $input.json('$.room.id')`, `{"id":7,"tags":["a","b"],"none":null} "join" 7`},
		{"input.json keeps numbers and escapes as sent", `$input.json('$.price') $input.json('$.text')`, `1.50 "say \"hi\" \u00e9"`},
		{"input.json of a missing path is an empty JSON string", `$input.json('$.nope') $!input.json('$.nope.x')`, `"" ""`},
		{"input.json of null is null", `$input.json('$.room.none')`, `null`},
		{"input.json of a computed path", `#set($k = "room")$input.json("$.${k}.id")`, `7`},
		{"input.json of several results is an array", `$input.json('$.items[*].n') $input.json('$..id') $input.json('$.items[?(@.n=="y")]') $input.json('$.nope[*]')`, `["x","y"] [7] [{"n":"y"}] []`},
		{"input.path of several results is a list", `#foreach($n in $input.path('$.items[*].n'))$n;#end$input.path('$..n').size()`, `x;y;2`},
		{"input.path gives values", `$input.path('$.action') $input.path('$.room.id') $input.path('$.yes')`, `join 7 true`},
		{"input.path of a missing path is the empty string", `[$input.path('$.nope')]#if($input.path('$.nope') == "")x#end`, `[]x`},
		{"input.path of null prints itself", `$input.path('$.room.none') $!input.path('$.room.none')`, `$input.path('$.room.none') `},
		{"input.path gives objects with properties and methods", `#set($r = $input.path('$.room'))$r.id $r.tags[1] $r.tags.size() $r.get("id")`, `7 b 2 7`},
		{"input.path objects print as Java's", `$input.path('$.room')`, `{id=7, tags=[a, b], none=null}`},
		{"input.path of a document is walked in a foreach", `#foreach($i in $input.path('$.items'))$i.n#if($foreach.hasNext),#end#end`, `x,y`},
		{"input.path continues with properties", `$input.path('$').room.id $input.path('$').items[1].n`, `7 y`},
		{"input.path prints numbers as Java does", `$input.path('$.price') $input.path('$.big')`, `1.5 12345678901234567890`},
		{"input.path decodes strings", `$input.path('$.text')`, `say "hi" é`},
		{"input alone prints itself", `$input $input.nope $input.nope()`, `$input $input.nope $input.nope()`},
		{"input.params of a name looks in path, query string and headers", `$input.params('id') $input.params("q") $input.params('X-Token')`, `path 1 t`},
		{"input.params finds a header in another case", `$input.params('x-token')`, `t`},
		{"input.params of an unknown name is the empty string", `[$input.params('nope')]`, `[]`},
		{"input.params is a map", `$input.params() $input.params().querystring.q $input.params().get("header").get("X-Token")`, `{path={id=path}, querystring={id=query, q=1}, header={X-Token=t, id=header, q=header}} 1 t`},
		{"input.params are walked in a foreach", `#foreach($k in $input.params().querystring.keySet())$k=$input.params($k);#end`, `id=path;q=1;`},
		// $context
		{"context variables", `$context.connectionId ${context.identity.sourceIp} $context.authorizer.tier`, `abc= 192.0.2.1 gold`},
		{"context by index and get", `$context["connectionId"] $context.identity['sourceIp'] $context.get("connectionId") $context.authorizer.get("tier")`, `abc= 192.0.2.1 abc= gold`},
		{"context text is text, also of digits", `#set($x = $context.connectedAt + 1)$context.connectedAt $x`, `1708326702789 17083267027891`},
		{"context numbers are numbers", `#set($x = $context.requestTimeEpoch + 1)$context.requestTimeEpoch $x`, `1708326702789 1708326702790`},
		{"context numbers in arithmetic", `#set($x = ($context.requestTimeEpoch / 1000) + 9000)#set($y = 7 - $context["requestTimeEpoch"] % 10)$x $y`, `1708335702 -2`},
		{"context numbers in conditions", `#if($context.requestTimeEpoch > 1000 && $context.get("requestTimeEpoch") == "1708326702789")x#end`, `x`},
		{"context numbers in strings and functions", `#set($s = "t$context.requestTimeEpoch")$s $util.base64Encode($context.requestTimeEpoch)`, `t1708326702789 MTcwODMyNjcwMjc4OQ==`},
		{"context unknown is the empty string", `[$context.nope][$context.identity.user][$context.authorizer.nope.deeper]`, `[][][]`},
		{"context groups print nothing", `[$context.identity]#if($context.identity == "")x#end`, `[]x`},
		{"context groups may be kept in a variable", `#set($i = $context.identity)$i.sourceIp`, `192.0.2.1`},
		{"context names may have more dots", `$context.authorizer.a.b`, `deep`},
		{"context values have the methods of strings", `$context.connectionId.length() $context.nope.isEmpty() $context.error.messageString`, `4 true "bad"`},
		{"context alone prints itself", `$context`, `$context`},
		{"context may be hidden", `#set($context = 1)$context`, `1`},
		// $stageVariables
		{"stage variables", `$stageVariables.table ${stageVariables.table} $stageVariables['table'] ${stageVariables['table']} $stageVariables.get("table")`, `chat chat chat chat chat`},
		{"stage variables with a dash", `$stageVariables.a-b $stageVariables["a-b"]`, `dash dash`},
		{"stage variables unknown are the empty string", `[$stageVariables.nope][$stageVariables['nope']]`, `[][]`},
		{"stage variables are a map", `$stageVariables $stageVariables.size() #foreach($v in $stageVariables)$v;#end`, `{a-b=dash, table=chat} 2 dash;chat;`},
		// $util
		{"util.escapeJavaScript as commons-lang", `$util.escapeJavaScript("a'b""c\d/e é😀<&>")`, `a\'b\"c\\d\/e \u00E9\uD83D\uDE00<&>`},
		{"util.escapeJavaScript of control characters", "$util.escapeJavaScript('\b\n\t\f\r\x01\x7f\u0080')", `\b\n\t\f\r\u0001` + "\x7f" + `\u0080`},
		{"util.escapeJavaScript with the quotes undone", `$util.escapeJavaScript("it's").replaceAll("\\'", "'")`, `it's`},
		{"util.escapeJavaScript of input.json", `$util.escapeJavaScript($input.json('$.text'))`, `\"say \\\"hi\\\" \\u00e9\"`},
		{"util.parseJson", `#set($o = $util.parseJson('{"a":[1,{"b":null}],"c":"d"}'))$o.a[0] $o.a[1] $o.c $util.parseJson("[]") $util.parseJson("1.0") $util.parseJson('"x"')`, `1 {b=null} d [] 1.0 x`},
		{"util.urlEncode as java.net", `$util.urlEncode("a b&c=d/é*~._-+")`, `a+b%26c%3Dd%2F%C3%A9*%7E._-%2B`},
		{"util.urlDecode", `$util.urlDecode("a+b%26c%3dd%C3%A9")`, `a b&c=dé`},
		{"util.base64Encode", `$util.base64Encode("héllo?>") $util.base64Encode("")|`, `aMOpbGxvPz4= |`},
		{"util.base64Decode with and without padding", `$util.base64Decode("aMOpbGxvPz4=") $util.base64Decode("aMOpbGxvPz4")`, `héllo?> héllo?>`},
		{"util.base64Decode of what is no text", `$util.base64Decode("/w==")`, "\uFFFD"},
		{"util of null prints itself", `$util.urlEncode($nope) $util.nope("a") $util`, `$util.urlEncode($nope) $util.nope("a") $util`},
		{"util of a number", `$util.urlEncode(1) $util.base64Encode(12)`, `1 MTI=`},
		// a typical template
		{
			"a connect template", `#set($allParams = $input.params())
{
  "connectionId": "$context.connectionId",
  "params": {
#foreach($type in $allParams.keySet())
#set($params = $allParams.get($type))
    "$type": {
#foreach($name in $params.keySet())
      "$name": "$util.escapeJavaScript($params.get($name))"#if($foreach.hasNext),#end

#end
    }#if($foreach.hasNext),#end

#end
  }
}`, `{
  "connectionId": "abc=",
  "params": {
    "path": {
      "id": "path"
    },
    "querystring": {
      "id": "query",
      "q": "1"
    },
    "header": {
      "X-Token": "t",
      "id": "header",
      "q": "header"
    }
  }
}`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, render(t, test.template, example()), "%s", test.template)
		})
	}
}

func TestTemplate_Append_emptyEnv(t *testing.T) {
	t.Parallel()

	got := render(t, `[$input.body][$input.json('$')][$input.path('$')] $input.params() [$input.params('x')][$context.x][$stageVariables.x]`, &vtl.Env{})
	require.Equal(t, got, render(t, `[$input.body][$input.json('$')][$input.path('$')] $input.params() [$input.params('x')][$context.x][$stageVariables.x]`, nil))
	require.Equal(t, `[][""][] {path={}, querystring={}, header={}} [][][]`, got)
}

func TestTemplate_Append_bodyThatIsNotJSON(t *testing.T) {
	t.Parallel()

	got := render(t, `$input.body $input.json('$.a')$input.path('$.a')`, &vtl.Env{Body: []byte("{oops $a #end")})
	require.Equal(t, `{oops $a #end ""`, got)
}

func TestTemplate_Append_appends(t *testing.T) {
	t.Parallel()

	parsed, err := vtl.Parse(`#set($x = "<$input.body>")$x`)
	require.NoError(t, err)
	out, err := parsed.Append([]byte("before "), &vtl.Env{Body: []byte("b")})
	require.NoError(t, err)
	require.Equal(t, "before <b>", string(out))
}

func TestTemplate_Append_askForParamsOnce(t *testing.T) {
	t.Parallel()

	calls := 0
	env := &vtl.Env{Params: func() vtl.Params { calls++; return vtl.Params{} }}
	render(t, `$context.x`, env)
	require.Zero(t, calls)
	render(t, `$input.params('a')$input.params()$input.params('b')`, env)
	require.Equal(t, 1, calls)
}

func TestTemplate_Append_concurrent(t *testing.T) {
	t.Parallel()

	parsed, err := vtl.Parse(`#macro(m $x)<$x>#end#foreach($i in $input.path('$.items'))#m("$i.n")#end`)
	require.NoError(t, err)
	var wg sync.WaitGroup
	outs := make([]string, 8)
	for i := range outs {
		wg.Go(func() {
			for range 100 {
				out, err := parsed.Append(nil, example())
				if err == nil {
					outs[i] = string(out)
				}
			}
		})
	}
	wg.Wait()
	for _, out := range outs {
		require.Equal(t, "<x><y>", out)
	}
}

func TestParse_refuses(t *testing.T) {
	t.Parallel()

	for _, test := range []struct {
		name, template string
		line, column   int
		reason         string
	}{
		{"an unknown file", "a\n #include('/etc/passwd')", 2, 2, "#include is not available in mapping templates"},
		{"parse", "#parse('x')", 1, 1, "#parse is not available in mapping templates"},
		{"evaluate", "#evaluate('x')", 1, 1, "#evaluate is not available in mapping templates"},
		{"define", "#define($x)a#end", 1, 1, "#define is not available in mapping templates"},
		{"an if without end", "a\nbc#if(true)\nx", 2, 3, "#if has no #end"},
		{"an end without if", "a #end", 1, 7, "#end, #else or #elseif without an #if or #foreach before it"},
		{"a string that is not closed", "#set($x = 'a", 1, 11, "the string is not closed"},
		{"a mistake in a string", "\n#set($x = \"$a[b]\")", 2, 11, "an index is an integer, a string, a boolean or a reference"},
		{"a word as value", "#set($x = abc)", 1, 11, "expected a value"},
		{"two equals signs in set", "#set($x == 1)", 1, 9, `expected "=" in #set`},
		{"an operator without operand", "#if(1 + )x#end", 1, 9, "expected a value"},
		{"a missing parenthesis", "#if($x x#end", 1, 8, `expected ")" at the end of #if`},
		{"a foreach without in", "#foreach($x)#end", 1, 1, "#foreach has the form #foreach($item in $list)"},
		{"deep nesting", strings.Repeat("#if(true)", 200), 1, 878, "nested too deeply"},
		{"deep parentheses", "#if(" + strings.Repeat("(", 100_000), 1, 54, "nested too deeply"},
		{"deep lists", "#set($x = " + strings.Repeat("[", 100_000), 1, 109, "nested too deeply"},
		{"too long a template", strings.Repeat("x", 300*1024+1), 1, 1, "the template has 307201 bytes, the most is 307200"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := vtl.Parse(test.template)
			var syntax *vtl.SyntaxError
			require.ErrorAs(t, err, &syntax)
			require.Equal(t, vtl.SyntaxError{Line: test.line, Column: test.column, Reason: test.reason}, *syntax)
			require.Contains(t, err.Error(), test.reason)
		})
	}
}

// TestTemplate_Append_bounds runs hostile templates.
func TestTemplate_Append_bounds(t *testing.T) {
	t.Parallel()

	deep := []byte(strings.Repeat("[", 300) + strings.Repeat("]", 300))
	double := strings.Repeat(`#set($s = $s + $s)`, 64)
	for _, test := range []struct {
		name, template string
		body           []byte
		reason         string
	}{
		{"more than 1000 rounds", `#foreach($i in [1..1001])$i#end`, nil, "#foreach has more than 1000 rounds"},
		{"nested loops", `#set($l = [1..1000])#foreach($i in $l)#foreach($j in $l)#foreach($k in $l)#end#end#end`, nil, "too many steps"},
		{"doubling a string", `#set($s = "0123456789")` + double, nil, "too many or too long values"},
		{"doubling by interpolation", `#set($s = "0123456789")` + strings.Repeat(`#set($s = "$s$s")`, 64), nil, "the output is longer than 10 MB"},
		{"doubling a list", `#set($l = [1])` + strings.Repeat(`#set($q = $l.addAll($l))`, 64), nil, "too many or too long values"},
		{"doubling by replaceAll", `#set($s = "aaaaaaaaaa")` + strings.Repeat(`#set($s = $s.replaceAll("a", "aaaaaaaaaa"))`, 20), nil, "more than 100000 matches"},
		{"doubling by replace", `#set($s = "aaaaaaaaaa")` + strings.Repeat(`#set($s = $s.replace("", $s))`, 20), nil, "too many or too long values"},
		{"a list that prints without end", `#set($l = [1])` + strings.Repeat(`#set($l = [$l, $l])`, 60) + `$l`, nil, "too many steps"},
		{"lists in a circle", `#set($a = [1])#set($b = [$a])#set($q = $a.add($b))$a`, nil, "nested too deeply to print"},
		{"comparing lists in a circle", `#set($a = [1])#set($b = [1])#set($q = $a.add($b))#set($q = $b.add($a))#if($a == $b)x#end`, nil, "nested too deeply"},
		{"a long range", `#set($x = [1..2147483647])`, nil, "the range has more than 10000 items"},
		{"a range over all integers", `#set($x = [-9223372036854775807..9223372036854775807])`, nil, "the range has more than 10000 items"},
		{"too much output", `#set($s = "0123456789")` + strings.Repeat(`#set($s = $s + $s)`, 13) + `#foreach($i in [1..1000])$s#end`, nil, "the output is longer than 10 MB"},
		{"macros that call themselves", `#macro(m)#m()#end#m()`, nil, "macros call each other more than 20 deep"},
		{"macros that fork", `#macro(m $x)#m("$x$x")#m("$x$x")#end#m("a")`, nil, "macros call each other more than 20 deep"},
		{"a macro body that prints itself", `#macro(m)$bodyContent#end#@m()$bodyContent#end`, nil, "macros call each other more than 20 deep"},
		{"arguments evaluated again and again", `#macro(a $x)#if($n > 0)#set($n = $n - 1)#a("$x$x$x$x")#else$x#end#end#set($n = 18)#a("a")`, nil, "too many steps"},
		{"deep JSON", `$input.path('$')`, deep, "the JSON is nested too deeply"},
		{"a large regular expression", `$input.body.replaceAll("(\pL{100}){10}(\pL{100}){10}", "")`, []byte("a"), "the regular expression is too large"},
		{"slow regular expressions", `#foreach($i in [1..1000])#if($input.body.matches("(a|aa)*(\\w|\\d)*b"))#end#end`, []byte(strings.Repeat("a", 50_000)), "too many steps"},
		{"paths that search, over and over", `#foreach($i in [1..1000])#if($input.json('$..x') == 1)#end#end`, []byte(`{"a":[1,2,3]}`), "too many steps"},
		{"a long regular expression", `$input.body.matches($input.body)`, []byte(strings.Repeat("a", 1001)), "the regular expression is too long"},
		{"a lookahead", `$input.body.replaceAll("(?=a)", "")`, []byte("a"), "invalid or unsupported Perl syntax"},
		{"a regular expression that is not one", `$input.body.split("(")`, []byte("a"), "missing closing )"},
		{"a replacement with an unknown group", `$input.body.replaceAll("a", "$1")`, []byte("a"), `need a group's number`},
		{"splitting over and over", `#foreach($i in [1..1000])#set($p = $input.body.split(""))#end`, []byte(strings.Repeat("a", 90_000)), "too many"},
		{"searching over and over", `#foreach($i in [1..1000])#foreach($j in [1..1000])#if($input.json('$.x') == 1)#end#end#end`, []byte(strings.Repeat(" ", 100_000) + "{}"), "too many steps"},
		{"bad paths", `$input.json('$[')`, []byte("{}"), "JSONPath"},
		{"bad JSON", `$util.parseJson("{")`, nil, "$util.parseJson: not valid JSON"},
		{"bad base64", `$util.base64Decode("*")`, nil, "$util.base64Decode: not base64"},
		{"bad escapes", `$util.urlDecode("%zz")`, nil, "$util.urlDecode: not two hexadecimal digits behind a %"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			parsed, err := vtl.Parse(test.template)
			require.NoError(t, err)
			out, err := parsed.Append([]byte("kept"), &vtl.Env{Body: test.body})
			var failed *vtl.RunError
			require.ErrorAs(t, err, &failed)
			require.Contains(t, failed.Reason, test.reason)
			require.Equal(t, "kept", string(out))
		})
	}
}

func TestRunError_position(t *testing.T) {
	t.Parallel()

	for template, want := range map[string]string{
		"a\n  $input.body.substring(9)":                             "line 2, column 15: substring: the index is outside of the string",
		"\n#set($x = \"\n$input.body.charAt(9)\")":                  "line 2, column 11: charAt: the index is outside of the string",
		"\n\n #foreach($i in [1..9999])$i#end":                      "line 3, column 2: #foreach has more than 1000 rounds",
		"\n" + strings.Repeat("#set($b = \"$!{b}$!{b}123\")\n", 40): "line 23, column 11: the output is longer than 10 MB",
	} {
		parsed, err := vtl.Parse(template)
		require.NoError(t, err)
		_, err = parsed.Append(nil, &vtl.Env{Body: []byte("abc")})
		require.EqualError(t, err, "mapping template: "+want)
	}
}
