package soak_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/internal/suites/wiretest"
)

// idleLedger counts the events of each connection.
type idleLedger struct {
	mu                              sync.Mutex // guards the fields below
	connected, messaged, disconnect map[string]int
	codes                           map[int]int
	ended                           chan struct{} // gets a value for each $disconnect
}

func newIdleLedger() *idleLedger {
	return &idleLedger{
		connected: map[string]int{}, messaged: map[string]int{}, disconnect: map[string]int{}, codes: map[int]int{},
		ended: make(chan struct{}, 2*connections),
	}
}

func (l *idleLedger) integration(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch req.EventType {
	case gateway.EventConnect:
		l.connected[req.ConnectionID]++
	case gateway.EventMessage:
		l.messaged[req.ConnectionID]++
	case gateway.EventDisconnect:
		l.disconnect[req.ConnectionID]++
		l.codes[req.DisconnectStatusCode]++
		l.ended <- struct{}{}
	case gateway.EventJoin, gateway.EventLeave: // not registered
	}
	return &gateway.Response{Body: []byte(`{"ok":true}`)}, nil
}

// Every connection sends a message, gets a post and leaves: a third with a Close
// frame, a third without one, a third by DeleteConnection.
func TestSoak(t *testing.T) {
	gw, err := gateway.New(gateway.WithQuotas(gateway.Quotas{NewConnections: gateway.Throttle{RateLimit: -1}}))
	require.NoError(t, err)
	l := newIdleLedger()
	gw.HandleFunc("$connect", l.integration)
	gw.HandleFunc("$disconnect", l.integration)
	gw.HandleFunc("say", l.integration, gateway.WithRouteResponse())
	server := httptest.NewServer(gw.Handler())
	defer server.Close()
	goroutines, before := runtime.NumGoroutine(), memory()

	clients := startClients(t, plan{Program: "idle", Addr: server.Listener.Addr().String()})
	clients.expect("connected")
	clients.say("report") // gives the server's goroutines some time to become idle
	clients.expect("idle")
	idle := memory() - before
	t.Logf("%d idle connections: %d bytes each (heap and stacks), %d goroutines each",
		connections, idle/int64(connections), (runtime.NumGoroutine()-goroutines)/connections)
	require.Len(t, l.connected, connections)

	ids := make([]string, 0, connections)
	for c := range gw.Connections() {
		ids = append(ids, c.ID)
		require.NoError(t, gw.PostToConnection(t.Context(), c.ID, []byte("post")))
	}
	require.Len(t, ids, connections)
	clients.expect("posted")

	clients.say("leave")
	clients.expect("left")
	for n := 0; n < connections-connections/3; n++ {
		<-l.ended
	}
	deleted := 0
	for c := range gw.Connections() {
		require.NoError(t, gw.DeleteConnection(t.Context(), c.ID))
		deleted++
	}
	require.Equal(t, connections/3, deleted)
	clients.expect("done")
	require.NoError(t, gw.Shutdown(t.Context()))

	require.Len(t, l.disconnect, connections)
	for _, id := range ids {
		require.Equal(t, [3]int{1, 1, 1}, [3]int{l.connected[id], l.messaged[id], l.disconnect[id]})
		require.ErrorIs(t, gw.PostToConnection(t.Context(), id, nil), gateway.ErrGone)
	}
	third := connections / 3
	require.Equal(t, map[int]int{1000: 2 * third, 1006: connections - 2*third}, l.codes)
	server.Close()
	requireGoroutines(t, goroutines)
}

// memory returns the bytes of heap and stacks in use.
func memory() int64 {
	runtime.GC()
	runtime.GC() // now, what pools held is free
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// requireGoroutines waits until at most want goroutines are left.
func requireGoroutines(t *testing.T, want int) {
	t.Helper()
	for range 1000 {
		if runtime.NumGoroutine() <= want {
			return
		}
		runtime.Gosched()
		<-time.After(time.Millisecond)
	}
	stacks := make([]byte, 1<<16)
	require.Fail(t, "goroutines are left", "%s", stacks[:runtime.Stack(stacks, true)])
}

// runClients runs in the client process.
func runClients(addr string) error {
	say := func(word string) { fmt.Println(word) } //nolint:forbidigo // the protocol between the two processes
	words := bufio.NewScanner(os.Stdin)
	peers := make([]*peer, connections)
	if err := each(peers, func(n int) (err error) {
		peers[n], err = dial(addr, n)
		if err != nil {
			return err
		}
		return peers[n].ask(`{"action":"say"}`, `{"ok":true}`)
	}); err != nil {
		return err
	}
	say("connected")
	words.Scan()
	say("idle")
	if err := each(peers, func(n int) error { return peers[n].receive("post") }); err != nil {
		return err
	}
	say("posted")
	words.Scan()
	third := connections / 3
	if err := each(peers[:connections-third], func(n int) error {
		if n >= third {
			return peers[n].Close()
		}
		return peers[n].leave()
	}); err != nil {
		return err
	}
	say("left")
	if err := each(peers[connections-third:], func(n int) error {
		return peers[connections-third+n].expectClose()
	}); err != nil {
		return err
	}
	say("done")
	return nil
}

// each calls do for every peer, 100 at a time.
func each(peers []*peer, do func(n int) error) error {
	slots := make(chan struct{}, 100)
	errs := make(chan error, len(peers))
	for n := range peers {
		slots <- struct{}{}
		go func() {
			errs <- do(n)
			<-slots
		}()
	}
	for range peers {
		if err := <-errs; err != nil {
			return err
		}
	}
	return nil
}

// peer is one of the many idle clients.
type peer struct{ *wire }

func dial(addr string, n int) (*peer, error) {
	w, status, err := dialWire(addr, n, "/")
	if err != nil || w == nil {
		return nil, fmt.Errorf("client %d: status %d: %w", n, status, err)
	}
	return &peer{w}, w.SetDeadline(time.Now().Add(3 * time.Minute))
}

func (p *peer) ask(question, want string) error {
	if err := p.Send(wiretest.Text, question); err != nil {
		return err
	}
	return p.receive(want)
}

// receive reads a text frame.
func (p *peer) receive(want string) error { return p.expectFrame(wiretest.Text, want) }

func (p *peer) expectFrame(first byte, want string) error {
	got, payload, err := p.ReadFrame()
	if err == nil && (got != first || string(payload) != want) {
		err = fmt.Errorf("frame %#x %q, want %#x %q", got, payload, first, want)
	}
	return err
}

// leave closes with 1000 and waits for the answer.
func (p *peer) leave() error {
	if err := p.Send(wiretest.Close, "\x03\xe8bye"); err != nil {
		return err
	}
	if err := p.expectFrame(wiretest.Close, "\x03\xe8bye"); err != nil {
		return err
	}
	return p.Close()
}

// expectClose waits for the server's Close frame and answers it.
func (p *peer) expectClose() error {
	if err := p.expectFrame(wiretest.Close, "\x03\xe8Connection Closed Normally"); err != nil {
		return err
	}
	if err := p.Send(wiretest.Close, "\x03\xe8"); err != nil {
		return err
	}
	return p.Close()
}
