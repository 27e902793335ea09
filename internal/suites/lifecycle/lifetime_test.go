package lifecycle_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/suites/wiretest"
)

// The gateway notices at once that a client has reset its connection, or within
// seconds if its socket is not polled. It does so even while it does not read from
// the client, because the client sends faster than its integrations return.
func TestConnection_resetWhileTheInboxIsFull(t *testing.T) {
	t.Parallel()
	for _, socket := range []string{"tcp", "tls"} {
		for _, after := range []time.Duration{0, toWait} { // the reset may come before the reader waits for room, or after
			t.Run(fmt.Sprint(socket, " ", after), func(t *testing.T) {
				t.Parallel()
				resetWhileTheInboxIsFull(t, socket, after)
			})
		}
	}
}

// toWait is enough time for a reader to find its inbox full and to wait. Nothing
// outside shows when it does.
const toWait = 100 * time.Millisecond

func resetWhileTheInboxIsFull(t *testing.T, socket string, after time.Duration) {
	t.Helper()
	const sent = 40
	gw, err := gateway.New()
	require.NoError(t, err)
	defer gw.Close()
	running, release := make(chan struct{}, sent), make(chan struct{})
	disconnected := make(chan *gateway.Request, 1)
	gw.HandleFunc("$default", func(context.Context, *gateway.Request) (*gateway.Response, error) {
		running <- struct{}{}
		<-release
		return nil, nil
	})
	gw.HandleFunc("$disconnect", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		disconnected <- req
		return nil, nil
	})
	c := wiretest.Sockets()[socket](t, gw.Handler())
	c.MustOpen()
	require.NoError(t, <-c.SendAhead(slices.Repeat([]string{"message"}, sent)...))
	<-running
	nc := c.Conn.Conn
	if secure, ok := nc.(*tls.Conn); ok {
		nc = secure.NetConn()
	}
	tcp, ok := nc.(*net.TCPConn)
	require.True(t, ok)
	<-time.After(after)
	require.NoError(t, tcp.SetLinger(0))
	require.NoError(t, tcp.Close())
	require.Eventually(t, func() bool { return len(slices.Collect(gw.Connections())) == 0 }, 10*time.Second, time.Millisecond,
		"it is gone while its first message still runs")
	close(release)
	select {
	case req := <-disconnected:
		require.Equal(t, 1006, req.DisconnectStatusCode)
	case <-time.After(10 * time.Second):
		require.FailNow(t, "no $disconnect")
	}
	require.LessOrEqual(t, len(running), 17, "what was not read is forgotten")
}

// A client that closes its connection normally and leaves at once has not reset it:
// what it sent before is served, however slow the integrations are, over any socket.
func TestConnection_closedWhileTheInboxIsFull(t *testing.T) {
	t.Parallel()
	for socket, dial := range wiretest.Sockets() {
		t.Run(socket, func(t *testing.T) {
			t.Parallel()
			const sent = 40
			gw, err := gateway.New()
			require.NoError(t, err)
			defer gw.Close()
			served, left := make(chan struct{}, sent), make(chan struct{})
			disconnected := make(chan *gateway.Request, 1)
			gw.HandleFunc("$default", func(context.Context, *gateway.Request) (*gateway.Response, error) {
				<-left
				served <- struct{}{}
				return nil, nil
			})
			gw.HandleFunc("$disconnect", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
				disconnected <- req
				return nil, nil
			})
			c := dial(t, gw.Handler())
			c.MustOpen()
			require.NoError(t, <-c.SendAhead(slices.Repeat([]string{"message"}, sent)...))
			err = c.Send(wiretest.Close, "\x03\xe8")
			require.NoError(t, err)
			<-time.After(toWait)
			require.NoError(t, c.Close())
			<-time.After(toWait)
			close(left)
			select {
			case req := <-disconnected:
				require.Equal(t, 1000, req.DisconnectStatusCode)
			case <-time.After(10 * time.Second):
				require.FailNow(t, "no $disconnect")
			}
			require.Len(t, served, sent)
		})
	}
}

