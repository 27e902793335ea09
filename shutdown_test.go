package gateway_test

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

// hang is an integration that ignores its context for an hour.
func hang(context.Context, *gateway.Request) (*gateway.Response, error) {
	time.Sleep(time.Hour) //nolint:forbidigo // in a synctest bubble
	return nil, nil
}

func TestShutdown_EndsEveryConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t)
		var disconnected atomic.Int32
		srv.HandleFunc("$disconnect", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
			time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble
			if req.DisconnectStatusCode == 1001 && req.DisconnectReason == "Going away" {
				disconnected.Add(1)
			}
			return nil, nil
		})
		clients := make([]*gatewaytest.Client, 300)
		for n := range clients {
			clients[n] = srv.Dial(t)
			for m := range 3 {
				require.NoError(t, srv.PostToConnection(t.Context(), clients[n].ConnectionID(), []byte(strconv.Itoa(m))))
			}
		}
		start := time.Now()
		require.NoError(t, srv.Shutdown(t.Context()))
		require.Equal(t, int32(300), disconnected.Load(), "every $disconnect has run when Shutdown returns")
		require.Equal(t, 3*time.Second, time.Since(start), "300 connections, 128 at a time, a second each")
		for _, c := range clients {
			for m := range 3 {
				require.Equal(t, strconv.Itoa(m), c.Receive(), "what was queued has been sent")
			}
			code, reason := c.ReceiveClose()
			require.Equal(t, 1001, code)
			require.Equal(t, "Going away", reason)
		}
		for range srv.Connections() {
			require.Fail(t, "a connection is left")
		}
		require.ErrorIs(t, srv.PostToConnection(t.Context(), clients[0].ConnectionID(), nil), gateway.ErrGone)
	})
}

func TestShutdown_RefusesUpgrades(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		refused := make(chan error, 1)
		srv := gatewaytest.New(t, gateway.WithObserver(&gateway.Observer{
			UpgradeRejected: func(_ context.Context, _ *gateway.Request, _ int, err error) { refused <- err },
		}))
		srv.HandleFunc("$disconnect", func(context.Context, *gateway.Request) (*gateway.Response, error) {
			time.Sleep(time.Minute) //nolint:forbidigo // in a synctest bubble
			return nil, nil
		})
		srv.Dial(t)
		done := make(chan error)
		go func() { done <- srv.Shutdown(context.Background()) }()
		synctest.Wait()
		c, r := srv.TryDial(t)
		require.Nil(t, c)
		require.Equal(t, http.StatusServiceUnavailable, r.StatusCode)
		require.Equal(t, "1", r.Header.Get("Retry-After"))
		require.Contains(t, r.Body, `{"message": "Service Unavailable", "connectionId":"`)
		require.ErrorIs(t, <-refused, gateway.ErrClosed)
		require.NoError(t, <-done)
	})
}

func TestShutdown_LetsRunningIntegrationsAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t)
		srv.HandleFunc("$default", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
			time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble
			return &gateway.Response{Body: req.Body}, nil
		}, gateway.WithRouteResponse())
		srv.HandleFunc("$disconnect", answerNothing)
		c := srv.Dial(t)
		for n := range 3 {
			c.Send(strconv.Itoa(n))
		}
		synctest.Wait()
		require.NoError(t, srv.Shutdown(t.Context()))
		for n := range 3 {
			require.Equal(t, strconv.Itoa(n), c.Receive())
		}
		code, _ := c.ReceiveClose()
		require.Equal(t, 1001, code)
		require.Equal(t, 1, disconnects(srv, c.ConnectionID()))
	})
}

// An integration that needs more than 5 s does not keep its client: that is closed with
// 1001. Shutdown waits for the integration all the same.
func TestShutdown_WaitsForLateIntegrations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t)
		ended := false
		srv.HandleFunc("$default", func(context.Context, *gateway.Request) (*gateway.Response, error) {
			time.Sleep(8 * time.Second) //nolint:forbidigo // in a synctest bubble
			ended = true
			return &gateway.Response{Body: []byte("too late")}, nil
		}, gateway.WithRouteResponse())
		c := srv.Dial(t)
		c.Send("x")
		synctest.Wait()
		start := time.Now()
		done := make(chan error)
		go func() { done <- srv.Shutdown(context.Background()) }()
		code, _ := c.ReceiveClose()
		require.Equal(t, 1001, code)
		require.Equal(t, 5*time.Second, time.Since(start))
		require.NoError(t, <-done)
		require.Equal(t, 8*time.Second, time.Since(start))
		require.True(t, ended)
	})
}

