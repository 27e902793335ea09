package wsconn_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/wsconn"
)

func TestConn_Write(t *testing.T) {
	t.Parallel()
	t.Run("writes all, however slow the peer", func(t *testing.T) {
		t.Parallel()
		overTransports(t, wsconn.Limits{}, func(t *testing.T, c *wsconn.Conn, peer net.Conn) {
			big := wsconn.AppendText(nil, []byte(strings.Repeat("x", 8<<20))) // more than the socket buffers
			failed := make(chan error, 1)
			background(t, func() {
				failed <- errors.Join(c.Write(nil, nil), c.Write(big, within(patience)), c.Write([]byte("end"), nil))
			})
			got := make([]byte, len(big)+3)
			_, err := io.ReadFull(peer, got)
			require.NoError(t, err)
			require.NoError(t, <-failed)
			require.Equal(t, string(big)+"end", string(got))
		})
	})
	t.Run("waits for a peer that takes little at a time", func(t *testing.T) {
		t.Parallel()
		overTransports(t, wsconn.Limits{}, func(t *testing.T, c *wsconn.Conn, peer net.Conn) {
			const limit, every = 2 * time.Second, 20 * time.Millisecond // a busy machine may stop the test for a while
			failed := make(chan error, 1)
			background(t, func() { failed <- c.Write(make([]byte, 64<<20), within(limit)) })
			ticker := time.NewTicker(every)
			defer ticker.Stop()
			for range limit / every * 3 / 2 {
				<-ticker.C
				_, err := io.ReadFull(peer, make([]byte, 16<<10))
				require.NoError(t, err)
			}
			require.Empty(t, failed, "it has read all the time")
			c.Close()
			require.Error(t, <-failed)
		})
	})
	t.Run("ends with its timeout when the peer does not read", func(t *testing.T) {
		t.Parallel()
		overTransports(t, wsconn.Limits{}, func(t *testing.T, c *wsconn.Conn, _ net.Conn) {
			start := time.Now()
			err := c.Write(make([]byte, 32<<20), within(20*time.Millisecond))
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.Less(t, time.Since(start), patience/2)
			start = time.Now()
			c.Close()
			require.Less(t, time.Since(start), 4*time.Second, "Close waits for the peer")
		})
	})
	t.Run("ends with its timeout to the moment", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			server, peer := net.Pipe()
			defer peer.Close()
			c := wsconn.NewConn(server, wsconn.Limits{})
			start := time.Now()
			require.ErrorIs(t, c.Write([]byte("x"), within(7*time.Second)), os.ErrDeadlineExceeded)
			require.Equal(t, 7*time.Second, time.Since(start))
		})
	})
	t.Run("ends at once when its time has become shorter", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			server, peer := net.Pipe()
			defer peer.Close()
			c := wsconn.NewConn(server, wsconn.Limits{})
			c.Hurry() // without a write
			var limit atomic.Int64
			limit.Store(int64(time.Hour))
			failed := make(chan error, 1)
			go func() {
				failed <- c.Write([]byte("x"), func() time.Duration { return time.Duration(limit.Load()) })
			}()
			time.Sleep(1500 * time.Millisecond) //nolint:forbidigo // in a bubble
			c.Hurry()
			synctest.Wait()
			require.Empty(t, failed, "its time is not over")
			limit.Store(int64(time.Second))
			start := time.Now()
			c.Hurry()
			require.ErrorIs(t, <-failed, os.ErrDeadlineExceeded)
			require.Zero(t, time.Since(start))
		})
	})
	t.Run("the timeout of one write does not end the next", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			server, peer := net.Pipe()
			c := wsconn.NewConn(server, wsconn.Limits{})
			go func() {
				one := make([]byte, 1)
				_, _ = peer.Read(one)
				time.Sleep(time.Minute) //nolint:forbidigo // in a bubble
				_, _ = peer.Read(one)
			}()
			require.NoError(t, c.Write([]byte("x"), within(time.Second)))
			require.NoError(t, c.Write([]byte("y"), nil))
		})
	})
	t.Run("Close ends a write that waits", func(t *testing.T) {
		t.Parallel()
		overTransports(t, wsconn.Limits{}, func(t *testing.T, c *wsconn.Conn, peer net.Conn) {
			failed := make(chan error, 1)
			background(t, func() { failed <- c.Write(make([]byte, 32<<20), nil) })
			_, err := io.ReadFull(peer, make([]byte, 100)) // the write has begun
			require.NoError(t, err)
			c.Close()
			require.Error(t, <-failed)
		})
	})
	t.Run("fails on a closed socket", func(t *testing.T) {
		t.Parallel()
		overTransports(t, wsconn.Limits{}, func(t *testing.T, c *wsconn.Conn, _ net.Conn) {
			c.Close()
			require.Error(t, c.Write([]byte("x"), within(time.Second)))
		})
	})
	t.Run("fails once the peer has reset", func(t *testing.T) {
		t.Parallel()
		server, client := tcpPair(t)
		c := wsconn.NewConn(server, wsconn.Limits{})
		tcp, _ := client.(*net.TCPConn)
		require.NoError(t, tcp.SetLinger(0))
		require.NoError(t, tcp.Close())
		_, _, err := c.Read(&control{}) // so the reset has arrived
		require.Error(t, err)
		require.Error(t, c.Write([]byte("x"), within(time.Second)))
	})
}

