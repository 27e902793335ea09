package gateway

import (
	"sync/atomic"
	"time"
)

// instant is a moment on the gateway's own clock: nanoseconds since the gateway was
// made. It measures how long something took or waits, and does not move when
// somebody sets the clock of the machine. What a person or a backend reads is a
// [time.Time].
type instant int64

// at returns t, which comes from [time.Now], on the gateway's clock.
func (g *Gateway) at(t time.Time) instant { return instant(t.Sub(g.epoch)) }

// now returns the time on the gateway's clock.
func (g *Gateway) now() instant { return g.at(time.Now()) }

func (i instant) add(d time.Duration) instant      { return i + instant(d) }
func (i instant) since(then instant) time.Duration { return time.Duration(i - then) }

// moment is an instant that several goroutines set.
type moment struct{ v atomic.Int64 }

func (m *moment) load() instant { return instant(m.v.Load()) }

// advance sets m to i, unless it is later already: it never goes back.
func (m *moment) advance(i instant) {
	for old := m.v.Load(); old < int64(i); old = m.v.Load() {
		if m.v.CompareAndSwap(old, int64(i)) {
			return
		}
	}
}
