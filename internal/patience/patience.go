// Package patience bounds how long a caller can hold up its own HTTP call: by a body that
// never comes, or by an answer that nobody reads. A program that has set ReadTimeout or
// WriteTimeout of its http.Server has bounds of its own, and they stay as they are.
package patience

import (
	"net/http"
	"time"
)

const (
	// bodyTime is how long the body of a call may take, and partTime more for each part of it.
	bodyTime = time.Minute
	// partTime is how long a caller may need to send a part of a body, or to take one of an
	// answer.
	partTime  = 30 * time.Second
	partBytes = 64 << 10
)

// Call is a call that is being answered.
type Call struct {
	w         http.ResponseWriter
	began     time.Time
	server    *http.Server // nil: none of net/http
	bodyBound bool         // the body has a deadline of ours
}

// Begin gives the body of a call its time. A body that nobody will read needs it, too: the
// server reads it before it answers.
func Begin(w http.ResponseWriter, r *http.Request, now time.Time) Call {
	c := Call{w: w, began: now}
	c.server, _ = r.Context().Value(http.ServerContextKey).(*http.Server)
	if r.Body != nil && r.Body != http.NoBody && c.server != nil && c.server.ReadTimeout <= 0 {
		c.bodyBound = http.NewResponseController(w).SetReadDeadline(now.Add(bodyTime)) == nil
	}
	return c
}

// BodyComes gives a body more time when a part of it has come: first it had that many bytes, and
// now it has more. It is for a body that its reader bounds.
func (c Call) BodyComes(before, bytes int) {
	if parts := bytes / partBytes; c.bodyBound && parts > before/partBytes {
		_ = http.NewResponseController(c.w).SetReadDeadline(c.began.Add(bodyTime + time.Duration(parts)*partTime)) // it had one before
	}
}

// BodyHasCome ends the time of a body that is complete. From then on the server reads only to
// notice that the caller has left.
func (c Call) BodyHasCome() {
	if c.bodyBound {
		_ = http.NewResponseController(c.w).SetReadDeadline(time.Time{}) // as it was
	}
}

// Write implements [io.Writer], for an answer that may be long. It fails if the caller does
// not take the bytes in time. The server ends the bound with the call.
func (c Call) Write(b []byte) (n int, err error) {
	if c.server == nil || c.server.WriteTimeout > 0 {
		return c.w.Write(b)
	}
	for more := true; more && err == nil; more = len(b) > 0 {
		part := b[:min(len(b), partBytes)]
		_ = http.NewResponseController(c.w).SetWriteDeadline(time.Now().Add(partTime)) // an error: it has no deadlines
		var written int
		written, err = c.w.Write(part)
		n, b = n+written, b[len(part):]
	}
	return n, err
}