// If a client reads what was sent before a ping, it is not cut because its answer
// takes long: the ping waits behind these bytes in the kernel. A client that reads
// nothing is cut.
func TestConnection_pingBehindALongQueue(t *testing.T) {
	t.Parallel()
	for socket, dial := range wiretest.Sockets() {
		t.Run(socket, func(t *testing.T) {
			t.Parallel()
			const interval, messages, size = 1500 * time.Millisecond, 30, 100 << 10 // a busy machine may stop the test for a while
			gw, err := gateway.New(gateway.WithQuotas(gateway.Quotas{
				PingInterval: interval, WriteTimeout: 2 * interval, SendBufferBytes: -1, SendBufferMessages: -1,
			}))
			require.NoError(t, err)
			defer gw.Close()
			disconnected := make(chan struct{})
			gw.HandleFunc("$disconnect", func(context.Context, *gateway.Request) (*gateway.Response, error) {
				close(disconnected)
				return nil, nil
			})
			c := dial(t, gw.Handler())
			c.MustOpen()
			for _, id := range connectionIDs(gw) {
				for range messages {
					require.NoError(t, gw.PostToConnection(t.Context(), id, make([]byte, size)))
				}
			}
			const steps = 100
			ticker := time.NewTicker(3 * interval / steps)
			defer ticker.Stop()
			for range steps {
				<-ticker.C
				_, err := io.CopyN(io.Discard, c, messages*size/steps/2)
				require.NoError(t, err)
			}
			select {
			case <-disconnected:
				require.FailNow(t, "it was cut")
			default:
			}
			select {
			case <-disconnected: // it reads no more
			case <-time.After(20 * time.Second):
				require.FailNow(t, "it was not cut")
			}
		})
	}
}

// LastActiveAt never goes back, whichever goroutine reports late.
func TestConnection_lastActiveNeverGoesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var srv *gatewaytest.Server
		var ids []string
		slow := true
		observer := &gateway.Observer{MessageSent: func(_ context.Context, id string, _ int) {
			if !slow || id != ids[0] {
				return
			}
			slow = false
			time.Sleep(time.Second) //nolint:forbidigo // in a bubble: the broadcast is slow
			require.NoError(t, srv.PostToConnection(context.Background(), ids[1], []byte("meanwhile")))
		}}
		srv = gatewaytest.New(t, gateway.WithObserver(observer))
		ids = []string{srv.Dial(t).ConnectionID(), srv.Dial(t).ConnectionID()}
		require.Nil(t, srv.PostToConnections(t.Context(), ids, []byte("to all")))
		c, err := srv.GetConnection(t.Context(), ids[1])
		require.NoError(t, err)
		require.Equal(t, c.ConnectedAt.Add(time.Second), c.LastActiveAt)
	})
}

// The context of an integration belongs to the gateway: the end of the upgrade
// request does not cancel it, and no goroutine is needed to wait for that.
func TestIntegration_contextIsTheGateways(t *testing.T) {
	type result struct {
		cause error
		more  int
	}
	results := make(chan result, 10)
	integration := func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		before := runtime.NumGoroutine()
		_ = ctx.Done()
		child, cancel := context.WithCancel(ctx)
		_ = child.Done()
		if req.EventType == gateway.EventMessage { // the other events run beside net/http's goroutines
			results <- result{context.Cause(ctx), runtime.NumGoroutine() - before}
		} else {
			results <- result{context.Cause(ctx), 0}
		}
		cancel()
		return nil, nil
	}
	srv := gatewaytest.New(t)
	for _, key := range []string{"$connect", "$default", "$disconnect"} {
		srv.HandleFunc(key, integration)
	}
	c := srv.Dial(t)
	require.Equal(t, result{}, <-results)
	for range 3 {
		c.Send("hello")
		got := <-results
		require.NoError(t, got.cause)
		require.LessOrEqual(t, got.more, 0)
	}
	c.Close(1000, "")
	require.Equal(t, result{}, <-results)
}

