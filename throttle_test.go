package gateway_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

// echoRoutes sets two-way routes that answer "served".
func echoRoutes(srv *gatewaytest.Server, keys ...string) {
	for _, key := range keys {
		srv.HandleFunc(key, serve, gateway.WithRouteResponse())
	}
}

func serve(context.Context, *gateway.Request) (*gateway.Response, error) {
	return &gateway.Response{Body: []byte("served")}, nil
}

// served sends n messages to a route and counts those that were served. The others
// must have been refused in the documented way.
func served(t *testing.T, c *gatewaytest.Client, action string, n int) int {
	t.Helper()
	count := 0
	for range n {
		c.Send(`{"action":"` + action + `"}`)
		switch got := c.Receive(); {
		case got == "served":
			count++
		case strings.HasPrefix(got, `{"message": "Limit Exceeded", "connectionId":"`+c.ConnectionID()+`"`):
		default:
			require.True(t, strings.HasPrefix(got, `{"message": "Too Many Requests", "connectionId":"`+c.ConnectionID()+`"`), got)
		}
	}
	return count
}

// A route has its own throttle or shares the stage's. Both keep their state in a
// deployment that does not change them.
func TestThrottle_Levels(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t)
		route := func(key string, own gateway.Throttle) gateway.Route {
			return gateway.Route{RouteKey: key, Integration: gateway.IntegrationFunc(serve), RouteResponse: true, Throttle: own}
		}
		deployment := gateway.Deployment{
			DefaultThrottle: gateway.Throttle{RateLimit: 1, BurstLimit: 6},
			Routes:          []gateway.Route{route("a", gateway.Throttle{}), route("b", gateway.Throttle{}), route("own", gateway.Throttle{RateLimit: 1, BurstLimit: 20})},
		}
		require.NoError(t, srv.Deploy(deployment))
		c := srv.Dial(t) // this takes one
		require.Equal(t, 3, served(t, c, "a", 3))
		require.Equal(t, 2, served(t, c, "b", 9), "they share the stage's")
		require.Equal(t, 15, served(t, c, "own", 15), "it has its own throttle")
		require.NoError(t, srv.Deploy(deployment))
		require.Equal(t, 0, served(t, c, "b", 3), "the bucket is as empty as it was")
		require.Equal(t, 5, served(t, c, "own", 9))
		deployment.DefaultThrottle.BurstLimit = 2
		require.NoError(t, srv.Deploy(deployment))
		require.Equal(t, 2, served(t, c, "a", 3), "another throttle has another bucket")
		deployment.DefaultThrottle = gateway.Throttle{}
		require.NoError(t, srv.Deploy(deployment))
		require.Equal(t, 50, served(t, c, "a", 50), "the gateway's, which is none")
	})
}

// The gateways of an account share its throttle. It also counts upgrades, even if there is
// no $connect route.
func TestThrottle_Account(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		account := gateway.NewAccountThrottle(1, 4)
		one, two := gatewaytest.New(t, gateway.WithAccountThrottle(account)), gatewaytest.New(t, gateway.WithAccountThrottle(account))
		echoRoutes(one, "m")
		echoRoutes(two, "m")
		a, b := one.Dial(t), two.Dial(t)
		require.Equal(t, 1, served(t, a, "m", 1))
		require.Equal(t, 1, served(t, b, "m", 2))
		require.Zero(t, served(t, a, "m", 1))
		requireRefused(t, two, http.StatusTooManyRequests, `"Too Many Requests"`)
	})
}

// Calls of @connections are throttled as well, after the check who may call. The
// methods of Gateway are not throttled.
func TestThrottle_Management(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		opt   gateway.Option
		calls int // how many calls are served at once
	}{
		{"by the stage, apart from clients", gateway.WithDefaultThrottle(1, 3), 3},
		{"by the account, with the connect", gateway.WithAccountThrottle(gateway.NewAccountThrottle(1, 3)), 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := gatewaytest.New(t, tt.opt)
				c := srv.Dial(t)
				for range tt.calls {
					require.Equal(t, http.StatusOK, call(t, srv, http.MethodGet, c.ConnectionID(), "").Status)
				}
				refused := call(t, srv, http.MethodPost, c.ConnectionID(), "x")
				require.Equal(t, http.StatusTooManyRequests, refused.Status)
				require.Equal(t, "TooManyRequestsException", refused.Get("x-amzn-ErrorType"))
				require.JSONEq(t, `{"message":"Too Many Requests"}`, refused.Body)
				invented := call(t, srv, http.MethodGet, "AAAAAAAAAAAAAAAAAA==", "")
				require.Equal(t, http.StatusBadRequest, invented.Status, "an ID that was never issued is refused first, and costs nothing")
				require.NoError(t, srv.PostToConnection(t.Context(), c.ConnectionID(), []byte("in process")))
				time.Sleep(time.Second) //nolint:forbidigo // virtual time
				require.Equal(t, http.StatusOK, call(t, srv, http.MethodGet, c.ConnectionID(), "").Status)
			})
		})
	}
}

// A client that sends much does not silence the backend, and a busy backend does not
// silence clients: they have separate buckets, which keep their state in a
// deployment.
func TestThrottle_ManagementApartFromClients(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t)
		deployment := gateway.Deployment{
			DefaultThrottle: gateway.Throttle{RateLimit: 1, BurstLimit: 5},
			Routes:          []gateway.Route{{RouteKey: "m", Integration: gateway.IntegrationFunc(serve), RouteResponse: true}},
		}
		require.NoError(t, srv.Deploy(deployment))
		posted := func(c *gatewaytest.Client, n int) (ok int) {
			for range n {
				if call(t, srv, http.MethodGet, c.ConnectionID(), "").Status == http.StatusOK {
					ok++
				}
			}
			return ok
		}
		c := srv.Dial(t)
		require.Equal(t, 4, served(t, c, "m", 20))
		require.Equal(t, 3, posted(c, 3), "the clients' bucket is empty")
		require.NoError(t, srv.Deploy(deployment))
		require.Equal(t, 2, posted(c, 20), "the bucket is as full as it was")
		time.Sleep(2 * time.Second) //nolint:forbidigo // virtual time
		require.Equal(t, 2, posted(c, 20))
		require.Equal(t, 2, served(t, c, "m", 20), "the backend's bucket is empty")
	})
}

// A throttle that refuses all lets no connection and no message in, and a route may have
// another one.
func TestThrottle_RefuseAll(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	open := gateway.Deployment{Routes: []gateway.Route{
		{RouteKey: "a", Integration: gateway.IntegrationFunc(serve), RouteResponse: true},
		{RouteKey: "own", Integration: gateway.IntegrationFunc(serve), RouteResponse: true, Throttle: gateway.Throttle{RateLimit: 1000}},
	}}
	require.NoError(t, srv.Deploy(open))
	c := srv.Dial(t)
	closed := open
	closed.DefaultThrottle = gateway.RefuseAll()
	require.NoError(t, srv.Deploy(closed))
	require.Equal(t, 0, served(t, c, "a", 5))
	require.Equal(t, 5, served(t, c, "own", 5))
	_, refused := srv.TryDial(t)
	require.NotNil(t, refused)
	require.Equal(t, http.StatusTooManyRequests, refused.StatusCode)
	require.Equal(t, gateway.RefuseAll(), srv.Deployment().DefaultThrottle)
	require.NoError(t, srv.Deploy(open))
	require.Equal(t, 5, served(t, c, "a", 5))
}