// A $connect that is running when the shutdown begins is not lost: its connection
// opens, is closed with 1001, and gets its $disconnect.
func TestShutdown_DuringConnect(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t)
		srv.HandleFunc("$connect", func(context.Context, *gateway.Request) (*gateway.Response, error) {
			time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble
			return nil, nil
		})
		srv.HandleFunc("$disconnect", answerNothing)
		done := make(chan error)
		go func() {
			time.Sleep(time.Second / 2) //nolint:forbidigo // in a synctest bubble
			done <- srv.Shutdown(context.Background())
		}()
		c := srv.Dial(t)
		code, _ := c.ReceiveClose()
		require.Equal(t, 1001, code)
		require.NoError(t, <-done)
		require.Equal(t, 1, disconnects(srv, c.ConnectionID()))
	})
}

func TestShutdown_CutsWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name       string
		message    gateway.IntegrationFunc
		disconnect gateway.IntegrationFunc
		took       time.Duration
	}{
		{"integrations that obey their context", func(ctx context.Context, _ *gateway.Request) (*gateway.Response, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, answerNothing, 2 * time.Second},
		{"integrations that do not", hang, answerNothing, 3 * time.Second},
		{"a $disconnect that hangs", answerNothing, hang, 3 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := gatewaytest.New(t)
				srv.Handle("$default", tc.message)
				srv.Handle("$disconnect", tc.disconnect)
				c := srv.Dial(t)
				c.Send("x")
				synctest.Wait()
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				err := srv.Shutdown(ctx)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.EqualError(t, err, "gateway: shutdown cut 1 connections: context deadline exceeded")
				require.Equal(t, tc.took, time.Since(start))
				c.ReceiveClose()
				srv.WaitDisconnect(c.ConnectionID())
				time.Sleep(time.Hour) //nolint:forbidigo // in a synctest bubble
				require.Equal(t, 1, disconnects(srv, c.ConnectionID()))
			})
		})
	}
}

func TestClose_EndsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t)
		srv.HandleFunc("$disconnect", answerNothing)
		c := srv.Dial(t)
		c.Pause() // even a client that reads nothing does not delay it
		start := time.Now()
		require.NoError(t, srv.Close())
		require.Zero(t, time.Since(start))
		e := srv.WaitDisconnect(c.ConnectionID())
		require.Equal(t, 1001, e.DisconnectStatusCode)
		require.NoError(t, srv.Close())
		require.NoError(t, srv.Shutdown(t.Context()))
	})
}

func TestShutdown_TwiceAndAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t)
		srv.HandleFunc("$disconnect", func(context.Context, *gateway.Request) (*gateway.Response, error) {
			time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble
			return nil, nil
		})
		for range 10 {
			srv.Dial(t)
		}
		start := time.Now()
		var wg sync.WaitGroup
		errs := make(chan error, 8)
		for range 8 {
			wg.Go(func() { errs <- srv.Shutdown(context.Background()) })
		}
		wg.Wait()
		for range 8 {
			require.NoError(t, <-errs)
		}
		require.Equal(t, time.Second, time.Since(start), "each call waits for the end")
		require.NoError(t, srv.Shutdown(t.Context()))
		require.NoError(t, srv.Close())
		n := 0
		for _, e := range srv.Events() {
			if isDisconnect(e) {
				n++
			}
		}
		require.Equal(t, 10, n)
	})
}

// If everything has ended, Shutdown returns nil, even if its context has ended, too.
func TestShutdown_ContextEndsToo(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	require.NoError(t, srv.Shutdown(t.Context()))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		require.NoError(t, srv.Shutdown(ended))
	}
}

