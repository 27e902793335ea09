package poll_test

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/poll"
)

// patience bounds every wait that should be short.
const patience = 20 * time.Second

// network makes the two ends of a socket.
type network struct {
	name string
	pair func(tb testing.TB) (server, client net.Conn)
}

// networks are the kinds of sockets that a pool takes. After a short read a TCP
// socket is known to be empty, a Unix socket is not.
func networks() []network { return []network{{"tcp", tcpPair}, {"unix", unixPair}} }

// overNetworks runs test on each network, with the pool's end of a connection and its
// peer.
func overNetworks(t *testing.T, test func(t *testing.T, e *end, peer net.Conn)) {
	t.Helper()
	for _, nw := range networks() {
		t.Run(nw.name, func(t *testing.T) {
			t.Parallel()
			server, peer := nw.pair(t)
			test(t, adopt(t, newPool(t), server), peer)
		})
	}
}

func tcpPair(tb testing.TB) (server, client net.Conn) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	return pairOf(tb, l)
}

func unixPair(tb testing.TB) (server, client net.Conn) {
	tb.Helper()
	l, err := net.Listen("unix", filepath.Join(tb.TempDir(), "s"))
	require.NoError(tb, err)
	return pairOf(tb, l)
}

func tlsPair(tb testing.TB) (server, client net.Conn) {
	tb.Helper()
	s, c := tcpPair(tb)
	srv := httptest.NewTLSServer(nil)
	defer srv.Close()
	ts := tls.Server(s, &tls.Config{Certificates: srv.TLS.Certificates})
	tc := tls.Client(c, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the server is the test's own
	var wg sync.WaitGroup
	var failed error
	wg.Go(func() { failed = ts.Handshake() })
	err := tc.Handshake()
	wg.Wait()
	require.NoError(tb, err)
	require.NoError(tb, failed)
	return ts, tc
}

func pairOf(tb testing.TB, l net.Listener) (server, client net.Conn) {
	tb.Helper()
	defer l.Close()
	client, err := net.Dial(l.Addr().Network(), l.Addr().String())
	require.NoError(tb, err)
	server, err = l.Accept()
	require.NoError(tb, err)
	tb.Cleanup(func() {
		_ = server.Close()
		_ = client.Close()
	})
	require.NoError(tb, client.SetDeadline(time.Now().Add(patience)))
	return server, client
}

// newPool returns a pool that is closed after the test's sockets.
func newPool(tb testing.TB) *poll.Pool {
	tb.Helper()
	p := new(poll.Pool)
	tb.Cleanup(p.Close)
	return p
}

// end is the pool's end of a connection. Its ready func sends on called. Whoever
// receives from called is the next reader.
type end struct {
	poll.Socket
	called chan struct{}
	hungUp chan struct{} // gets a value at a hang-up
}

func adopt(tb testing.TB, p *poll.Pool, nc net.Conn) *end {
	tb.Helper()
	e := &end{called: make(chan struct{}, 1), hungUp: make(chan struct{}, 1)} // called has room for the one call that a Park can cause
	e.OnHangUp(func() {
		select {
		case e.hungUp <- struct{}{}:
		default:
		}
	})
	require.NoError(tb, p.Adopt(&e.Socket, nc, func(*poll.Keep) { e.called <- struct{}{} }))
	tb.Cleanup(e.Close)
	return e
}

// read reads what has arrived, piece bytes at a time, and returns the error that
// ended it.
func (e *end) read(piece int) (got []byte, err error) {
	for {
		p := make([]byte, piece)
		n, err := e.Read(p)
		got = append(got, p[:n]...)
		if err != nil {
			return got, err
		}
	}
}

// readToEnd reads until the stream ends. It parks the socket whenever nothing has
// arrived.
func (e *end) readToEnd(tb testing.TB, piece int) (got []byte, err error) {
	tb.Helper()
	for {
		more, err := e.read(piece)
		if got = append(got, more...); !errors.Is(err, poll.ErrAgain) {
			return got, err
		}
		if e.Park() {
			wait(tb, e.called)
		}
	}
}

// park parks the socket, which must be empty.
func (e *end) park(tb testing.TB) {
	tb.Helper()
	for !e.Park() {
		_, err := e.read(100)
		require.ErrorIs(tb, err, poll.ErrAgain)
	}
}

// wait returns the next value from ch, which must come soon.
func wait[T any](tb testing.TB, ch <-chan T) (v T) {
	tb.Helper()
	select {
	case v = <-ch:
	case <-time.After(patience):
		require.FailNow(tb, "waited in vain")
	}
	return v
}

// write makes the peer send s.
func write(tb testing.TB, peer net.Conn, s string) {
	tb.Helper()
	_, err := peer.Write([]byte(s))
	require.NoError(tb, err)
}

// reset makes the peer reset the connection.
func reset(tb testing.TB, peer net.Conn) {
	tb.Helper()
	tcp, _ := peer.(*net.TCPConn)
	require.NoError(tb, tcp.SetLinger(0))
	require.NoError(tb, tcp.Close())
}

// background runs f while the test goes on. The test does not end before f has
// returned.
func background(tb testing.TB, f func()) {
	tb.Helper()
	var wg sync.WaitGroup
	wg.Go(f)
	tb.Cleanup(wg.Wait)
}

// faults collects the errors of goroutines other than the test's own.
type faults struct {
	mu   sync.Mutex // guards the field below
	seen []error
}

func (f *faults) add(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil && len(f.seen) < 10 {
		f.seen = append(f.seen, err)
	}
}

func (f *faults) require(tb testing.TB) {
	tb.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	require.NoError(tb, errors.Join(f.seen...))
}

// within returns a patience that does not change.
func within(d time.Duration) poll.Patience { return func() time.Duration { return d } }
