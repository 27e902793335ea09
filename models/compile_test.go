package models_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/models"
)

func TestCompile_refuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ schema, want string }{
		{``, `models: schema: not valid JSON: it is empty`},
		{`{`, `models: schema: not valid JSON: it ends too early`},
		{`{"type":x}`, `models: schema: not valid JSON: byte 9 is not expected`},
		{`[]`, `models: schema: /: got array, want object`},
		{`true`, `models: schema: /: got boolean, want object`},
		{`{"type":"strin"}`, `models: schema: /type: got string, want array, or value must be one of 'array', 'boolean', 'integer', 'null', 'number', 'object', 'string'`},
		{`{"properties":{"a/b":{"minLength":-1}}}`, `models: schema: /properties/a~1b/minLength: minimum: got -1, want 0`},
		{`{"properties":{"a":true}}`, `models: schema: /properties/a: got boolean, want object`},
		{`{"properties":{"a\nb":{"type":1}}}`, `models: schema: /properties/a\nb/type: `},
		{`{"definitions":{"\u2028\n":{"$ref":"x\ny"}}}`, `models: schema: `},
		{`{"properties":{"\r":{"pattern":"(?=\n"}}}`, `models: schema: /properties/\r/pattern: pattern "(?=\n" is`},
		{`{"required":[]}`, `models: schema: /required: minItems: got 0, want 1`},
		{`{"required":true}`, `models: schema: /required: got boolean, want array`},
		{`{"exclusiveMinimum":5}`, `models: schema: /exclusiveMinimum: got number, want boolean`},
		{`{"exclusiveMinimum":true}`, `models: schema: /: properties 'minimum' required, if 'exclusiveMinimum' exists`},
		{`{"enum":[1,1.0]}`, `models: schema: /enum: items at 0 and 1 are equal`},
		{`{"multipleOf":0}`, `models: schema: /multipleOf: exclusiveMinimum: got 0, want 0`},
		{`{"definitions":{"unused":{"type":1}}}`, `/definitions/unused/type: `},
		{`{"pattern":"a(?=b)"}`, "models: schema: /pattern: pattern \"a(?=b)\" is not a regular expression of Go: error parsing regexp: invalid or unsupported Perl syntax: `(?=`"},
		{`{"pattern":"\\u0041"}`, "/pattern: pattern \"\\\\u0041\" is not a regular expression of Go: error parsing regexp: invalid escape sequence: `\\u`"},
		{`{"patternProperties":{"(a)\\1":{}}}`, "models: schema: /patternProperties: pattern \"(a)\\\\1\" is not a regular expression of Go: error parsing regexp: invalid escape sequence: `\\1`"},
		{`{"$schema":"http://json-schema.org/draft-07/schema#"}`, `models: schema: /$schema: "http://json-schema.org/draft-07/schema#" is not draft 4, which is http://json-schema.org/draft-04/schema#`},
		{`{"$schema":"https://json-schema.org/draft/2020-12/schema"}`, `is not draft 4`},
		{`{"$schema":"http://json-schema.org/schema#"}`, `is not draft 4`},
		{`{"$schema":"file:///etc/passwd"}`, `is not draft 4`},
		{`{"$schema":4}`, `models: schema: /$schema: got number, want string`},
		{`{"items":{"$schema":"http://json-schema.org/draft-06/schema#"}}`, `models: schema: /items/$schema: `},
		{`{"foo":{"$id":"http://example.com/foo","$schema":"http://json-schema.org/draft-06/schema#"},"items":{"$ref":"#/foo"}}`, `models: schema: /foo: not a schema of draft 4`},
		{`{"items":{"$ref":"http://json-schema.org/draft-07/schema#"}}`, `models: schema: /items/$ref: "http://json-schema.org/draft-07/schema#" is no model, and nothing is loaded`},
		{`{"$ref":"#/definitions/x"}`, `models: schema: /$ref: "#/definitions/x" refers to nothing`},
		{`{"items":{"$ref":"#/definitions/%C3%A4"}}`, `models: schema: /items/$ref: "#/definitions/%C3%A4" refers to nothing`},
		{`{"items":{"$ref":"#x"}}`, `models: schema: /items/$ref: "#x" refers to nothing`},
		{`{"$ref":"#"}`, `models: schema: /: $ref leads back to itself`},
		{`{"allOf":[{"$ref":"#/definitions/a"}],"definitions":{"a":{"$ref":"#/definitions/b"},"b":{"$ref":"#/definitions/a"}}}`, `$ref leads back to itself`},
		{`{"allOf":[{"$ref":"#"}]}`, `models: schema: /: the schema refers to itself for the same value`},
		{`{"definitions":{"a":{"anyOf":[{"not":{"$ref":"#/definitions/a"}}]}}}`, `/definitions/a: the schema refers to itself for the same value`},
		{`{"dependencies":{"a":{"oneOf":[{"$ref":"#"}]}}}`, `the schema refers to itself for the same value`},
		{`{"items":{"$ref":"https://apigateway.amazonaws.com/restapis/abc/models/Other"}}`, `models: schema: /items/$ref: "https://apigateway.amazonaws.com/restapis/abc/models/Other" is no model, and nothing is loaded`},
		{`{"$ref":"http://[::1"}`, `models: schema: `},
		{`{"id":"%zz"}`, `models: schema: `},
		{`{"definitions":{"a":{"id":"#x"},"b":{"id":"#x"}}}`, `models: schema: `},
		{`{"maxLength":18446744073709551617}`, `models: schema: /maxLength: above 2147483647`},
		{`{"minItems":1e10}`, `models: schema: /minItems: above 2147483647`},
		{`{"maximum":1e1001}`, `models: schema: /maximum: the number's exponent is out of range`},
		{`{"multipleOf":1e999999999}`, `models: schema: /multipleOf: the number's exponent is out of range`},
		{`{"enum":[1e-999999999]}`, `models: schema: /enum/0: the number's exponent is out of range`},
		{strings.Repeat(`{"not":`, 101) + `{}` + strings.Repeat(`}`, 101), `nested more than 100 deep`},
		{strings.Repeat(`[`, 20000), `models: schema: not valid JSON: it is nested more than 10000 deep`},
		{`{"title":"` + strings.Repeat("ä", 32757) + `"}`, `models: schema: 32769 characters, above 32768`},
	} {
		_, err := models.Compile(tc.schema)
		require.Error(t, err, tc.schema)
		require.Contains(t, err.Error(), tc.want, tc.schema)
		require.NotContains(t, err.Error(), "\n")
		require.Less(t, len(err.Error()), 1500)
	}
}

