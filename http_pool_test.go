package gateway_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

// countingEndpoint answers "ok" and counts the connections to it. Each that ends is
// sent to ended.
func countingEndpoint(t *testing.T) (url string, opened *atomic.Int32, ended <-chan struct{}) {
	t.Helper()
	opened = new(atomic.Int32)
	ends := make(chan struct{}, 1000)
	e := httptest.NewUnstartedServer(says("ok"))
	e.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			opened.Add(1)
		case http.StateClosed:
			ends <- struct{}{}
		default:
		}
	}
	e.Start()
	t.Cleanup(e.Close)
	return e.URL, opened, ends
}

// However an integration is called, its gateway has one set of connections to the
// endpoint, and closes them when it ends.
func TestHTTPIntegration_OneTransport(t *testing.T) {
	t.Parallel()
	const messages = 50
	for name, handle := range map[string]func(srv *gatewaytest.Server, i *gateway.HTTPIntegration){
		"a route": func(srv *gatewaytest.Server, i *gateway.HTTPIntegration) {
			srv.Handle("$default", i, gateway.WithRouteResponse())
		},
		"a func that calls Invoke": func(srv *gatewaytest.Server, i *gateway.HTTPIntegration) {
			srv.HandleFunc("$default", i.Invoke, gateway.WithRouteResponse())
		},
		"a func that makes the integration": func(srv *gatewaytest.Server, i *gateway.HTTPIntegration) {
			srv.HandleFunc("$default", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
				return (&gateway.HTTPIntegration{URI: i.URI}).Invoke(ctx, req)
			}, gateway.WithRouteResponse())
		},
		"a transform": func(srv *gatewaytest.Server, i *gateway.HTTPIntegration) {
			srv.Handle("$default", &gateway.HTTPIntegration{URI: i.URI, Transform: &gateway.Transform{Responses: catchAll()}}, gateway.WithRouteResponse())
		},
	} {
		for end, stop := range map[string]func(gw *gateway.Gateway) error{
			"Close":    (*gateway.Gateway).Close,
			"Shutdown": func(gw *gateway.Gateway) error { return gw.Shutdown(context.Background()) },
		} {
			t.Run(name+", "+end, func(t *testing.T) {
				t.Parallel()
				url, opened, ended := countingEndpoint(t)
				srv := gatewaytest.New(t)
				handle(srv, &gateway.HTTPIntegration{URI: url})
				c := srv.Dial(t)
				for range messages {
					c.Send(`{}`)
					require.Equal(t, "ok", c.Receive())
				}
				require.Equal(t, int32(1), opened.Load())
				require.NoError(t, stop(srv.Gateway))
				<-ended
			})
		}
	}
}

func TestHTTPIntegration_OneTransportOverDeployments(t *testing.T) {
	t.Parallel()
	url, opened, _ := countingEndpoint(t)
	srv := gatewaytest.New(t)
	i := &gateway.HTTPIntegration{URI: url}
	var c *gatewaytest.Client
	for range 10 {
		require.NoError(t, srv.Deploy(gateway.Deployment{
			RouteSelectionExpression: "$request.body.action",
			Routes:                   []gateway.Route{{RouteKey: "$default", Integration: i, RouteResponse: true}},
		}))
		if c == nil {
			c = srv.Dial(t)
		}
		c.Send(`{}`)
		require.Equal(t, "ok", c.Receive())
	}
	require.Equal(t, int32(1), opened.Load())
}

// A call with a context of no gateway's keeps its connections, too.
func TestHTTPIntegration_OneTransportWithoutGateway(t *testing.T) {
	t.Parallel()
	url, opened, _ := countingEndpoint(t)
	i := &gateway.HTTPIntegration{URI: url}
	for range 20 {
		resp, err := i.Invoke(t.Context(), &gateway.Request{RouteKey: "m", EventType: gateway.EventMessage})
		require.NoError(t, err)
		require.Equal(t, "ok", string(resp.Body))
	}
	require.Equal(t, int32(1), opened.Load())
}

// A bubble ends only when nothing runs in it any more: no connection to an endpoint
// is left, in whichever way the integration was called.
func TestHTTPIntegration_InABubble(t *testing.T) {
	t.Parallel()
	url, _, _ := countingEndpoint(t)
	for name, integration := range map[string]gateway.Integration{
		"a route":                  &gateway.HTTPIntegration{URI: url},
		"a func that calls Invoke": gateway.IntegrationFunc((&gateway.HTTPIntegration{URI: url}).Invoke),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := gatewaytest.New(t)
				srv.Handle("$connect", integration)
				srv.Handle("$disconnect", integration)
				srv.Handle("$default", integration, gateway.WithRouteResponse())
				c := srv.Dial(t)
				c.Send(`{}`)
				require.Equal(t, "ok", c.Receive())
			})
		})
	}
}
