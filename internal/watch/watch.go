// Package watch notices when a goroutine that reads a client's messages is kept too
// long by a call of the program's code, and has it relieved.
//
// Most calls return at once, so the goroutine that reads makes them itself, and no
// call costs a timer: one goroutine watches over all of them. It runs while there are
// calls and a little longer.
package watch

import (
	"sync"
	"sync/atomic"
	"time"

	"example.com/gateway/internal/clock"
)

const (
	// After is how long a call may take before its worker is relieved, at most about
	// twice that.
	After = time.Millisecond
	// every is how often the watch looks at up to many workers. It looks less often if
	// there are more, so that it never takes much of a processor.
	every = After
	many  = 50_000
	// idle is after how many looks that found no call the watch's goroutine ends.
	idle = 50
	// chunk is for how many workers the watch makes room at a time.
	chunk = 64
)

// Worker makes calls that are watched.
type Worker interface {
	// TakeOver is called when a call lasts longer than [After]: once for each such call,
	// on the watch's goroutine, which it must not block. The call does not end before
	// TakeOver has returned: see [Entry.End].
	TakeOver()
}

// Watch watches over the calls of workers. It is made by [New] and safe for
// concurrent use.
type Watch struct {
	clock   clock.Clock
	running atomic.Bool // its goroutine
	ended   sync.WaitGroup
	over    chan struct{} // closed when no call will come any more

	mu      sync.Mutex             // guards the fields below
	started []*[chunk]atomic.Int64 // when the entries' calls began; closely packed, since each look reads all
	entries []*Entry               // in the same order; nil: the place is free
	free    []int                  // places
}

// New returns a watch whose calls are timed by c.
func New(c clock.Clock) *Watch { return &Watch{clock: c, over: make(chan struct{})} }

// Entry is a worker's entry in a watch. The zero value is in none. It is a field of
// its worker, so that it costs no allocation, and must not be copied.
type Entry struct {
	watch   *Watch
	worker  Worker
	started *atomic.Int64 // when the call under way began, an instant; 0: there is none, or it was taken over
	place   int
	taking  sync.Mutex // held while TakeOver runs, and to remove the entry
}

// Add enters a worker, which has e as a field and is in no watch.
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

// Remove takes e out of its watch. No call may be under way. It does nothing if e is
// in no watch.
func (e *Entry) Remove() {
	if e.started == nil {
		return
	}
	e.taking.Lock() // a watch that has just looked at e is done with it then
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

// Begin notes that a call begins now. From then on, until [Entry.End], TakeOver may be
// called.
func (e *Entry) Begin(now clock.Instant) {
	e.started.Store(int64(now))
	e.watch.wake()
}

// End notes the end of the call that began at that instant. It returns true if nobody
// has taken over, and nobody will. Otherwise it waits until TakeOver has returned.
// Without a watch it returns false.
func (e *Entry) End(began clock.Instant) bool {
	if e.started == nil {
		return false
	}
	if e.started.CompareAndSwap(int64(began), 0) {
		return true
	}
	e.taking.Lock()
	e.taking.Unlock() //nolint:staticcheck // an empty section: to wait
	return false
}

// Drop makes the watch forget the call under way, if there is one.
func (e *Entry) Drop() {
	if e.started != nil {
		e.started.Store(0)
	}
}

// takeOver has the worker relieved, if the call that began at that instant is still
// under way.
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

// Close ends the watch, after the last call. It waits for its goroutine.
func (wt *Watch) Close() {
	close(wt.over)
	wt.ended.Wait()
}

// wake starts the watch's goroutine, unless it runs. The call was noted before. So if
// the goroutine is about to end, either it sees the call, or wake sees that it ended.
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

// look relieves the workers of all calls that have lasted too long. It returns how
// many calls it saw and for how many entries there is room.
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
