package poll_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/poll"
)

// A parked socket is called when bytes arrive, each time it has been parked.
func TestSocket_Park(t *testing.T) {
	t.Parallel()
	overNetworks(t, func(t *testing.T, e *end, peer net.Conn) {
		for _, piece := range []int{1, 5, 100} { // several reads, one full read, one short read
			e.park(t)
			require.Empty(t, e.called)
			write(t, peer, "hello")
			wait(t, e.called)
			require.False(t, e.Empty())
			got, err := e.read(piece)
			require.ErrorIs(t, err, poll.ErrAgain)
			require.Equal(t, "hello", string(got))
		}
	})
}

// After a short read of TCP, Empty is true without another system call.
func TestSocket_Empty(t *testing.T) {
	t.Parallel()
	overNetworks(t, func(t *testing.T, e *end, peer net.Conn) {
		for range 3 {
			e.park(t)
			require.False(t, e.Empty(), "whoever reads next must look")
			write(t, peer, "hello")
			wait(t, e.called)
			n, err := e.Read(make([]byte, 5))
			require.NoError(t, err)
			require.Equal(t, 5, n)
			require.False(t, e.Empty(), "after a full read")
			_, err = e.Read(make([]byte, 5))
			require.ErrorIs(t, err, poll.ErrAgain)
			require.True(t, e.Empty(), "after a read that found nothing")

			e.park(t)
			write(t, peer, "hello")
			wait(t, e.called)
			n, err = e.Read(make([]byte, 6))
			require.NoError(t, err)
			require.Equal(t, 5, n)
			_, tcp := peer.(*net.TCPConn)
			require.Equal(t, tcp, e.Empty(), "after a short read")
		}
	})
}

// moments are the states of the reader in which a stream can end, with a first byte
// before the end or without.
var moments = []struct {
	name  string
	until func(t *testing.T, e *end, peer net.Conn) // brings the reader into this state
}{
	{"before it is parked", func(*testing.T, *end, net.Conn) {}},
	{"while it is parked", func(t *testing.T, e *end, _ net.Conn) { t.Helper(); e.park(t) }},
	{"before its reader reads", func(t *testing.T, e *end, peer net.Conn) {
		t.Helper()
		e.park(t)
		write(t, peer, "f")
		wait(t, e.called)
	}},
	{"before its reader parks", func(t *testing.T, e *end, peer net.Conn) {
		t.Helper()
		e.park(t)
		write(t, peer, "f")
		wait(t, e.called)
		n, err := e.Read(make([]byte, 10))
		require.NoError(t, err)
		require.Equal(t, 1, n)
	}},
}

// endings are the ways in which a stream can end.
var endings = []struct {
	name string
	tcp  bool // only TCP can end like this
	end  func(t *testing.T, e *end, peer net.Conn)
	err  error
	all  bool // the reader gets all that was sent before
}{
	{"the peer's end", false, func(t *testing.T, _ *end, peer net.Conn) { t.Helper(); require.NoError(t, peer.Close()) }, io.EOF, true},
	{"the peer's half close", false, func(t *testing.T, _ *end, peer net.Conn) {
		t.Helper()
		half, _ := peer.(interface{ CloseWrite() error })
		require.NoError(t, half.CloseWrite())
	}, io.EOF, true},
	{"a reset", true, func(t *testing.T, _ *end, peer net.Conn) { t.Helper(); reset(t, peer) }, syscall.ECONNRESET, false},
	{"Close", false, func(_ *testing.T, e *end, _ net.Conn) { e.Close() }, net.ErrClosed, false},
	{"Expire", false, func(_ *testing.T, e *end, _ net.Conn) { e.Expire(true) }, os.ErrDeadlineExceeded, false},
}

// A reader sees the end of the stream, whenever it comes and whatever comes with it.
func TestSocket_end(t *testing.T) {
	t.Parallel()
	for _, nw := range networks() {
		for _, ending := range endings {
			for _, moment := range moments {
				for _, last := range []string{"", "last bytes"} {
					if ending.tcp && nw.name != "tcp" {
						continue
					}
					t.Run(fmt.Sprintf("%s/%s %s/last=%q", nw.name, ending.name, moment.name, last), func(t *testing.T) {
						t.Parallel()
						server, peer := nw.pair(t)
						e := adopt(t, newPool(t), server)
						moment.until(t, e, peer)
						cork(t, peer)
						if last != "" {
							write(t, peer, last)
						}
						ending.end(t, e, peer)
						if moment.name == "while it is parked" {
							wait(t, e.called)
						}
						got, err := e.readToEnd(t, 100)
						require.ErrorIs(t, err, ending.err)
						if ending.all {
							require.Contains(t, []string{last, "f" + last}, string(got))
						}
						_, err = e.Read(make([]byte, 1))
						require.Error(t, err, "and at the next Read")
						require.NotErrorIs(t, err, poll.ErrAgain)
					})
				}
			}
		}
	}
}

