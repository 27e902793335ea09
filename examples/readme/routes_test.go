package readme

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
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

func TestGreeting(t *testing.T) {
	t.Parallel()
	newGateway := func() (*gateway.Gateway, error) {
		var gw *gateway.Gateway
		var err error
		gw, err = gateway.New(gateway.WithObserver(&gateway.Observer{
			ConnectionOpened: func(ctx context.Context, c gateway.Connection) {
				_ = gw.PostToConnection(ctx, c.ID, []byte(`{"welcome":true}`)) // goes out right after the 101
			},
		}))
		return gw, err
	}

	gw, err := newGateway()
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
		option := gateway.WithQuotas(gateway.Quotas{IdleTimeout: -1, PingInterval: 30 * time.Second})

		srv := gatewaytest.New(t, option)
		c := srv.Dial(t)
		_, received := c.ReceiveWithin(time.Hour)
		require.False(t, received)
		c.Send(`{"action":"unknown"}`)
		require.Contains(t, c.Receive(), "Forbidden")
	})
}

func TestLog(t *testing.T) {
	t.Parallel()
	gw, err := gateway.New(gateway.WithLogger(slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))))
	require.NoError(t, err)
	require.NoError(t, gw.Close())
}
