package lifecycle_test

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/suites/wiretest"
)

func requireClose(t *testing.T, code int, p *wiretest.Peer) {
	t.Helper()
	got, _ := p.ReceiveClose()
	require.Equal(t, code, got)
}

func newRawEcho(t *testing.T) *gatewaytest.Server {
	t.Helper()
	srv := gatewaytest.New(t)
	srv.HandleFunc("$default", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Body: req.Body}, nil
	}, gateway.WithRouteResponse())
	srv.HandleFunc("$disconnect", answerNothing)
	return srv
}

func TestConnection_RawPeer(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]func(*testing.T, *gatewaytest.Server, *wiretest.Peer){
		"pings are answered between fragments": func(t *testing.T, _ *gatewaytest.Server, p *wiretest.Peer) {
			p.MustSend(wiretest.TextBegin, "a")
			p.MustSend(wiretest.Ping, "payload")
			p.Expect(wiretest.OpPong, "payload")
			p.MustSend(wiretest.Last, "b")
			require.Equal(t, "ab", p.Receive())
		},
		"a pong that nobody asked for is ignored": func(t *testing.T, _ *gatewaytest.Server, p *wiretest.Peer) {
			p.MustSend(wiretest.Pong, "x")
			p.MustSend(wiretest.Text, "y")
			require.Equal(t, "y", p.Receive())
		},
		"a peer that does not answer the close has five seconds": func(t *testing.T, srv *gatewaytest.Server, p *wiretest.Peer) {
			start := time.Now()
			for c := range srv.Connections() {
				require.NoError(t, srv.DeleteConnection(t.Context(), c.ID))
			}
			requireClose(t, 1000, p)
			p.MustSend(wiretest.Text, "still talking")
			p.ExpectEnd()
			require.Equal(t, 5*time.Second, time.Since(start))
			e := srv.WaitEvent(isDisconnect)
			require.Equal(t, 1000, e.DisconnectStatusCode)
			require.Len(t, srv.Events(), 1, "what comes after our close is forgotten")
		},
		"a peer that answers the close is let go at once": func(t *testing.T, srv *gatewaytest.Server, p *wiretest.Peer) {
			start := time.Now()
			for c := range srv.Connections() {
				require.NoError(t, srv.DeleteConnection(t.Context(), c.ID))
			}
			requireClose(t, 1000, p)
			p.MustSend(wiretest.Close, "\x03\xe8")
			p.ExpectEnd()
			require.Zero(t, time.Since(start))
		},
		"one close frame answers the client's, then the socket ends": func(t *testing.T, _ *gatewaytest.Server, p *wiretest.Peer) {
			p.MustSend(wiretest.Close, "\x03\xe9reason")
			p.ExpectClose(1001, "reason")
			p.ExpectEnd()
		},
		"a protocol violation": func(t *testing.T, srv *gatewaytest.Server, p *wiretest.Peer) {
			p.MustWrite([]byte{wiretest.Text, 0x01, 'x'}) // not masked
			requireClose(t, 1002, p)
			require.NoError(t, p.Close())
			e := srv.WaitEvent(isDisconnect)
			require.Equal(t, 1002, e.DisconnectStatusCode)
			require.Equal(t, "Protocol error", e.DisconnectReason)
		},
		"the rest of a refused message is skipped until the close is answered": func(t *testing.T, srv *gatewaytest.Server, p *wiretest.Peer) {
			start := time.Now()
			go func() {
				_, _ = p.Write(append([]byte{0x82, 0xfe, 0x40, 0, 1, 2, 3, 4}, make([]byte, 0x4000)...)) // binary, 16 KiB
				_, _ = p.Write(wiretest.Frame(wiretest.Close, "\x03\xeb"))
			}()
			requireClose(t, 1003, p)
			p.ExpectEnd()
			require.Zero(t, time.Since(start))
			require.Equal(t, 1003, srv.WaitEvent(isDisconnect).DisconnectStatusCode)
		},
		"a frame that breaks off is a lost connection": func(t *testing.T, srv *gatewaytest.Server, p *wiretest.Peer) {
			p.MustSend(wiretest.Text, "whole")
			require.Equal(t, "whole", p.Receive())
			p.MustWrite([]byte{wiretest.Text, 0x85, 1, 2})
			require.NoError(t, p.Close())
			require.Equal(t, 1006, srv.WaitEvent(isDisconnect).DisconnectStatusCode)
		},
		"a message that is never finished does not keep the connection": func(t *testing.T, srv *gatewaytest.Server, p *wiretest.Peer) {
			start := time.Now()
			go func() {
				p.MustSend(wiretest.TextBegin, "a")
				for range 9 {
					time.Sleep(time.Minute) //nolint:forbidigo // in a synctest bubble
					_, _ = p.Write(wiretest.Frame(wiretest.Next, "b"))
				}
			}()
			requireClose(t, 1001, p)
			require.Equal(t, 10*time.Minute, time.Since(start))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := newRawEcho(t)
				run(t, srv, dialRaw(t, srv))
			})
		})
	}
}

