package models_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"example.com/gateway/models"
)

func validationError(t *testing.T, schema, body string) *models.ValidationError {
	t.Helper()
	model, err := models.Compile(schema)
	require.NoError(t, err)
	var invalid *models.ValidationError
	require.ErrorAs(t, model.Validate([]byte(body)), &invalid)
	return invalid
}

func TestValidationError_is_sorted_and_the_same_each_time(t *testing.T) {
	t.Parallel()
	const schema = `{"required":["z"],"properties":{"b":{"type":"string"},"a":{"minimum":1,"multipleOf":2}},"additionalProperties":false,"minProperties":9}`
	const want = `/: property "d" is not allowed; /: property "e" is not allowed; /: want at least 9 properties; /: missing property "z"; /a: want at least 1; /a: want a multiple of 2; /b: want string, got null`
	for range 50 {
		require.EqualError(t, validationError(t, schema, `{"e":1,"d":1,"b":null,"a":-1}`), want)
	}
}

func TestValidationError_is_bounded(t *testing.T) {
	t.Parallel()
	items := func(n int) string { return "[" + strings.Repeat("0,", n-1) + "0]" }
	invalid := validationError(t, `{"items":{"type":"string"}}`, items(13))
	require.Len(t, invalid.Problems, 10)
	require.Equal(t, 3, invalid.More)
	require.True(t, strings.HasSuffix(invalid.Error(), "; and 3 more"))

	invalid = validationError(t, `{"items":{"type":"string"}}`, items(50000))
	require.Equal(t, 49990, invalid.More)
	require.Less(t, len(invalid.Error()), 1100)

	var long []string
	for i := range 40 {
		long = append(long, fmt.Sprintf(`"%02d%s":0`, i, strings.Repeat("x", 500)))
	}
	invalid = validationError(t, `{"additionalProperties":false}`, "{"+strings.Join(long, ",")+"}")
	require.Less(t, len(invalid.Error()), 1100)
	require.Contains(t, invalid.Error(), `; and 3`)
	require.Contains(t, invalid.Problems[0].Text, `x…"`)

	// one pointer, long and deep
	deep := strings.Repeat(`{"`+strings.Repeat("ä", 100)+`":`, 500) + "0" + strings.Repeat("}", 500)
	invalid = validationError(t, `{"type":"object","additionalProperties":{"$ref":"#"}}`, deep)
	require.Less(t, len(invalid.Error()), 400)
	require.True(t, utf8.ValidString(invalid.Error()))
	require.True(t, strings.HasSuffix(invalid.Problems[0].Pointer, "…"))
}

func TestProblem_names_are_escaped(t *testing.T) {
	t.Parallel()
	invalid := validationError(t, `{"additionalProperties":{"type":"string"}}`, `{"a/b~c":1,"\n\u0000 \"":1,"\u2028":1}`)
	require.EqualError(t, invalid, `/\n\x00 \": want string, got number; /\u2028: want string, got number; /a~1b~0c: want string, got number`)
	invalid = validationError(t, `{"additionalProperties":false}`, `{"\n\"":1}`)
	require.EqualError(t, invalid, `/: property "\n\"" is not allowed`)
	require.Empty(t, invalid.Problems[0].Pointer)
}

func TestProblem_expectations_are_bounded(t *testing.T) {
	t.Parallel()
	var values []string
	for i := range 1000 {
		values = append(values, fmt.Sprintf(`"%d"`, i))
	}
	require.Less(t, len(validationError(t, `{"enum":[`+strings.Join(values, ",")+`]}`, `0`).Error()), 220)
	require.Less(t, len(validationError(t, `{"pattern":"`+strings.Repeat("x", 10000)+`"}`, `"0"`).Error()), 240)
	require.Less(t, len(validationError(t, `{"minimum":`+strings.Repeat("9", 10000)+`}`, `0`).Error()), 100)
}
