// Package body bounds how long clients may take to send the bodies of their requests.
package body

import (
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	// stalled is how long a client may send nothing while its body is awaited.
	stalled = 30 * time.Second
	// last is how long a whole body may take while the program stops, and also what nobody has
	// read of a body when its request is answered.
	last = 5 * time.Second
)

// Limit cuts bodies that stall. Connections that were upgraded are left alone. The zero value is
// ready. It is safe for concurrent use.
type Limit struct {
	mu       sync.Mutex
	stopping bool
	coming   map[*body]struct{}
}

// Handler serves requests with h, which gets an error from a body that is cut.
func (l *Limit) Handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			h.ServeHTTP(w, r)
			return
		}
		b := l.begin(r.Body, http.NewResponseController(w))
		defer b.abandon()
		limited := *r // what the server knows of its own request stays as it is
		limited.Body = b
		h.ServeHTTP(w, &limited)
	})
}

// Stop gives bodies little time from now on, so that a client that has sent half of one holds up
// no end of the program.
func (l *Limit) Stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopping = true
	for b := range l.coming {
		b.timer.Reset(last)
	}
}

func (l *Limit) begin(from io.ReadCloser, connection *http.ResponseController) *body {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := &body{ReadCloser: from, limit: l, connection: connection}
	b.timer = time.AfterFunc(last, b.cut)
	if !l.stopping {
		b.timer.Stop()
	}
	if l.coming == nil {
		l.coming = map[*body]struct{}{}
	}
	l.coming[b] = struct{}{}
	return b
}

// body is a body that comes. Its fields are guarded by the lock of limit.
type body struct {
	io.ReadCloser

	limit      *Limit
	connection *http.ResponseController
	timer      *time.Timer
	reading    bool
	complete   bool
}

// Read implements [io.Reader].
func (b *body) Read(p []byte) (int, error) {
	b.waits(true)
	n, err := b.ReadCloser.Read(p)
	b.waits(false)
	if err == io.EOF {
		b.limit.mu.Lock()
		defer b.limit.mu.Unlock()
		b.complete = true
		b.forget()
	}
	return n, err
}

// waits notes whether the body is awaited. A handler that does not read is not the client's
// fault, unless the program stops.
func (b *body) waits(reading bool) {
	b.limit.mu.Lock()
	defer b.limit.mu.Unlock()
	b.reading = reading
	switch {
	case b.limit.stopping || b.complete:
	case reading:
		b.timer.Reset(stalled)
	default:
		b.timer.Stop()
	}
}

// forget ends the time of the body. The caller holds the lock.
func (b *body) forget() {
	b.timer.Stop()
	delete(b.limit.coming, b)
}

// cut makes a Read that waits, and all later ones, fail.
func (b *body) cut() {
	b.limit.mu.Lock()
	defer b.limit.mu.Unlock()
	if _, coming := b.limit.coming[b]; coming && (b.reading || b.limit.stopping) {
		_ = b.connection.SetReadDeadline(time.Unix(1, 0)) // a time in the past
	}
}

// abandon ends the body with its request. The server reads what is left of a short one, to use
// the connection again.
func (b *body) abandon() {
	b.limit.mu.Lock()
	defer b.limit.mu.Unlock()
	b.forget()
	if !b.complete {
		_ = b.connection.SetReadDeadline(time.Now().Add(last))
	}
}
