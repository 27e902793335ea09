package gateway_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/suites/wiretest"
)

func TestMockIntegration(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	srv.Handle("$connect", &gateway.MockIntegration{})
	srv.Handle("say", &gateway.MockIntegration{Body: []byte("mock")}, gateway.WithRouteResponse())
	c := srv.Dial(t)
	c.Send(`{"action":"say"}`)
	require.Equal(t, "mock", c.Receive())

	closed := gatewaytest.New(t)
	closed.Handle("$connect", &gateway.MockIntegration{StatusCode: 418, Body: []byte("teapot")})
	_, refused := closed.TryDial(t)
	require.Equal(t, 418, refused.StatusCode)
	require.Equal(t, "teapot", refused.Body)
}

// A refused upgrade has the status that the integration itself chose, if an
// integration may choose it.
func TestIntegration_NamesItsOwnFailure(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]int{500: 500, 504: 504, 404: 404, 0: 502, 200: 502, 600: 502} {
		srv := gatewaytest.New(t)
		srv.HandleFunc("$connect", func(context.Context, *gateway.Request) (*gateway.Response, error) {
			return nil, &gateway.IntegrationError{StatusCode: status, Err: context.Canceled}
		})
		_, refused := srv.TryDial(t)
		require.Equal(t, want, refused.StatusCode)
		require.Contains(t, refused.Body, `"Internal server error"`)
	}
}

func TestUpgrade_LogsASubprotocolThatWasNotOffered(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	srv := gatewaytest.New(t, gateway.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	srv.HandleFunc("$connect", func(context.Context, *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Header: map[string][]string{"Sec-WebSocket-Protocol": {"chat.v9"}}}, nil
	})
	id := ""
	for c := range dialWithProtocol(t, srv, "chat.v1").Connections() {
		id = c.ID
	}
	require.Contains(t, log.String(), `level=WARN msg="$connect returned a subprotocol that the client did not offer" connection_id="`+id+`"`)
}

// dialWithProtocol dials with raw bytes, because the client package refuses a
// subprotocol that it did not offer.
func dialWithProtocol(t *testing.T, srv *gatewaytest.Server, offered string) *gatewaytest.Server {
	t.Helper()
	answer := wiretest.Dial(t, srv.HTTPClient()).MustOpen("Sec-WebSocket-Protocol: " + offered)
	require.Equal(t, []string{"chat.v9"}, answer.Values("Sec-WebSocket-Protocol"))
	return srv
}

// The context of an event ends when its integration has returned. Its values stay.
func TestIntegration_ContextAfterInvoke(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	contexts := make(chan context.Context, 1)
	for _, key := range []string{"$connect", "$default", "$disconnect"} {
		srv.HandleFunc(key, func(ctx context.Context, _ *gateway.Request) (*gateway.Response, error) {
			require.NoError(t, ctx.Err())
			contexts <- ctx
			return &gateway.Response{Body: []byte("x")}, nil
		}, gateway.WithRouteResponse())
	}
	requireEnded := func(ctx context.Context) {
		t.Helper()
		<-ctx.Done()
		require.ErrorIs(t, ctx.Err(), context.Canceled)
		require.NotNil(t, ctx.Value(http.ServerContextKey), "a value of the upgrade request")
		require.NoError(t, context.WithoutCancel(ctx).Err(), "for work that continues after the event")
	}
	c := srv.Dial(t)
	requireEnded(<-contexts)
	c.Send("x")
	c.Receive()
	requireEnded(<-contexts)
	c.Close(1000, "")
	requireEnded(<-contexts)
}
