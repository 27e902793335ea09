package vtl_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/vtl"
)

// everyName is what the templates of these tests may refer to.
func everyName() *vtl.Known {
	return &vtl.Known{
		Context:        []string{"connectionId", "connectedAt", "identity.sourceIp", "identity.userAgent", "status", "authorizer."},
		StageVariables: map[string]string{"table": "t", "region": "r"},
	}
}

func TestTemplate_Doubts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, template string
		want           []string
	}{
		{"a misspelt root", `{"x": $inptu.json('$.x')}`, []string{`line 1, column 7: nothing is called $inptu, so that its own text is printed: did you mean "$input"?`}},
		{"a quiet one", `$!{inptu.body}`, []string{`line 1, column 1: nothing is called $inptu, so that nothing is printed: did you mean "$input"?`}},
		{"in a condition", `#if($contxt.status)a#end`, []string{`line 1, column 5: nothing is called $contxt, so that it has no value: did you mean "$context"?`}},
		{"an argument", `#set($path = '$.x')$input.path($pth) $input.path($paht)`, []string{`column 50: nothing is called $paht, so that it has no value: did you mean "$path"?`}},
		{"a property in quotes", `{"id": "$contxt.connectionId", "t": "$stageVariable.table", "u": "${utils.urlEncode}"}`, []string{`"$context"?`, `"$stageVariables"?`, `"$util"?`}},
		{"a call on nothing", `$order.get('x')`, []string{`nothing is called $order, so that its own text is printed: set it with #set, or write #[[$order]]# if you want this text`}},
		{"a variable of its own", `#set($room = 1)$romm`, []string{`column 16: nothing is called $romm, so that its own text is printed: did you mean "$room"?`}},
		{"inside a string", `#set($a = "x $imput.body")$a`, []string{`line 1, column 11: nothing is called $imput, so that its own text is printed`}},
		{"twice is told once, two are told in order", `$b.x() $a.x() $b.x()`, []string{"column 1: nothing is called $b", "column 8: nothing is called $a"}},
		{"in a #set with steps", `#set($mine.x = 1)`, []string{"nothing is called $mine, so that #set does nothing: set it first"}},

		{"an unknown method of $input", `$input.jsn('$.x')`, []string{`column 1: $input has no "jsn", so that its own text is printed: did you mean "json"?`}},
		{"an unknown property of $input", `$input.boddy`, []string{`did you mean "body"?`}},
		{"a method without arguments", `$input.json`, []string{"$input.json is a method without its arguments, so that its own text is printed"}},
		{"a method with too many", `$input.json('$.a', 1)`, []string{"$input.json has 2 arguments, but takes 1"}},
		{"the body as a method", `$input.body()`, []string{"$input.body is no method, so that its own text is printed: leave out what is in brackets, and the brackets"}},
		{"a #set of a root", `#set($context.responseOverride.status = 400)`, []string{"column 6: #set cannot change $context, so that it does nothing"}},
		{"$input alone", `$input`, []string{"$input alone has no value"}},
		{"a path with a mistake", `$input.path('$.a[')`, []string{"$input.path: the JSONPath is not valid: position "}},
		{"an unknown method of $util", `$util.escapeJavascript($input.body)`, []string{`$util has no "escapeJavascript", so that its own text is printed: did you mean "escapeJavaScript"?`}},
		{"a method that AppSync has", `$util.toJson($input.body)`, []string{`$util has no "toJson", so that its own text is printed`}},
		{"$util without arguments", `$util.urlEncode()`, []string{"$util.urlEncode has 0 arguments, but takes 1"}},

		{"a misspelt variable", `$context.connectionID`, []string{`there is no $context.connectionID, so that it is empty: did you mean "connectionId"?`}},
		{"a misspelt group", `$context.identiy.sourceIp`, []string{`there is no $context.identiy.sourceIp, so that it is empty: did you mean "identity.sourceIp"?`}},
		{"an index", `$context['connectionid'] $context.get('foo')`, []string{"no $context.connectionid", "no $context.foo"}},
		{"a group alone", `$context.identity`, []string{"$context.identity alone has no value, so that nothing is printed"}},
		{"$context alone", `$context`, []string{"$context alone has no value"}},

		{"a stage variable", `$stageVariables.tabel`, []string{`the stage variable "tabel" is not defined, so that it is empty: did you mean "table"?`}},
		{"one by index", `$stageVariables['x'] ${stageVariables.get("y")}`, []string{`"x" is not defined`, `"y" is not defined`}},

		{"a misspelt directive", `#sett($a = 1)`, nil}, // a syntax error
		{"a misspelt macro", `#macro(greet $a)$a#end#greett(1)`, []string{`there is no #greett, so that its own text is printed: did you mean "#greet"?`}},
		{"a directive in capitals", `#IF(1)`, []string{`there is no #IF, so that its own text is printed: did you mean "#if"?`}},
		{"a misspelt #foreach", `#foreachh([1])`, []string{`did you mean "#foreach"?`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			template, err := vtl.Parse(tt.template)
			if tt.want == nil {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			doubts := template.Doubts(everyName())
			require.Len(t, doubts, len(tt.want), "%v", doubts)
			for n, want := range tt.want {
				require.Contains(t, doubts[n].String(), want)
			}
		})
	}
}

