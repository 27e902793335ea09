package models_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/models"
)

// secret stands for what a client sends and no error may show.
const secret = "hunter2"

// keywords has bodies that fit a schema, and bodies that do not with the error's
// text. Where it matters their values contain secret, or 31337 for a number.
var keywords = []struct {
	keyword string // of the problems
	schema  string
	fit     []string
	unfit   map[string]string
}{
	{"type", `{"type":"string"}`, []string{`"x"`, `""`}, map[string]string{
		`31337`:           "/: want string, got number",
		`313.37`:          "/: want string, got number",
		`null`:            "/: want string, got null",
		`true`:            "/: want string, got boolean",
		`["hunter2"]`:     "/: want string, got array",
		`{"a":"hunter2"}`: "/: want string, got object",
	}},
	{"type", `{"type":"integer"}`, []string{`1`, `-1`, `1.0`, `1e3`, `12300e-2`, `0`, `0.0`, `123456789012345678901234567890`, `1e999999999999`}, map[string]string{
		`313.37`:                          "/: want integer, got number",
		`1e-3`:                            "/: want integer, got number",
		`1e-999999999`:                    "/: want integer, got number",
		`12345678901234567890123456789.5`: "/: want integer, got number",
		`"hunter2"`:                       "/: want integer, got string",
	}},
	{"type", `{"type":["null","integer","object"]}`, []string{`null`, `1`, `{}`}, map[string]string{
		`"hunter2"`: "/: want integer or null or object, got string",
	}},
	{"type", `{"type":["integer","number"]}`, []string{`1`, `1.5`}, map[string]string{`[]`: "/: want number, got array"}},
	{"type", `{"type":"boolean"}`, []string{`true`, `false`}, map[string]string{`0`: "/: want boolean, got number"}},
	{"enum", `{"enum":["a","b",1,null,{"x":[1,2]}]}`, []string{`"a"`, `1`, `1.0`, `10e-1`, `null`, `{"x":[1,2.0]}`}, map[string]string{
		`"hunter2"`:         `/: want one of "a", "b", 1, null, {"x":[1,2]}`,
		`{"x":[2,1]}`:       `/: want one of "a", "b", 1, null, {"x":[1,2]}`,
		`{"x":[1,2],"y":0}`: `/: want one of "a", "b", 1, null, {"x":[1,2]}`,
		`"1"`:               `/: want one of "a", "b", 1, null, {"x":[1,2]}`,
	}},
	{"enum", `{"enum":["only"]}`, []string{`"only"`}, map[string]string{`["hunter2"]`: `/: want "only"`}},
	{"minimum", `{"minimum":5}`, []string{`5`, `5.0`, `6`, `"x"`, `5000000000000000000000000001`, `1e1000000000`}, map[string]string{
		`4.99999999999999999999999999`: "/: want at least 5", `-31337`: "/: want at least 5", `-1e1000000000`: "/: want at least 5",
		`1e-1000000000`: "/: want at least 5", `0`: "/: want at least 5",
	}},
	{"exclusiveMinimum", `{"minimum":5,"exclusiveMinimum":true}`, []string{`5.00000000000000000000000001`, `6`}, map[string]string{`5`: "/: want more than 5"}},
	{"minimum", `{"minimum":5,"exclusiveMinimum":false}`, []string{`5`}, map[string]string{`4`: "/: want at least 5"}},
	{"maximum", `{"maximum":9007199254740993}`, []string{`9007199254740993`, `-1e400`}, map[string]string{
		`9007199254740994`: "/: want at most 9007199254740993", `9007199254740993.1`: "/: want at most 9007199254740993",
	}},
	{"exclusiveMaximum", `{"maximum":-2.50,"exclusiveMaximum":true}`, []string{`-2.51`, `-3`}, map[string]string{`-2.5`: "/: want less than -2.5", `0`: "/: want less than -2.5", `31337`: "/: want less than -2.5"}},
	{"multipleOf", `{"multipleOf":0.01}`, []string{`4.02`, `0`, `-0.010`, `1e300`, `"x"`}, map[string]string{`4.025`: "/: want a multiple of 0.01", `1e-1000000000`: "/: want a multiple of 0.01"}},
	{"multipleOf", `{"multipleOf":7}`, []string{`14`, `-7`, `70000000000000000000000000000`}, map[string]string{
		`31337`: "/: want a multiple of 7", `1e1000000000`: "/: want a multiple of 7", `7.5`: "/: want a multiple of 7",
	}},
	{"minLength", `{"minLength":2}`, []string{`"ab"`, `"äö"`, `"\ud83d\ude00\ud83d\ude00"`, `1`}, map[string]string{`"ä"`: "/: want at least 2 characters", `""`: "/: want at least 2 characters"}},
	{"maxLength", `{"maxLength":1}`, []string{`"😀"`, `[1,2]`}, map[string]string{`"hunter2"`: "/: want at most 1 character"}},
	{"pattern", `{"pattern":"^[a-z]+$"}`, []string{`"abc"`, `1`}, map[string]string{`"hunter2"`: `/: want a match of "^[a-z]+$"`}},
	{"pattern", `{"pattern":"b"}`, []string{`"abc"`}, map[string]string{`"hunter2"`: `/: want a match of "b"`}},
	{"format", `{"format":"date-time"}`, []string{`"2024-02-29T12:00:00Z"`, `1`}, map[string]string{`"2023-02-29T12:00:00Z"`: "/: want a text of format date-time", `"hunter2"`: "/: want a text of format date-time"}},
	{"format", `{"format":"email"}`, []string{`"a@example.com"`}, map[string]string{`"hunter2"`: "/: want a text of format email"}},
	{"format", `{"format":"hostname"}`, []string{`"example.com"`}, map[string]string{`"hunter2 "`: "/: want a text of format hostname"}},
	{"format", `{"format":"ipv4"}`, []string{`"192.0.2.1"`}, map[string]string{`"hunter2"`: "/: want a text of format ipv4"}},
	{"format", `{"format":"ipv6"}`, []string{`"2001:db8::1"`}, map[string]string{`"hunter2"`: "/: want a text of format ipv6"}},
	{"format", `{"format":"uri"}`, []string{`"https://example.com/"`}, map[string]string{`"hunter2"`: "/: want a text of format uri"}},
	{"format", `{"format":"uuid"}`, []string{`"not one"`}, nil},
	{"format", `{"format":"regex"}`, []string{`"("`}, nil},
	{"format", `{"format":"of our own"}`, []string{`"x"`}, nil},
	{"items", `{"items":{"type":"integer"}}`, []string{`[]`, `[1,2]`, `{}`}, map[string]string{}},
	{"type", `{"items":{"type":"integer"}}`, nil, map[string]string{`[1,"hunter2",null]`: "/1: want integer, got string; /2: want integer, got null"}},
	{"type", `{"items":[{"type":"integer"},{"type":"string"}]}`, []string{`[1]`, `[1,"a",null]`}, map[string]string{`["hunter2","x"]`: "/0: want integer, got string"}},
	{"additionalItems", `{"items":[{},{}],"additionalItems":false}`, []string{`[1]`, `[1,2]`}, map[string]string{`[1,2,"hunter2"]`: "/: want at most 2 items"}},
	{"type", `{"items":[{}],"additionalItems":{"type":"string"}}`, []string{`[1,"a"]`}, map[string]string{`[1,"a",31337]`: "/2: want string, got number"}},
	{"additionalItems", `{"items":{},"additionalItems":false}`, []string{`[1,2,3]`}, nil},
	{"additionalItems", `{"additionalItems":false}`, []string{`[1,2,3]`}, nil},
	{"minItems", `{"minItems":1}`, []string{`[1]`, `"x"`}, map[string]string{`[]`: "/: want at least 1 item"}},
	{"maxItems", `{"maxItems":2}`, []string{`[1,2]`}, map[string]string{`[1,2,"hunter2"]`: "/: want at most 2 items"}},
	{"uniqueItems", `{"uniqueItems":true}`, []string{`[]`, `[1,"1",true,null,[1],{"a":1}]`, `[[1,2],[2,1]]`, `["1:a","a"]`, `[["a","b"],["ab"]]`}, map[string]string{
		`["hunter2",1,"hunter2"]`:           "/: want items that differ",
		`[1,1.0]`:                           "/: want items that differ",
		`[{"a":1,"b":2},{"b":2,"a":10e-1}]`: "/: want items that differ",
	}},
	{"uniqueItems", `{"uniqueItems":false}`, []string{`[1,1]`}, nil},
	{"minProperties", `{"minProperties":1}`, []string{`{"a":1}`, `[]`}, map[string]string{`{}`: "/: want at least 1 property"}},
	{"maxProperties", `{"maxProperties":0}`, []string{`{}`}, map[string]string{`{"a":"hunter2"}`: "/: want at most 0 properties"}},
	{"required", `{"required":["b","a"]}`, []string{`{"a":null,"b":0}`, `[]`, `{"a":1,"b":2,"c":3}`}, map[string]string{
		`{"c":"hunter2"}`: `/: missing property "a"; /: missing property "b"`,
	}},
	{"type", `{"properties":{"data":{"properties":{"amount":{"type":"number"}}}}}`, []string{`{}`, `{"data":1}`, `{"data":{"amount":1}}`}, map[string]string{
		`{"data":{"amount":"hunter2"}}`: "/data/amount: want number, got string",
	}},
	{"type", `{"patternProperties":{"^n":{"type":"number"},"m$":{"type":"integer"}}}`, []string{`{"n":1,"x":"y","nm":2}`}, map[string]string{
		`{"nm":0.5,"n1":"hunter2"}`: "/n1: want number, got string; /nm: want integer, got number",
	}},
	{"additionalProperties", `{"properties":{"a":{}},"patternProperties":{"^x-":{}},"additionalProperties":false}`, []string{`{"a":1,"x-b":2}`, `{}`}, map[string]string{
		`{"c":"hunter2","b":"hunter2","a":1}`: `/: property "b" is not allowed; /: property "c" is not allowed`,
	}},
	{"additionalProperties", `{"additionalProperties":true}`, []string{`{"a":1}`}, nil},
	{"type", `{"properties":{"a":{}},"additionalProperties":{"type":"boolean"}}`, []string{`{"a":1,"b":true}`}, map[string]string{`{"b":"hunter2"}`: "/b: want boolean, got string"}},
	{"dependencies", `{"dependencies":{"card":["name","address"]}}`, []string{`{}`, `{"name":1}`, `{"card":1,"name":2,"address":3}`}, map[string]string{
		`{"card":"hunter2"}`: `/: property "card" needs property "address"; /: property "card" needs property "name"`,
	}},
	{"type", `{"dependencies":{"card":{"properties":{"name":{"type":"string"}}}}}`, []string{`{"name":1}`, `{"card":1,"name":"x"}`}, map[string]string{`{"card":1,"name":31337}`: "/name: want string, got number"}},
	{"not", `{"not":{"type":"string"}}`, []string{`1`}, map[string]string{`"hunter2"`: "/: fits the schema that it must not fit"}},
	{"minimum", `{"allOf":[{"minimum":3},{"minimum":5}]}`, []string{`5`}, map[string]string{`1`: "/: want at least 3; /: want at least 5", `4`: "/: want at least 5"}},
	{"anyOf", `{"anyOf":[{"type":"string","maxLength":1},{"minimum":5}]}`, []string{`"a"`, `5`, `null`}, map[string]string{`4`: "/: fits none of 2 schemas"}},
	{"oneOf", `{"oneOf":[{"type":"integer"},{"minimum":5}]}`, []string{`1`, `5.5`}, map[string]string{`31337`: "/: fits more than one of 2 schemas", `3.1337`: "/: fits none of 2 schemas"}},
	{"type", `{"definitions":{"n":{"type":"number"}},"properties":{"a":{"$ref":"#/definitions/n"}}}`, []string{`{"a":1}`}, map[string]string{`{"a":"hunter2"}`: "/a: want number, got string"}},
	{"", `{"title":"t","description":"d","default":5,"unknown":{"type":"string"}}`, []string{`1`, `{}`}, nil},
	{"", `{}`, []string{`1`, `null`, `" "`}, nil},
}

