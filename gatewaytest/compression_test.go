package gatewaytest_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

func TestCompression(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("hello ", 5_000)
	for name, start := range map[string]func(testing.TB, ...gateway.Option) *gatewaytest.Server{"in memory": gatewaytest.New, "over TCP": gatewaytest.NewTCP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := start(t, gateway.WithCompression(gateway.Compression{}))
			srv.HandleFunc(gateway.RouteKeyDefault, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
				return &gateway.Response{Body: req.Body}, nil
			}, gateway.WithRouteResponse())
			c := srv.Dial(t, gatewaytest.Compression())
			require.Contains(t, c.ResponseHeader().Get("Sec-WebSocket-Extensions"), "permessage-deflate")
			for range 2 {
				c.Send("short")
				c.Send(long)
				require.Equal(t, "short", c.Receive())
				require.Equal(t, long, c.ReceiveCompressed())
				c.Ping()
			}
			plain := srv.Dial(t)
			require.Empty(t, plain.ResponseHeader().Get("Sec-WebSocket-Extensions"))
			plain.Send(long)
			require.Equal(t, long, plain.Receive())
		})
	}
}

func TestReceiveCompressed_Fails(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		opts []gateway.Option
		dial []gatewaytest.DialOption
		want []string
	}{
		{"below the threshold", []gateway.Option{gateway.WithCompression(gateway.Compression{})}, []gatewaytest.DialOption{gatewaytest.Compression()}, []string{"did not come compressed", `"hello" (5 bytes)`, "permessage-deflate"}},
		{"a gateway that does not compress", nil, []gatewaytest.DialOption{gatewaytest.Compression()}, []string{"did not come compressed", "gateway.WithCompression"}},
		{"a client that does not", nil, nil, []string{"dial with the option Compression"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			failures, _ := run(t, func(tb *fakeTB) {
				srv := gatewaytest.New(tb, tc.opts...)
				c := srv.Dial(tb, tc.dial...)
				if err := srv.PostToConnection(t.Context(), c.ConnectionID(), []byte("hello")); err != nil {
					tb.Fatalf("%v", err)
				}
				c.ReceiveCompressed()
			})
			require.NotEmpty(t, failures)
			for _, want := range tc.want {
				require.Contains(t, failures[0], want)
			}
		})
	}
}
