package gateway_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

// rawPeer is a client that speaks bytes.
type rawPeer struct {
	t      *testing.T
	nc     net.Conn
	br     *bufio.Reader
	header http.Header // of the 101
}

// dialRaw upgrades a connection and lets the test write its frames.
func dialRaw(t *testing.T, srv *gatewaytest.Server, headerLines ...string) *rawPeer {
	t.Helper()
	transport, ok := srv.HTTPClient().Transport.(*http.Transport)
	require.True(t, ok)
	nc, err := transport.DialContext(t.Context(), "tcp", "")
	require.NoError(t, err)
	t.Cleanup(func() { _ = nc.Close() })
	p := &rawPeer{t: t, nc: nc, br: bufio.NewReader(nc)}
	p.write([]byte("GET /test HTTP/1.1\r\nHost: gateway.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + strings.Join(headerLines, "") + "\r\n"))
	resp, err := http.ReadResponse(p.br, nil) //nolint:bodyclose // a 101 has none
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
	require.Equal(t, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", resp.Header.Get("Sec-WebSocket-Accept"))
	p.header = resp.Header
	return p
}

func (p *rawPeer) write(b []byte) {
	p.t.Helper()
	_, err := p.nc.Write(b)
	require.NoError(p.t, err)
}

// frame encodes a masked frame of up to 125 bytes.
func frame(first byte, payload string) []byte {
	b := []byte{first, 0x80 | byte(len(payload)), 1, 2, 3, 4}
	for i := range len(payload) {
		b = append(b, payload[i]^byte(i%4+1))
	}
	return b
}

const (
	finText, text, continuation, finContinuation = 0x81, 0x01, 0x00, 0x80
	closeFrame, ping, pong                       = 0x88, 0x89, 0x8a
)

// read returns the first byte and the payload of the server's next frame.
func (p *rawPeer) read() (first byte, payload string) {
	p.t.Helper()
	var head [2]byte
	_, err := io.ReadFull(p.br, head[:])
	require.NoError(p.t, err)
	n := int(head[1])
	if n == 126 {
		var length [2]byte
		_, err := io.ReadFull(p.br, length[:])
		require.NoError(p.t, err)
		n = int(binary.BigEndian.Uint16(length[:]))
	}
	b := make([]byte, n)
	_, err = io.ReadFull(p.br, b)
	require.NoError(p.t, err)
	return head[0], string(b)
}

// readClose returns the code of the Close frame that comes next.
func (p *rawPeer) readClose() int {
	p.t.Helper()
	first, payload := p.read()
	require.Equal(p.t, byte(closeFrame), first)
	return int(binary.BigEndian.Uint16([]byte(payload)))
}

// readEnd requires that the server closes the socket.
func (p *rawPeer) readEnd() {
	p.t.Helper()
	_, err := p.br.ReadByte()
	require.ErrorIs(p.t, err, io.EOF)
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
	for name, run := range map[string]func(*testing.T, *gatewaytest.Server, *rawPeer){
		"pings are answered between fragments": func(t *testing.T, _ *gatewaytest.Server, p *rawPeer) {
			p.write(frame(text, "a"))
			p.write(frame(ping, "payload"))
			first, payload := p.read()
			require.Equal(t, byte(pong), first)
			require.Equal(t, "payload", payload)
			p.write(frame(finContinuation, "b"))
			_, payload = p.read()
			require.Equal(t, "ab", payload)
		},
		"a pong that nobody asked for is ignored": func(t *testing.T, _ *gatewaytest.Server, p *rawPeer) {
			p.write(frame(pong, "x"))
			p.write(frame(finText, "y"))
			_, payload := p.read()
			require.Equal(t, "y", payload)
		},
		"a peer that does not answer the close has five seconds": func(t *testing.T, srv *gatewaytest.Server, p *rawPeer) {
			start := time.Now()
			for c := range srv.Connections() {
				require.NoError(t, srv.DeleteConnection(t.Context(), c.ID))
			}
			require.Equal(t, 1000, p.readClose())
			p.write(frame(finText, "still talking"))
			p.readEnd()
			require.Equal(t, 5*time.Second, time.Since(start))
			e := srv.WaitEvent(isDisconnect)
			require.Equal(t, 1000, e.DisconnectStatusCode)
			require.Len(t, srv.Events(), 1, "what comes after our close is forgotten")
		},
		"a peer that answers the close is let go at once": func(t *testing.T, srv *gatewaytest.Server, p *rawPeer) {
			start := time.Now()
			for c := range srv.Connections() {
				require.NoError(t, srv.DeleteConnection(t.Context(), c.ID))
			}
			require.Equal(t, 1000, p.readClose())
			p.write(frame(closeFrame, "\x03\xe8"))
			p.readEnd()
			require.Zero(t, time.Since(start))
		},
		"one close frame answers the client's, then the socket ends": func(t *testing.T, _ *gatewaytest.Server, p *rawPeer) {
			p.write(frame(closeFrame, "\x03\xe9reason"))
			first, payload := p.read()
			require.Equal(t, byte(closeFrame), first)
			require.Equal(t, "\x03\xe9reason", payload)
			p.readEnd()
		},
		"a protocol violation": func(t *testing.T, srv *gatewaytest.Server, p *rawPeer) {
			p.write([]byte{finText, 0x01, 'x'}) // not masked
			require.Equal(t, 1002, p.readClose())
			require.NoError(t, p.nc.Close())
			e := srv.WaitEvent(isDisconnect)
			require.Equal(t, 1002, e.DisconnectStatusCode)
			require.Equal(t, "Protocol error", e.DisconnectReason)
		},
		"the rest of a refused message is skipped until the close is answered": func(t *testing.T, srv *gatewaytest.Server, p *rawPeer) {
			start := time.Now()
			go func() {
				_, _ = p.nc.Write(append([]byte{0x82, 0xfe, 0x40, 0, 1, 2, 3, 4}, make([]byte, 0x4000)...)) // binary, 16 KiB
				_, _ = p.nc.Write(frame(closeFrame, "\x03\xeb"))
			}()
			require.Equal(t, 1003, p.readClose())
			p.readEnd()
			require.Zero(t, time.Since(start))
			require.Equal(t, 1003, srv.WaitEvent(isDisconnect).DisconnectStatusCode)
		},
		"a frame that breaks off is a lost connection": func(t *testing.T, srv *gatewaytest.Server, p *rawPeer) {
			p.write(frame(finText, "whole"))
			_, payload := p.read()
			require.Equal(t, "whole", payload)
			p.write([]byte{finText, 0x85, 1, 2})
			require.NoError(t, p.nc.Close())
			require.Equal(t, 1006, srv.WaitEvent(isDisconnect).DisconnectStatusCode)
		},
		"a message that is never finished does not keep the connection": func(t *testing.T, srv *gatewaytest.Server, p *rawPeer) {
			start := time.Now()
			go func() {
				p.write(frame(text, "a"))
				for range 9 {
					time.Sleep(time.Minute) //nolint:forbidigo // in a synctest bubble
					_, _ = p.nc.Write(frame(continuation, "b"))
				}
			}()
			require.Equal(t, 1001, p.readClose())
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

// Replies are corked while more whole messages wait in the input. None of what
// may follow them there keeps them back.
func TestConnection_RepliesAreNotKeptBack(t *testing.T) {
	t.Parallel()
	for name, after := range map[string][]byte{
		"nothing":                          nil,
		"half a frame":                     {finText, 0x85, 1, 2, 3, 4, 'x'},
		"half a header":                    {finText},
		"a fragment":                       frame(text, "fragment"),
		"a pong":                           frame(pong, ""),
		"a ping":                           frame(ping, ""),
		"a ping, then a fragment":          append(frame(ping, ""), frame(text, "f")...),
		"a close":                          frame(closeFrame, "\x03\xe8"),
		"a violation":                      {0xff, 0xff, 0xff},
		"a message that takes its time":    frame(finText, `{"action":"slow"}`),
		"a binary frame":                   frame(0x82, "b"),
		"a message whose route is unknown": frame(finText, `{"action":"$connect"}`),
		"a message without a reply":        frame(finText, `{"action":"silent"}`),
		"a message that is not UTF-8":      frame(finText, "\xff"),
		"a message that panics":            frame(finText, `{"action":"panics"}`),
		"one that ends its goroutine":      frame(finText, `{"action":"exits"}`),
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
						batch = append(batch, frame(finText, fmt.Sprintf(`{"action":"fast","n":%d}`, n))...)
					}
					p.write(append(batch, after...))
					for n := range 10 {
						first, payload := p.read()
						if first == pong { // control frames go first
							first, payload = p.read()
						}
						require.Equal(t, byte(finText), first)
						require.Equal(t, fmt.Sprintf(`{"action":"fast","n":%d}`, n), payload)
					}
					require.Less(t, time.Since(start), 10*time.Millisecond)
				})
			})
		}
	}
}

// A peer that sends while the server closes a busy connection over TCP meets its
// Close frame, not a reset: the server reads on until the peer is done.
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

// What is sent to a client that does not read can lie in the kernel, which takes the
// Close frame, too. The client did not get it, so it is not told of as if it had.
func TestConnection_DeletedButUnread(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.NewTCP(t)
	srv.HandleFunc("$disconnect", answerNothing)
	p := dialRaw(t, srv)
	tcp, ok := p.nc.(*net.TCPConn)
	require.True(t, ok)
	require.NoError(t, tcp.SetReadBuffer(4<<10))
	var id string
	for c := range srv.Connections() {
		id = c.ID
	}
	for range 4 { // more than the client's window, less than what the kernel keeps
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
		require.Equal(t, 1000, p.readClose())
		p.write(frame(closeFrame, "\x0f\xa1bye")) // 4001
		e := srv.WaitDisconnect(id)
		require.Equal(t, 1000, e.DisconnectStatusCode)
		require.Equal(t, "Connection Closed Normally", e.DisconnectReason)
	})
}
