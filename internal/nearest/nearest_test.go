package nearest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/nearest"
)

func TestTo(t *testing.T) {
	t.Parallel()
	known := []string{"input", "context", "stageVariables", "util", "connectionId", "connectedAt", "connectionid"}
	for name, want := range map[string]string{
		"inptu": "input", "imput": "input", "inputs": "input", "Input": "input",
		"stageVariable": "stageVariables", "stagevariables": "stageVariables",
		"connectionID": "connectionId", // the first of two that differ in case only
		"connectionid": "connectionid",
		"conectedAt":   "connectedAt",
		"price":        "", "x": "", "": "", strings.Repeat("input", 100): "",
	} {
		require.Equal(t, want, nearest.To(name, known), name)
	}
	require.Empty(t, nearest.To("input", nil))
	require.Empty(t, nearest.To("input", []string{strings.Repeat("input", 100)}))
}

func TestPrefix(t *testing.T) {
	t.Parallel()
	known := []string{"route.request.header", "route.request.body", "route.request.querystring", "stageVariables", "context"}
	for text, want := range map[string]string{
		"route.request.headers.X-Room": "route.request.header.X-Room",
		"route.request.query.room":     "route.request.querystring.room",
		"route.request.cookie.room":    "",
		"route.requests.body":          "route.request.body",
		"route.request.queryString.r":  "route.request.querystring.r",
		"method.request.header.X":      "route.request.header.X",
		"request.body.a.b":             "route.request.body.a.b",
		"$context.connectionId":        "context.connectionId",
		"stageVariable.x":              "stageVariables.x",
		"context":                      "",
		"hello":                        "",
		"":                             "",
		".":                            "",
	} {
		require.Equal(t, want, nearest.Prefix(text, known), text)
	}
}

func TestQuestion(t *testing.T) {
	t.Parallel()
	require.Equal(t, `: did you mean "a"?`, nearest.Question("a"))
	require.Empty(t, nearest.Question(""))
}

// Neither call takes long, whatever the names are, and what comes out is known.
func FuzzTo(f *testing.F) {
	f.Add("inptu", "input,util")
	f.Add("a.b.c", "a.b,c")
	f.Fuzz(func(t *testing.T, text, list string) {
		known := strings.Split(list, ",")
		if found := nearest.To(text, known); found != "" {
			require.Contains(t, known, found)
		}
		nearest.Prefix(text, known)
		require.Empty(t, nearest.To(text, nil))
	})
}
