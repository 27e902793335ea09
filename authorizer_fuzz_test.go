package gateway_test

import (
	"context"
	"net/http/httptest"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
)

// FuzzRequestAuthorizer checks that just the identity sources of the service's
// form are taken, and that one that is missing never leads to the authorizer.
func FuzzRequestAuthorizer(f *testing.F) {
	for _, source := range []string{
		"route.request.header.Auth", "route.request.querystring.token", "stageVariables.x", "context.connectionId", "context.identity.sourceIp",
		"route.request.header.", "route.request.header", "context.a b", "contexts.a", "method.request.header.X", "context.authorizer.principalId", "context..",
	} {
		f.Add(source, "token=abc")
	}
	form := regexp.MustCompile(`^(route\.request\.(header|querystring)|context|stageVariables)\.[a-zA-Z0-9._-]+$`)
	f.Fuzz(func(t *testing.T, source, query string) {
		asked := false
		a := &gateway.RequestAuthorizer{IdentitySource: []string{source}, Authorizer: gateway.AuthorizerFunc(
			func(context.Context, *gateway.Request) (*gateway.Authorization, error) {
				asked = true
				return &gateway.Authorization{}, nil
			})}
		upgrade := httptest.NewRequest("GET", "/", nil)
		upgrade.URL.RawQuery = query
		_, err := a.Authorize(t.Context(), &gateway.Request{Upgrade: upgrade, ConnectionID: "x", EventType: gateway.EventConnect})
		if !form.MatchString(source) {
			require.ErrorIs(t, err, gateway.ErrInvalidOption)
		} else if err != nil {
			require.ErrorIs(t, err, gateway.ErrUnauthorized)
		}
		require.Equal(t, err == nil, asked)
	})
}
