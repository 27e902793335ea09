package wsconn_test

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/wsconn"
)

// peers is our end of a connection and an independent client, nhooyr.io/websocket.
type peers struct {
	ctx    context.Context //nolint:containedctx // the context of the test
	server *wsconn.Conn
	client *wsconn.Client
}

func dial(t *testing.T, limits wsconn.Limits) peers {
	t.Helper()
	srv, conns := acceptor(t, limits, false)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	client, resp, err := wsconn.Dial(ctx, "ws"+strings.TrimPrefix(srv.URL, "http"), wsconn.DialOptions{})
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
	server := <-conns
	server.SetReadDeadline(time.Now().Add(patience))
	t.Cleanup(client.CloseNow)
	t.Cleanup(server.Close)
	return peers{ctx: ctx, server: server, client: client}
}

// answering is a Control that answers pings.
type answering struct {
	control
	c *wsconn.Conn
}

func (a *answering) Ping(payload []byte) {
	a.control.Ping(payload)
	_ = a.c.Write(wsconn.AppendPong(nil, payload), within(patience))
}

func TestClient(t *testing.T) {
	t.Parallel()
	sizes := []int{0, 1, 125, 126, 127, 8 << 10, 8<<10 + 1, 65535, 65536, 1 << 20}
	t.Run("its texts reach us", func(t *testing.T) {
		t.Parallel()
		p := dial(t, wsconn.Limits{})
		failed := make(chan error, 1)
		background(t, func() {
			var err error
			for _, n := range sizes {
				if err == nil {
					err = p.client.Write(p.ctx, []byte(strings.Repeat("x", n)), true)
				}
			}
			failed <- err
		})
		for _, n := range sizes {
			message, _, err := p.server.Read(&control{})
			require.NoError(t, err)
			require.Equal(t, strings.Repeat("x", n), string(message))
		}
		require.NoError(t, <-failed)
	})
	t.Run("our texts reach it", func(t *testing.T) {
		t.Parallel()
		p := dial(t, wsconn.Limits{})
		failed := make(chan error, 1)
		background(t, func() {
			var all []byte
			for _, n := range sizes {
				all = wsconn.AppendText(all, []byte(strings.Repeat("€", n)))
			}
			failed <- p.server.Write(all, within(patience))
		})
		for _, n := range sizes {
			data, isText, err := p.client.Read(p.ctx)
			require.NoError(t, err)
			require.True(t, isText)
			require.Equal(t, strings.Repeat("€", n), string(data))
		}
		require.NoError(t, <-failed)
	})
	t.Run("its fragments reach us as one text", func(t *testing.T) {
		t.Parallel()
		p := dial(t, wsconn.Limits{FrameBytes: 5, MessageBytes: 10})
		require.NoError(t, p.client.WriteFragments(p.ctx, []byte("hello"), []byte("world")))
		message, _, err := p.server.Read(&control{})
		require.NoError(t, err)
		require.Equal(t, "helloworld", string(message))
	})
	t.Run("our pong answers its ping", func(t *testing.T) {
		t.Parallel()
		p := dial(t, wsconn.Limits{})
		background(t, func() { _, _, _ = p.client.Read(p.ctx) })
		background(t, func() { _, _, _ = p.server.Read(&answering{c: p.server}) })
		require.NoError(t, p.client.Ping(p.ctx))
		p.server.Close()
	})
	t.Run("its pong answers our ping", func(t *testing.T) {
		t.Parallel()
		p := dial(t, wsconn.Limits{})
		background(t, func() {
			_, _, _ = p.client.Read(p.ctx) // answers the ping
			_ = p.client.Write(p.ctx, []byte("done"), true)
		})
		out := wsconn.AppendText(wsconn.AppendPing(nil, []byte("p")), []byte("go"))
		require.NoError(t, p.server.Write(out, within(patience)))
		var ctl control
		_, _, err := p.server.Read(&ctl)
		require.NoError(t, err)
		require.Equal(t, 1, ctl.pongs)
	})
	t.Run("it closes and gets our echo", func(t *testing.T) {
		t.Parallel()
		p := dial(t, wsconn.Limits{})
		failed := make(chan error, 1)
		background(t, func() { failed <- p.client.Close(3001, "bye €") })
		_, _, err := p.server.Read(&control{})
		var ce *wsconn.CloseError
		require.ErrorAs(t, err, &ce)
		require.Equal(t, []any{3001, "bye €", true}, []any{ce.Code, ce.Reason, ce.Remote})
		require.NoError(t, p.server.Write(wsconn.AppendClose(nil, ce.Code, ce.Reason), within(patience)))
		p.server.Discard(err)
		p.server.Close()
		require.NoError(t, <-failed)
	})
	t.Run("it closes without a code", func(t *testing.T) {
		t.Parallel()
		p := dial(t, wsconn.Limits{})
		background(t, func() { _ = p.client.Close(wsconn.CloseNoStatus, "") })
		_, _, err := p.server.Read(&control{})
		require.Equal(t, wsconn.CloseNoStatus, closeCode(err))
		require.NoError(t, p.server.Write(wsconn.AppendClose(nil, wsconn.CloseNoStatus, ""), within(patience)))
		p.server.Close()
	})
	for _, tc := range []struct {
		name string
		send func(p peers) error
		code int
		text string
	}{
		{"we close", nil, 1001, "Going away"},
		{"it sends binary", func(p peers) error { return p.client.Write(p.ctx, []byte("a"), false) }, 1003, "Binary is not supported"},
		{"its message is too big", func(p peers) error {
			return p.client.Write(p.ctx, []byte(strings.Repeat("x", 100_000)), true)
		}, 1009, "Message too big"},
		{"its text is not UTF-8", func(p peers) error { return p.client.Write(p.ctx, []byte("\xff"), true) }, 1007, "Invalid UTF-8"},
	} {
		t.Run(tc.name+": it gets the close frame, and answers it", func(t *testing.T) {
			t.Parallel()
			p := dial(t, wsconn.Limits{FrameBytes: 1000})
			type end struct {
				code   int
				reason string
				ok     bool
			}
			ended := make(chan end, 1)
			background(t, func() {
				if tc.send != nil {
					_ = tc.send(p)
				}
				_, _, err := p.client.Read(p.ctx)
				var e end
				e.code, e.reason, e.ok = wsconn.ReceivedClose(err)
				ended <- e
			})
			var err error
			if tc.send != nil {
				_, _, err = p.server.Read(&control{})
				require.Equal(t, tc.code, closeCode(err))
			}
			require.NoError(t, p.server.Write(wsconn.AppendClose(nil, tc.code, tc.text), within(patience)))
			start := time.Now()
			p.server.Discard(err) // until the client answers
			require.Less(t, time.Since(start), patience/2)
			p.server.Close()
			require.Equal(t, end{tc.code, tc.text, true}, <-ended)
		})
	}
}