// plainWriter is the ResponseWriter of a middleware that hides http.Hijacker.
type plainWriter struct{ http.ResponseWriter }

// wrapper is one that does not hide it.
type wrapper struct{ plainWriter }

// Unwrap is called by http.ResponseController.
func (w wrapper) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// If $connect accepted a connection, the connection also gets its $disconnect.
// $connect does not run for a connection that cannot open.
func TestUpgrade_connectAndDisconnectGoTogether(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		wrap     func(http.ResponseWriter) http.ResponseWriter
		status   int
		connects int64
	}{
		{"the server's own writer", func(w http.ResponseWriter) http.ResponseWriter { return w }, 101, 1},
		{"a wrapper with Unwrap", func(w http.ResponseWriter) http.ResponseWriter { return wrapper{plainWriter{w}} }, 101, 1},
		{"a wrapper without", func(w http.ResponseWriter) http.ResponseWriter { return plainWriter{w} }, 500, 0},
		{"a wrapper that promises too much", func(w http.ResponseWriter) http.ResponseWriter { return &hijackFails{w} }, 500, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			gw, err := gateway.New()
			require.NoError(t, err)
			var connects, disconnects atomic.Int64
			gw.HandleFunc("$connect", func(context.Context, *gateway.Request) (*gateway.Response, error) {
				connects.Add(1)
				return nil, nil
			})
			gw.HandleFunc("$disconnect", func(context.Context, *gateway.Request) (*gateway.Response, error) {
				disconnects.Add(1)
				return nil, nil
			})
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				gw.Handler().ServeHTTP(tc.wrap(w), r)
			}))
			defer srv.Close()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL, nil)
			require.NoError(t, err)
			for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="} {
				req.Header.Set(name, value)
			}
			resp, err := http.DefaultTransport.RoundTrip(req)
			require.NoError(t, err)
			defer resp.Body.Close()
			require.Equal(t, tc.status, resp.StatusCode)
			require.NoError(t, gw.Shutdown(t.Context()))
			require.Equal(t, tc.connects, connects.Load())
			require.Equal(t, connects.Load(), disconnects.Load())
		})
	}
}

// hijackFails is an http.Hijacker that fails.
type hijackFails struct{ http.ResponseWriter }

// Hijack implements http.Hijacker.
func (hijackFails) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, errors.New("not today")
}

// Close ends a connection whose $connect still runs. If the integration then accepts
// it, it gets a $disconnect; if the integration refuses it, it does not. No $connect
// begins after Close.
func TestClose_whileConnectRuns(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		accepts     bool
		late        time.Duration
		disconnects int
	}{
		"it accepts":            {true, 300 * time.Millisecond, 1},
		"it refuses":            {false, 300 * time.Millisecond, 0},
		"it accepts much later": {true, 20 * time.Second, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := gatewaytest.New(t)
				begun := make(chan struct{})
				srv.HandleFunc("$connect", func(context.Context, *gateway.Request) (*gateway.Response, error) {
					close(begun)
					time.Sleep(tc.late) //nolint:forbidigo // in a bubble: the integration ignores its context
					if !tc.accepts {
						return &gateway.Response{StatusCode: 403}, nil
					}
					return nil, nil
				})
				srv.HandleFunc("$disconnect", answerNothing)
				closed := make(chan error, 1)
				go func() { // ends with the gateway
					<-begun
					closed <- srv.Gateway.Close()
				}()
				_, refused := srv.TryDial(t)
				if err := <-closed; tc.late < time.Second {
					require.NoError(t, err)
				}
				require.NotNil(t, refused)
				require.Equal(t, http.StatusServiceUnavailable, refused.StatusCode)
				time.Sleep(time.Minute) //nolint:forbidigo // in a bubble
				got := 0
				for _, e := range srv.Events() {
					if e.EventType == gateway.EventDisconnect {
						got++
						require.Equal(t, 1001, e.DisconnectStatusCode)
					}
				}
				require.Equal(t, tc.disconnects, got)
			})
		})
	}
}

