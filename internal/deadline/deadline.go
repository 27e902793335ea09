// Package deadline has a context with a deadline that costs no timer until
// somebody waits for it: most integrations return before they look.
package deadline

import (
	"context"
	"sync"
	"time"
)

// Context is a [context.Context] that ends at its deadline, with its parent, or
// when [Context.Cancel] is called. Its timer and channel are made at the first
// call of Done. A Context is used once and must not be copied.
type Context struct {
	parent   context.Context //nolint:containedctx // this is a context
	deadline time.Time       // zero: none

	mu       sync.Mutex      // guards the fields below
	inner    context.Context //nolint:containedctx // likewise
	cancel   context.CancelFunc
	canceled bool
}

var _ context.Context = (*Context)(nil)

// Init makes c ready: a child of parent that ends at deadline, the zero time
// being none. It is a method, not a constructor, so that a Context can lie
// within another value.
func (c *Context) Init(parent context.Context, deadline time.Time) {
	c.parent, c.deadline = parent, deadline
}

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
	if c.deadline.IsZero() {
		return c.parent.Deadline()
	}
	if d, ok := c.parent.Deadline(); ok && d.Before(c.deadline) {
		return d, true
	}
	return c.deadline, true
}

// Until returns the deadline that Init was given, zero if there is none.
func (c *Context) Until() time.Time { return c.deadline }

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
	case !c.deadline.IsZero() && !time.Now().Before(c.deadline):
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
		if c.deadline.IsZero() {
			c.inner, c.cancel = context.WithCancel(c.parent)
		} else {
			c.inner, c.cancel = context.WithDeadline(c.parent, c.deadline)
		}
		if c.canceled {
			c.cancel()
		}
	}
	return c.inner
}