// cork makes a TCP peer send its last bytes and its end in one segment.
func cork(tb testing.TB, peer net.Conn) {
	tb.Helper()
	tcp, ok := peer.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	require.NoError(tb, err)
	require.NoError(tb, raw.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_CORK, 1)
	}))
	require.NoError(tb, err)
}

// If the last bytes and the end of the stream are there when the socket is adopted,
// one event reports both. The short read of the bytes must not hide the end.
func TestSocket_endBehindAShortRead(t *testing.T) {
	t.Parallel()
	for _, nw := range networks() {
		t.Run(nw.name, func(t *testing.T) {
			t.Parallel()
			server, peer := nw.pair(t)
			write(t, peer, "last bytes")
			require.NoError(t, peer.Close())
			e := adopt(t, newPool(t), server)
			if e.Park() {
				wait(t, e.called)
			}
			got, err := e.readToEnd(t, 100)
			require.ErrorIs(t, err, io.EOF)
			require.Equal(t, "last bytes", string(got))
		})
	}
}

// Urgent data stops a read in the middle. The bytes behind it must be read all the
// same.
func TestSocket_urgentData(t *testing.T) {
	t.Parallel()
	server, peer := tcpPair(t)
	e := adopt(t, newPool(t), server)
	e.park(t)
	tcp, ok := peer.(*net.TCPConn)
	require.True(t, ok)
	raw, err := tcp.SyscallConn()
	require.NoError(t, err)
	cork(t, peer)
	write(t, peer, "before")
	require.NoError(t, raw.Control(func(fd uintptr) {
		err = syscall.Sendto(int(fd), []byte("!"), syscall.MSG_OOB, &syscall.SockaddrInet4{})
	}))
	require.NoError(t, err)
	write(t, peer, "behind")
	require.NoError(t, peer.Close())
	wait(t, e.called)
	got, err := e.readToEnd(t, 100)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, "beforebehind", string(got))
}

// Adopt takes over a socket, and its peer does not notice.
func TestPool_Adopt(t *testing.T) {
	t.Parallel()
	for _, nw := range networks() {
		t.Run(nw.name, func(t *testing.T) {
			t.Parallel()
			server, peer := nw.pair(t)
			write(t, peer, "before")
			e := adopt(t, newPool(t), server)
			require.True(t, e.Adopted())
			_, err := server.Write([]byte("x"))
			require.ErrorIs(t, err, net.ErrClosed, "it is the pool's now")
			write(t, peer, " and after")
			_, err = e.Write([]byte("answer"))
			require.NoError(t, err)
			e.CloseWrite()
			got, err := io.ReadAll(peer)
			require.NoError(t, err)
			require.Equal(t, "answer", string(got))
			require.NoError(t, peer.Close())
			got, err = e.readToEnd(t, 4)
			require.ErrorIs(t, err, io.EOF)
			require.Equal(t, "before and after", string(got))
		})
	}
}

// Adopt refuses a connection that has no socket of its own, or that may want to see
// every byte. It does not change such a connection.
func TestPool_Adopt_refuses(t *testing.T) {
	t.Parallel()
	type embedding struct{ *net.TCPConn }
	for _, tc := range []struct {
		name string
		pair func(tb testing.TB) (server, client net.Conn)
	}{
		{"a connection in memory", func(testing.TB) (server, client net.Conn) { return net.Pipe() }},
		{"TLS", tlsPair},
		{"a type that embeds a TCP connection", func(tb testing.TB) (server, client net.Conn) {
			tb.Helper()
			server, client = tcpPair(tb)
			tcp, _ := server.(*net.TCPConn)
			return embedding{tcp}, client
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			server, client := tc.pair(t)
			t.Cleanup(func() { _ = server.Close() })
			var s poll.Socket
			require.ErrorIs(t, newPool(t).Adopt(&s, server, nil), poll.ErrUnsupported)
			require.False(t, s.Adopted())
			background(t, func() { _, _ = client.Write([]byte("hello")) })
			got := make([]byte, 5)
			_, err := io.ReadFull(server, got)
			require.NoError(t, err)
			require.Equal(t, "hello", string(got))
		})
	}
	t.Run("a closed one", func(t *testing.T) {
		t.Parallel()
		server, _ := tcpPair(t)
		require.NoError(t, server.Close())
		var s poll.Socket
		require.ErrorIs(t, newPool(t).Adopt(&s, server, nil), net.ErrClosed)
		require.False(t, s.Adopted())
	})
}
