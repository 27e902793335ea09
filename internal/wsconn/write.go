package wsconn

import (
	"errors"
	"os"
	"sync"
	"time"

	"example.com/gateway/internal/poll"
)

// attempt is a write that does not wait. It is pooled, so that a connection
// which does not write holds nothing for it.
type attempt struct {
	ready func(fd uintptr) bool // writeReady of this attempt
	b     []byte                // not written yet
	err   error
}

//nolint:gochecknoglobals // a pool is shared to be of use
var attempts = sync.Pool{New: func() any {
	a := new(attempt)
	a.ready = a.writeReady
	return a
}}

// TryWrite writes as much of b as goes without waiting and returns how much
// that was: nothing, where the socket cannot tell.
func (c *Conn) TryWrite(b []byte) (int, error) {
	switch {
	case c.nc == nil:
		n, err := c.polled.Write(b)
		if errors.Is(err, poll.ErrAgain) {
			err = nil
		}
		return n, err
	case c.nc.raw == nil:
		return 0, nil
	}
	a, _ := attempts.Get().(*attempt)
	a.b = b
	err := c.nc.raw.Write(a.ready)
	if err == nil {
		err = a.err
	}
	n := len(b) - len(a.b)
	a.b, a.err = nil, nil
	attempts.Put(a)
	return n, err
}

// Write writes all of b. It gives up with [os.ErrDeadlineExceeded] when the client
// has taken nothing for as long as patience says; where the kernel does not tell what
// it has taken, when it has not taken 16 KiB by then. After an error the connection
// cannot be written to any more.
func (c *Conn) Write(b []byte, patience poll.Patience) error {
	n, err := c.TryWrite(b)
	if err != nil || n == len(b) {
		return err
	}
	if c.nc == nil {
		err = c.polled.WriteAll(b[n:], patience)
	} else {
		err = c.nc.writeAll(b[n:], patience)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.stuck.Store(true)
	}
	return err
}

// pieceBytes is how much a socket that is not polled is given at a time. Where the
// kernel's queue cannot be seen, what the client has taken shows by whole pieces.
const pieceBytes = 16 << 10

// writeAll writes b to a socket that is not polled.
func (nc *netConn) writeAll(b []byte, patience poll.Patience) error {
	w := &nc.watch
	w.begin(nc, patience)
	defer w.end()
	for len(b) > 0 {
		piece := b[:min(len(b), pieceBytes)]
		n, err := nc.Write(piece)
		if err != nil {
			return err
		}
		b = b[n:]
		w.taken()
	}
	return nil
}

// writeWatch ends a write of a socket that is not polled when the client takes
// nothing any more. A deadline alone cannot: crypto/tls fails for good when one
// passes, however much the client has taken of a record by then.
type writeWatch struct {
	mu       sync.Mutex // guards the fields below
	timer    *time.Timer
	nc       *netConn // nil: nothing is being written
	patience poll.Patience
	since    time.Time // when the client last took something
	queued   int       // what the kernel held for it then
}

func (w *writeWatch) begin(nc *netConn, patience poll.Patience) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nc, w.patience, w.since, w.queued = nc, patience, time.Now(), unsent(nc.Conn)
	if w.timer == nil {
		w.timer = time.AfterFunc(patience.LookAgain(), w.look)
	} else {
		w.timer.Reset(patience.LookAgain())
	}
}

func (w *writeWatch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nc = nil
	w.timer.Stop()
}

// taken notes that the client has taken something.
func (w *writeWatch) taken() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since = time.Now()
}

// look is called while a write waits. One that is stopped too late does nothing.
func (w *writeWatch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.nc == nil {
		return
	}
	now, queued := time.Now(), unsent(w.nc.Conn)
	limit := time.Duration(0)
	if w.patience != nil {
		limit = w.patience()
	}
	switch {
	case queued != w.queued: // the client has taken some of it (and more may have been queued since)
		w.queued, w.since = queued, now
	case limit > 0 && now.Sub(w.since) >= limit:
		_ = w.nc.SetWriteDeadline(time.Unix(1, 0)) // long ago
		return
	}
	w.timer.Reset(w.patience.LookAgain())
}
