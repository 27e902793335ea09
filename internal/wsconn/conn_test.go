package wsconn_test

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/wsconn"
)

func TestConn_BufferedMessage(t *testing.T) {
	t.Parallel()
	// If BufferedMessage is true but Read then waits, a caller that holds back its
	// writes until then waits forever: the client may be waiting for those writes.
	for _, tc := range []struct {
		name string
		rest []byte // what arrived together with a first message
		want bool
	}{
		{"nothing more", nil, false},
		{"a message", text("b"), true},
		{"an empty message", text(""), true},
		{"a first byte", text("b")[:1], false},
		{"a header without its payload", text("b")[:6], false},
		{"a message without its last byte", text("bcd")[:8], false},
		{"a ping: Read waits after it", frame(fin|pingOp, "p"), false},
		{"a pong: Read forgets it and waits", frame(fin|pongOp, "p"), false},
		{"a fragment: Read keeps it and waits", frame(textFrame, "b"), false},
		{"half a ping", frame(fin|pingOp, "p")[:6], false},
		{"a ping and a message", join(frame(fin|pingOp, "p"), text("b")), false},
		{"a close frame", closing(1000, ""), false},
		{"half a close frame", closing(1000, "")[:6], false},
		{"a violation", []byte{fin | textFrame, 0}, false},
		{"a length of 2^62", announce(fin|textFrame, 1<<62), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			// On these transports the reader sees at once what the peer has written.
			overTransports(t, wsconn.Limits{}, func(t *testing.T, c *wsconn.Conn, peer net.Conn) {
				require.False(t, c.BufferedMessage())
				send(t, peer, append(text("a"), tc.rest...))
				message, _, err := c.Read(&control{})
				require.NoError(t, err)
				require.Equal(t, "a", string(message))
				require.Equal(t, tc.want, c.BufferedMessage())
			})
		})
	}
}

func TestConn_Discard(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("y", 20_000)
	// A text whose bytes, read as frames, would be a Close frame and then garbage.
	lookalike := string(closing(1000, "")) + "\xff\xff\xff\xff\xff\xff\xff\xff"
	for _, tc := range []struct {
		name string
		in   []byte
		eof  bool // nothing but the end of the stream ends it
	}{
		{"skips the rest of a refused frame", join(frame(fin|binFrame, long), closing(1000, "")), false},
		{"skips what looks like frames within a refused frame", join(frame(fin|binFrame, lookalike), closing(1003, "ok")), false},
		{"skips a frame above the quota, and what follows", join(text(long), text("more"), frame(fin|pingOp, "p"), frame(textFrame, long), closing(1009, "ok")), false},
		{"needs no end of a message above the quota", join(frame(textFrame, strings.Repeat("z", 300)), frame(contFrame, strings.Repeat("z", 300)), text("a"), closing(1009, "")), false},
		{"keeps in step after a text that is not UTF-8", join(text("\xff"), text("more"), closing(1007, "")), false},
		{"keeps in step after a continuation without a start", join(frame(contFrame, lookalike), closing(1002, "")), false},
		{"keeps in step after a text within fragments", join(frame(textFrame, "a"), text(lookalike), closing(1002, "")), false},
		{"ends with the client's close frame, which Read has met", closing(1000, "bye"), false},
		{"ends with an invalid close frame, which Read has met", closing(1006, "bye"), false},
		{"ends with a close frame whose reason is not UTF-8", closing(1000, "\xff"), false},
		{"out of step, reads whatever comes", join([]byte{0xff, 0xff}, closing(1000, ""), []byte(long)), true},
		{"out of step later, reads whatever comes", join(frame(fin|binFrame, "a"), []byte{0xff, 0xff}, closing(1000, "")), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			overTransports(t, wsconn.Limits{FrameBytes: 300, MessageBytes: 500}, func(t *testing.T, c *wsconn.Conn, peer net.Conn) {
				sent := make(chan struct{})
				background(t, func() {
					defer close(sent)
					piece := 0
					if len(tc.in) < 200 {
						piece = 1 // so that the last byte is not read by chance
					}
					sendNow(peer, tc.in, piece)
					if tc.eof {
						_ = peer.Close()
					}
				})
				_, _, err := c.Read(&control{})
				var ce *wsconn.CloseError
				require.ErrorAs(t, err, &ce)
				start := time.Now()
				c.Discard(err)
				require.Less(t, time.Since(start), patience/2, "waited for the deadline")
				<-sent // in memory, the send ends only when all was read
			})
		})
	}

	t.Run("out of step, does not take a close frame for the end", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			server, peer := net.Pipe()
			c := wsconn.NewConn(server, wsconn.Limits{})
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _, err := c.Read(&control{})
				c.Discard(err)
			}()
			sendNow(peer, join([]byte{0xff, 0xff}, closing(1000, ""), text("x")), 0)
			synctest.Wait()
			select {
			case <-done:
				t.Error("returned early")
			default:
			}
			require.NoError(t, peer.Close())
			<-done
		})
	})

	t.Run("goes on where a deadline interrupted Read", func(t *testing.T) {
		t.Parallel()
		for name, whole := range map[string][]byte{
			"in a short payload": text(lookalike),
			"in a long payload":  text(strings.Repeat(lookalike, 1000)),
			"in a control frame": frame(fin|pingOp, lookalike),
			"in a header":        announce(fin|textFrame, 1<<16)[:7],
			"in a fragment":      frame(textFrame, lookalike),
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					server, peer := net.Pipe()
					c := wsconn.NewConn(server, wsconn.Limits{})
					cut := max(7, len(whole)/2)
					go func() {
						sendNow(peer, whole[:cut], 0)
						time.Sleep(time.Second) //nolint:forbidigo // in a bubble
						c.SetReadDeadline(time.Now())
						time.Sleep(time.Second) //nolint:forbidigo // in a bubble
						c.SetReadDeadline(time.Now().Add(patience))
						rest := whole[cut:]
						if len(rest) == 0 {
							rest = append(announce(fin|textFrame, 1<<16)[7:], make([]byte, 1<<16)...)
						}
						sendNow(peer, join(rest, text("more"), closing(1001, "")), 0)
					}()
					_, _, err := c.Read(&control{})
					require.ErrorIs(t, err, os.ErrDeadlineExceeded)
					time.Sleep(2 * time.Second) //nolint:forbidigo // until the new deadline is set
					start := time.Now()
					c.Discard(err)
					require.Zero(t, time.Since(start))
				})
			})
		}
	})
}