// A name that exists causes no doubt, however it is written.
func TestTemplate_DoubtsNothing(t *testing.T) {
	t.Parallel()
	for _, template := range []string{
		"", "plain $ text, $5.00 and #channel (here) or #1", `\$inptu \#set`, "## $inptu\n#* $inptu *#", "#[[$inptu]]#", "#literal()$inptu#end",
		`$input.body $input.json('$.x') $input.path("$.x").y.z[0] $input.params() $input.params('x') $!{input.getBody()} $input.params().header.x`,
		`#set($path = '$.x')$input.json($path)`,
		`$context.connectionId.length() $context.identity.sourceIp $context.authorizer.anything $context["status"] $context.get($input.body)`,
		`#set($i = $context.identity)$i.sourceIp #set($c = $context)$c.status #set($in = $input)$in.body #set($u = $util)$u.urlEncode('x')`,
		`$stageVariables.table $stageVariables['region'] ${stageVariables.get('table')} $stageVariables.size() #foreach($v in $stageVariables)$v#end`,
		`$util.escapeJavaScript($util.parseJson($util.urlEncode($util.urlDecode($util.base64Encode($util.base64Decode('eA=='))))))`,
		`$late #set($late = 1)`, `#set($input = {"jsn": 1})$input.jsn`,
		`#foreach($x in [1..3])$x $foreach.index $velocityCount $velocityHasNext $foreach.parent.index#end`,
		`#macro(greet $who $how)$how $who $!bodyContent#end#greet('a' 'b') #@greet('c' 'd')text#end`,
		// JSON that has names with a "$".
		`{"$schema": "http://x", "$ref": "#/a", "$set": {"a": "$5"}, "$inc": 1, "$oid": "x", "t": {"$sum": "$items.price"}}`,
		`#set($data = 1)#set($item = 1){"$date": $data, "x": "$items.price", "y": "$content.title"}`, "US$amount of $contact, valid $until then",
		// The test for null, and a stage variable that may be missing.
		`#if($input.path('$.a') != $null)x#end #set($full = 1)#if($null == $input.path('$.a'))x#end`,
		`#if("$!stageVariables.debug" == "1")x#end $!stageVariables.trace #if($stageVariables.level)$stageVariables.level#end`,
		// Texts with a "#".
		`#get(1) #let(1) #and(1) #self(x) #sent (x) #see(below) #sea (x) #send(1) #of(1) #top(1) #step(1) #shop(1) #for(1) #each(1) #bread(1) #liberal (x)`,
		`#if($input.path('$.a') == 1)#set($y = 1)#else#set($y = 2)#end$y`,
	} {
		parsed, err := vtl.Parse(template)
		require.NoError(t, err, template)
		require.Empty(t, parsed.Doubts(everyName()), template)
	}
}

func TestTemplate_DoubtsAreBounded(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for n := range 1000 {
		fmt.Fprintf(&text, "$unknown%d.x() ", n)
	}
	template, err := vtl.Parse(text.String())
	require.NoError(t, err)
	require.Len(t, template.Doubts(everyName()), 100)
}

// The work does not grow with the product of the names that a template sets and those that
// it does not.
func TestTemplate_DoubtsOfLongTexts(t *testing.T) {
	t.Parallel()
	repeat := func(times int, format string) string {
		var b strings.Builder
		for n := range times {
			fmt.Fprintf(&b, format, n)
		}
		return b.String()
	}
	for name, text := range map[string]string{
		"other names":            repeat(1500, "#set($other%d=1)") + repeat(6000, "$quantity%d "),
		"one name":               repeat(1500, "#set($other%d=1)") + strings.Repeat("$quantity ", 6000),
		"calls":                  repeat(1500, "#macro(other%d)#end") + repeat(6000, "#zzqzqz%d(1)"),
		"stage variables":        repeat(9000, "$stageVariables.x.y%d "),
		"variables of $context":  repeat(9000, "$context.x[0].y%d "),
		"names of the same size": repeat(900, "#set($aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa%04d=1)") + repeat(3000, "$bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb%04d "),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template, err := vtl.Parse(text)
			require.NoError(t, err)
			known := everyName()
			for n := range 200 {
				known.StageVariables[fmt.Sprintf("variable%d", n)] = ""
			}
			require.LessOrEqual(t, len(template.Doubts(known)), 100) // in no time: the whole test would hang otherwise
		})
	}
}

// Whatever a template holds, its doubts are in the order of the text, at a position in it.
func FuzzTemplate_Doubts(f *testing.F) {
	for _, seed := range []string{"$inptu", "$context.x $input.jsn('a')", `"#foreach($x in $y)$x#end"`, "#macro(a $b)$b#end#a($c)", "$stageVariables['x']"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		template, err := vtl.Parse(text)
		if err != nil {
			return
		}
		last := vtl.Doubt{}
		for _, d := range template.Doubts(everyName()) {
			require.GreaterOrEqual(t, d.Line, max(last.Line, 1))
			require.Positive(t, d.Column)
			require.LessOrEqual(t, d.Line, strings.Count(text, "\n")+1)
			require.NotEmpty(t, d.Reason)
			last = d
		}
	})
}
