package config

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

// A gateway with the options of a configuration does what the keys say, and does not do it
// without them. Its $default answers with the message.
func TestBuilt_Options(t *testing.T) {
	t.Parallel()
	long, large := strings.Repeat("hello ", 100), strings.Repeat("x1y2z3 a b c ", 20_000)
	receive := func(message, want string) func(*testing.T, *gatewaytest.Server) {
		return func(t *testing.T, srv *gatewaytest.Server) {
			c := srv.Dial(t)
			c.Send(message)
			require.Equal(t, want, c.Receive())
		}
	}
	closedAfter := func(want time.Duration) func(*testing.T, *gatewaytest.Server) {
		return func(t *testing.T, srv *gatewaytest.Server) {
			c, start := srv.Dial(t), time.Now()
			c.ReceiveClose()
			require.Equal(t, want, time.Since(start))
		}
	}
	for name, tc := range map[string]struct {
		yaml string
		do   func(*testing.T, *gatewaytest.Server)
	}{
		"no autoResponse":   {"", receive("ping", "ping")},
		"autoResponse":      {"autoResponse: {ping: pong, hi: hello}", receive("ping", "pong")},
		"autoResponse, two": {"autoResponse: {ping: pong, hi: hello}", receive("hi", "hello")},
		"no pongsResetIdle": {"quotas: {pingInterval: 30s, idleTimeout: 5m, connectionDuration: 1h}", closedAfter(5 * time.Minute)},
		"pongsResetIdle":    {"quotas: {pingInterval: 30s, idleTimeout: 5m, connectionDuration: 1h, pongsResetIdle: true}", closedAfter(time.Hour)},
		"compression": {"compression: {}", func(t *testing.T, srv *gatewaytest.Server) {
			c := srv.Dial(t, gatewaytest.Compression())
			c.Send(long)
			require.Equal(t, long, c.ReceiveCompressed())
		}},
		"compression, threshold": {"compression: {threshold: 100}", func(t *testing.T, srv *gatewaytest.Server) {
			c := srv.Dial(t, gatewaytest.Compression())
			c.Send(long[:200]) // less than the default
			require.Equal(t, long[:200], c.ReceiveCompressed())
		}},
		"compression, no maxRatio": {"quotas: {frameBytes: 1000000, messageBytes: 1000000}\ncompression: {}", func(t *testing.T, srv *gatewaytest.Server) {
			c := srv.Dial(t, gatewaytest.Compression())
			c.Send(large)
			require.Equal(t, large, c.Receive())
		}},
		"compression, maxRatio": {"quotas: {frameBytes: 1000000, messageBytes: 1000000}\ncompression: {maxRatio: 2}", func(t *testing.T, srv *gatewaytest.Server) {
			c := srv.Dial(t, gatewaytest.Compression())
			c.Send(large)
			code, _ := c.ReceiveClose()
			require.Equal(t, 1009, code)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			built, _, err := load(t, base+tc.yaml+"\n")
			require.NoError(t, err)
			synctest.Test(t, func(t *testing.T) {
				srv := gatewaytest.New(t, built.Options...)
				srv.HandleFunc(gateway.RouteKeyDefault, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
					return &gateway.Response{Body: req.Body}, nil
				}, gateway.WithRouteResponse())
				tc.do(t, srv)
			})
		})
	}
}
