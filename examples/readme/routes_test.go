package readme

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

func TestRoutes(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	gw := srv.Gateway
	known := func(token string) bool { return token == "secret" }
	left := make(chan string, 1)
	forget := func(connectionID string, statusCode int, reason string) {
		left <- fmt.Sprintf("%s %d %s", connectionID, statusCode, reason)
	}

	// known and forget are funcs of yours.
	gw.HandleFunc(gateway.RouteKeyConnect, func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		if !known(req.Upgrade.URL.Query().Get("token")) {
			return &gateway.Response{StatusCode: http.StatusUnauthorized}, nil // the client gets 401 and no socket
		}
		return nil, nil // the client gets its 101
	})
	gw.HandleFunc("echo", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Body: req.Body}, nil // goes back to the client, since the route has a response
	}, gateway.WithRouteResponse())
	gw.HandleFunc(gateway.RouteKeyDisconnect, func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		forget(req.ConnectionID, req.DisconnectStatusCode, req.DisconnectReason)
		return nil, nil // the last event of a connection, once for each
	})

	_, refused := srv.TryDial(t, gatewaytest.Query("token", "wrong"))
	require.Equal(t, http.StatusUnauthorized, refused.StatusCode)
	c := srv.Dial(t, gatewaytest.Query("token", "secret"))
	c.Send(`{"action":"echo"}`)
	require.Equal(t, `{"action":"echo"}`, c.Receive())
	c.Close(1000, "bye")
	require.Equal(t, c.ConnectionID()+" 1000 bye", <-left)
}

// newGreetingGateway greets each client.
func newGreetingGateway() (*gateway.Gateway, error) {
	var gw *gateway.Gateway
	var err error
	gw, err = gateway.New(gateway.WithObserver(&gateway.Observer{
		ConnectionOpened: func(ctx context.Context, c gateway.Connection) {
			_ = gw.PostToConnection(ctx, c.ID, []byte(`{"welcome":true}`)) // goes out right after the 101
		},
	}))
	return gw, err
}

func TestGreeting(t *testing.T) {
	t.Parallel()
	gw, err := newGreetingGateway()
	require.NoError(t, err)
	c := gatewaytest.Serve(t, gw).Dial(t)
	require.JSONEq(t, `{"welcome":true}`, c.Receive())
}

func TestWorkThatGoesOn(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	gw := srv.Gateway
	slowReport := func(ctx context.Context) []byte {
		if ctx.Err() != nil {
			return nil
		}
		return []byte("done")
	}

	gw.HandleFunc("report", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		id := req.ConnectionID
		ctx = context.WithoutCancel(ctx) // ctx ends when this func returns
		go func() {
			_ = gw.PostToConnection(ctx, id, slowReport(ctx))
		}()
		return nil, nil
	})

	c := srv.Dial(t)
	c.Send(`{"action":"report"}`)
	require.Equal(t, "done", c.Receive())
}

func TestKeepingConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gw, err := gateway.New(gateway.WithQuotas(gateway.Quotas{IdleTimeout: -1, PingInterval: 30 * time.Second}))
		require.NoError(t, err)
		srv := gatewaytest.Serve(t, gw)
		c := srv.Dial(t)
		_, received := c.ReceiveWithin(time.Hour)
		require.False(t, received)
		c.Send(`{"action":"unknown"}`)
		require.Contains(t, c.Receive(), "Forbidden")
	})
}

func TestLogAndMetrics(t *testing.T) {
	t.Parallel()
	newGateway := func() (*gateway.Gateway, error) {
		var open, failed atomic.Int64 // or the metrics of your library
		return gateway.New(
			gateway.WithLogger(slog.Default().WithGroup("ws")),
			gateway.WithObserver(&gateway.Observer{
				ConnectionOpened: func(context.Context, gateway.Connection) { open.Add(1) },
				ConnectionClosed: func(context.Context, gateway.Connection, int, string) { open.Add(-1) },
				IntegrationDone: func(ctx context.Context, req *gateway.Request, resp *gateway.Response, took time.Duration, err error) {
					if err != nil {
						failed.Add(1)
					}
				},
			}))
	}

	gw, err := newGateway()
	require.NoError(t, err)
	require.NoError(t, gw.Close())
}
