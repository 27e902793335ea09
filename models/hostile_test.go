package models_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/models"
)

// messageBytes is the service's quota of a message.
const messageBytes = 128 << 10

// soon is much more time than the slowest validation takes, and much less than a
// validation without bounds would take.
const soon = 20 * time.Second

func items(item string) string {
	n := (messageBytes - 2) / (len(item) + 1)
	return "[" + strings.Repeat(item+",", n-1) + item + "]"
}

func nested(open, inner, end string, n int) string {
	return strings.Repeat(open, n) + inner + strings.Repeat(end, n)
}

// For every schema and body there is a result in time, and the process does not crash.
func TestModel_Validate_hostile(t *testing.T) {
	t.Parallel()
	var numbers, differing []string
	for i := range 5000 {
		numbers = append(numbers, fmt.Sprint(i))
	}
	for i := range messageBytes / 6 {
		differing = append(differing, fmt.Sprint(i))
	}
	wide := "[" + strings.Join(differing, ",") + "]"
	branches := func(branch string) string {
		n := 30000 / (len(branch) + 1)
		return strings.Repeat(branch+",", n-1) + branch
	}
	for _, tc := range []struct{ name, schema, body, want string }{
		{"deep array, recursive schema", `{"items":{"$ref":"#"}}`, nested("[", "", "]", 10000), ""},
		{"deep array, wrong at the bottom", `{"type":"array","items":{"$ref":"#"}}`, nested("[", "1", "]", 9999), "/0/0/0"},
		{"deep object", `{"type":"object","additionalProperties":{"$ref":"#"}}`, nested(`{"a":`, "1", "}", 9999), "/a/a/a"},
		{"several schemas a level", `{"items":{"allOf":[{"allOf":[{"$ref":"#"}]}]}}`, nested("[", "", "]", 10000), "takes too many steps to validate"},
		{"branches that double at each level", `{"anyOf":[{"items":{"$ref":"#"},"minItems":1},{"items":{"$ref":"#"},"minItems":1}]}`, nested("[", "[]", "]", 60), "takes too many steps to validate"},
		{"the same under not", `{"not":{"oneOf":[{"items":{"$ref":"#"},"minItems":1},{"items":{"$ref":"#"},"minItems":1}]}}`, nested("[", "[]", "]", 2000), "takes too many steps to validate"},
		{"unique numbers", `{"uniqueItems":true}`, wide, ""},
		{"equal empty arrays", `{"uniqueItems":true}`, items("[]"), "/: want items that differ"},
		{"unique at each level", `{"uniqueItems":true,"items":{"$ref":"#"}}`, nested("[1,", "1", "]", 9999), "takes too many steps to validate"},
		{"many uniqueItems", `{"allOf":[` + branches(`{"uniqueItems":true}`) + `]}`, wide, "takes too many steps to validate"},
		{"long enum, many numbers", `{"items":{"enum":[` + strings.Join(numbers, ",") + `]}}`, items("4999"), ""},
		{"long enum, many arrays", `{"items":{"enum":[` + branches("[[]]") + `]}}`, items("[]"), "schema"},
		{"huge exponents", `{"items":{"type":"integer","minimum":1,"multipleOf":7,"enum":[1]},"uniqueItems":true}`, items("1e9999999"), "want a multiple of 7"},
		{"one huge number", `{"multipleOf":3,"minimum":1,"enum":[1]}`, strings.Repeat("9", messageBytes), "/: want 1"},
		{"many times one huge number", `{"allOf":[` + branches(`{"multipleOf":3}`) + `]}`, strings.Repeat("9", messageBytes), "takes too many steps to validate"},
		{"pattern", `{"pattern":"^(a|a?)+$"}`, `"` + strings.Repeat("a", messageBytes) + `b"`, "/: want a match"},
		{"wide pattern", `{"pattern":"(x+x+)+y"}`, `"` + strings.Repeat("x", messageBytes) + `"`, "/: want a match"},
		{"many patterns", `{"allOf":[` + branches(`{"pattern":"a$"}`) + `]}`, `"` + strings.Repeat("a", messageBytes) + `"`, "takes too many steps to validate"},
		{"many pattern properties", `{"items":{"patternProperties":{` + strings.TrimSuffix(strings.Repeat(`"%s":{},`, 1000), ",") + `}}}`, items(`{"aaaaaaaa":0}`), ""},
		{"all required and none there", `{"items":{"required":["` + strings.Join(numbers[:4500], `","`) + `"]}}`, items("{}"), "missing property"},
		{"many properties, small objects", `{"items":{"properties":{"` + strings.Join(numbers, `":{},"`) + `":{}}}}`, "", ""},
		{"many problems", `{"items":{"not":{}}}`, items("0"), "and 65525 more"},
		{"names to sort", `{"items":{"additionalProperties":{"type":"string"}}}`, items(`{"a":"","b":"","c":""}`), ""},
	} {
		if tc.name == "many pattern properties" {
			patterns := make([]any, 1000)
			for i := range patterns {
				patterns[i] = fmt.Sprintf("^%d", i)
			}
			tc.schema, tc.want = fmt.Sprintf(tc.schema, patterns...), "takes too many steps to validate"
		}
		if tc.name == "many properties, small objects" {
			tc.schema = strings.ReplaceAll(tc.schema, `{},"4`, `{},"x`)[:20000]
			tc.schema = tc.schema[:strings.LastIndex(tc.schema, `,"`)] + "}}}"
			tc.body = items(`{"1":0}`)
		}
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			model, err := models.Compile(tc.schema)
			if tc.want == "schema" {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			start := time.Now()
			err = model.Validate([]byte(tc.body))
			require.Less(t, time.Since(start), soon)
			t.Log(time.Since(start))
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.want)
			require.Less(t, len(err.Error()), 1500)
			if strings.Contains(tc.want, "steps") {
				return
			}
			again := model.Validate([]byte(tc.body))
			require.EqualError(t, again, err.Error())
		})
	}
}