// Close says what may still run, and an upgrade that it cuts is told when to try again.
func TestClose_DuringAuthorizer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t)
		srv.HandleFunc("$connect", answerNothing, gateway.WithAuthorizer(gateway.AuthorizerFunc(func(ctx context.Context, req *gateway.Request) (*gateway.Authorization, error) {
			_, err := hang(ctx, req)
			return nil, err
		})))
		done := make(chan error, 1)
		go func() {
			time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble
			done <- srv.Close()
		}()
		_, refused := srv.TryDial(t)
		require.Equal(t, http.StatusServiceUnavailable, refused.StatusCode)
		require.Equal(t, "1", refused.Header.Get("Retry-After"))
		require.EqualError(t, <-done, "gateway: close: code of the program (an integration, an authorizer, an observer, …) still runs after 1s")
		time.Sleep(time.Hour) //nolint:forbidigo // in a synctest bubble: until the authorizer has returned
	})
}

func TestShutdown_OfAGatewayThatNeverRan(t *testing.T) {
	t.Parallel()
	gw, err := gateway.New()
	require.NoError(t, err)
	require.NoError(t, gw.Shutdown(t.Context()))
	require.NoError(t, gw.Close())
}

// Clients connect, send, get posts and are deleted while the gateway shuts down:
// every connection that opened is closed, once.
func TestShutdown_UnderLoad(t *testing.T) {
	t.Parallel()
	var opened, closed atomic.Int32
	srv := gatewaytest.NewTCP(t, gateway.WithObserver(&gateway.Observer{
		ConnectionOpened: func(context.Context, gateway.Connection) { opened.Add(1) },
		ConnectionClosed: func(context.Context, gateway.Connection, int, string) { closed.Add(1) },
	}))
	srv.HandleFunc("$default", answer("x"), gateway.WithRouteResponse())
	srv.HandleFunc("$disconnect", answerNothing)
	var wg sync.WaitGroup
	started := make(chan struct{}, 100)
	for range 4 {
		wg.Go(func() {
			for range 50 {
				c, refused := srv.TryDial(quiet{t})
				if refused != nil {
					return
				}
				_ = srv.PostToConnection(context.Background(), c.ConnectionID(), []byte("post"))
				started <- struct{}{}
			}
		})
	}
	for range 20 {
		<-started
	}
	go func() {
		for range started { // until it is closed
		}
	}()
	require.NoError(t, srv.Shutdown(t.Context()))
	wg.Wait()
	close(started)
	require.Equal(t, opened.Load(), closed.Load())
	n := int32(0)
	for _, e := range srv.Events() {
		if isDisconnect(e) {
			n++
		}
	}
	require.Equal(t, opened.Load(), n)
}

// quiet is a testing.TB for goroutines other than the test's: a failure calls Error,
// and does not end the goroutine.
type quiet struct{ *testing.T }

func (q quiet) Fatalf(format string, args ...any) { q.Errorf(format, args...) }

// blockingHandler is a log handler that blocks at one line.
type blockingHandler struct {
	slog.Handler
	line    string
	blocked chan struct{} // closed when it blocks
	release chan struct{}
}

func (h blockingHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h blockingHandler) Handle(_ context.Context, r slog.Record) error {
	if r.Message == h.line {
		close(h.blocked)
		<-h.release
	}
	return nil
}

// A log that blocks delays neither Shutdown, beyond its context, nor upgrades.
func TestShutdown_logBlocks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := blockingHandler{slog.DiscardHandler, "shutting down", make(chan struct{}), make(chan struct{})}
		srv := gatewaytest.New(t, gateway.WithLogger(slog.New(h)))
		srv.Dial(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		done := make(chan error, 1)
		start := time.Now()
		go func() { done <- srv.Shutdown(ctx) }() // ends with ctx
		<-h.blocked
		_, refused := srv.TryDial(t)
		require.NotNil(t, refused)
		require.Equal(t, http.StatusServiceUnavailable, refused.StatusCode)
		require.ErrorIs(t, <-done, context.DeadlineExceeded)
		require.LessOrEqual(t, time.Since(start), time.Minute+time.Second)
		close(h.release)
	})
}
