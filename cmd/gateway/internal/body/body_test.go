package body_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/cmd/gateway/internal/body"
)

// listener accepts pipes.
type listener struct {
	pipes chan net.Conn
	ended chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.pipes:
		return c, nil
	case <-l.ended:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error   { close(l.ended); return nil }
func (l *listener) Addr() net.Addr { return &net.TCPAddr{} }

// result is what a handler gets from a body.
type result struct {
	text string
	err  error
	took time.Duration
}

// serve serves with a handler that reads bodies, but not that of /refused.
func serve() (limit *body.Limit, server *http.Server, dial func() net.Conn, read chan result) {
	limit, read = &body.Limit{}, make(chan result, 1)
	l := &listener{make(chan net.Conn), make(chan struct{})}
	server = &http.Server{Handler: limit.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refused" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		began := time.Now()
		text, err := io.ReadAll(r.Body)
		read <- result{string(text), err, time.Since(began)}
		if err == nil && r.URL.Path == "/long" {
			select {
			case <-time.After(time.Hour):
			case <-r.Context().Done():
				read <- result{err: r.Context().Err()}
			}
		}
	}))}
	go func() { _ = server.Serve(l) }()
	return limit, server, func() net.Conn {
		client, other := net.Pipe()
		l.pipes <- other
		return client
	}, read
}

func send(t *testing.T, c net.Conn, text string) {
	t.Helper()
	_, err := io.WriteString(c, strings.ReplaceAll(text, "\n", "\r\n"))
	require.NoError(t, err)
}

func answer(t *testing.T, c *bufio.Reader) int {
	t.Helper()
	resp, err := http.ReadResponse(c, nil)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

const half = "POST / HTTP/1.1\nHost: x\nContent-Length: 4\n\nab"

// A body that stalls is cut, one that comes slowly is not, and neither is a handler that takes long.
func TestLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, server, dial, read := serve()
		defer server.Close()
		c := dial()
		defer c.Close()
		send(t, c, half)
		got := <-read
		require.ErrorIs(t, got.err, os.ErrDeadlineExceeded)
		require.Equal(t, 30*time.Second, got.took)

		slow := dial()
		defer slow.Close()
		send(t, slow, half)
		for _, part := range []string{"c", "d"} {
			time.Sleep(29 * time.Second) //nolint:forbidigo // virtual time
			send(t, slow, part)
		}
		got = <-read
		require.NoError(t, got.err)
		require.Equal(t, "abcd", got.text)
		reader := bufio.NewReader(slow)
		require.Equal(t, http.StatusOK, answer(t, reader))
		send(t, slow, strings.Replace(half, "POST /", "POST /long", 1)+"cd")
		require.NoError(t, (<-read).err)
		require.Equal(t, http.StatusOK, answer(t, reader), "after an hour")
		require.Empty(t, read, "the client was not taken for gone")
	})
}

// What is left of a body that nobody reads keeps no connection.
func TestLimit_Unread(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, server, dial, _ := serve()
		defer server.Close()
		c := dial()
		defer c.Close()
		send(t, c, strings.Replace(half, "POST /", "POST /refused", 1))
		reader := bufio.NewReader(c)
		began := time.Now()
		require.Equal(t, http.StatusForbidden, answer(t, reader))
		_, err := reader.ReadByte()
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, 5*time.Second, time.Since(began).Truncate(time.Second))
	})
}

// When the program stops, half a body does not hold it up, also if its end drips. A body that comes
// then is still read.
func TestLimit_Stop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limit, server, dial, read := serve()
		c := dial()
		defer c.Close()
		send(t, c, half)
		synctest.Wait()
		limit.Stop()
		go func() {
			time.Sleep(3 * time.Second) //nolint:forbidigo // virtual time
			_, _ = io.WriteString(c, "c")
		}()
		late := dial()
		defer late.Close()
		send(t, late, strings.Replace(half, "POST /", "POST /late", 1)+"cd")
		require.Equal(t, "abcd", (<-read).text)
		require.Equal(t, http.StatusOK, answer(t, bufio.NewReader(late)))

		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		gone := make(chan error, 1)
		go func() { gone <- server.Shutdown(ctx) }()
		require.ErrorIs(t, (<-read).err, os.ErrDeadlineExceeded)
		go func() { _, _ = io.Copy(io.Discard, c) }()
		require.NoError(t, <-gone)
	})
}
