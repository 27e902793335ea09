package gatewaytest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

func echo(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
	return &gateway.Response{Body: req.Body}, nil
}

func TestServer_InMemoryAndOverTCP(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB, ...gateway.Option) *gatewaytest.Server{
		"in memory": gatewaytest.New, "over TCP": gatewaytest.NewTCP,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := start(t)
			srv.HandleFunc("echo", echo, gateway.WithRouteResponse())
			srv.HandleFunc("$disconnect", echo)
			c := srv.Dial(t, gatewaytest.SourceIP("127.0.0.9"), gatewaytest.Header("User-Agent", "x"))
			c.Send(`{"action":"echo"}`)
			require.Equal(t, `{"action":"echo"}`, c.Receive())
			c.Send(`{"action":"nothing"}`)
			require.Contains(t, c.Receive(), `{"message": "Forbidden", "connectionId":"`+c.ConnectionID()+`", "requestId":"`)
			got, err := srv.Management().GetConnection(t.Context(), c.ConnectionID())
			require.NoError(t, err)
			require.Equal(t, gateway.Identity{SourceIP: "127.0.0.9", UserAgent: "x"}, got.Identity)
			require.NoError(t, srv.Management().PostToConnection(t.Context(), c.ConnectionID(), []byte("hello")))
			require.Equal(t, "hello", c.Receive())
			c.Ping()
			c.Close(1000, "bye")
			e := srv.WaitDisconnect(c.ConnectionID())
			require.Equal(t, 1000, e.DisconnectStatusCode)
			require.Equal(t, "bye", e.DisconnectReason)
			require.ErrorIs(t, srv.Management().DeleteConnection(t.Context(), c.ConnectionID()), gateway.ErrGone)
		})
	}
}

// With New an event shows what the integration itself got and returned, although
// middleware has changed the request, changed the answer, or answered in its place.
func TestServer_EventsBehindMiddleware(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t, gateway.WithMiddleware(func(next gateway.Integration) gateway.Integration {
		return gateway.IntegrationFunc(func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
			if string(req.Body) == "no" {
				return &gateway.Response{Body: []byte("refused")}, nil
			}
			req.Body = append([]byte("to:"), req.Body...)
			resp, err := next.Invoke(ctx, req)
			return &gateway.Response{Body: append([]byte("from:"), resp.Body...)}, err
		})
	}))
	srv.HandleFunc("$default", echo, gateway.WithRouteResponse())
	c := srv.Dial(t)
	c.Send("no")
	require.Equal(t, "refused", c.Receive())
	require.Empty(t, srv.Events(), "no integration has run")
	c.Send("x")
	require.Equal(t, "from:to:x", c.Receive())
	require.Len(t, srv.Events(), 1)
	e := srv.Events()[0]
	require.Equal(t, "to:x", string(e.Body))
	require.Equal(t, "to:x", string(e.Response.Body))
}

// The Host header is that of the request, in either spelling.
func TestDial_Host(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Host", "host"} {
		srv := gatewaytest.New(t)
		srv.HandleFunc("$connect", echo)
		srv.Dial(t, gatewaytest.Header(name, "api.example.com"), gatewaytest.Header("Origin", "https://api.example.com"))
		require.Equal(t, "api.example.com", srv.Events()[0].DomainName)
		_, refused := srv.TryDial(t, gatewaytest.Header(name, "api.example.com"), gatewaytest.Header("Origin", "http://gateway.test"))
		require.Equal(t, 403, refused.StatusCode)
	}
}

func TestServer_VirtualTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t)
		c := srv.Dial(t)
		start := time.Now()
		code, reason := c.ReceiveClose()
		require.Equal(t, 1001, code)
		require.Equal(t, "Going away", reason)
		require.Equal(t, 10*time.Minute, time.Since(start))
	})
}

// At the end of a test a client drops its connection before the Gateway is closed. So
// $disconnect always gets 1006.
func TestServer_EndOfATest(t *testing.T) {
	t.Parallel()
	for name, serve := range map[string]func(tb testing.TB) *gatewaytest.Server{
		"New":    func(tb testing.TB) *gatewaytest.Server { return gatewaytest.New(tb) },
		"NewTCP": func(tb testing.TB) *gatewaytest.Server { return gatewaytest.NewTCP(tb) },
		"Serve": func(tb testing.TB) *gatewaytest.Server {
			gw, err := gateway.New()
			require.NoError(tb, err)
			return gatewaytest.Serve(tb, gw)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 20 {
				ends := make(chan int, 3)
				failures, _ := run(t, func(tb *fakeTB) {
					srv := serve(tb)
					srv.HandleFunc("$disconnect", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
						ends <- req.DisconnectStatusCode
						return nil, nil
					})
					srv.Dial(tb).Close(1000, "")
					srv.Dial(tb)
					srv.Dial(tb).Ping()
				})
				require.Empty(t, failures)
				require.ElementsMatch(t, []int{1000, 1006, 1006}, []int{<-ends, <-ends, <-ends})
			}
		})
	}
}
