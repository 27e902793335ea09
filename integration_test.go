package gateway_test

import (
	"bytes"
	"context"
	"log/slog"
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

// The statuses that an integration may name itself reach a refused upgrade.
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

// dialWithProtocol dials by bytes: the client package refuses what was not offered.
func dialWithProtocol(t *testing.T, srv *gatewaytest.Server, offered string) *gatewaytest.Server {
	t.Helper()
	answer := wiretest.Dial(t, srv.HTTPClient()).MustOpen("Sec-WebSocket-Protocol: " + offered)
	require.Equal(t, []string{"chat.v9"}, answer.Values("Sec-WebSocket-Protocol"))
	return srv
}
