package wsconn_test

import (
	"crypto/tls"
	"encoding/binary"
	"net"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	poller "example.com/gateway/internal/poll"
	"example.com/gateway/internal/wsconn"
)

// patience bounds every wait that should be short.
const patience = 20 * time.Second

// transport makes the two ends of a socket. Each transport takes another path through
// Conn: with a descriptor; with neither a descriptor nor a half close; without a
// descriptor; with a poller.
type transport struct {
	name   string
	pair   func(tb testing.TB) (server, client net.Conn)
	polled bool
}

func transports() []transport {
	all := []transport{{"tcp", tcpPair, false}, {"pipe", memoryPair, false}, {"tls", tlsPair, false}}
	if runtime.GOOS == "linux" {
		all = append(all, transport{"polled", tcpPair, true})
	}
	return all
}

// connect returns the Conn of one end, and the socket of the other end.
func (tr transport) connect(tb testing.TB, limits wsconn.Limits) (c *wsconn.Conn, peer net.Conn) {
	tb.Helper()
	server, peer := tr.pair(tb)
	c = wsconn.NewConn(server, limits)
	if tr.polled {
		poll(tb, c, func() {})
	}
	return c, peer
}

// poll lets a pool poll c until the test ends.
func poll(tb testing.TB, c *wsconn.Conn, ready func()) {
	tb.Helper()
	pool := new(poller.Pool)
	tb.Cleanup(pool.Close)
	require.NoError(tb, c.Poll(pool, func(*poller.Keep) { ready() }, nil))
	tb.Cleanup(c.Close)
}

// overTransports runs test on each transport. Afterwards it closes the sockets. No
// read waits forever.
func overTransports(t *testing.T, limits wsconn.Limits, test func(t *testing.T, c *wsconn.Conn, peer net.Conn)) {
	t.Helper()
	over(t, transports(), limits, test)
}

func over(t *testing.T, transports []transport, limits wsconn.Limits, test func(t *testing.T, c *wsconn.Conn, peer net.Conn)) {
	t.Helper()
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			c, peer := tr.connect(t, limits)
			t.Cleanup(c.Close)
			c.SetReadDeadline(time.Now().Add(patience))
			test(t, c, peer)
		})
	}
}

func tcpPair(tb testing.TB) (server, client net.Conn) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	require.NoError(tb, err)
	server, err = l.Accept()
	require.NoError(tb, err)
	closeAfter(tb, server, client)
	return server, client
}

func memoryPair(tb testing.TB) (server, client net.Conn) {
	tb.Helper()
	server, client = net.Pipe()
	closeAfter(tb, server, client)
	return server, client
}

func tlsPair(tb testing.TB) (server, client net.Conn) {
	tb.Helper()
	s, c := tcpPair(tb)
	ts := tls.Server(s, serverTLS())
	tc := tls.Client(c, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the server is the test's own
	var wg sync.WaitGroup
	var failed error
	wg.Go(func() { failed = ts.Handshake() })
	err := tc.Handshake()
	wg.Wait()
	require.NoError(tb, err)
	require.NoError(tb, failed)
	closeAfter(tb, ts, tc)
	return ts, tc
}

var serverTLS = sync.OnceValue(func() *tls.Config {
	srv := httptest.NewTLSServer(nil)
	defer srv.Close()
	return &tls.Config{Certificates: srv.TLS.Certificates}
})

func closeAfter(tb testing.TB, conns ...net.Conn) {
	tb.Helper()
	tb.Cleanup(func() {
		for _, nc := range conns {
			_ = nc.Close()
		}
	})
}

// background runs f while the test goes on. The test does not end before f has
// returned.
func background(tb testing.TB, f func()) {
	tb.Helper()
	var wg sync.WaitGroup
	wg.Go(f)
	tb.Cleanup(wg.Wait)
}

// send writes b without blocking the test: a write to an in-memory socket waits for
// its reader.
func send(tb testing.TB, nc net.Conn, b []byte) {
	tb.Helper()
	var wg sync.WaitGroup
	wg.Go(func() { sendNow(nc, b, 0) })
	tb.Cleanup(func() {
		_ = nc.Close()
		wg.Wait()
	})
}

// sendNow writes b in pieces of n bytes (0: all at once) until it is done or fails.
func sendNow(nc net.Conn, b []byte, n int) {
	if n == 0 {
		n = len(b)
	}
	for len(b) > 0 {
		n = min(n, len(b))
		if _, err := nc.Write(b[:n]); err != nil {
			return
		}
		b = b[n:]
	}
}

// The first bytes of frames.
const (
	fin       = 0x80
	contFrame = 0x0
	textFrame = 0x1
	binFrame  = 0x2
	closeOp   = 0x8
	pingOp    = 0x9
	pongOp    = 0xa
)

var testKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// announce returns the header of a client's frame with a payload of n bytes.
func announce(first byte, n uint64) []byte {
	b := []byte{first}
	switch {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), n)
	}
	return append(b, testKey[:]...)
}

// frame is a client's frame.
func frame(first byte, payload string) []byte {
	b := announce(first, uint64(len(payload)))
	for i := range len(payload) {
		b = append(b, payload[i]^testKey[i%4])
	}
	return b
}

func text(payload string) []byte { return frame(fin|textFrame, payload) }

func closing(code int, reason string) []byte {
	return frame(fin|closeOp, string(binary.BigEndian.AppendUint16(nil, uint16(code)))+reason)
}

func join(frames ...[]byte) []byte {
	var all []byte
	for _, f := range frames {
		all = append(all, f...)
	}
	return all
}

// control records the control frames that Read reports.
type control struct {
	pings []string
	pongs int
}

func (c *control) Ping(payload []byte) { c.pings = append(c.pings, string(payload)) }
func (c *control) Pong()               { c.pongs++ }

// within returns a patience that does not change.
func within(d time.Duration) poller.Patience { return func() time.Duration { return d } }

// patiently is a patience that needs no closure.
func patiently() time.Duration { return patience }
