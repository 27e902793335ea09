package poll_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/poll"
)

// A reader in Await wakes for each byte, gets the bytes in the order in which they
// were sent, and sees the end of the stream.
func TestSocket_Await(t *testing.T) {
	t.Parallel()
	overNetworks(t, func(t *testing.T, e *end, peer net.Conn) {
		read := make(chan byte)
		failed := make(chan error, 1)
		background(t, func() {
			for {
				p := make([]byte, 2)
				n, err := e.Read(p)
				switch {
				case errors.Is(err, poll.ErrAgain):
					e.Await()
				case err != nil:
					failed <- err
					return
				}
				for _, b := range p[:n] {
					read <- b
				}
			}
		})
		for i := range byte(100) {
			write(t, peer, string([]byte{i, i})) // a full read, and one that finds nothing
			require.Equal(t, i, wait(t, read))
			require.Equal(t, i, wait(t, read))
			write(t, peer, string([]byte{i})) // a short read
			require.Equal(t, i, wait(t, read))
		}
		require.NoError(t, peer.Close())
		require.ErrorIs(t, wait(t, failed), io.EOF)
		require.Empty(t, e.called, "ready is not called for a socket that was never parked")
	})
}

// Close, Expire and a reset wake a reader that waits or is about to wait.
func TestSocket_Await_ends(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		end  func(t *testing.T, e *end, peer net.Conn)
		err  error
	}{
		{"Close", func(_ *testing.T, e *end, _ net.Conn) { e.Close() }, net.ErrClosed},
		{"Expire", func(_ *testing.T, e *end, _ net.Conn) { e.Expire(true) }, os.ErrDeadlineExceeded},
		{"the peer's end", func(t *testing.T, _ *end, peer net.Conn) { t.Helper(); require.NoError(t, peer.Close()) }, io.EOF},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			overNetworks(t, func(t *testing.T, e *end, peer net.Conn) {
				_, err := e.Read(make([]byte, 1))
				require.ErrorIs(t, err, poll.ErrAgain)
				failed := make(chan error, 1)
				background(t, func() {
					for err := poll.ErrAgain; ; _, err = e.Read(make([]byte, 1)) {
						if !errors.Is(err, poll.ErrAgain) {
							failed <- err
							return
						}
						e.Await()
					}
				})
				tc.end(t, e, peer)
				require.ErrorIs(t, wait(t, failed), tc.err)
			})
		})
	}
	t.Run("Await returns at once when something came after Read", func(t *testing.T) {
		t.Parallel()
		overNetworks(t, func(t *testing.T, e *end, _ net.Conn) {
			_, err := e.Read(make([]byte, 1))
			require.ErrorIs(t, err, poll.ErrAgain)
			e.Close()
			e.Await()
			_, err = e.Read(make([]byte, 1))
			require.ErrorIs(t, err, net.ErrClosed)
		})
	})
}

// After Expire(true) every Read fails, until Expire(false). Bytes that arrive in
// between are kept.
func TestSocket_Expire(t *testing.T) {
	t.Parallel()
	overNetworks(t, func(t *testing.T, e *end, peer net.Conn) {
		for range 3 {
			e.park(t)
			e.Expire(true)
			wait(t, e.called)
			_, err := e.Read(make([]byte, 5))
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			write(t, peer, "hello")
			_, err = e.Read(make([]byte, 5))
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			e.Expire(false)
			p := make([]byte, 5)
			_, err = e.Read(p)
			require.NoError(t, err)
			require.Equal(t, "hello", string(p))
		}
		e.park(t)
		e.Expire(true)
		wait(t, e.called)
		e.Expire(false)
		e.park(t) // as if nothing had happened
		write(t, peer, "x")
		wait(t, e.called)
		got, err := e.read(10)
		require.ErrorIs(t, err, poll.ErrAgain)
		require.Equal(t, "x", string(got))
	})
}
