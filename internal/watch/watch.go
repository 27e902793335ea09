// Package watch notices when a goroutine that reads a client's messages spends too long
// in a call of the program's code, and asks for another goroutine to take over the
// reading.
//
// Most calls return at once. So the reading goroutine makes the calls itself, and no call
// needs a timer: one goroutine watches all of them. It runs while there are calls, and a
// little longer.
package watch

import (
	"sync"
	"sync/atomic"
	"time"

	"example.com/gateway/internal/clock"
)

const (
	// After is how long a call may take before its worker's TakeOver is called. The
	// call of TakeOver comes after at most about twice this time.
	After = time.Millisecond
	// every is how often the watch looks at its workers if there are no more than
	// many. If there are more, it looks less often, so that it uses little processor
	// time.
	every = After
	many  = 50_000
	// idle is the number of looks without any call after which the goroutine of the
	// watch ends.
	idle = 50
	// chunk is how many workers the watch makes room for at a time.
	chunk = 64
)

// Worker makes calls that are watched.
type Worker interface {
	// TakeOver is called when a call lasts longer than [After], once for each such
	// call. It runs on the goroutine of the watch and must not block it. The call
	// does not end before TakeOver has returned: see [Entry.End].
	TakeOver()
}

// Watch watches the calls of workers. Make it with [New]. It is safe for concurrent
// use.
type Watch struct {
	clock   clock.Clock
	running atomic.Bool // its goroutine runs
	ended   sync.WaitGroup
	over    chan struct{} // closed when no more calls will come

	mu      sync.Mutex             // guards the fields below
	started []*[chunk]atomic.Int64 // when the call of each entry began; in chunks, because each look reads all of them
	entries []*Entry               // in the same order; nil: the slot is free
	free    []int                  // free slots
}

// New returns a watch that measures calls with c.
func New(c clock.Clock) *Watch { return &Watch{clock: c, over: make(chan struct{})} }

// Entry is a worker's entry in a watch. The zero value is in no watch. It is a field
// of its worker, so that it needs no allocation of its own. It must not be copied.
type Entry struct {
	watch   *Watch
	worker  Worker
	started *atomic.Int64 // when the current call began, an instant; 0: there is no call, or TakeOver was called for it
	place   int
	taking  sync.Mutex // held while TakeOver runs, and while the entry is removed
}

// Add adds a worker to the watch. e is a field of the worker and must be in no watch.
func (wt *Watch) Add(e *Entry, w Worker) {
	e.watch, e.worker = wt, w
	wt.mu.Lock()
	defer wt.mu.Unlock()
	if len(wt.free) == 0 {
		for n := range chunk {
			wt.free = append(wt.free, len(wt.entries)+chunk-1-n)
		}
		wt.started = append(wt.started, new([chunk]atomic.Int64))
		wt.entries = append(wt.entries, make([]*Entry, chunk)...)
	}
	last := len(wt.free) - 1
	e.place = wt.free[last]
	wt.free = wt.free[:last]
	wt.entries[e.place] = e
	e.started = &wt.started[e.place/chunk][e.place%chunk]
}

// Remove removes e from its watch. No call may be running. If e is in no watch,
// Remove does nothing.
func (e *Entry) Remove() {
	if e.started == nil {
		return
	}
	e.taking.Lock() // a watch that has just looked at e must finish first
	defer e.taking.Unlock()
	wt := e.watch
	wt.mu.Lock()
	defer wt.mu.Unlock()
	e.started = nil
	wt.entries[e.place] = nil
	wt.free = append(wt.free, e.place)
	if len(wt.free) == len(wt.entries) {
		wt.started, wt.entries, wt.free = nil, nil, nil
	}
}

// Watched reports whether e is in a watch.
func (e *Entry) Watched() bool { return e.started != nil }

// Begin records that a call begins now. From then on, until [Entry.End], TakeOver may
// be called.
func (e *Entry) Begin(now clock.Instant) {
	e.started.Store(int64(now))
	e.watch.wake()
}

// End records the end of the call that began at that instant. It returns true if
// TakeOver was not called, and will not be called. Otherwise it waits until TakeOver
// has returned, and returns false. Without a watch it returns false.
func (e *Entry) End(began clock.Instant) bool {
	if e.started == nil {
		return false
	}
	if e.started.CompareAndSwap(int64(began), 0) {
		return true
	}
	e.taking.Lock()
	e.taking.Unlock() //nolint:staticcheck // the empty section only waits
	return false
}

// Drop makes the watch forget the current call, if there is one.
func (e *Entry) Drop() {
	if e.started != nil {
		e.started.Store(0)
	}
}

// takeOver calls the worker's TakeOver if the call that began at that instant is
// still running.
func (e *Entry) takeOver(began int64) {
	e.taking.Lock()
	defer e.taking.Unlock()
	if e.started != nil && e.started.CompareAndSwap(began, 0) {
		e.worker.TakeOver()
	}
}

// Len returns how many entries there are.
func (wt *Watch) Len() int {
	wt.mu.Lock()
	defer wt.mu.Unlock()
	return len(wt.entries) - len(wt.free)
}

// Close ends the watch and waits for its goroutine. No calls may come afterwards.
func (wt *Watch) Close() {
	close(wt.over)
	wt.ended.Wait()
}

// wake starts the goroutine of the watch, unless it runs. The call was recorded
// before. So if the goroutine is about to end, it either sees the call, or wake sees
// that the goroutine has ended.
func (wt *Watch) wake() {
	if !wt.running.Load() && wt.running.CompareAndSwap(false, true) {
		wt.ended.Go(wt.run) // ends when there are no calls, or with Close, which waits for it
	}
}

func (wt *Watch) run() {
	timer := time.NewTimer(every)
	defer timer.Stop()
	for looks := 0; ; {
		select {
		case <-timer.C:
		case <-wt.over:
			return
		}
		calls, entries := wt.look(wt.clock.Now())
		if looks++; calls > 0 {
			looks = 0
		}
		if looks >= idle {
			wt.running.Store(false)
			if calls, _ = wt.look(wt.clock.Now()); calls == 0 || !wt.running.CompareAndSwap(false, true) {
				return
			}
			looks = 0
		}
		timer.Reset(every * time.Duration(1+entries/many))
	}
}

// look calls TakeOver for all calls that have lasted too long. It returns how many
// calls it saw, and how many entries the watch has room for.
func (wt *Watch) look(now clock.Instant) (calls, entries int) {
	late := int64(now.Add(-After))
	type slow struct {
		e     *Entry
		began int64
	}
	var found []slow
	wt.mu.Lock()
	entries = len(wt.entries)
	for at, started := range wt.started {
		for n := range started {
			began := started[n].Load()
			if began == 0 {
				continue
			}
			calls++
			if began <= late {
				found = append(found, slow{wt.entries[at*chunk+n], began})
			}
		}
	}
	wt.mu.Unlock()
	for _, s := range found {
		s.e.takeOver(s.began)
	}
	return calls, entries
}