func TestConn_TryWrite(t *testing.T) {
	t.Parallel()
	t.Run("takes what the socket takes and never waits", func(t *testing.T) {
		t.Parallel()
		overTransports(t, wsconn.Limits{}, func(t *testing.T, c *wsconn.Conn, client net.Conn) {
			piece := make([]byte, 64<<10)
			total, n := 0, len(piece)
			for n == len(piece) { // the loop would never end if TryWrite waited
				var err error
				n, err = c.TryWrite(piece)
				require.NoError(t, err)
				total += n
			}
			n, err := c.TryWrite(piece)
			require.NoError(t, err)
			require.Less(t, n, len(piece))
			total += n
			if _, ok := client.(*net.TCPConn); !ok {
				return // nothing was taken, and this transport has no half close to test
			}
			c.CloseWrite()
			got, err := io.Copy(io.Discard, client)
			require.NoError(t, err)
			require.Equal(t, total, int(got))
		})
	})
	t.Run("takes nothing where the socket cannot tell", func(t *testing.T) {
		t.Parallel()
		for _, tr := range transports() {
			if tr.name == "tcp" || tr.polled {
				continue
			}
			c, _ := tr.connect(t, wsconn.Limits{})
			n, err := c.TryWrite([]byte("x"))
			require.NoError(t, err)
			require.Zero(t, n)
		}
	})
	t.Run("fails on a closed socket", func(t *testing.T) {
		t.Parallel()
		server, _ := tcpPair(t)
		c := wsconn.NewConn(server, wsconn.Limits{})
		c.Close()
		n, err := c.TryWrite([]byte("x"))
		require.ErrorIs(t, err, net.ErrClosed)
		require.Zero(t, n)
	})
}

func TestConn_CloseWrite(t *testing.T) {
	t.Parallel()
	overTransports(t, wsconn.Limits{}, func(t *testing.T, c *wsconn.Conn, peer net.Conn) {
		_, half := peer.(interface{ CloseWrite() error })
		c.CloseWrite()
		if half {
			_, err := peer.Read(make([]byte, 1))
			require.ErrorIs(t, err, io.EOF)
		}
		send(t, peer, text("still heard"))
		message, _, err := c.Read(&control{})
		require.NoError(t, err)
		require.Equal(t, "still heard", string(message))
	})
}

