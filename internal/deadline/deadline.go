// Package deadline has a context with a deadline that costs no timer until
// somebody waits for it: most integrations return before they look.
package deadline

import (
	"context"
	"sync"
	"time"
)

// Context is a [context.Context] that ends after its timeout, with its parent, or
// when [Context.Cancel] is called. Its timer and channel are made at the first
// call of Done. A Context is used once and must not be copied.
type Context struct {
	parent  context.Context //nolint:containedctx // this is a context
	started time.Time
	timeout time.Duration // 0 or less: none

	mu       sync.Mutex      // guards the fields below
	inner    context.Context //nolint:containedctx // likewise
	cancel   context.CancelFunc
	canceled bool
}

var _ context.Context = (*Context)(nil)

// Init makes c ready: a child of parent that ends when timeout has passed since start.
// A timeout of 0 or less is none. Init is a method, not a constructor, so that a Context can be
// a field of another value.
func (c *Context) Init(parent context.Context, start time.Time, timeout time.Duration) {
	c.parent, c.started, c.timeout = parent, start, timeout
}

// Start returns the time that Init was given.
func (c *Context) Start() time.Time { return c.started }

// Cancel ends the context and frees what it holds. It may be called twice.
func (c *Context) Cancel() {
	c.mu.Lock()
	c.canceled = true
	cancel := c.cancel
	c.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

// Deadline implements [context.Context].
func (c *Context) Deadline() (time.Time, bool) {
	if c.timeout <= 0 {
		return c.parent.Deadline()
	}
	until := c.Until()
	if d, ok := c.parent.Deadline(); ok && d.Before(until) {
		return d, true
	}
	return until, true
}

// Until returns when the timeout will have passed, the zero time if there is none.
func (c *Context) Until() time.Time {
	if c.timeout <= 0 {
		return time.Time{}
	}
	return c.started.Add(c.timeout)
}

// Done implements [context.Context].
func (c *Context) Done() <-chan struct{} { return c.start().Done() }

// Err implements [context.Context].
func (c *Context) Err() error {
	c.mu.Lock()
	inner, canceled := c.inner, c.canceled
	c.mu.Unlock()
	switch {
	case inner != nil:
		return inner.Err()
	case c.parent.Err() != nil:
		return c.parent.Err()
	case canceled:
		return context.Canceled
	case c.timeout > 0 && !time.Now().Before(c.Until()):
		return c.start().Err()
	}
	return nil
}

// Value implements [context.Context]. Once there is a channel, the standard
// library finds its own context through it and needs no goroutine to watch us.
func (c *Context) Value(key any) any {
	c.mu.Lock()
	inner := c.inner
	c.mu.Unlock()
	if inner != nil {
		return inner.Value(key)
	}
	return c.parent.Value(key)
}

func (c *Context) start() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inner == nil {
		if c.timeout <= 0 {
			c.inner, c.cancel = context.WithCancel(c.parent)
		} else {
			c.inner, c.cancel = context.WithDeadline(c.parent, c.Until())
		}
		if c.canceled {
			c.cancel()
		}
	}
	return c.inner
}
