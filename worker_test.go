package gateway_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/internal/suites/wiretest"
)

// An integration and then an observer end the same goroutine. Nothing of it remains.
func TestCallbacks_endAGoroutineTwice(t *testing.T) {
	t.Parallel()
	gw, err := gateway.New(gateway.WithObserver(&gateway.Observer{
		IntegrationDone: func(_ context.Context, _ *gateway.Request, _ *gateway.Response, _ time.Duration, err error) {
			if err != nil {
				runtime.Goexit()
			}
		},
	}))
	require.NoError(t, err)
	gw.HandleFunc("$default", func(context.Context, *gateway.Request) (*gateway.Response, error) {
		runtime.Goexit()
		return nil, nil
	})
	for _, dial := range wiretest.Sockets() {
		c := dial(t, gw.Handler())
		c.MustOpen()
		failed := c.SendAhead("one", "two", "three")
		for range 3 {
			require.Contains(t, c.Receive(), "Internal server error")
		}
		require.NoError(t, <-failed)
		require.NoError(t, c.Close())
	}
	require.NoError(t, gw.Shutdown(t.Context()))
	require.Zero(t, gw.Watched())
}