func TestDial(t *testing.T) {
	t.Parallel()
	t.Run("a refusal comes with its answer", func(t *testing.T) {
		t.Parallel()
		srv, _ := acceptor(t, wsconn.Limits{}, false)
		header := http.Header{"Origin": {"https://evil.example"}}
		_, resp, err := wsconn.Dial(t.Context(), srv.URL, wsconn.DialOptions{Header: header})
		require.Error(t, err)
		require.Equal(t, http.StatusForbidden, resp.StatusCode)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Contains(t, string(body), "origin is not allowed")
		require.NotContains(t, string(body), "evil.example", "the reason can be logged")
		_, _, ok := wsconn.ReceivedClose(fmt.Errorf("no close frame"))
		require.False(t, ok)
	})
	t.Run("offers subprotocols over a connection of the caller's", func(t *testing.T) {
		t.Parallel()
		server, client := memoryPair(t)
		background(t, func() {
			_, _ = io.CopyN(io.Discard, server, 10)
			_ = server.Close()
		})
		_, resp, err := wsconn.Dial(t.Context(), "ws://in.memory", wsconn.DialOptions{
			Subprotocols: []string{"a", "b"},
			DialContext:  func(context.Context, string, string) (net.Conn, error) { return client, nil },
		})
		require.Error(t, err)
		require.Nil(t, resp)
	})
}

// Close fails if the server does not answer within five seconds, also if Close has to
// read the answer itself because no other goroutine reads.
func TestClient_CloseThatIsNotAnswered(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		answer []byte // what the server sends 4 s after the client's Close frame
		ok     bool
		after  time.Duration
	}{
		{"with a Close frame", wsconn.AppendClose(nil, 3000, "bye"), true, 4 * time.Second},
		{"with messages and no Close frame", wsconn.AppendText(nil, []byte("x")), false, 5 * time.Second},
		{"with nothing", nil, false, 5 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				for range 20 { // the package reports the end of its time in one of two ways, at random
					end, server := net.Pipe()
					served := make(chan error, 1)
					go func() { served <- answerClose(server, tc.answer) }()
					client, _, err := wsconn.Dial(t.Context(), "ws://gateway.test/", wsconn.DialOptions{
						DialContext: func(context.Context, string, string) (net.Conn, error) { return end, nil },
					})
					require.NoError(t, err)
					start := time.Now()
					err = client.Close(3000, "bye")
					require.Equal(t, tc.ok, err == nil, "%v", err)
					require.Equal(t, tc.after, time.Since(start))
					require.NoError(t, <-served)
				}
			})
		})
	}
}

// answerClose is a server that accepts an upgrade and writes answer 4 s after it has
// received the client's next frame.
func answerClose(nc net.Conn, answer []byte) error {
	defer nc.Close()
	br := bufio.NewReader(nc)
	r, err := http.ReadRequest(br)
	if err != nil {
		return err
	}
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // RFC 6455 requires SHA-1
	if _, err := io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "+
		base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n"); err != nil {
		return err
	}
	if _, err := br.ReadByte(); err != nil {
		return err
	}
	time.Sleep(4 * time.Second) //nolint:forbidigo // in a synctest bubble
	if _, err := nc.Write(answer); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, br)
	return err
}
