package policy_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/policy"
)

// FuzzParse reads any document. A document that cannot be evaluated completely is an error.
// The decision is Allow only if a statement allows, and never if another statement that
// denies everything is added.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`, `{"Statement":{"Effect":"Deny","NotAction":["a:b","b:*"],"NotResource":"arn:?:x"}}`,
		`{"Statement":[{"Effect":"Allow","Action":["execute-api:Invoke"],"Resource":["arn:a","*b"],"Condition":{}}]}`, `{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"a":"b"}}}]}`,
		`{"Statement":[],"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`, `{"statement":{"effect":"Allow"}}`, `{"Statement":[{"Effect":"Allow","Action":null,"NotAction":"x:y","Resource":"\u002a"}]}`, `[]`, `null`, ``, `{"Statement":1}`,
	} {
		f.Add([]byte(text), "execute-api:Invoke", "arn:aws:execute-api:us-east-1:1:a/prod/$connect")
	}
	f.Fuzz(func(t *testing.T, text []byte, action, resource string) {
		document, err := policy.Parse(text)
		if err != nil {
			require.Nil(t, document)
			require.NotContains(t, err.Error(), "\n")
			return
		}
		require.True(t, json.Valid(text))
		decision := document.Decide(action, resource)
		require.Equal(t, decision, document.Decide(strings.ToUpper(strings.ToLower(action)), resource), "actions match in any case")
		if decision == policy.Allow {
			require.Contains(t, unescaped(t, text), `"Allow"`)
		}
		var members map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(text, &members))
		statements := strings.TrimSuffix(strings.TrimPrefix(string(members["Statement"]), "["), "]")
		all := []string{`{"Effect":"Deny","Action":"*","Resource":"*"}`, statements}
		if strings.TrimSpace(statements) == "" {
			all = all[:1]
		}
		for range 2 { // whatever their order
			denied, err := policy.Parse([]byte(`{"Statement":[` + strings.Join(all, ",") + `]}`))
			require.NoError(t, err)
			require.Equal(t, policy.ExplicitDeny, denied.Decide(action, resource))
			slices.Reverse(all)
		}
	})
}

// unescaped returns a document without escapes.
func unescaped(t *testing.T, text []byte) string {
	t.Helper()
	var v any
	require.NoError(t, json.Unmarshal(text, &v))
	plain, err := json.Marshal(v)
	require.NoError(t, err)
	return string(plain)
}
