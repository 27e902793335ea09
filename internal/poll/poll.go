// Package poll waits for many sockets on few goroutines: one for a socket only
// while there is something to read from it. A socket that waits costs its place in
// a table, no goroutine and no stack.
//
// [Pool.Adopt] takes a TCP or Unix socket out of the Go runtime's poller. From then
// on a reader reads it until [Socket.Read] finds nothing more, and leaves with
// [Socket.Park]; when bytes or the end of the stream arrive, the socket's ready
// func runs on a goroutine of the pool, the next reader. It may block: others take
// over what waits behind it. A reader in the middle of a message waits with
// [Socket.Await] instead.
package poll

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// ErrUnsupported is what Adopt returns for a connection without a socket of its own,
// such as TLS, and on systems without epoll.
var ErrUnsupported = errors.New("not a socket that can be polled")

// Keep is what a ready func leaves with its goroutine for the next one, of whichever
// socket: memory that is warm. End is called when that goroutine ends.
type Keep interface{ End() }

// Patience says how long a write may wait for a peer that takes nothing. Zero, or a
// nil Patience, is no limit. It must not block.
type Patience func() time.Duration

func (p Patience) limit() time.Duration {
	if p == nil {
		return 0
	}
	return p()
}

// LookAgain returns how long a write that waits may sleep before it looks whether
// the peer has taken something, and whether its patience has changed.
func (p Patience) LookAgain() time.Duration {
	if limit := p.limit(); limit > 0 {
		return min(max(limit/4, time.Millisecond), time.Second)
	}
	return time.Second
}

// ErrAgain says that there is nothing to read, or no room to write, for now.
var ErrAgain = errors.New("not ready")

// Pool spreads sockets over loops, so that many cores do not wait for each other.
// The zero value is ready to use; it starts with the first socket.
type Pool struct {
	mu    sync.Mutex // guards the field below
	loops []*loop
	next  atomic.Uint32
}

// coresPerLoop is how many cores share a loop: its lock is taken for about a tenth
// of a microsecond for each message.
const coresPerLoop = 4

// pick returns the loop for the next socket.
func (p *Pool) pick() (*loop, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.loops == nil {
		for range (runtime.GOMAXPROCS(0) + coresPerLoop - 1) / coresPerLoop {
			l, err := newLoop()
			if err != nil {
				p.closeLocked()
				return nil, err
			}
			p.loops = append(p.loops, l)
		}
	}
	return p.loops[p.next.Add(1)%uint32(len(p.loops))], nil
}

// Close ends the goroutines of the pool, whose sockets must be closed, and waits
// for what they still run.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closeLocked()
}

func (p *Pool) closeLocked() {
	for _, l := range p.loops {
		l.close()
	}
	p.loops = nil
}
