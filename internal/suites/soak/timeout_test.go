package soak_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/wsconn"
)

// Some integrations return at the very end of their time, with others waiting behind
// them. None of the others is given up before its own time is over.
func TestSoak_Timeouts(t *testing.T) {
	const (
		timeout = 5 * time.Millisecond
		clients = 64
		rounds  = 200
	)
	var late, early atomic.Int64
	gw, err := gateway.New(
		gateway.WithQuotas(gateway.Quotas{NewConnections: gateway.Throttle{RateLimit: -1}, IntegrationTimeout: timeout}),
		gateway.WithObserver(&gateway.Observer{
			IntegrationDone: func(_ context.Context, _ *gateway.Request, _ *gateway.Response, took time.Duration, err error) {
				switch {
				case !errors.Is(err, context.DeadlineExceeded):
				case took < timeout:
					early.Add(1)
				default:
					late.Add(1)
				}
			},
		}),
	)
	require.NoError(t, err)
	gw.HandleFunc("late", func(ctx context.Context, _ *gateway.Request) (*gateway.Response, error) {
		<-ctx.Done()
		return &gateway.Response{Body: []byte("late")}, nil
	}, gateway.WithRouteResponse())
	gw.HandleFunc("next", func(ctx context.Context, _ *gateway.Request) (*gateway.Response, error) {
		wait(ctx, timeout/5)
		return &gateway.Response{Body: []byte("next")}, nil
	}, gateway.WithRouteResponse())
	server := httptest.NewServer(gw.Handler())
	defer server.Close()
	defer gw.Close()

	var wg sync.WaitGroup
	failed := make(chan error, clients)
	for range clients {
		c, _, err := wsconn.Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http"), wsconn.DialOptions{}) //nolint:bodyclose // the body is in memory
		require.NoError(t, err)
		defer c.CloseNow()
		wg.Go(func() { failed <- pairs(t.Context(), c, rounds) })
	}
	wg.Wait()
	for range clients {
		require.NoError(t, <-failed)
	}
	require.Positive(t, late.Load(), "integrations ran out of time")
	require.Zero(t, early.Load(), "integrations were given up before their time, beside %d in time", late.Load())
}

// A message that waited for room in a full inbox has as much time for its integration
// as any other message.
func TestSoak_TimeoutBehindAFullInbox(t *testing.T) {
	const inbox = 16 // besides one message with its integration
	for range 50 {   // the order of two goroutines decides the result
		synctest.Test(t, func(t *testing.T) {
			srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{IntegrationTimeout: 10 * time.Second}))
			for key, takes := range map[string]time.Duration{"long": 9 * time.Second, "quick": 0, "short": 2 * time.Second} {
				srv.HandleFunc(key, func(ctx context.Context, _ *gateway.Request) (*gateway.Response, error) {
					wait(ctx, takes)
					return &gateway.Response{Body: []byte(key)}, nil
				}, gateway.WithRouteResponse())
			}
			c := srv.Dial(t)
			c.Send(`{"action":"long"}`)
			for range inbox {
				c.Send(`{"action":"quick"}`)
			}
			c.Send(`{"action":"short"}`)
			require.Equal(t, "long", c.Receive())
			for range inbox {
				require.Equal(t, "quick", c.Receive())
			}
			require.Equal(t, "short", c.Receive())
		})
	}
}

// pairs sends a late message with another behind it, again and again.
func pairs(ctx context.Context, c *wsconn.Client, rounds int) error {
	for range rounds {
		for _, text := range []string{`{"action":"late"}`, `{"action":"next"}`} {
			if err := c.Write(ctx, []byte(text), true); err != nil {
				return err
			}
		}
		for range 2 {
			if _, _, err := c.Read(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}
