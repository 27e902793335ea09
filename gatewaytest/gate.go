package gatewaytest

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// gate is the client's end of a connection. Its reading can be paused, so that the
// server has a client that reads nothing at all.
type gate struct {
	net.Conn

	wire *wire // nil: nobody wants to know which messages are compressed

	mu      sync.Mutex // guards the fields below
	changed *sync.Cond
	paused  bool
	reading bool
	closed  bool
}

func newGate(nc net.Conn) *gate {
	g := &gate{Conn: nc}
	g.changed = sync.NewCond(&g.mu)
	return g
}

// Read implements [net.Conn].
func (g *gate) Read(p []byte) (int, error) {
	for {
		g.mu.Lock()
		for g.paused && !g.closed {
			g.changed.Wait()
		}
		g.reading = true
		g.mu.Unlock()
		n, err := g.Conn.Read(p)
		g.mu.Lock()
		g.reading = false
		g.changed.Broadcast()
		interrupted := n == 0 && g.paused && errors.Is(err, os.ErrDeadlineExceeded)
		g.mu.Unlock()
		if !interrupted {
			if g.wire != nil {
				g.wire.pass(p[:n])
			}
			return n, err
		}
	}
}

// Close implements [net.Conn].
func (g *gate) Close() error {
	g.mu.Lock()
	g.closed = true
	g.changed.Broadcast()
	g.mu.Unlock()
	return g.Conn.Close()
}

// pause stops all reading. It returns after a Read under way has been interrupted.
func (g *gate) pause() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.paused = true
	_ = g.Conn.SetReadDeadline(time.Unix(1, 0))
	for g.reading {
		g.changed.Wait()
	}
	_ = g.Conn.SetReadDeadline(time.Time{})
}

// resume ends a pause.
func (g *gate) resume() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.paused = false
	g.changed.Broadcast()
}