// hijackLate is the ResponseWriter of a server that takes long to hand over a
// connection.
type hijackLate struct {
	*httptest.ResponseRecorder
	nc   net.Conn
	wait func()
}

// Hijack implements http.Hijacker.
func (w hijackLate) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.wait()
	return w.nc, nil, nil
}

// Close also ends a connection that begins while Close runs: none of its messages is
// served, the client sees the connection break, and Close need not wait for it.
func TestClose_whileAConnectionBegins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gw, err := gateway.New()
		require.NoError(t, err)
		var events []gateway.EventType // in order
		integration := func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
			events = append(events, req.EventType)
			return nil, nil
		}
		for _, key := range []string{"$connect", "$default", "$disconnect"} {
			gw.HandleFunc(key, integration)
		}
		server, client := net.Pipe()
		defer client.Close()
		go func() { // ends with the connection
			_, _ = http.ReadResponse(bufio.NewReader(client), nil) //nolint:bodyclose // a 101 has no body
			_, _ = client.Write(wiretest.Frame(wiretest.Text, "hello"))
		}()
		closed := make(chan error, 1)
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(wiretest.Upgrade("/test"))))
		require.NoError(t, err)
		gw.Handler().ServeHTTP(hijackLate{httptest.NewRecorder(), server, func() {
			go func() { closed <- gw.Close() }() // ends with the gateway
			synctest.Wait()
		}}, r)
		require.NoError(t, <-closed)
		require.Equal(t, []gateway.EventType{gateway.EventConnect, gateway.EventDisconnect}, events)
	})
}

// If a $disconnect already runs when Close cuts the gateway, it has as much time left
// as one that Close causes.
func TestClose_whileDisconnectRuns(t *testing.T) {
	t.Parallel()
	for _, took := range []time.Duration{300 * time.Millisecond, time.Hour} {
		t.Run(took.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{IntegrationTimeout: -1}))
				begun, result := make(chan struct{}), make(chan error, 1)
				srv.HandleFunc("$disconnect", func(ctx context.Context, _ *gateway.Request) (*gateway.Response, error) {
					close(begun)
					select {
					case <-time.After(took):
					case <-ctx.Done():
					}
					result <- ctx.Err()
					return nil, nil
				})
				c := srv.Dial(t)
				c.Close(1000, "")
				<-begun
				start := time.Now()
				require.NoError(t, srv.Gateway.Close())
				if took < time.Second {
					require.NoError(t, <-result)
					return
				}
				require.ErrorIs(t, <-result, context.Canceled)
				require.GreaterOrEqual(t, time.Since(start), 500*time.Millisecond)
			})
		})
	}
}

// Close waits for a $disconnect that uses its second up and then obeys its context.
func TestClose_DisconnectThatObeys(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*gateway.Gateway) error{
		"Close": (*gateway.Gateway).Close,
		"Shutdown": func(gw *gateway.Gateway) error {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			return gw.Shutdown(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := gatewaytest.New(t)
				var returned atomic.Bool
				srv.HandleFunc("$disconnect", func(ctx context.Context, _ *gateway.Request) (*gateway.Response, error) {
					<-ctx.Done()
					returned.Store(true)
					return nil, nil
				})
				srv.Dial(t)
				err := end(srv.Gateway)
				require.True(t, returned.Load())
				if name == "Close" {
					require.NoError(t, err)
				}
			})
		})
	}
}