func TestModel_Validate(t *testing.T) {
	t.Parallel()
	for _, tc := range keywords {
		t.Run(tc.schema, func(t *testing.T) {
			t.Parallel()
			model, err := models.Compile(tc.schema)
			require.NoError(t, err)
			for _, body := range tc.fit {
				require.NoError(t, model.Validate([]byte(body)), body)
			}
			for body, want := range tc.unfit {
				err := model.Validate([]byte(body))
				require.EqualError(t, err, want, body)
				var invalid *models.ValidationError
				require.ErrorAs(t, err, &invalid)
				for _, p := range invalid.Problems {
					require.Equal(t, tc.keyword, p.Keyword)
				}
			}
		})
	}
}

func TestValidationError_holds_no_value_of_the_body(t *testing.T) {
	t.Parallel()
	bodies := []string{
		`"` + secret + `"`, `["` + secret + `","` + secret + `"]`, `{"a":"` + secret + `"}`, `{"a":{"b":["` + secret + `"]}}`,
		`31337`, `-31337.31337`, `[31337]`, `{"a":31337,"nm":"` + secret + `","card":"` + secret + `"}`,
		// not JSON
		secret, `"` + secret, `{"a":` + secret + `}`, `{` + secret, `"` + secret + "\x01" + `"`, `"a" ` + secret, `31337x`, `"\q` + secret + `"`,
	}
	seen := map[string]bool{}
	for _, tc := range keywords {
		model := models.MustCompile(tc.schema)
		all := bodies
		for body := range tc.unfit {
			all = append(all, body)
		}
		for _, body := range all {
			var invalid *models.ValidationError
			if !errors.As(model.Validate([]byte(body)), &invalid) {
				continue
			}
			for _, p := range invalid.Problems {
				seen[p.Keyword] = true
			}
			text := invalid.Error()
			require.NotContains(t, text, secret, "%s against %s", body, tc.schema)
			require.NotContains(t, text, "31337", "%s against %s", body, tc.schema)
			require.NotContains(t, text, "\n")
		}
	}
	for _, keyword := range strings.Fields("type enum minimum exclusiveMinimum maximum exclusiveMaximum multipleOf minLength maxLength pattern format additionalItems minItems maxItems uniqueItems minProperties maxProperties required additionalProperties dependencies not anyOf oneOf") {
		require.True(t, seen[keyword], keyword)
	}
}

