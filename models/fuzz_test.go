package models_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"example.com/gateway/models"
)

// FuzzValidate checks bodies against each schema of the table. The result is the same
// however the JSON is written, and the same as that of another validator.
func FuzzValidate(f *testing.F) {
	type pair struct {
		schema string
		ours   *models.Model
		theirs *jsonschema.Schema
	}
	var pairs []pair
	for _, tc := range keywords {
		for _, body := range tc.fit {
			f.Add([]byte(body))
		}
		for body := range tc.unfit {
			f.Add([]byte(body))
		}
		p := pair{schema: tc.schema, ours: models.MustCompile(tc.schema)}
		if !strings.Contains(tc.schema, `"uuid"`) && !strings.Contains(tc.schema, `"regex"`) { // formats of later drafts
			p.theirs = theirs(f, tc.schema)
		}
		pairs = append(pairs, p)
	}
	const recursive = `{"properties":{"a":{"$ref":"#"}},"items":{"$ref":"#"},"additionalProperties":{"not":{"$ref":"#"}},"required":["a"]}`
	pairs = append(pairs, pair{recursive, models.MustCompile(recursive), theirs(f, recursive)})
	f.Add([]byte(`{"a":{"a":[{"a":1,"b":{}}]}}`))

	f.Fuzz(func(t *testing.T, body []byte) {
		var value any
		decoder := json.NewDecoder(bytes.NewReader(body))
		decoder.UseNumber()
		valid := json.Valid(body)
		if valid {
			require.NoError(t, decoder.Decode(&value))
		}
		again, err := json.MarshalIndent(value, " ", "\t")
		require.NoError(t, err)
		// The other validator panics at large exponents, and is slow for deep values.
		compare := valid && len(body) < 1000 && !bytes.ContainsAny(body, "eE")
		for _, p := range pairs {
			err := p.ours.Validate(body)
			if !valid {
				require.ErrorContains(t, err, "not valid JSON")
				continue
			}
			if err != nil {
				require.NotContains(t, err.Error(), "not valid JSON")
				require.NotContains(t, err.Error(), "\n")
				require.Less(t, len(err.Error()), 1500)
			}
			rewritten := p.ours.Validate(again)
			require.Equal(t, err, rewritten, p.schema)
			if compare && p.theirs != nil {
				require.Equal(t, p.theirs.Validate(value) == nil, err == nil, p.schema)
			}
		}
	})
}

func theirs(tb testing.TB, schema string) *jsonschema.Schema {
	tb.Helper()
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	require.NoError(tb, err)
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft4)
	require.NoError(tb, compiler.AddResource("mem:///schema", document))
	compiled, err := compiler.Compile("mem:///schema")
	require.NoError(tb, err)
	return compiled
}

// FuzzCompile checks that every schema gives a model whose results are always the same, or
// an error of one line.
func FuzzCompile(f *testing.F) {
	for _, tc := range keywords {
		f.Add(tc.schema, `{"a":[1,"x",null]}`)
	}
	for _, schema := range []string{
		`{"$ref":"http://127.0.0.1:1/x"}`, `{"$ref":"file:///etc/hostname"}`, `{"id":"a","items":{"id":"b","$ref":"#c"}}`,
		`{"definitions":{"a":{"id":"#x"},"b":{"$ref":"#x"}},"allOf":[{"$ref":"#/definitions/b"}]}`,
		`{"$schema":"http://json-schema.org/draft-04/schema#","$ref":"http://json-schema.org/draft-04/schema#"}`,
		`{"items":[{"$ref":"#/items"}],"additionalItems":{"$ref":"#"}}`,
		`{"items":{"$ref":"https://apigateway.amazonaws.com/restapis/x/models/A"}}`,
	} {
		f.Add(schema, `[1]`)
	}
	f.Fuzz(func(t *testing.T, schema, body string) {
		model, err := models.Compile(schema)
		// The name is one that no id hits: see TestCompileAll_OwnName.
		_, errAll := models.CompileAll(map[string]string{"NamedByNoID4711": schema, "B": `{}`})
		if err == nil {
			require.NoError(t, errAll)
			first, second := model.Validate([]byte(body)), model.Validate([]byte(body))
			require.Equal(t, first, second)
			return
		}
		require.True(t, strings.HasPrefix(err.Error(), "models: schema: "), err.Error())
		require.NotContains(t, err.Error(), "\n")
	})
}
