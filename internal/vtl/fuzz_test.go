package vtl_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/vtl"
)

// FuzzParse checks that no template makes Parse or Append panic, and that a
// template without special characters prints itself.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "golden", "*.cases"))
	require.NoError(f, err)
	for _, file := range files {
		for _, c := range sections(f, file) {
			f.Add(c.text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := vtl.Parse(text)
		if err != nil {
			var syntax *vtl.SyntaxError
			require.ErrorAs(t, err, &syntax)
			require.LessOrEqual(t, syntax.Line, strings.Count(text, "\n")+1)
			require.Positive(t, syntax.Column)
			return
		}
		checkRun(t, parsed, example())
		if !strings.ContainsAny(text, `$#\`) {
			out, err := parsed.Append(nil, example())
			require.NoError(t, err)
			require.Equal(t, text, string(out))
		}
	})
}

// FuzzRun runs a template that uses the body in many ways.
func FuzzRun(f *testing.F) {
	f.Add(`{"a":[1,2.5,"x",null,{"b":true}],"s":"a,b"}`, "$.a", "b*", 1)
	f.Add(`[[[]]]`, "$", "(a|b)+", -1)
	f.Add(`"\ud83d\ude00"`, "$", "", 2)
	template, err := vtl.Parse(`$input.body $input.json($p) #set($v = $input.path($p))$v $v[$i] $v.a.b
#foreach($x in $v)$x $foreach.index $v.get($x) #end
$v.keySet() $v.entrySet() $v.size() $v.length() $v.contains($p) $v.replace("a", $p) $v.replaceAll($re, "<$0>") $v.split($re).size()
$v.equals($v) #if($v == $p || $v > $i)x#end $util.escapeJavaScript($v) $util.urlEncode($v) $util.base64Encode($v) $v.indexOf("a", $i)`)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, body, path, pattern string, i int) {
		env := &vtl.Env{Body: []byte(body)}
		checkRun(t, template, env)
		quoted := strings.ReplaceAll(path, "'", "''")
		one, err := vtl.Parse(fmt.Sprintf("#set($p = '%s')#set($re = '%s')#set($i = %d)#set($v = $input.path($p))$v|$input.json($p)|$v.substring($i)|$v.matches($re)|$v.replaceAll($re, '')|$v.split($re)|$v.charAt($i)|$v.get($i)",
			quoted, strings.ReplaceAll(pattern, "'", "''"), i))
		require.NoError(t, err)
		checkRun(t, one, env)
		require.Equal(t, body, string(env.Body), "the body was changed")
	})
}

// checkRun runs a template twice, and checks that the results are the same and within the
// bounds.
func checkRun(t *testing.T, template *vtl.Template, env *vtl.Env) {
	t.Helper()

	start := time.Now()
	out, err := template.Append(nil, env)
	require.Less(t, time.Since(start), 10*time.Second, "the bounds let a run take too long")
	again, err2 := template.Append(nil, env)
	require.Equal(t, err, err2)
	if err != nil {
		var failed *vtl.RunError
		require.ErrorAs(t, err, &failed)
		require.Positive(t, failed.Line)
		require.Positive(t, failed.Column)
		return
	}
	require.Equal(t, string(out), string(again))
	require.LessOrEqual(t, len(out), 10<<20)
}
