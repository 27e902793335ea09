// Package clock measures how long something took or waits. Its clock does not change
// when somebody sets the clock of the machine. Use a [time.Time] for times that a
// person or a backend reads, and an [Instant] for everything else.
package clock

import (
	"sync/atomic"
	"time"
)

// Clock counts the nanoseconds since it was made. Use [New] to make one: the zero
// value does not work.
type Clock struct{ epoch time.Time }

// New returns a clock that starts now. None of its instants is zero.
func New() Clock { return Clock{time.Now().Add(-1)} }

// Start returns when the clock was made.
func (c Clock) Start() time.Time { return c.epoch }

// At returns the instant of t, which must come from [time.Now].
func (c Clock) At(t time.Time) Instant { return Instant(t.Sub(c.epoch)) }

// Now returns the current instant.
func (c Clock) Now() Instant { return c.At(time.Now()) }

// Instant is a point in time on a [Clock], in nanoseconds since the clock was made.
// Zero stands for "never".
type Instant int64

// Add returns the instant that is d later.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d) }

// Since returns how much later i is than then.
func (i Instant) Since(then Instant) time.Duration { return time.Duration(i - then) }

// Latest holds the latest of the instants that several goroutines report. The zero
// value is ready to use.
type Latest struct{ v atomic.Int64 }

// Load returns the latest instant so far.
func (l *Latest) Load() Instant { return Instant(l.v.Load()) }

// Advance sets l to i, unless l is already later.
func (l *Latest) Advance(i Instant) {
	for old := l.v.Load(); old < int64(i); old = l.v.Load() {
		if l.v.CompareAndSwap(old, int64(i)) {
			return
		}
	}
}