func TestCompile_accepts(t *testing.T) {
	t.Parallel()
	for _, schema := range []string{
		`{}`,
		`{"$schema":"http://json-schema.org/draft-04/schema#"}`,
		`{"$schema":"http://json-schema.org/draft-04/schema"}`,
		`{"$schema":"https://json-schema.org/draft-04/schema#"}`,
		`{"title":"` + strings.Repeat("ä", 32756) + `"}`, // 32768 characters
		`{"properties":{"$schema":{"type":"string"},"$ref":{"type":"string"},"maxLength":{},"enum":{},"id":{}}}`,
		`{"enum":[{"$ref":"http://example.com/"},{"$schema":"x"}]}`,
		`{"maximum":1e1000,"minimum":-1e-1000}`,
		`{"const":1,"if":{},"contains":5}`, // of later drafts, and unknown
	} {
		_, err := models.Compile(schema)
		require.NoError(t, err)
	}
}

func TestMustCompile(t *testing.T) {
	t.Parallel()
	require.NotNil(t, models.MustCompile(`{}`))
	require.PanicsWithError(t, `models: schema: /: got array, want object`, func() { models.MustCompile(`[]`) })
}

func TestCompile_local_references(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, schema, fit, unfit string }{
		{"definition", `{"$ref":"#/definitions/a","definitions":{"a":{"type":"string"}}}`, `"x"`, `1`},
		{"siblings are ignored", `{"items":{"$ref":"#/definitions/a","maxLength":1},"definitions":{"a":{"type":"string"}}}`, `["xx"]`, `[1]`},
		{"escaped pointer", `{"items":{"$ref":"#/definitions/a~1b%25"},"definitions":{"a/b%":{"type":"string"}}}`, `["x"]`, `[1]`},
		{"id as anchor", `{"items":{"$ref":"#a"},"definitions":{"x":{"id":"#a","type":"string"}}}`, `["x"]`, `[1]`},
		{"id of the root", `{"id":"http://example.com/root","items":{"$ref":"#/definitions/a"},"definitions":{"a":{"type":"string"}}}`, `["x"]`, `[1]`},
		{"id as URL", `{"id":"http://example.com/root","items":{"$ref":"a.json"},"definitions":{"x":{"id":"a.json","type":"string"}}}`, `["x"]`, `[1]`},
		{"id changes the base", `{"definitions":{"x":{"id":"http://example.com/x/","definitions":{"y":{"id":"y","type":"string"}},"items":{"$ref":"y"}}},"items":{"$ref":"#/definitions/x"}}`, `[["x"]]`, `[[1]]`},
		{"recursion", `{"type":"object","properties":{"next":{"$ref":"#"}},"additionalProperties":false}`, `{"next":{"next":{}}}`, `{"next":{"next":1}}`},
		{"no keyword's place", `{"items":{"$ref":"#/our/own"},"our":{"own":{"type":"string"}}}`, `["x"]`, `[1]`},
		{"chain", `{"items":{"$ref":"#/definitions/a"},"definitions":{"a":{"$ref":"#/definitions/b"},"b":{"type":"string"}}}`, `["x"]`, `[1]`},
		{"the meta schema", `{"$ref":"http://json-schema.org/draft-04/schema#"}`, `{"type":"string","properties":{"a":{"minimum":0}}}`, `{"type":"string","properties":{"a":{"minLength":-1}}}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			model, err := models.Compile(tc.schema)
			require.NoError(t, err)
			require.NoError(t, model.Validate([]byte(tc.fit)))
			require.Error(t, model.Validate([]byte(tc.unfit)))
		})
	}
}

func TestCompileAll(t *testing.T) {
	t.Parallel()
	const base = "https://apigateway.amazonaws.com/restapis/"
	all, err := models.CompileAll(map[string]string{
		"Order":  `{"type":"object","properties":{"items":{"type":"array","items":{"$ref":"` + base + `a1b2c3/models/Item"}}}}`,
		"Item":   `{"type":"object","required":["sku"],"properties":{"part":{"$ref":"` + base + `other/models/Item"},"sku":{"$ref":"` + base + `a1b2c3/models/Common#/definitions/sku"}}}`,
		"Common": `{"definitions":{"sku":{"type":"string","pattern":"^[A-Z]+$"}}}`,
		"Tree":   `{"properties":{"children":{"items":{"$ref":"` + base + `x/models/Tree"}},"order":{"$ref":"` + base + `x/models/Order"}},"additionalProperties":false}`,
		"Alias":  `{"$ref":"` + base + `y/models/Order#"}`,
		"Odd":    `{"items":{"$ref":"#/our/own"},"our":{"own":{"$ref":"` + base + `z/models/Item"}}}`,
	})
	require.NoError(t, err)
	require.Len(t, all, 6)
	for _, tc := range []struct{ model, body, want string }{
		{"Order", `{"items":[{"sku":"A","part":{"sku":"B"}}]}`, ""},
		{"Order", `{"items":[{"sku":"A","part":{"sku":"b"}}]}`, `/items/0/part/sku: want a match of "^[A-Z]+$"`},
		{"Item", `{}`, `/: missing property "sku"`},
		{"Common", `1`, ""},
		{"Tree", `{"children":[{"children":[]},{"order":{"items":[]}}]}`, ""},
		{"Tree", `{"children":[{"children":[{"x":1}]}]}`, `/children/0/children/0: property "x" is not allowed`},
		{"Alias", `[]`, "/: want object, got array"},
		{"Odd", `[{"sku":""}]`, `/0/sku: want a match of "^[A-Z]+$"`},
	} {
		err := all[tc.model].Validate([]byte(tc.body))
		if tc.want == "" {
			require.NoError(t, err, tc.body)
			continue
		}
		require.EqualError(t, err, tc.want)
	}

	none, err := models.CompileAll(nil)
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestCompileAll_refuses(t *testing.T) {
	t.Parallel()
	const base = "https://apigateway.amazonaws.com/restapis/"
	long := strings.Repeat("a", 129)
	for _, tc := range []struct {
		schemas map[string]string
		want    string
	}{
		{map[string]string{"": `{}`}, `models: model "": a name is 1 to 128 letters and digits`},
		{map[string]string{"a-b": `{}`}, `models: model "a-b": a name is 1 to 128 letters and digits`},
		{map[string]string{"ä": `{}`}, `models: model "ä": a name is 1 to 128 letters and digits`},
		{map[string]string{long: `{}`}, `models: model "aaaa`},
		{map[string]string{"A": `{}`, "B": `{"type":1}`}, `models: model "B": /type: `},
		{map[string]string{"A": `{`}, `models: model "A": not valid JSON: it ends too early`},
		// the error is that of B, found on the way from A
		{map[string]string{"A": `{"items":{"$ref":"` + base + `x/models/B"}}`, "B": `{"properties":{"p":{"type":1}}}`}, `models: model "B": /properties/p/type: `},
		{map[string]string{"A": `{"items":{"$ref":"` + base + `x/models/B"}}`, "B": `{"items":{"$ref":"http://example.com/x"}}`}, `models: model "B": /items/$ref: "http://example.com/x" is no model, and nothing is loaded`},
		{map[string]string{"A": `{"items":{"$ref":"` + base + `x/models/C"}}`}, `models: model "A": /items/$ref: "` + base + `x/models/C" is no model, and nothing is loaded`},
		{map[string]string{"A": `{"items":{"$ref":"` + base + `x/models/A#/definitions/q"}}`}, `models: model "A": /items/$ref: "` + base + `x/models/A#/definitions/q" refers to nothing`},
		{map[string]string{"A": `{"items":{"$ref":"` + base + `x/y/models/A"}}`}, `is no model`},
		{map[string]string{"A": `{"items":{"$ref":"` + base + `/models/A"}}`}, `is no model`},
		{map[string]string{"A": `{"items":{"$ref":"` + base + `x/models/A?b"}}`}, `is no model`},
		{map[string]string{"A": `{"allOf":[{"$ref":"` + base + `x/models/B"}]}`, "B": `{"not":{"$ref":"` + base + `x/models/A"}}`}, `models: model "A": /: the schema refers to itself for the same value`},
		{map[string]string{"A": `{"$ref":"` + base + `x/models/B"}`, "B": `{"$ref":"` + base + `x/models/A"}`}, `models: model "A": /: $ref leads back to itself`},
	} {
		for range 5 {
			_, err := models.CompileAll(tc.schemas)
			require.Error(t, err)
			require.Contains(t, err.Error(), tc.want)
		}
	}
	all, err := models.CompileAll(map[string]string{long[:128]: `{}`, "0": `{}`})
	require.NoError(t, err)
	require.Len(t, all, 2)
}

