package gateway_test

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

func nothing(*gatewaytest.Server, *gatewaytest.Client) {}

func TestConnection_LimitsAreExact(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	srv.HandleFunc("$default", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Body: []byte(strconv.Itoa(len(req.Body)))}, nil
	}, gateway.WithRouteResponse())
	c := srv.Dial(t)
	part := strings.Repeat("x", 32<<10)
	c.Send(part)
	require.Equal(t, "32768", c.Receive())
	c.SendFragments(part, part, part, part)
	require.Equal(t, "131072", c.Receive())
	c.SendFragments("a\xc3", "\xa4b", "")
	require.Equal(t, "4", c.Receive(), "a character may be cut by frames")
}

func TestConnection_BinaryReachesNoRoute(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	for _, key := range []string{"$default", "$disconnect"} {
		srv.HandleFunc(key, answerNothing)
	}
	c := srv.Dial(t)
	c.SendBinary([]byte(`{"action":"x"}`))
	srv.WaitDisconnect(c.ConnectionID())
	require.Len(t, srv.Events(), 1)
}

// An open connection and a message have these sizes. 384 and 512 bytes are size
// classes of the allocator.
func TestConnection_Size(t *testing.T) {
	t.Parallel()
	if strconv.IntSize == 64 {
		require.LessOrEqual(t, int(gateway.ConnectionBytes), 384)
		require.LessOrEqual(t, int(gateway.CallBytes), 512)
	}
}

// Everything that can ask for a connection learns who its client is.
func TestConnection_Principal(t *testing.T) {
	t.Parallel()
	said := make(chan gateway.Connection, 2)
	srv := gatewaytest.New(t, gateway.WithObserver(&gateway.Observer{
		ConnectionOpened: func(_ context.Context, c gateway.Connection) { said <- c },
		ConnectionClosed: func(_ context.Context, c gateway.Connection, _ int, _ string) { said <- c },
	}))
	srv.Handle("$connect", &gateway.MockIntegration{}, gateway.WithAuthorizer(gateway.AuthorizerFunc(
		func(_ context.Context, req *gateway.Request) (*gateway.Authorization, error) {
			who := req.Upgrade.URL.Query().Get("who")
			return &gateway.Authorization{PrincipalID: who, Context: map[string]any{"level": 7}}, nil
		})))
	for _, who := range []string{"ann", ""} {
		values := map[string]any{"level": "7"}
		if who != "" {
			values["principalId"] = who
		}
		c := srv.Dial(t, gatewaytest.Query("who", who))
		got, err := srv.GetConnection(t.Context(), c.ConnectionID())
		require.NoError(t, err)
		require.Equal(t, who, got.PrincipalID)
		require.Equal(t, values, got.Authorizer)
		for c := range srv.Connections() {
			require.Equal(t, got, c)
		}
		require.Equal(t, got, <-said)
		c.Close(1000, "")
		require.Equal(t, values, (<-said).Authorizer)
	}
}
