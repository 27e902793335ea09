package event_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/event"
)

func TestAuthorizerContext(t *testing.T) {
	t.Parallel()
	type text string
	got, err := event.AuthorizerContext("ann", map[string]any{
		"string": "s", "named": text("n"), "empty": "", "true": true, "int": -1, "uint8": uint8(2), "float": 1.50, "float32": float32(0.1),
		"big": 1e21, "number": json.Number("1e400"), "nil": nil,
	})
	require.NoError(t, err)
	require.Equal(t, map[string]any{
		"principalId": "ann", "string": "s", "named": "n", "empty": "", "true": "true", "int": "-1", "uint8": "2", "float": "1.5", "float32": "0.1",
		"big": "1000000000000000000000", "number": "1e400",
	}, got)
	got, err = event.AuthorizerContext("", nil)
	require.NoError(t, err)
	require.Empty(t, got)
	require.NotNil(t, got, "there was an authorizer")

	for name, value := range map[string]any{
		"principalId": "x", "integrationLatency": 1, "map": map[string]any{}, "list": []string{"a"}, "pointer": new(int), "func": func() {},
	} {
		_, err := event.AuthorizerContext("ann", map[string]any{name: value})
		require.ErrorContains(t, err, `"`+name+`"`)
	}
}
