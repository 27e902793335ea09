package gateway

import (
	"errors"
	"time"

	"example.com/gateway/internal/clock"
)

// timer calls tick when the next quota of time of a connection can be used up.
type timer struct {
	timer *time.Timer // nil: never set
	due   clock.Instant
}

func (t *timer) stop() {
	if t.timer != nil {
		t.timer.Stop()
	}
}

const (
	// lateTick is how late a tick shows that the process did not run, or hardly: it
	// was stopped, or the machine was. What the clients sent meanwhile waits in their
	// sockets, unread.
	lateTick = 500 * time.Millisecond
	// postponeTick is how long readers have to read that before anybody is judged by
	// what was heard from it.
	postponeTick = time.Second
	// restAfter is how long nothing comes before a reader rests. Work makes the stack
	// of its goroutine grow, and it would keep all of that for as long as it waits: a
	// new goroutine waits in its place. A connection that is polled has no goroutine
	// while it waits, and nothing to give up.
	restAfter = 2 * time.Second
)

// heard records the time of the last frame and arms the timer that lets the reader
// rest.
func (c *connection) heard(now clock.Instant) {
	c.lastHeard.Advance(now)
	if c.unrested.Load() || c.ws.Polled() {
		return
	}
	c.unrested.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.state().ends() {
		c.setTimerLocked(now)
	}
}

// setTimerLocked has tick called when the next thing is due.
func (c *connection) setTimerLocked(now clock.Instant) {
	if next, ok := c.nextTick(now); ok {
		c.setTimerAtLocked(now, next)
	}
}

func (c *connection) setTimerAtLocked(now, next clock.Instant) {
	t := &c.timer
	t.due = next
	if t.timer == nil {
		t.timer = time.AfterFunc(next.Since(now), c.tick)
	} else {
		t.timer.Reset(next.Since(now))
	}
}

// rest gives up what an idle connection does not need.
func (c *connection) rest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state().ends() || c.working > 0 || !c.unrested.CompareAndSwap(true, false) {
		return
	}
	c.ws.Interrupt()
}

// tick looks whether a quota of time is used up, sends a ping when one is due, and
// sets the timer for the next look.
func (c *connection) tick() {
	now := c.g.clock.Now()
	held := c.held.Load()
	if held && c.ws.HungUp() { // which nobody calls hungUp for where the socket is not polled
		c.cut(brokenOff(errReset))
		return
	}
	if p := c.ws.Progress(); p != c.progress.Swap(p) || held { // a frame that takes its time, or it is ours
		c.lastHeard.Advance(now)
	}
	if c.postpone(now) {
		return
	}
	q := &c.g.quotas
	heard, pinged := c.lastHeard.Load(), c.pinged.Load()
	silent, age := now.Since(heard), now.Since(c.opened.Load())
	idle := min(age, now.Since(c.lastActive.Load()))
	if c.unrested.Load() && silent >= restAfter {
		c.rest()
	}
	switch {
	case q.ConnectionDuration > 0 && age >= q.ConnectionDuration, q.IdleTimeout > 0 && idle >= q.IdleTimeout:
		c.end(goingAway())
		return
	case q.PingInterval == 0:
	case pinged > heard && now.Since(pinged) >= q.PingInterval && !c.busySending():
		c.cut(brokenOff(errSilent))
		return
	case pinged > heard && now.Since(pinged) < q.PingInterval: // it has time left to answer
	case silent >= q.PingInterval:
		c.pinged.Advance(now)
		c.unsent.Store(int32(c.ws.Unsent()))
		c.out.Ping()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.state().ends() {
		c.setTimerLocked(now)
	}
}

var errSilent = errors.New("the client answered no ping")

// postpone postpones a late tick, but never twice in a row.
func (c *connection) postpone(now clock.Instant) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.late = !c.late && now.Since(c.timer.due) >= lateTick
	if c.late && !c.state().ends() {
		c.setTimerAtLocked(now, now.Add(postponeTick))
	}
	return c.late
}

// busySending reports whether the client has not yet taken what was sent before the
// last ping. While something waits for the kernel to take it, WriteTimeout says for how
// long; of what the kernel holds, the client has to have taken some since the ping.
func (c *connection) busySending() bool {
	return c.g.quotas.WriteTimeout > 0 && c.out.Writing() || c.ws.Unsent() < int(c.unsent.Load())
}

// nextTick returns when the next quota of time can be used up.
func (c *connection) nextTick(now clock.Instant) (next clock.Instant, ok bool) {
	earliest := func(i clock.Instant) {
		if !ok || i < next {
			next, ok = i, true
		}
	}
	q := &c.g.quotas
	opened, heard, pinged := c.opened.Load(), c.lastHeard.Load(), c.pinged.Load()
	if q.ConnectionDuration > 0 {
		earliest(opened.Add(q.ConnectionDuration))
	}
	if q.IdleTimeout > 0 {
		earliest(max(opened, c.lastActive.Load()).Add(q.IdleTimeout))
	}
	if c.unrested.Load() {
		due := heard.Add(restAfter)
		if due <= now { // an integration runs
			due = now.Add(restAfter)
		}
		earliest(due)
	}
	if q.PingInterval > 0 {
		earliest(max(heard, pinged).Add(q.PingInterval))
	}
	return next, ok
}
