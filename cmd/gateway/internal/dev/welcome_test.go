package dev

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane"
)

func TestExampleMessage(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		expression string
		keys       []string
		want       string
	}{
		{"$request.body.action", []string{"$connect", "send"}, `{"action":"send"}`},
		{"${request.body.data.type}", []string{"join"}, `{"data":{"type":"join"}}`},
		{"$request.body.action", []string{"$connect", "$default"}, "hello"},
		{"$request.body.action", []string{"it's"}, "hello"},
		{"$request.header.x", []string{"send"}, "hello"},
		{"${request.body.a}/${request.body.b}", []string{"x/y"}, "hello"},
	} {
		require.Equal(t, test.want, exampleMessage(controlplane.Stage{RouteKeys: test.keys, RouteSelectionExpression: test.expression}), test.expression)
	}
}

func TestConnectTo(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		stage controlplane.Stage
		want  connecting
	}{
		"open":   {controlplane.Stage{}, connecting{"ws://x/prod", ""}},
		"query":  {controlplane.Stage{IdentitySource: []string{"route.request.querystring.token", "route.request.querystring.a&b"}}, connecting{"ws://x/prod?token=…&a%26b=…", ""}},
		"header": {controlplane.Stage{IdentitySource: []string{"route.request.header.Auth", "context.stage"}}, connecting{"ws://x/prod", " -H 'Auth: …'"}},
		"key":    {controlplane.Stage{APIKeyRequired: true, IdentitySource: []string{"route.request.header.X-API-Key"}}, connecting{"ws://x/prod", " -H 'x-api-key: …'"}},
		"quote":  {controlplane.Stage{IdentitySource: []string{"route.request.header.a'b"}}, connecting{"ws://x/prod", " -H 'ab: …'"}},
	} {
		test.stage.URL = "ws://x/prod"
		require.Equal(t, test.want, connectTo(test.stage), name)
	}
}