func TestConn_ends(t *testing.T) {
	t.Parallel()
	t.Run("Close ends a Read that waits", func(t *testing.T) {
		t.Parallel()
		overTransports(t, wsconn.Limits{}, func(t *testing.T, c *wsconn.Conn, _ net.Conn) {
			failed := make(chan error, 1)
			background(t, func() {
				_, _, err := c.Read(&control{})
				failed <- err
			})
			c.Close()
			err := <-failed
			require.True(t, errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe), "%v", err)
		})
	})
	t.Run("a deadline ends a Read that waits, and a new one lets it go on", func(t *testing.T) {
		t.Parallel()
		overTransports(t, wsconn.Limits{}, func(t *testing.T, c *wsconn.Conn, peer net.Conn) {
			c.SetReadDeadline(time.Now())
			_, _, err := c.Read(&control{})
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			if _, ok := peer.(*net.TCPConn); !ok {
				return
			}
			c.SetReadDeadline(time.Now().Add(patience))
			send(t, peer, text("a"))
			_, _, err = c.Read(&control{})
			require.NoError(t, err)
		})
	})
	t.Run("a reset is an error", func(t *testing.T) {
		t.Parallel()
		server, client := tcpPair(t)
		c := wsconn.NewConn(server, wsconn.Limits{})
		tcp, _ := client.(*net.TCPConn)
		require.NoError(t, tcp.SetLinger(0))
		require.NoError(t, tcp.Close())
		_, _, err := c.Read(&control{})
		require.Error(t, err)
		require.Zero(t, c.InputBuffer())
	})
	t.Run("a close frame reaches a client whose bytes were refused", func(t *testing.T) {
		t.Parallel()
		// If a socket is closed with unread bytes, the connection is reset; Discard
		// prevents that.
		overTransports(t, wsconn.Limits{FrameBytes: 10}, func(t *testing.T, c *wsconn.Conn, peer net.Conn) {
			big := text(strings.Repeat("x", 1<<20))
			background(t, func() { sendNow(peer, join(big, closing(1009, strings.Repeat("r", 100))), 0) })
			_, _, err := c.Read(&control{})
			wrote := make(chan error, 1)
			background(t, func() {
				wrote <- c.Write(wsconn.AppendClose(nil, 1009, "Message too big"), within(patience))
			})
			want := wsconn.AppendClose(nil, 1009, "Message too big")
			got := make([]byte, len(want))
			read := make(chan error, 1)
			background(t, func() {
				_, err := io.ReadFull(peer, got)
				read <- err
			})
			require.NoError(t, <-wrote)
			c.Discard(err)
			c.Close()
			require.NoError(t, <-read)
			require.Equal(t, want, got)
		})
	})
}

