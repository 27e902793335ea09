package controlplane_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane"
)

func TestServer_Stages(t *testing.T) {
	t.Parallel()
	s, err := controlplane.New(controlplane.Config{Endpoint: "ws://127.0.0.1:4567"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Shutdown(context.Background())) })
	stages, err := s.Stages("")
	require.NoError(t, err)
	require.Empty(t, stages)

	call := func(path string, body map[string]any) controlplane.Call {
		return controlplane.Call{Path: "/v2/apis/" + path, Body: body}
	}
	require.NoError(t, s.Apply(t.Context(), []controlplane.Call{
		call("a", map[string]any{"name": "Chat", "protocolType": "WEBSOCKET", "routeSelectionExpression": "$request.body.action"}),
		call("a/integrations/i", map[string]any{"integrationType": "MOCK"}),
		call("a/routes/r1", map[string]any{"routeKey": "$connect", "target": "integrations/i", "apiKeyRequired": true, "authorizationType": "CUSTOM", "authorizerId": "z"}),
		call("a/authorizers/z", map[string]any{
			"name": "who", "authorizerType": "REQUEST", "identitySource": []any{"route.request.querystring.token"},
			"authorizerUri": "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:who/invocations",
		}),
		call("a/routes/r2", map[string]any{"routeKey": "send", "target": "integrations/i"}),
		call("a/deployments/d", map[string]any{}),
		call("a/stages/prod", map[string]any{"deploymentId": "d"}),
		call("a/stages/test", map[string]any{}),
		call("b", map[string]any{"name": "Empty", "protocolType": "WEBSOCKET", "routeSelectionExpression": "$request.body.action"}),
	}))
	stages, err = s.Stages("")
	require.NoError(t, err)
	keys := []string{"$connect", "send"}
	source := []string{"route.request.querystring.token"}
	require.Equal(t, []controlplane.Stage{
		{APIID: "a", APIName: "Chat", Name: "prod", URL: "ws://127.0.0.1:4567/a/prod", Deployed: true, RouteKeys: keys, RouteSelectionExpression: "$request.body.action", IdentitySource: source, APIKeyRequired: true},
		{APIID: "a", APIName: "Chat", Name: "test", URL: "ws://127.0.0.1:4567/a/test", RouteKeys: keys, RouteSelectionExpression: "$request.body.action", IdentitySource: source, APIKeyRequired: true},
	}, stages)
	one, err := s.Stages("a")
	require.NoError(t, err)
	require.Equal(t, stages, one)
	for _, without := range []string{"b", "c"} {
		stages, err = s.Stages(without)
		require.NoError(t, err)
		require.Empty(t, stages)
	}
}