// One goroutine reads, one writes, one closes. The race detector checks them.
func TestConn_concurrently(t *testing.T) {
	t.Parallel()
	overTransports(t, wsconn.Limits{}, func(t *testing.T, c *wsconn.Conn, peer net.Conn) {
		const rounds = 200
		background(t, func() {
			for range rounds {
				sendNow(peer, text("ping-pong"), 0)
			}
		})
		background(t, func() { _, _ = io.Copy(io.Discard, peer) })
		wrote := make(chan struct{})
		background(t, func() {
			defer close(wrote)
			frame := wsconn.AppendText(nil, []byte("reply"))
			for range rounds {
				_ = c.Write(frame, within(patience))
			}
		})
		for range rounds {
			_, _, err := c.Read(&control{})
			require.NoError(t, err)
			c.SetReadDeadline(time.Now().Add(patience))
		}
		<-wrote
		background(t, c.Close)
		_, _, err := c.Read(&control{})
		require.Error(t, err)
	})
}

// If the peer has taken nothing for as long as a write may last, Close resets the
// connection: the peer would not see the end of the stream behind bytes that it does
// not read.
func TestConn_StuckIsReset(t *testing.T) {
	t.Parallel()
	for _, tr := range transports() {
		if tr.name == "pipe" {
			continue // nothing buffers between its two ends
		}
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			c, peer := tr.connect(t, wsconn.Limits{})
			block := make([]byte, 1<<20)
			var err error
			for err == nil {
				err = c.Write(block, within(10*time.Millisecond))
			}
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			c.Close()
			_, err = io.Copy(io.Discard, peer)
			require.ErrorIs(t, err, syscall.ECONNRESET)
		})
	}
}

// layer is a net.Conn around another one, as listeners make them. It counts its calls
// of Close, and NetConn returns what is below. A layer with nothing below returns
// itself.
type layer struct {
	net.Conn
	below  net.Conn
	closed *atomic.Int32
}

func (l layer) NetConn() net.Conn {
	if l.below == nil {
		return l
	}
	return l.below
}

func (l layer) Close() error {
	l.closed.Add(1)
	return l.Conn.Close()
}

// However a socket is wrapped, Close closes the outermost layer, and soon, even if
// the peer took nothing. The search for the innermost socket ends.
func TestConn_Layers(t *testing.T) {
	t.Parallel()
	for _, tr := range []transport{{"tcp", tcpPair, false}, {"tls", tlsPair, false}} {
		for _, itself := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, names itself %v", tr.name, itself), func(t *testing.T) {
				t.Parallel()
				server, _ := tr.pair(t)
				l := layer{Conn: server, closed: new(atomic.Int32)}
				if !itself {
					l.below = server
				}
				c := wsconn.NewConn(l, wsconn.Limits{})
				require.Equal(t, itself, c.Unsent() == -1)
				require.False(t, c.HungUp())
				require.ErrorIs(t, c.Write(make([]byte, 32<<20), within(20*time.Millisecond)), os.ErrDeadlineExceeded)
				require.Equal(t, itself, c.Unsent() == -1)
				start := time.Now()
				c.Close()
				require.EqualValues(t, 1, l.closed.Load())
				if tr.name == "tcp" || !itself {
					require.Less(t, time.Since(start), 4*time.Second)
				}
			})
		}
	}
}

// HungUp sees a reset without reading on any socket that has a descriptor, even if
// there are bytes left to read.
func TestConn_HungUp(t *testing.T) {
	t.Parallel()
	for _, tr := range transports() {
		if tr.name == "pipe" {
			continue // it has no descriptor
		}
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			c, peer := tr.connect(t, wsconn.Limits{})
			send(t, peer, text("unread"))
			require.False(t, c.HungUp())
			if secure, ok := peer.(*tls.Conn); ok {
				peer = secure.NetConn()
			}
			tcp, ok := peer.(*net.TCPConn)
			require.True(t, ok)
			require.NoError(t, tcp.SetLinger(0))
			require.NoError(t, tcp.Close())
			require.Eventually(t, c.HungUp, patience, time.Millisecond)
		})
	}
}
