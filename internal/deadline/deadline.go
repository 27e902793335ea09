// Package deadline has a context with a deadline. It starts a timer only when somebody
// waits for it, because most integrations return before that.
package deadline

import (
	"context"
	"sync/atomic"
	"time"
)

// Context is a [context.Context] that ends after its timeout, with its parent, or when
// [Context.Cancel] is called. The first call of Done makes its timer and its channel. A
// Context is used once, and must not be copied. It is small, because every message has one:
// so the type of its parent is P, and not an interface.
type Context[P context.Context] struct {
	parent  P
	started time.Time
	timeout time.Duration // 0 or less: none

	inner atomic.Pointer[inner] // nil: nobody waits; canceled: nobody has waited before Cancel
}

// inner is a context of the standard library, for those who wait.
type inner struct {
	context.Context //nolint:containedctx // likewise
	cancel          context.CancelFunc
}

// canceled is in the place of an inner context that was not made before Cancel.
var canceled = new(inner) //nolint:gochecknoglobals // a constant

var _ context.Context = (*Context[context.Context])(nil)

// Init makes c a child of parent that ends when timeout has passed since start. A timeout
// of 0 or less means none. Init is a method and not a constructor, so that a Context can
// be a field of another value.
func (c *Context[P]) Init(parent P, start time.Time, timeout time.Duration) {
	c.parent, c.started, c.timeout = parent, start, timeout
}

// Start returns the start that Init got.
func (c *Context[P]) Start() time.Time { return c.started }

// Cancel ends the context and releases its timer. It may be called more than once.
func (c *Context[P]) Cancel() {
	if c.inner.CompareAndSwap(nil, canceled) {
		return
	}
	if in := c.inner.Load(); in != canceled {
		in.cancel()
	}
}

// Deadline implements [context.Context].
func (c *Context[P]) Deadline() (time.Time, bool) {
	if c.timeout <= 0 {
		return c.parent.Deadline()
	}
	until := c.Until()
	if d, ok := c.parent.Deadline(); ok && d.Before(until) {
		return d, true
	}
	return until, true
}

// Until returns the time at which the context ends, or the zero time without a timeout.
func (c *Context[P]) Until() time.Time {
	if c.timeout <= 0 {
		return time.Time{}
	}
	return c.started.Add(c.timeout)
}

// Done implements [context.Context].
func (c *Context[P]) Done() <-chan struct{} { return c.start().Done() }

// Err implements [context.Context].
func (c *Context[P]) Err() error {
	switch in := c.inner.Load(); {
	case in != nil && in != canceled:
		return in.Err()
	case c.parent.Err() != nil:
		return c.parent.Err()
	case in == canceled:
		return context.Canceled
	case c.timeout > 0 && !time.Now().Before(c.Until()):
		return c.start().Err()
	}
	return nil
}

// Value implements [context.Context]. Once there is a channel, the standard library finds
// its own context with Value, and then starts no goroutine to watch c.
func (c *Context[P]) Value(key any) any {
	if in := c.inner.Load(); in != nil && in != canceled {
		return in.Value(key)
	}
	return c.parent.Value(key)
}

// start returns the inner context, and makes it if there is none.
func (c *Context[P]) start() context.Context {
	for {
		in := c.inner.Load()
		if in != nil && in != canceled {
			return in.Context
		}
		made := new(inner)
		if c.timeout <= 0 {
			made.Context, made.cancel = context.WithCancel(c.parent)
		} else {
			made.Context, made.cancel = context.WithDeadline(c.parent, c.Until())
		}
		if in == canceled {
			made.cancel()
		}
		if c.inner.CompareAndSwap(in, made) {
			return made.Context
		}
		made.cancel() // somebody else was faster: look again
	}
}
