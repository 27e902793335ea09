package wsconn

import (
	"errors"
	"os"
	"sync"
	"time"

	"example.com/gateway/internal/poll"
)

// attempt is a write that does not wait. Attempts come from a pool, so that a
// connection holds no memory for them while it does not write.
type attempt struct {
	ready func(fd uintptr) bool // the method writeReady of this attempt
	b     []byte                // not written yet
	err   error
}

//nolint:gochecknoglobals // a pool is useful only if it is shared
var attempts = sync.Pool{New: func() any {
	a := new(attempt)
	a.ready = a.writeReady
	return a
}}

// TryWrite writes as many bytes of b as it can without waiting, and returns how many
// it wrote. That is 0 if the socket has no way to write without waiting.
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

// Write writes all of b. It fails with [os.ErrDeadlineExceeded] when the client has
// taken no byte for as long as patience says. If the kernel does not tell what the
// client has taken, Write fails when the client has not taken 16 KiB in that time.
// After an error nothing more can be written to the connection.
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

// Hurry wakes a waiting Write, so that it calls its patience func at once: the func may now
// return a shorter time. If no Write waits, it does nothing.
func (c *Conn) Hurry() {
	if c.nc == nil {
		c.polled.WakeWriter()
	} else {
		c.nc.watch.hurry()
	}
}

// pieceBytes is how many bytes a socket that is not polled gets at a time. If the
// kernel does not tell how much it still holds, Write sees progress only when a whole
// piece is written.
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

// writeWatch ends a write to a socket that is not polled when the client takes no
// more bytes. A plain deadline is not enough: once a deadline has passed, crypto/tls
// fails all later writes, even if the client has taken a part of the record.
type writeWatch struct {
	mu       sync.Mutex // guards the fields below
	timer    *time.Timer
	nc       *netConn // nil: nothing is being written
	patience poll.Patience
	since    time.Time // when the client last took something
	queued   int       // how many bytes the kernel held for the client then
}

func (w *writeWatch) begin(nc *netConn, patience poll.Patience) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nc, w.patience, w.since, w.queued = nc, patience, time.Now(), unsent(nc.Conn)
	if w.timer == nil {
		w.timer = time.AfterFunc(patience.LookAgain(0), w.look)
	} else {
		w.timer.Reset(patience.LookAgain(0))
	}
}

// hurry makes look run at once, if a write waits.
func (w *writeWatch) hurry() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.nc != nil {
		w.timer.Reset(0)
	}
}

func (w *writeWatch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nc = nil
	w.timer.Stop()
}

// taken records that the client has taken something.
func (w *writeWatch) taken() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since = time.Now()
}

// look runs while a write waits. It does nothing if its timer fired although it was
// stopped.
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
	case queued != w.queued: // the client has taken some bytes (and more may have been queued since)
		w.queued, w.since = queued, now
	case limit > 0 && now.Sub(w.since) >= limit:
		_ = w.nc.SetWriteDeadline(time.Unix(1, 0)) // a time in the past ends the write now
		return
	}
	w.timer.Reset(w.patience.LookAgain(now.Sub(w.since)))
}
