package poll_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/poll"
)

// huge is larger than the buffers of any socket.
const huge = 32 << 20

// pattern returns n bytes. Their period does not divide the size of any buffer.
func pattern(n int) []byte {
	return bytes.Repeat([]byte("0123456789abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ"), n/63+1)[:n]
}

// fill writes until there is no room, and returns what it has written.
func (e *end) fill(tb testing.TB) []byte {
	tb.Helper()
	all := pattern(huge)
	n, err := e.Write(all)
	require.ErrorIs(tb, err, poll.ErrAgain)
	require.Less(tb, n, huge)
	return all[:n]
}

// Write takes what there is room for and never waits.
func TestSocket_Write(t *testing.T) {
	t.Parallel()
	overNetworks(t, func(t *testing.T, e *end, peer net.Conn) {
		want := e.fill(t)
		n, err := e.Write([]byte("x"))
		if err == nil { // the peer's kernel may have made room
			want = append(want, "x"[:n]...)
		} else {
			require.ErrorIs(t, err, poll.ErrAgain)
			require.Zero(t, n)
		}
		e.CloseWrite()
		got, err := io.ReadAll(peer)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got))
	})
}

// WriteAll waits for room as often as necessary.
func TestSocket_WriteAll(t *testing.T) {
	t.Parallel()
	overNetworks(t, func(t *testing.T, e *end, peer net.Conn) {
		want := e.fill(t)
		failed := make(chan error, 1)
		more := pattern(huge)
		background(t, func() { failed <- e.WriteAll(more, nil) })
		got := make([]byte, len(want)+len(more))
		_, err := io.ReadFull(peer, got)
		require.NoError(t, err)
		require.NoError(t, wait(t, failed))
		require.True(t, bytes.Equal(append(want, more...), got))
		require.NoError(t, e.WriteAll([]byte("x"), nil), "with room, at once")
	})
}

// WriteAll waits for a peer that takes little at a time. There is room for a little
// long before the kernel reports room.
func TestSocket_WriteAll_slowReader(t *testing.T) {
	t.Parallel()
	overNetworks(t, func(t *testing.T, e *end, peer net.Conn) {
		const limit, every = 400 * time.Millisecond, 20 * time.Millisecond
		e.fill(t)
		failed := make(chan error, 1)
		background(t, func() { failed <- e.WriteAll(make([]byte, huge), within(limit)) })
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for range 4 * limit / every {
			<-ticker.C
			_, err := io.ReadFull(peer, make([]byte, 16<<10))
			require.NoError(t, err)
		}
		require.Empty(t, failed, "it has read all the time")
		e.Close()
		require.ErrorIs(t, wait(t, failed), net.ErrClosed)
	})
}

// A patience that becomes shorter also shortens a WriteAll that already waits.
func TestSocket_WriteAll_changedPatience(t *testing.T) {
	t.Parallel()
	for _, before := range []time.Duration{0, time.Second, time.Hour} {
		t.Run(before.String(), func(t *testing.T) {
			t.Parallel()
			overNetworks(t, func(t *testing.T, e *end, _ net.Conn) {
				e.fill(t)
				var asked atomic.Int32
				failed := make(chan error, 1)
				background(t, func() {
					failed <- e.WriteAll(make([]byte, huge), func() time.Duration {
						if asked.Add(1) < 3 {
							return before
						}
						return time.Nanosecond
					})
				})
				require.ErrorIs(t, wait(t, failed), os.ErrDeadlineExceeded)
			})
		})
	}
}

