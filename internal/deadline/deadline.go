// Package deadline has a context with a deadline. It starts a timer only when somebody
// waits for it, because most integrations return before that.
package deadline

import (
	"context"
	"sync"
	"time"
)

// Context is a [context.Context] that ends after its timeout, with its parent, or when
// [Context.Cancel] is called. The first call of Done makes its timer and its channel. A
// Context is used once, and must not be copied.
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

// Init makes c a child of parent that ends when timeout has passed since start. A timeout
// of 0 or less means none. Init is a method and not a constructor, so that a Context can
// be a field of another value.
func (c *Context) Init(parent context.Context, start time.Time, timeout time.Duration) {
	c.parent, c.started, c.timeout = parent, start, timeout
}

// Start returns the start that Init got.
func (c *Context) Start() time.Time { return c.started }

// Cancel ends the context and releases its timer. It may be called more than once.
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

// Until returns the time at which the context ends, or the zero time without a timeout.
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

// Value implements [context.Context]. Once there is a channel, the standard library finds
// its own context with Value, and then starts no goroutine to watch c.
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