// For every schema there is a model or an error in time.
func TestCompile_hostile(t *testing.T) {
	t.Parallel()
	join := func(n int, one func(i int) string) string {
		var parts []string
		for i := range n {
			parts = append(parts, one(i))
		}
		return strings.Join(parts, ",")
	}
	for name, schema := range map[string]string{
		"many schemas":     `{"allOf":[` + join(10000, func(int) string { return `{}` }) + `]}`,
		"many definitions": `{"definitions":{` + join(2500, func(i int) string { return fmt.Sprintf(`"%d":{}`, i) }) + `}}`,
		"many ids":         `{"definitions":{` + join(1500, func(i int) string { return fmt.Sprintf(`"%d":{"id":"%d"}`, i, i) }) + `}}`,
		"many references":  `{"x":[` + join(700, func(int) string { return `{}` }) + `],"allOf":[` + join(700, func(i int) string { return fmt.Sprintf(`{"$ref":"#/x/%d"}`, i) }) + `]}`,
		"a long chain":     `{"definitions":{` + join(700, func(i int) string { return fmt.Sprintf(`"%d":{"$ref":"#/definitions/%d"}`, i, i+1) }) + `,"700":{}}}`,
		"deep":             nested(`{"items":`, `{}`, `}`, 99),
		"deep in many":     `{"allOf":[` + join(40, func(int) string { return nested(`{"not":`, `{}`, `}`, 90) }) + `]}`,
		"a long number":    `{"multipleOf":` + strings.Repeat("7", 32000) + `}`,
		"a long fraction":  `{"multipleOf":0.` + strings.Repeat("7", 32000) + `}`,
		"repeats":          `{"pattern":"((a{30}){30}){30}"}`,
		"repeats within":   `{"pattern":"` + strings.Repeat("(", 900) + "a" + strings.Repeat(")?", 900) + `"}`,
		"branching": `{"definitions":{` + join(300, func(i int) string {
			return fmt.Sprintf(`"%d":{"allOf":[{"$ref":"#/definitions/%d"},{"$ref":"#/definitions/%d"}]}`, i, i+1, i+1)
		}) + `,"300":{}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.LessOrEqual(t, len(schema), 32768)
			start := time.Now()
			model, err := models.Compile(schema)
			t.Log(time.Since(start), err)
			require.Less(t, time.Since(start), soon)
			if err == nil {
				_ = model.Validate([]byte(`1`))
			}
		})
	}
}