// A message that arrives while a connection closes politely is served until the Close
// frame is sent.
func TestConnection_politeCloseServesWhatArrives(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{InFlight: 2}))
		srv.HandleFunc("$default", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
			time.Sleep(time.Second) //nolint:forbidigo // in a bubble
			return &gateway.Response{Body: []byte(strings.ToUpper(string(req.Body)))}, nil
		}, gateway.WithRouteResponse())
		c := srv.Dial(t)
		c.Send("a")
		time.Sleep(500 * time.Millisecond) //nolint:forbidigo // in a bubble
		go func() { _ = srv.Shutdown(context.Background()) }()
		synctest.Wait()
		c.Send("b")
		require.Equal(t, "A", c.Receive())
		require.Equal(t, "B", c.Receive())
		code, _ := c.ReceiveClose()
		require.Equal(t, 1001, code)
	})
}

// unwrapLate is a ResponseWriter whose Unwrap takes long, just before $connect.
type unwrapLate struct {
	plainWriter
	inner http.ResponseWriter
	wait  func()
}

// Unwrap is called by http.ResponseController.
func (w unwrapLate) Unwrap() http.ResponseWriter {
	w.wait()
	return w.inner
}

// No $connect begins after Close.
func TestClose_beforeConnectRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gw, err := gateway.New()
		require.NoError(t, err)
		connects := 0
		gw.HandleFunc("$connect", func(context.Context, *gateway.Request) (*gateway.Response, error) {
			connects++
			return nil, nil
		})
		closed := make(chan error, 1)
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(wiretest.Upgrade("/test"))))
		require.NoError(t, err)
		answer := httptest.NewRecorder()
		gw.Handler().ServeHTTP(unwrapLate{plainWriter{answer}, hijackLate{answer, nil, func() {}}, func() {
			go func() { closed <- gw.Close() }() // ends with the gateway
			synctest.Wait()
		}}, r)
		require.NoError(t, <-closed)
		require.Equal(t, http.StatusServiceUnavailable, answer.Code)
		require.Zero(t, connects)
	})
}

// A client that reads little at a time is not cut while its connection is open, but
// it cannot keep a closing connection open.
func TestConnection_clientThatTakesLittleAtTheEnd(t *testing.T) {
	t.Parallel()
	for _, timeout := range []time.Duration{0, -1, time.Hour} {
		t.Run(timeout.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{WriteTimeout: timeout}))
				srv.HandleFunc("$disconnect", answerNothing)
				p := dialRaw(t, srv)
				id := connectionIDs(srv.Gateway)[0]
				for range 60 {
					require.NoError(t, srv.PostToConnection(t.Context(), id, make([]byte, 16<<10)))
				}
				var reader sync.WaitGroup
				reader.Go(func() { // ends with the connection
					for {
						if _, err := io.CopyN(io.Discard, p, 16<<10); err != nil {
							return
						}
						time.Sleep(4 * time.Second) //nolint:forbidigo // in a bubble
					}
				})
				defer reader.Wait()
				time.Sleep(time.Minute) //nolint:forbidigo // in a bubble
				require.Len(t, connectionIDs(srv.Gateway), 1)
				start := time.Now()
				require.NoError(t, srv.DeleteConnection(t.Context(), id))
				srv.WaitDisconnect(id)
				require.InDelta(t, 30, time.Since(start).Seconds(), 6)
			})
		})
	}
}

// If an integration ends its goroutine, its context ends as well.
func TestIntegration_contextEndsWithTheGoroutine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{IntegrationTimeout: -1}))
		var contexts []context.Context
		srv.HandleFunc("$default", func(ctx context.Context, _ *gateway.Request) (*gateway.Response, error) {
			contexts = append(contexts, ctx)
			_ = ctx.Done()
			runtime.Goexit()
			return nil, nil
		})
		c := srv.Dial(t)
		for n := range 3 {
			c.Send("hello")
			require.Contains(t, c.Receive(), "Internal server error")
			require.ErrorIs(t, contexts[n].Err(), context.Canceled)
		}
	})
}
