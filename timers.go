package gateway

import (
	"errors"
	"time"

	"example.com/gateway/internal/clock"
)

const (
	// lateTick is how late tick must be to show that the process did not run: the
	// process or the machine was stopped. What the clients have sent since then waits
	// unread in their sockets.
	lateTick = 500 * time.Millisecond
	// postponeTick is how long the readers then have to read it, before tick decides
	// which clients are silent.
	postponeTick = time.Second
	// restAfter is how long nothing comes before the reader rests. Work has made the
	// stack of its goroutine grow, and the goroutine would keep that stack while it
	// waits. So a new goroutine waits in its place. A connection that is polled has no
	// goroutine while nothing comes, so its reader need not rest.
	restAfter = 2 * time.Second
)

// heard records the time of the last frame, and sets the timer that lets the reader rest.
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

// setTimerLocked sets the timer to the next quota of time that may be used up.
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

// rest lets a new goroutine, whose stack is small, become the reader.
func (c *connection) rest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state().ends() || c.working > 0 || !c.unrested.CompareAndSwap(true, false) {
		return
	}
	c.ws.Interrupt()
}

// tick ends the connection if a quota of time is used up, sends a ping if one is due, and
// sets the timer again.
func (c *connection) tick() {
	now := c.g.clock.Now()
	held := c.held.Load()
	if held && c.ws.HungUp() { // if the socket is not polled, nobody calls hungUp
		c.cut(brokenOff(errReset))
		return
	}
	if p := c.ws.Progress(); p != c.progress.Swap(p) || held { // a slow frame is on its way, or nobody reads it
		c.lastHeard.Advance(now)
	}
	if c.postpone(now) {
		return
	}
	heard := c.lastHeard.Load()
	if c.unrested.Load() && now.Since(heard) >= restAfter {
		c.rest()
	}
	if by := c.timeUp(now); by != "" {
		c.end(goingAway(by))
		return
	}
	if !c.ping(now, heard) {
		c.cut(brokenOff(errSilent))
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.state().ends() {
		c.setTimerLocked(now)
	}
}

// timeUp returns the quota of time that is used up, or "".
func (c *connection) timeUp(now clock.Instant) (by string) {
	q := &c.g.quotas
	age := now.Since(c.opened.Load())
	idle := min(age, now.Since(c.lastActive.Load()))
	switch {
	case q.ConnectionDuration > 0 && age >= q.ConnectionDuration:
		return byDuration
	case q.IdleTimeout > 0 && idle >= q.IdleTimeout:
		return byIdle
	}
	return ""
}

// ping sends a ping if one is due. heard is when the last frame came. ping returns false if
// the client has not answered the last ping in time.
func (c *connection) ping(now, heard clock.Instant) bool {
	interval, pinged := c.g.quotas.PingInterval, c.pinged.Load()
	unanswered, waited := pinged > heard, now.Since(pinged)
	switch {
	case interval == 0:
	case unanswered && waited >= interval && !c.busySending():
		return false
	case unanswered && waited < interval: // the client has time left to answer
	case now.Since(heard) >= interval:
		c.pinged.Advance(now)
		c.unsent.Store(int32(c.ws.Unsent()))
		c.out.Ping()
	}
	return true
}

var errSilent = errors.New("the client answered no ping")

// postpone sets the timer again, and returns true, if tick came late. It never does so
// twice in a row.
func (c *connection) postpone(now clock.Instant) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.late = !c.late && now.Since(c.timer.due) >= lateTick
	if c.late && !c.state().ends() {
		c.setTimerAtLocked(now, now.Add(postponeTick))
	}
	return c.late
}

// busySending reports whether the client is still busy with what was sent before the last
// ping, so that it cannot have answered. That is so while something waits for the kernel,
// which WriteTimeout limits, or if the client has taken a part of what the kernel held at
// that ping.
func (c *connection) busySending() bool {
	return c.g.quotas.WriteTimeout > 0 && c.out.Writing() || c.ws.Unsent() < int(c.unsent.Load())
}

// nextTick returns when the next quota of time may be used up; ok is false if there is
// none.
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
		if due <= now { // an integration runs, so the reader could not rest
			due = now.Add(restAfter)
		}
		earliest(due)
	}
	if q.PingInterval > 0 {
		earliest(max(heard, pinged).Add(q.PingInterval))
	}
	return next, ok
}
