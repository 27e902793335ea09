package gateway

import (
	"sync"
	"sync/atomic"
	"time"

	"example.com/gateway/internal/clock"
)

// watch looks after the integrations that readers run themselves, so that none of
// their messages costs a timer: one goroutine for all, which is there while there
// are such calls, and a little longer.
type watch struct {
	now     func() clock.Instant // the gateway's clock
	running atomic.Bool
	ended   sync.WaitGroup
	over    chan struct{} // closed when no call can come any more

	mu      sync.Mutex                  // guards the fields below
	chunks  []*[watchChunk]atomic.Int64 // when the workers' calls started: closely packed, as all are looked at
	workers []*worker                   // in the same places; nil: free
	free    []int                       // places
}

const (
	// watchEvery is how often the watch looks, for up to watchMany workers at a
	// time; with more it looks less often, so that it never takes much.
	watchEvery = takeOverAfter
	watchMany  = 50_000
	// watchIdle is after how many looks without a call it ends.
	watchIdle = 50
	// watchChunk is how many workers are made room for at a time.
	watchChunk = 64
)

// add gives a worker its place, from where its calls are watched.
func (wt *watch) add(w *worker) {
	w.watch = wt
	wt.mu.Lock()
	defer wt.mu.Unlock()
	if len(wt.free) == 0 {
		for n := range watchChunk {
			wt.free = append(wt.free, len(wt.workers)+watchChunk-1-n)
		}
		wt.chunks = append(wt.chunks, new([watchChunk]atomic.Int64))
		wt.workers = append(wt.workers, make([]*worker, watchChunk)...)
	}
	last := len(wt.free) - 1
	w.place = wt.free[last]
	wt.free = wt.free[:last]
	wt.workers[w.place] = w
	w.started = &wt.chunks[w.place/watchChunk][w.place%watchChunk]
}

// remove takes a worker without a call out.
func (wt *watch) remove(w *worker) {
	w.taking.Lock() // nobody looks at it now
	defer w.taking.Unlock()
	wt.mu.Lock()
	defer wt.mu.Unlock()
	w.started = nil
	wt.workers[w.place] = nil
	wt.free = append(wt.free, w.place)
	if len(wt.free) == len(wt.workers) {
		wt.chunks, wt.workers, wt.free = nil, nil, nil
	}
}

// end ends the watch, after the last call.
func (wt *watch) end() {
	close(wt.over)
	wt.ended.Wait()
}

// wake starts the watch, unless it runs. A call must have been noted before: then
// either we see that the watch has ended, or it sees the call.
func (wt *watch) wake() {
	if !wt.running.Load() && wt.running.CompareAndSwap(false, true) {
		wt.ended.Go(wt.run) // ends without calls, or with the gateway, which waits
	}
}

func (wt *watch) run() {
	timer := time.NewTimer(watchEvery)
	defer timer.Stop()
	for idle := 0; ; {
		select {
		case <-timer.C:
		case <-wt.over:
			return
		}
		calls, workers := wt.look(wt.now())
		if idle++; calls > 0 {
			idle = 0
		}
		if idle >= watchIdle {
			wt.running.Store(false)
			if calls, _ = wt.look(wt.now()); calls == 0 || !wt.running.CompareAndSwap(false, true) {
				return
			}
			idle = 0
		}
		timer.Reset(watchEvery * time.Duration(1+workers/watchMany))
	}
}

// look has every call taken over that has lasted too long.
func (wt *watch) look(now clock.Instant) (calls, workers int) {
	late := int64(now.Add(-takeOverAfter))
	type slow struct {
		w       *worker
		started int64
	}
	var found []slow
	wt.mu.Lock()
	workers = len(wt.workers)
	for at, chunk := range wt.chunks {
		for n := range chunk {
			started := chunk[n].Load()
			if started == 0 {
				continue
			}
			calls++
			if started <= late {
				found = append(found, slow{wt.workers[at*watchChunk+n], started})
			}
		}
	}
	wt.mu.Unlock()
	for _, s := range found {
		s.w.takeOver(s.started)
	}
	return calls, workers
}
