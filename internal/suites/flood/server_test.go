package flood_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
)

// Sizes of the kernel's socket buffers, so that sockets fill soon: without them the
// kernel would buffer megabytes. The receiver's buffer has room for the large
// segments of the loopback interface. If a test sends a client small segments, it
// does not set the client's buffer: the overhead of the segments would fill it before
// the TCP window closes, the kernel would also drop acknowledgements, and TCP would
// stop.
const (
	sendBuffer    = 16 << 10
	receiveBuffer = 64 << 10
)

// server is a gateway on its own listener. It records who connected and disconnected.
type server struct {
	*gateway.Gateway
	t    *testing.T
	addr string

	sent, full atomic.Int64 // posts that the observer reported as accepted, and as refused with ErrLimitExceeded

	mu       sync.Mutex        // guards the fields below
	changed  chan struct{}     // closed when one of the fields changes
	ids      map[string]string // connection IDs, by the name in the client's query
	left     map[string][]int  // codes of $disconnect, by connection ID
	rejected map[int]int       // UpgradeRejected, by status
}

// start serves a gateway and sets its $connect and $disconnect. New connections are
// not throttled unless the quotas say so.
func start(t *testing.T, quotas gateway.Quotas) *server {
	t.Helper()
	return startWith(t, quotas, time.Minute)
}

func startWith(t *testing.T, quotas gateway.Quotas, readHeaderTimeout time.Duration) *server {
	t.Helper()
	if quotas.NewConnections == (gateway.Throttle{}) {
		quotas.NewConnections.RateLimit = -1
	}
	s := &server{
		t: t, changed: make(chan struct{}),
		ids: map[string]string{}, left: map[string][]int{}, rejected: map[int]int{},
	}
	gw, err := gateway.New(gateway.WithQuotas(quotas), gateway.WithObserver(&gateway.Observer{
		MessageSent: func(context.Context, string, int) { s.sent.Add(1) },
		PostFailed: func(_ context.Context, _ string, _ int, err error) {
			if errors.Is(err, gateway.ErrLimitExceeded) {
				s.full.Add(1)
			}
		},
		UpgradeRejected: func(_ context.Context, _ *gateway.Request, status int, _ error) {
			s.note(func() { s.rejected[status]++ })
		},
	}))
	require.NoError(t, err)
	s.Gateway = gw
	gw.HandleFunc(gateway.RouteKeyConnect, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		s.note(func() { s.ids[req.Upgrade.URL.Query().Get("name")] = req.ConnectionID })
		return nil, nil
	})
	gw.HandleFunc(gateway.RouteKeyDisconnect, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		s.note(func() { s.left[req.ConnectionID] = append(s.left[req.ConnectionID], req.DisconnectStatusCode) })
		return nil, nil
	})
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.addr = l.Addr().String()
	web := &http.Server{Handler: gw.Handler(), ReadHeaderTimeout: readHeaderTimeout}
	served := make(chan error, 1)
	go func() { served <- web.Serve(smallBuffers{l}) }()            // ends with Close in the cleanup, which waits
	watchdog := time.AfterFunc(lifetime, func() { _ = gw.Close() }) // also ends a post that still waits
	t.Cleanup(func() {
		watchdog.Stop()
		require.NoError(t, gw.Close())
		_ = web.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			require.NoError(t, err)
		}
	})
	return s
}

// lifetime is longer than any test takes.
const lifetime = 5 * time.Minute

// smallBuffers is a listener whose sockets have small buffers, which fill soon.
type smallBuffers struct{ net.Listener }

func (l smallBuffers) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if tcp, ok := nc.(*net.TCPConn); ok {
		err = tcp.SetWriteBuffer(sendBuffer)
	}
	return nc, err
}

func (s *server) note(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	close(s.changed)
	s.changed = make(chan struct{})
}

// wait waits until what the server has recorded is as wanted.
func (s *server) wait(what string, wanted func() bool) {
	s.t.Helper()
	timeout := time.NewTimer(time.Minute)
	defer timeout.Stop()
	for {
		s.mu.Lock()
		done, changed := wanted(), s.changed
		s.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-timeout.C:
			require.FailNow(s.t, "this never came", what)
		}
	}
}

// id returns the connection ID of a client.
func (s *server) id(name string) string {
	s.t.Helper()
	var id string
	s.wait("the connection of "+name, func() bool {
		id = s.ids[name]
		return id != ""
	})
	return id
}

// requireLeft waits until the client's connection has ended, and checks its code.
func (s *server) requireLeft(name string, code int) {
	s.t.Helper()
	id := s.id(name)
	s.wait("the $disconnect of "+name, func() bool { return len(s.left[id]) > 0 })
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Equal(s.t, []int{code}, s.left[id], "one $disconnect")
}

// open returns the number of open connections.
func (s *server) open() (n int) {
	for range s.Connections() {
		n++
	}
	return n
}

// memory returns the bytes of heap and stacks in use.
func memory() int {
	runtime.GC()
	runtime.GC() // now, what pools held is free
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}

// overhead is how much memory may grow apart from what a test computes: pools, tables
// and stacks of the runtime. It is much less than the bytes of any flood.
const overhead = 2 << 20