// While more complete messages wait in the input, replies are corked. But they are
// not kept back, whatever follows these messages.
func TestConnection_RepliesAreNotKeptBack(t *testing.T) {
	t.Parallel()
	for name, after := range map[string][]byte{
		"nothing":                          nil,
		"half a frame":                     {wiretest.Text, 0x85, 1, 2, 3, 4, 'x'},
		"half a header":                    {wiretest.Text},
		"a fragment":                       wiretest.Frame(wiretest.TextBegin, "fragment"),
		"a pong":                           wiretest.Frame(wiretest.Pong, ""),
		"a ping":                           wiretest.Frame(wiretest.Ping, ""),
		"a ping, then a fragment":          append(wiretest.Frame(wiretest.Ping, ""), wiretest.Frame(wiretest.TextBegin, "f")...),
		"a close":                          wiretest.Frame(wiretest.Close, "\x03\xe8"),
		"a violation":                      {0xff, 0xff, 0xff},
		"a message that takes its time":    wiretest.Frame(wiretest.Text, `{"action":"slow"}`),
		"a binary frame":                   wiretest.Frame(wiretest.Binary, "b"),
		"a message whose route is unknown": wiretest.Frame(wiretest.Text, `{"action":"$connect"}`),
		"a message without a reply":        wiretest.Frame(wiretest.Text, `{"action":"silent"}`),
		"a message that is not UTF-8":      wiretest.Frame(wiretest.Text, "\xff"),
		"a message that panics":            wiretest.Frame(wiretest.Text, `{"action":"panics"}`),
		"one that ends its goroutine":      wiretest.Frame(wiretest.Text, `{"action":"exits"}`),
	} {
		for _, inFlight := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s, InFlight %d", name, inFlight), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{InFlight: inFlight}))
					srv.HandleFunc("slow", func(ctx context.Context, _ *gateway.Request) (*gateway.Response, error) {
						<-ctx.Done()
						return nil, ctx.Err()
					})
					srv.HandleFunc("silent", answerNothing)
					srv.HandleFunc("panics", func(context.Context, *gateway.Request) (*gateway.Response, error) { panic("!") })
					srv.HandleFunc("exits", func(context.Context, *gateway.Request) (*gateway.Response, error) {
						runtime.Goexit()
						return nil, nil
					})
					srv.HandleFunc("fast", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
						return &gateway.Response{Body: req.Body}, nil
					}, gateway.WithRouteResponse())
					p := dialRaw(t, srv)
					start := time.Now()
					batch := []byte{}
					for n := range 10 {
						batch = append(batch, wiretest.Frame(wiretest.Text, fmt.Sprintf(`{"action":"fast","n":%d}`, n))...)
					}
					p.MustWrite(append(batch, after...))
					for n := range 10 {
						m := p.ReceiveAny()
						if m.Op == wiretest.OpPong { // control frames go first
							m = p.ReceiveAny()
						}
						require.Equal(t, wiretest.Message{Op: wiretest.OpText, Payload: fmt.Sprintf(`{"action":"fast","n":%d}`, n), Frames: 1}, m)
					}
					require.Less(t, time.Since(start), 10*time.Millisecond)
				})
			})
		}
	}
}

// If a peer sends while the server closes a busy connection over TCP, it gets the
// Close frame and not a reset: the server reads on until the peer is done.
func TestConnection_CloseFrameIsNotLostToAReset(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.NewTCP(t)
	srv.HandleFunc("$default", answerNothing)
	for range 20 {
		c := srv.Dial(t)
		for range 20 {
			c.Send(strings.Repeat("x", 1000))
		}
		c.SendFragments(strings.Repeat("x", 32<<10), strings.Repeat("x", 32<<10), strings.Repeat("x", 32<<10), strings.Repeat("x", 32<<10), "x")
		code, reason := c.ReceiveClose()
		require.Equal(t, 1009, code)
		require.Equal(t, "Message too big", reason)
	}
}

// What is sent to a client that does not read can stay in the kernel, and the kernel
// also takes the Close frame. The client did not get the Close frame, so the close is
// not reported as if it had.
func TestConnection_DeletedButUnread(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.NewTCP(t)
	srv.HandleFunc("$disconnect", answerNothing)
	p := dialRaw(t, srv)
	tcp, ok := p.Conn.Conn.(*net.TCPConn)
	require.True(t, ok)
	require.NoError(t, tcp.SetReadBuffer(4<<10))
	var id string
	for c := range srv.Connections() {
		id = c.ID
	}
	for range 4 { // more than the client's window, less than the kernel's buffer
		require.NoError(t, srv.PostToConnection(t.Context(), id, make([]byte, 128<<10)))
	}
	start := time.Now()
	require.NoError(t, srv.DeleteConnection(t.Context(), id))
	e := srv.WaitDisconnect(id)
	require.Less(t, time.Since(start), 9*time.Second, "the client is not waited for twice")
	require.Equal(t, 1006, e.DisconnectStatusCode)
	require.Equal(t, "Client did not read in time", e.DisconnectReason)
}

func TestConnection_FirstCauseCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := newRawEcho(t)
		p := dialRaw(t, srv)
		var id string
		for c := range srv.Connections() {
			id = c.ID
		}
		require.NoError(t, srv.DeleteConnection(t.Context(), id))
		requireClose(t, 1000, p)
		p.MustWrite(wiretest.Frame(wiretest.Close, "\x0f\xa1bye")) // 4001
		e := srv.WaitDisconnect(id)
		require.Equal(t, 1000, e.DisconnectStatusCode)
		require.Equal(t, "Connection Closed Normally", e.DisconnectReason)
	})
}
