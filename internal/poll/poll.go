// Package poll waits for many sockets with few goroutines. A socket occupies a
// goroutine only while there is something to read from it. A socket that waits costs a
// place in a table, but no goroutine and no stack.
//
// [Pool.Adopt] takes a TCP or Unix socket out of the Go runtime's poller. From then on a
// reader reads the socket until [Socket.Read] finds nothing more, and leaves with
// [Socket.Park]. When bytes or the end of the stream arrive, a goroutine of the pool
// calls the socket's ready func, which is the next reader. The ready func may block: other
// goroutines then serve the sockets that wait behind it. A reader in the middle of a
// message waits with [Socket.Await] instead.
package poll

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// ErrUnsupported is what Adopt returns for a connection that is not a plain socket,
// such as TLS, and on systems without epoll.
var ErrUnsupported = errors.New("not a socket that can be polled")

// Keep is memory that a ready func hands to the next ready func on the same goroutine,
// which may serve another socket. So the memory is still in the processor's cache. End is
// called when the goroutine ends.
type Keep interface{ End() }

// Patience says how long a write may wait for a peer that takes no bytes. Zero, or a
// nil Patience, means no limit. A Patience must not block.
type Patience func() time.Duration

func (p Patience) limit() time.Duration {
	if p == nil {
		return 0
	}
	return p()
}

// LookAgain returns how long a write may sleep before it checks again whether the peer
// has taken something, and whether the patience has changed. waited is how long the peer
// has taken nothing.
func (p Patience) LookAgain(waited time.Duration) time.Duration {
	if limit := p.limit(); limit > 0 {
		return max(min(limit/4, time.Second, limit-waited), time.Millisecond)
	}
	return time.Second
}

// ErrAgain says that there is nothing to read now, or no room to write.
var ErrAgain = errors.New("not ready")

// Pool spreads sockets over several loops, so that cores rarely wait for each other's
// lock. The zero value is ready to use. A pool starts its loops with its first
// socket.
type Pool struct {
	mu    sync.Mutex // guards the field below
	loops []*loop
	next  atomic.Uint32
}

// coresPerLoop is how many cores share a loop. Each message holds the loop's lock for
// about a tenth of a microsecond.
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

// Close ends the goroutines of the pool and waits for the ready funcs that still run.
// The sockets of the pool must already be closed.
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
