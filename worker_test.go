package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
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

func TestRoute_FramesOfOneConnectionInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t)
		var running atomic.Int32
		srv.HandleFunc("$default", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
			if running.Add(1) != 1 {
				return nil, errors.New("two at a time")
			}
			defer running.Add(-1)
			if len(req.Body)%2 == 0 { // some return at once, others do not
				time.Sleep(time.Duration(len(req.Body)) * time.Second) //nolint:forbidigo // in a synctest bubble
			}
			return &gateway.Response{Body: req.Body}, nil
		}, gateway.WithRouteResponse())
		c := srv.Dial(t)
		go func() {
			for n := range 50 { // more than an inbox holds
				c.Send(strings.Repeat("x", n%7) + fmt.Sprint(n))
			}
		}()
		for n := range 50 {
			require.Equal(t, strings.Repeat("x", n%7)+fmt.Sprint(n), c.Receive())
		}
	})
}

func TestRoute_InFlightLetsFramesOverlap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{InFlight: 3}))
		var running, most atomic.Int32
		srv.HandleFunc("$default", func(context.Context, *gateway.Request) (*gateway.Response, error) {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble
			return &gateway.Response{Body: []byte("done")}, nil
		}, gateway.WithRouteResponse())
		c := srv.Dial(t)
		start := time.Now()
		for range 9 {
			c.Send("x")
		}
		for range 9 {
			c.Receive()
		}
		require.Equal(t, int32(3), most.Load())
		require.Less(t, time.Since(start), 4*time.Second)
	})
}

func TestRoute_SlowIntegrationHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t)
		srv.HandleFunc("slow", func(context.Context, *gateway.Request) (*gateway.Response, error) {
			time.Sleep(20 * time.Second) //nolint:forbidigo // in a synctest bubble
			return &gateway.Response{Body: []byte("slow")}, nil
		}, gateway.WithRouteResponse())
		srv.HandleFunc("fast", answer("fast"), gateway.WithRouteResponse())
		srv.HandleFunc("$disconnect", answerNothing)
		a, b := srv.Dial(t), srv.Dial(t)
		start := time.Now()
		a.Send(`{"action":"fast"}`)
		a.Send(`{"action":"slow"}`)
		require.Equal(t, "fast", a.Receive())
		require.Less(t, time.Since(start), time.Second, "a reply waits for no later frame")
		a.Ping()
		require.Less(t, time.Since(start), time.Second, "pings are answered while an integration runs")
		require.NoError(t, srv.PostToConnection(t.Context(), a.ConnectionID(), []byte("post")))
		require.Equal(t, "post", a.Receive())
		b.Send(`{"action":"fast"}`)
		require.Equal(t, "fast", b.Receive())
		require.Less(t, time.Since(start), time.Second, "other connections do not wait")
		a.Close(1000, "bye")
		require.Less(t, time.Since(start), time.Second, "a close is answered while an integration runs")
		e := srv.WaitDisconnect(a.ConnectionID())
		require.Equal(t, 20*time.Second, time.Since(start), "$disconnect is the last event")
		require.Equal(t, "bye", e.DisconnectReason)
	})
}
