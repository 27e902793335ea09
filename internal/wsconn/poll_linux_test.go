package wsconn_test

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/wsconn"
)

// polledConn is a Conn whose ready func sends on a channel.
type polledConn struct {
	*wsconn.Conn
	ready chan struct{}
}

func newPolledConn(tb testing.TB) (c polledConn, peer net.Conn) {
	tb.Helper()
	server, peer := tcpPair(tb)
	c = polledConn{wsconn.NewConn(server, wsconn.Limits{}), make(chan struct{}, 1)}
	poll(tb, c.Conn, func() { c.ready <- struct{}{} })
	return c, peer
}

// called waits until ready is called.
func (c polledConn) called(tb testing.TB) {
	tb.Helper()
	select {
	case <-c.ready:
	case <-time.After(patience):
		require.FailNow(tb, "nobody called")
	}
}

// wait calls Wait until something has arrived.
func (c polledConn) wait(tb testing.TB) error {
	tb.Helper()
	for {
		err := c.Wait()
		if !errors.Is(err, wsconn.ErrParked) {
			return err
		}
		require.Zero(tb, c.InputBuffer(), "parked with a buffer")
		c.called(tb)
	}
}

// A polled connection that waits holds no input buffer, whatever it has read before.
func TestConn_Poll_memory(t *testing.T) {
	t.Parallel()
	c, peer := newPolledConn(t)
	require.ErrorIs(t, c.Wait(), wsconn.ErrParked)
	require.Zero(t, c.InputBuffer(), "before the first byte")
	for _, in := range [][]byte{
		text("hello"), // a read that does not fill the buffer
		text(strings.Repeat("x", wsconn.InputBytes-8)), // a read that fills the buffer
		text(strings.Repeat("x", 50_000)),
	} {
		background(t, func() { sendNow(peer, in, 0) })
		c.called(t)
		require.NoError(t, c.wait(t))
		_, _, err := c.Read(&control{})
		require.NoError(t, err)
		require.True(t, c.Waiting())
		require.ErrorIs(t, c.Wait(), wsconn.ErrParked)
		require.Zero(t, c.InputBuffer())
	}
	require.NoError(t, peer.Close())
	c.called(t)
	require.ErrorIs(t, c.wait(t), io.EOF)
	require.Zero(t, c.InputBuffer(), "after the end")
}

// Wherever a message is split, its reader waits for the rest.
func TestConn_Poll_split(t *testing.T) {
	t.Parallel()
	c, peer := newPolledConn(t)
	c.SetReadDeadline(time.Now().Add(patience))
	whole := join(frame(textFrame, "hel"), frame(fin|pingOp, "p"), frame(fin|contFrame, "lo"))
	for split := range whole {
		background(t, func() {
			sendNow(peer, whole[:split], 0)
			sendNow(peer, whole[split:], 0)
		})
		require.NoError(t, c.wait(t))
		var ctl control
		message, _, err := c.Read(&ctl)
		require.NoError(t, err, "split at %d", split)
		require.Equal(t, "hello", string(message))
		require.Equal(t, []string{"p"}, ctl.pings)
	}
}

// Park also releases a reader that has not read anything yet, unless something has
// arrived.
func TestConn_Park(t *testing.T) {
	t.Parallel()
	t.Run("when nothing has come", func(t *testing.T) {
		t.Parallel()
		c, peer := newPolledConn(t)
		require.True(t, c.Park())
		sendNow(peer, text("hello"), 0)
		c.called(t)
		require.NoError(t, c.wait(t))
	})
	t.Run("not with bytes that were read before", func(t *testing.T) {
		t.Parallel()
		c, _ := newPolledConn(t)
		c.Preload(text("hello"))
		require.False(t, c.Park())
		require.NoError(t, c.Wait())
	})
	t.Run("not where the socket is not polled", func(t *testing.T) {
		t.Parallel()
		over(t, waitingTransports(), wsconn.Limits{}, func(t *testing.T, c *wsconn.Conn, _ net.Conn) {
			require.False(t, c.Park())
		})
	})
}

// A parked connection also calls ready for a deadline or a Close of our own side.
func TestConn_Poll_ends(t *testing.T) {
	t.Parallel()
	t.Run("Close", func(t *testing.T) {
		t.Parallel()
		c, _ := newPolledConn(t)
		require.ErrorIs(t, c.Wait(), wsconn.ErrParked)
		c.Close()
		c.called(t)
		require.ErrorIs(t, c.wait(t), net.ErrClosed)
		require.Zero(t, c.InputBuffer())
	})
	t.Run("a deadline, as often as it is set", func(t *testing.T) {
		t.Parallel()
		c, peer := newPolledConn(t)
		for range 3 {
			require.ErrorIs(t, c.Wait(), wsconn.ErrParked)
			c.SetReadDeadline(time.Now().Add(patience)) // the next call replaces it
			c.SetReadDeadline(time.Now().Add(time.Millisecond))
			c.called(t)
			require.ErrorIs(t, c.wait(t), os.ErrDeadlineExceeded)
			require.ErrorIs(t, c.wait(t), os.ErrDeadlineExceeded, "the deadline still holds")
			require.Zero(t, c.InputBuffer())
			c.SetReadDeadline(time.Time{})
			require.ErrorIs(t, c.Wait(), wsconn.ErrParked)
			sendNow(peer, text("hello"), 0)
			c.called(t)
			require.NoError(t, c.wait(t))
			message, _, err := c.Read(&control{})
			require.NoError(t, err)
			require.Equal(t, "hello", string(message))
		}
	})
	t.Run("a deadline that has passed, while nobody is parked", func(t *testing.T) {
		t.Parallel()
		c, _ := newPolledConn(t)
		c.SetReadDeadline(time.Now())
		require.ErrorIs(t, c.wait(t), os.ErrDeadlineExceeded)
	})
}
