package faults_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
)

// socketBuffer is a small kernel buffer, so that a socket fills soon. Without it, the
// kernel would buffer megabytes.
const socketBuffer = 16 << 10

// large is a message that does not fit into the socket buffers of a scene.
var large = strings.Repeat("x", 128<<10)

// end is a code and a reason, as $disconnect and the observer get them.
type end struct {
	code   int
	reason string
}

var (
	abnormal = end{1006, "Connection closed abnormally"}
	unread   = end{1006, "Client did not read in time"}
	deleted  = end{1000, "Connection Closed Normally"}
	away     = end{1001, "Going away"}
	leaving  = end{4001, "bye"} // chosen by the client
)

// scene is a gateway behind net/http with one connection at a time. Its client is
// connected through a relay. The scene records everything that the gateway reports.
type scene struct {
	*gateway.Gateway
	t      *testing.T
	addr   string
	client *peer
	relay  *relay

	entered chan struct{} // an integration that waits has begun
	release chan struct{} // closed to let the integration go on
	left    chan struct{} // closed when net/http notices that the client has left its request

	shutdown chan error // the result of shutDown; nil: not called yet

	mu       sync.Mutex // guards the fields below
	changed  chan struct{}
	opened   []string // connection IDs, in order
	closed   map[string][]end
	events   map[string][]gateway.EventType
	ends     map[string][]end // of $disconnect
	done     int              // integrations of messages that have returned
	refused  []error          // PostFailed
	rejected []int            // UpgradeRejected
	dropped  int              // connections that net/http closed on its own
}

// newScene starts a gateway that has only the given time quotas.
func newScene(t *testing.T, quotas gateway.Quotas) *scene {
	t.Helper()
	quotas.NewConnections.RateLimit = -1
	quotas.Connections = 1 // so that nobody else gets in before the slot is free
	for _, d := range []*time.Duration{&quotas.IdleTimeout, &quotas.ConnectionDuration, &quotas.WriteTimeout, &quotas.IntegrationTimeout} {
		if *d == 0 {
			*d = -1
		}
	}
	s := &scene{
		t: t, entered: make(chan struct{}, 1), release: make(chan struct{}), left: make(chan struct{}), changed: make(chan struct{}),
		closed: map[string][]end{}, events: map[string][]gateway.EventType{}, ends: map[string][]end{},
	}
	gw, err := gateway.New(gateway.WithQuotas(quotas), gateway.WithObserver(s.observer()), gateway.WithMiddleware(s.record))
	require.NoError(t, err)
	s.Gateway = gw
	gw.HandleFunc(gateway.RouteKeyConnect, s.connect)
	gw.HandleFunc(gateway.RouteKeyDisconnect, s.disconnect)
	gw.HandleFunc(gateway.RouteKeyDefault, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Body: req.Body}, nil
	}, gateway.WithRouteResponse())
	gw.HandleFunc("wait", func(context.Context, *gateway.Request) (*gateway.Response, error) {
		s.wait()
		return &gateway.Response{Body: []byte("waited")}, nil
	}, gateway.WithRouteResponse())
	gw.HandleFunc("large", func(context.Context, *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Body: []byte(large)}, nil
	}, gateway.WithRouteResponse())
	s.serve()
	r, socket := newRelay(t, s.addr)
	s.relay, s.client = r, newPeer(t, socket)
	return s
}

// readHeaderTimeout bounds the upgrade request. It is a setting of the http.Server,
// not of the gateway.
const readHeaderTimeout = time.Second

func (s *scene) serve() {
	s.t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(s.t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(s.t, err)
	s.addr = l.Addr().String()
	upgrades := s.Handler()
	web := &http.Server{
		ReadHeaderTimeout: readHeaderTimeout,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("wait") {
				stop := context.AfterFunc(r.Context(), func() { close(s.left) })
				defer stop()
			}
			upgrades.ServeHTTP(w, r)
		}),
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				s.note(func() { s.dropped++ })
			}
		},
	}
	served := make(chan error, 1)
	go func() { served <- web.Serve(smallBuffers{l}) }() // ends with Close in the cleanup, which waits
	s.t.Cleanup(func() {
		require.NoError(s.t, s.Close())
		_ = web.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			require.NoError(s.t, err)
		}
	})
}

// smallBuffers is a listener whose sockets have small buffers, which fill soon.
type smallBuffers struct{ net.Listener }

func (l smallBuffers) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if tcp, ok := nc.(*net.TCPConn); ok {
		err = tcp.SetWriteBuffer(socketBuffer)
	}
	return nc, err
}

func (s *scene) observer() *gateway.Observer {
	return &gateway.Observer{
		UpgradeRejected: func(_ context.Context, _ *gateway.Request, status int, _ error) {
			s.note(func() { s.rejected = append(s.rejected, status) })
		},
		ConnectionOpened: func(_ context.Context, c gateway.Connection) {
			s.note(func() { s.opened = append(s.opened, c.ID) })
		},
		ConnectionClosed: func(_ context.Context, c gateway.Connection, code int, reason string) {
			s.note(func() { s.closed[c.ID] = append(s.closed[c.ID], end{code, reason}) })
		},
		PostFailed: func(_ context.Context, _ string, _ int, err error) {
			s.note(func() { s.refused = append(s.refused, err) })
		},
	}
}

// record is a middleware that records every event after its integration has returned.
func (s *scene) record(next gateway.Integration) gateway.Integration {
	return gateway.IntegrationFunc(func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		id, event := req.ConnectionID, req.EventType
		defer s.note(func() {
			s.events[id] = append(s.events[id], event)
			if event == gateway.EventMessage {
				s.done++
			}
		})
		return next.Invoke(ctx, req)
	})
}

func (s *scene) connect(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
	query := req.Upgrade.URL.Query()
	if query.Has("wait") {
		s.wait()
	}
	if query.Has("refuse") {
		return &gateway.Response{StatusCode: http.StatusUnauthorized}, nil
	}
	return nil, nil
}

func (s *scene) disconnect(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
	s.note(func() {
		s.ends[req.ConnectionID] = append(s.ends[req.ConnectionID], end{req.DisconnectStatusCode, req.DisconnectReason})
	})
	return nil, nil
}

func (s *scene) wait() {
	s.entered <- struct{}{}
	<-s.release
}

func (s *scene) note(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	close(s.changed)
	s.changed = make(chan struct{})
}

// await waits until what the scene has recorded is as wanted.
func (s *scene) await(what string, wanted func() bool) {
	s.t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		s.mu.Lock()
		ok, changed := wanted(), s.changed
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-timeout.C:
			require.FailNow(s.t, "this never came", what)
		}
	}
}

// receive waits until a channel has a value or is closed.
func (s *scene) receive(what string, c <-chan struct{}) {
	s.t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		require.FailNow(s.t, "this never came", what)
	}
}

// id returns the ID of the connection through the relay.
func (s *scene) id() string {
	s.t.Helper()
	var id string
	s.await("the connection", func() bool {
		if len(s.opened) > 0 {
			id = s.opened[0]
		}
		return id != ""
	})
	return id
}

func (s *scene) post(message string) error {
	s.t.Helper()
	return s.PostToConnection(s.t.Context(), s.id(), []byte(message))
}