// Nothing is loaded: a server that would answer gets no request, and a file that exists is
// not read.
func TestCompile_loads_nothing(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = w.Write([]byte(`{}`))
	}))
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "schema.json")
	require.NoError(t, os.WriteFile(file, []byte(`{}`), 0o600))

	for _, target := range []string{
		server.URL, server.URL + "/a.json#/b", "file://" + file, file, "file:" + file, "//" + strings.TrimPrefix(server.URL, "http://"),
		"https://example.com/x", "ftp://example.com/x", "urn:x", "data:application/json,{}", "compile_test.go", "../go.mod",
		"http://json-schema.org/draft-04/nothing", "http://json-schema.org/draft-04",
	} {
		for _, schema := range []string{
			`{"$ref":"` + target + `"}`,
			`{"definitions":{"unused":{"properties":{"a":{"$ref":"` + target + `"}}}}}`,
			`{"dependencies":{"a":{"not":{"items":[{"$ref":"` + target + `"}]}}}}`,
			`{"id":"` + target + `","items":{"$ref":"other"}}`,
			`{"$schema":"` + target + `"}`,
			`{"items":{"id":"http://example.com/i","$schema":"` + target + `"}}`,
			`{"odd":{"id":"http://example.com/i","$schema":"` + target + `"},"items":{"$ref":"#/odd"}}`,
		} {
			_, err := models.Compile(schema)
			if strings.HasPrefix(schema, `{"id":"urn:`) || strings.HasPrefix(schema, `{"id":"data:`) {
				continue // nothing is relative to such a URL, and "other" is the schema itself
			}
			require.Error(t, err, schema)
		}
		_, err := models.Compile(`{"items":{"$ref":"` + target + `"}}`)
		require.ErrorContains(t, err, target)
	}
	require.Zero(t, asked.Load())
}

