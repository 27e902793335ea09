package readme

import (
	"context"
	"net/http"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/models"
	"example.com/gateway/usageplan"
)

type user struct {
	Name  string
	Level int
}

func TestAuthorizer(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	gw := srv.Gateway
	lookUp := func(token string) (user, bool) { return user{"ann", 3}, token == "secret" }

	authorizer := &gateway.RequestAuthorizer{
		IdentitySource: []string{"route.request.querystring.token"}, // without it the client gets 401, and nobody is asked
		Authorizer: gateway.AuthorizerFunc(func(ctx context.Context, req *gateway.Request) (*gateway.Authorization, error) {
			user, ok := lookUp(req.Upgrade.URL.Query().Get("token"))
			if !ok {
				return nil, gateway.ErrForbidden // 403; ErrUnauthorized is 401, any other error 500
			}
			return &gateway.Authorization{PrincipalID: user.Name, Context: map[string]any{"level": user.Level}}, nil
		}),
	}
	// The mock accepts every client that the authorizer admits.
	gw.Handle(gateway.RouteKeyConnect, &gateway.MockIntegration{}, gateway.WithAuthorizer(authorizer))
	gw.HandleFunc("whoami", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		name := req.PrincipalID()
		return &gateway.Response{Body: []byte(name)}, nil
	}, gateway.WithRouteResponse())

	_, refused := srv.TryDial(t, gatewaytest.Query("token", "wrong"))
	require.Equal(t, http.StatusForbidden, refused.StatusCode)
	_, refused = srv.TryDial(t)
	require.Equal(t, http.StatusUnauthorized, refused.StatusCode)
	c := srv.Dial(t, gatewaytest.Query("token", "secret"))
	c.Send(`{"action":"whoami"}`)
	require.Equal(t, "ann", c.Receive())
}

func TestUsagePlans(t *testing.T) {
	t.Setenv("ANNS_KEY", "a-key-of-at-least-twenty-characters")
	search := gateway.IntegrationFunc(func(context.Context, *gateway.Request) (*gateway.Response, error) { return nil, nil })
	newGateway := func() (*gateway.Gateway, error) {
		plans, err := usageplan.New(usageplan.Plan{
			ID:             "free",
			Throttle:       gateway.Throttle{RateLimit: 10, BurstLimit: 20},                      // for each key
			RouteThrottles: map[string]gateway.Throttle{"search": {RateLimit: 1, BurstLimit: 2}}, // for each key on this route
			Quota:          usageplan.Quota{Limit: 10_000, Period: usageplan.Day},
			APIKeys:        map[string]string{"ann": os.Getenv("ANNS_KEY")},
		})
		if err != nil {
			return nil, err
		}
		gw, err := gateway.New(gateway.WithUsageStore(plans), gateway.WithDefaultThrottle(1000, 2000))
		if err != nil {
			return nil, err
		}
		gw.Handle(gateway.RouteKeyConnect, &gateway.MockIntegration{}, gateway.WithAPIKeyRequired())
		gw.Handle("search", search, gateway.WithThrottle(100, 200))
		return gw, nil
	}

	gw, err := newGateway()
	require.NoError(t, err)
	srv := gatewaytest.Serve(t, gw)
	_, refused := srv.TryDial(t)
	require.Equal(t, http.StatusForbidden, refused.StatusCode)
	srv.Dial(t, gatewaytest.Header("x-api-key", os.Getenv("ANNS_KEY")))
}

func TestModel(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	gw := srv.Gateway
	orders := gateway.IntegrationFunc(func(context.Context, *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Body: []byte("ordered")}, nil
	})

	order := models.MustCompile(`{"type": "object", "required": ["item"], "properties": {"item": {"type": "string"}}}`)
	gw.Handle("order", orders, gateway.WithRouteResponse(), gateway.WithRequestModel(order))

	c := srv.Dial(t)
	c.Send(`{"action":"order"}`)
	require.Contains(t, c.Receive(), "Invalid request body")
	c.Send(`{"action":"order","item":"tea"}`)
	require.Equal(t, "ordered", c.Receive())
}