func TestConn_memory(t *testing.T) {
	t.Parallel()
	t.Run("an idle TCP connection holds no input buffer", func(t *testing.T) {
		t.Parallel()
		server, client := tcpPair(t)
		c := wsconn.NewConn(server, wsconn.Limits{})
		waiting := make(chan int)
		c.OnWait(func() { waiting <- c.InputBuffer() })
		background(t, func() {
			for {
				if _, _, err := c.Read(&control{}); err != nil {
					close(waiting)
					return
				}
			}
		})
		require.Zero(t, <-waiting, "before the first byte")
		for _, in := range [][]byte{text("hello"), frame(fin|pingOp, ""), text(strings.Repeat("x", 50_000))} {
			sendNow(client, in, 0)
			require.Zero(t, <-waiting, "between frames, or within a payload")
		}
		require.NoError(t, client.Close())
		for held := range waiting { // until the reader has left
			require.Zero(t, held)
		}
		require.Zero(t, c.InputBuffer(), "after the end")
	})
	t.Run("an idle connection in memory or with TLS holds a small one, whatever came early", func(t *testing.T) {
		t.Parallel()
		for _, early := range [][]byte{nil, text("e"), join(text("e"), text(strings.Repeat("x", 9000)))} {
			server, client := memoryPair(t)
			c := wsconn.NewConn(server, wsconn.Limits{})
			c.Preload(early)
			background(t, func() {
				sendNow(client, text("hello"), 0)
				_ = client.Close()
			})
			messages, err := readAll(c, &control{})
			require.ErrorIs(t, err, io.EOF)
			require.Equal(t, "hello", messages[len(messages)-1])
			require.Equal(t, wsconn.PlainInputBytes, c.InputBuffer())
		}
	})
}

// TestConn_allocation is not parallel, because it would count what other tests
// allocate.
func TestConn_allocation(t *testing.T) {
	t.Run("an announcement allocates no more than the first piece", func(t *testing.T) {
		server, client := memoryPair(t)
		c := wsconn.NewConn(server, wsconn.Limits{})
		background(t, func() {
			sendNow(client, announce(fin|textFrame, 1<<62), 0)
			_ = client.Close()
		})
		got := allocated(func() { _, _, _ = c.Read(&control{}) })
		require.Less(t, got, uint64(wsconn.FirstPayload+(16<<10)))
	})
	t.Run("a header without its payload holds little, in a fragment too", func(t *testing.T) {
		for name, in := range map[string][]byte{
			"a message":  announce(fin|textFrame, 32<<10),
			"a fragment": announce(textFrame, 32<<10),
			"the second": join(frame(textFrame, "a"), announce(contFrame, 32<<10)),
		} {
			server, client := memoryPair(t)
			c := wsconn.NewConn(server, wsconn.Limits{FrameBytes: 32 << 10, MessageBytes: 128 << 10})
			background(t, func() {
				sendNow(client, in, 0)
				_ = client.Close()
			})
			got := allocated(func() { _, _, _ = c.Read(&control{}) })
			require.Less(t, got, uint64(12<<10), name)
		}
	})
	t.Run("a million empty continuations cost nothing", func(t *testing.T) {
		server, client := memoryPair(t)
		c := wsconn.NewConn(server, wsconn.Limits{MessageBytes: 10})
		many := []byte(strings.Repeat(string(frame(contFrame, "")), 1<<20))
		background(t, func() {
			sendNow(client, frame(textFrame, ""), 0)
			sendNow(client, many, 0)
			sendNow(client, frame(fin|contFrame, "end"), 0)
		})
		var message []byte
		got := allocated(func() { message, _, _ = c.Read(&control{}) })
		require.Equal(t, "end", string(message))
		require.Less(t, got, uint64(64<<10))
	})
}

// allocated returns how many bytes the program allocates while f runs.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
