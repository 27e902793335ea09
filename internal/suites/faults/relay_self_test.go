package faults_test

import (
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pair returns two sockets with a relay between them.
func pair(t *testing.T) (r *relay, client, server *net.TCPConn) {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	r, client = newRelay(t, l.Addr().String())
	accepted, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _ = accepted.Close() })
	server, ok := accepted.(*net.TCPConn)
	require.True(t, ok)
	require.NoError(t, server.SetDeadline(time.Now().Add(patience)))
	require.NoError(t, client.SetDeadline(time.Now().Add(patience)))
	return r, client, server
}

// The relay does what the names of its faults say.
func TestRelay(t *testing.T) {
	t.Parallel()
	for name, play := range map[string]func(t *testing.T, r *relay, client, server *net.TCPConn){
		"bytes pass both ways, and so does a FIN": func(t *testing.T, _ *relay, client, server *net.TCPConn) {
			requirePasses(t, client, server)
			requirePasses(t, server, client)
			require.NoError(t, client.CloseWrite())
			requireError(t, server, io.EOF)
			requirePasses(t, server, client)
		},
		"a RST passes": func(t *testing.T, _ *relay, client, server *net.TCPConn) {
			require.NoError(t, client.SetLinger(0))
			require.NoError(t, client.Close())
			requireError(t, server, syscall.ECONNRESET)
		},
		"cut is a FIN for both": func(t *testing.T, r *relay, client, server *net.TCPConn) {
			r.cut()
			requireError(t, server, io.EOF)
			requireError(t, client, io.EOF)
		},
		"reset is a RST for both": func(t *testing.T, r *relay, client, server *net.TCPConn) {
			r.reset()
			requireError(t, server, syscall.ECONNRESET)
			requireError(t, client, syscall.ECONNRESET)
		},
		"half-open is nothing for anybody, and takes all": func(t *testing.T, r *relay, client, server *net.TCPConn) {
			r.halfOpen()
			_, err := server.Write([]byte(strings.Repeat("x", 32<<20))) // more than the sockets' buffers
			require.NoError(t, err)
			_, err = client.Write([]byte(strings.Repeat("x", 32<<20)))
			require.NoError(t, err)
			require.NoError(t, server.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
			requireError(t, server, os.ErrDeadlineExceeded)
		},
		"stalled takes no more than sockets hold": func(t *testing.T, r *relay, _, server *net.TCPConn) {
			r.stall()
			require.NoError(t, server.SetWriteDeadline(time.Now().Add(short)))
			_, err := server.Write([]byte(strings.Repeat("x", 32<<20)))
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		},
		"what was stalled goes on": func(t *testing.T, r *relay, client, server *net.TCPConn) {
			r.stall()
			_, err := client.Write([]byte("hello"))
			require.NoError(t, err)
			r.both(flowing)
			requireRead(t, server, "hello")
		},
		"held bytes come before others": func(t *testing.T, r *relay, client, server *net.TCPConn) {
			held := make(chan struct{})
			r.up.set(holding)
			r.up.after(len("first"), func() { close(held) })
			_, err := client.Write([]byte("first"))
			require.NoError(t, err)
			<-held
			requirePasses(t, server, client)
			r.up.set(flowing)
			_, err = client.Write([]byte(" second"))
			require.NoError(t, err)
			requireRead(t, server, "first second")
		},
		"byte by byte loses none": func(t *testing.T, r *relay, client, server *net.TCPConn) {
			r.slice()
			sent := strings.Repeat("0123456789", 500)
			_, err := client.Write([]byte(sent))
			require.NoError(t, err)
			requireRead(t, server, sent)
		},
		"a fault strikes behind a byte": func(t *testing.T, r *relay, client, server *net.TCPConn) {
			r.up.after(3, r.cut)
			_, err := client.Write([]byte("abcdef"))
			require.NoError(t, err)
			requireRead(t, server, "abc")
			requireError(t, server, io.EOF)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, client, server := pair(t)
			play(t, r, client, server)
		})
	}
}

func requirePasses(t *testing.T, from, to net.Conn) {
	t.Helper()
	_, err := from.Write([]byte("hello"))
	require.NoError(t, err)
	requireRead(t, to, "hello")
}

func requireRead(t *testing.T, nc net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	_, err := io.ReadFull(nc, got)
	require.NoError(t, err)
	require.Equal(t, want, string(got))
}

func requireError(t *testing.T, nc net.Conn, want error) {
	t.Helper()
	n, err := nc.Read(make([]byte, 1))
	require.Zero(t, n)
	require.ErrorIs(t, err, want)
}
