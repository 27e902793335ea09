package wsconn_test

import (
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/wsconn"
)

// An interrupt ends a Wait that runs or the next one, and nothing else: not the read
// of a frame that has begun, nor a later Wait.
func TestConn_Interrupt(t *testing.T) {
	t.Parallel()
	over(t, waitingTransports(), wsconn.Limits{}, func(t *testing.T, c *wsconn.Conn, peer net.Conn) {
		t.Helper()
		var ctl control
		c.Interrupt()
		require.ErrorIs(t, c.Wait(), wsconn.ErrInterrupted)
		waited := make(chan error)
		background(t, func() { waited <- c.Wait() })
		c.Interrupt()
		require.ErrorIs(t, <-waited, wsconn.ErrInterrupted)

		whole := text("hello")
		for split := range whole {
			background(t, func() {
				_, _ = peer.Write(whole[:split])
				c.Interrupt() // while Wait waits, or Read reads
				_, _ = peer.Write(whole[split:])
			})
			for {
				if err := c.Wait(); err == nil {
					break
				} else if split > 0 {
					require.ErrorIs(t, err, wsconn.ErrInterrupted)
				}
			}
			message, _, err := c.Read(&ctl)
			require.NoError(t, err, "split at %d", split)
			require.Equal(t, "hello", string(message))
		}
	})
}

// A deadline still works after an interrupt.
func TestConn_InterruptKeepsTheDeadline(t *testing.T) {
	t.Parallel()
	over(t, waitingTransports(), wsconn.Limits{}, func(t *testing.T, c *wsconn.Conn, _ net.Conn) {
		t.Helper()
		c.Interrupt()
		c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		require.ErrorIs(t, c.Wait(), wsconn.ErrInterrupted)
		require.ErrorIs(t, c.Wait(), os.ErrDeadlineExceeded)
		c.SetReadDeadline(time.Time{})
		c.Interrupt()
		require.ErrorIs(t, c.Wait(), wsconn.ErrInterrupted)
	})
}

// waitingTransports are all transports but the polled one, where no goroutine waits
// that could be interrupted.
func waitingTransports() []transport {
	return slices.DeleteFunc(transports(), func(tr transport) bool { return tr.polled })
}