func TestModel_Validate_not_JSON(t *testing.T) {
	t.Parallel()
	model := models.MustCompile(`{}`)
	for body, want := range map[string]string{
		"":                             "not valid JSON: it is empty",
		" \n":                          "not valid JSON: it is empty",
		`{"a":`:                        "not valid JSON: it ends too early",
		`{"a":hunter2}`:                "not valid JSON: byte 6 is not expected",
		`1 2`:                          "not valid JSON: there is more behind the value",
		`{} }`:                         "not valid JSON: there is more behind the value",
		`01`:                           "not valid JSON: there is more behind the value",
		`NaN`:                          "not valid JSON: byte 1 is not expected",
		strings.Repeat("[", 10001):     "not valid JSON: it is nested more than 10000 deep",
		strings.Repeat(`{"a":`, 1<<15): "not valid JSON: it is nested more than 10000 deep",
	} {
		err := model.Validate([]byte(body))
		require.EqualError(t, err, want)
		var invalid *models.ValidationError
		require.ErrorAs(t, err, &invalid)
		require.Empty(t, invalid.Problems[0].Keyword)
	}
	require.NoError(t, model.Validate([]byte(strings.Repeat("[", 10000)+strings.Repeat("]", 10000))))
}

func TestModel_Validate_last_of_duplicate_names_wins(t *testing.T) {
	t.Parallel()
	model := models.MustCompile(`{"properties":{"a":{"type":"string"}}}`)
	require.NoError(t, model.Validate([]byte(`{"a":1,"a":"x"}`)))
	require.NoError(t, model.Validate([]byte(`{"a":1,"\u0061":"x"}`)))
	require.Error(t, model.Validate([]byte(`{"a":"x","a":1}`)))
	nested := models.MustCompile(`{"properties":{"a":{"required":["x"]}}}`)
	require.Error(t, nested.Validate([]byte(`{"a":{"x":1},"a":{}}`)))
}