// WakeWriter makes a WriteAll ask at once. By itself it would ask once a second.
func TestSocket_WakeWriter(t *testing.T) {
	t.Parallel()
	overNetworks(t, func(t *testing.T, e *end, _ net.Conn) {
		e.WakeWriter() // nobody writes
		e.fill(t)
		var asked atomic.Int32
		failed := make(chan error, 1)
		background(t, func() {
			failed <- e.WriteAll(make([]byte, huge), func() time.Duration { asked.Add(1); return time.Hour })
		})
		require.Eventually(t, func() bool {
			e.WakeWriter()
			return asked.Load() > 100
		}, patience, time.Millisecond)
		e.Close()
		require.ErrorIs(t, wait(t, failed), net.ErrClosed)
	})
}

// A reset is reported at once, also while nobody reads, and HungUp stays true.
func TestSocket_OnHangUp(t *testing.T) {
	t.Parallel()
	t.Run("a reset", func(t *testing.T) {
		t.Parallel()
		overNetworks(t, func(t *testing.T, e *end, peer net.Conn) {
			require.False(t, e.HungUp())
			if tcp, ok := peer.(*net.TCPConn); ok {
				require.NoError(t, tcp.SetLinger(0))
			} else {
				e.fill(t) // a Unix socket is reset when its peer closes with unread bytes
			}
			require.NoError(t, peer.Close())
			wait(t, e.hungUp)
			require.True(t, e.HungUp())
		})
	})
	t.Run("not an end in order: what was sent before is to be read", func(t *testing.T) {
		t.Parallel()
		overNetworks(t, func(t *testing.T, e *end, peer net.Conn) {
			e.park(t)
			require.NoError(t, peer.Close())
			wait(t, e.called)
			require.Empty(t, e.hungUp)
			require.False(t, e.HungUp())
		})
	})
	t.Run("not the end of one direction: the peer may still read", func(t *testing.T) {
		t.Parallel()
		overNetworks(t, func(t *testing.T, e *end, peer net.Conn) {
			half, ok := peer.(interface{ CloseWrite() error })
			require.True(t, ok)
			e.park(t)
			require.NoError(t, half.CloseWrite())
			wait(t, e.called)
			require.Empty(t, e.hungUp)
			require.False(t, e.HungUp())
		})
	})
}

// A WriteAll also ends without the peer's help.
func TestSocket_WriteAll_ends(t *testing.T) {
	t.Parallel()
	t.Run("with its timeout, and another one can follow", func(t *testing.T) {
		t.Parallel()
		overNetworks(t, func(t *testing.T, e *end, peer net.Conn) {
			e.fill(t)
			require.ErrorIs(t, e.WriteAll(make([]byte, huge), within(time.Nanosecond)), os.ErrDeadlineExceeded)
			background(t, func() { _, _ = io.Copy(io.Discard, peer) })
			require.NoError(t, e.WriteAll(make([]byte, huge), within(patience)))
			e.Close()
		})
	})
	for _, tc := range []struct {
		name string
		end  func(t *testing.T, e *end, peer net.Conn)
	}{
		{"with Close", func(_ *testing.T, e *end, _ net.Conn) { e.Close() }},
		{"when the peer leaves", func(t *testing.T, _ *end, peer net.Conn) { t.Helper(); require.NoError(t, peer.Close()) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			overNetworks(t, func(t *testing.T, e *end, peer net.Conn) {
				failed := make(chan error, 1)
				background(t, func() { failed <- e.WriteAll(make([]byte, huge), within(patience)) })
				_, err := io.ReadFull(peer, make([]byte, 100)) // so WriteAll has begun
				require.NoError(t, err)
				tc.end(t, e, peer)
				err = wait(t, failed)
				require.Error(t, err)
				require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
			})
		})
	}
	t.Run("on a closed socket", func(t *testing.T) {
		t.Parallel()
		overNetworks(t, func(t *testing.T, e *end, _ net.Conn) {
			e.Close()
			e.Close() // a second Close does nothing
			e.CloseWrite()
			require.ErrorIs(t, e.WriteAll([]byte("x"), nil), net.ErrClosed)
			_, err := e.Write([]byte("x"))
			require.ErrorIs(t, err, net.ErrClosed)
		})
	})
}