func TestModel_Validate_concurrently(t *testing.T) {
	t.Parallel()
	all, err := models.CompileAll(map[string]string{
		"A": `{"required":["a"],"properties":{"a":{"pattern":"^a","format":"email","enum":["a@b.example"]}},"patternProperties":{"^x":{"uniqueItems":true}},"additionalProperties":{"$ref":"https://apigateway.amazonaws.com/restapis/x/models/B"}}`,
		"B": `{"oneOf":[{"multipleOf":3},{"multipleOf":5}]}`,
	})
	require.NoError(t, err)
	var wg sync.WaitGroup
	var wrong atomic.Int32
	for i := range 16 {
		wg.Go(func() {
			for range 200 {
				if i%2 == 0 && all["A"].Validate([]byte(`{"a":"a@b.example","x":[1,2],"n":9}`)) != nil {
					wrong.Add(1)
				}
				if err := all["A"].Validate([]byte(`{"a":"b","x":[1,1],"n":15}`)); err == nil || !strings.HasPrefix(err.Error(), "/a: want ") {
					wrong.Add(1)
				}
			}
		})
	}
	wg.Wait()
	require.Zero(t, wrong.Load())
}

// An id is relative to the model's own URL. An id below the root that equals the model's
// name therefore belongs to two schemas.
func TestCompileAll_OwnName(t *testing.T) {
	t.Parallel()
	const schema = `{"items":{"id":"A"}}`
	_, err := models.CompileAll(map[string]string{"A": schema})
	require.ErrorContains(t, err, `model "A": duplicate id`)
	_, err = models.CompileAll(map[string]string{"B": schema})
	require.NoError(t, err)
}
