package gateway

import (
	"sync"
	"sync/atomic"
	"time"
)

// watch looks after the integrations that readers run themselves, so that none of
// their messages costs a timer: one goroutine for all, which is there while there
// are such calls, and a little longer.
type watch struct {
	running atomic.Bool
	ended   sync.WaitGroup
	over    chan struct{} // closed when no call can come any more

	mu      sync.Mutex // guards the fields below
	workers []*worker
}

const (
	// watchEvery is how often the watch looks, for up to watchMany workers at a
	// time; with more it looks less often, so that it never takes much.
	watchEvery = takeOverAfter
	watchMany  = 1000
	// watchIdle is after how many looks without a call it ends.
	watchIdle = 50
)

func (wt *watch) add(w *worker) {
	wt.mu.Lock()
	defer wt.mu.Unlock()
	w.place = len(wt.workers)
	wt.workers = append(wt.workers, w)
}

func (wt *watch) remove(w *worker) {
	wt.mu.Lock()
	defer wt.mu.Unlock()
	last := len(wt.workers) - 1
	wt.workers[w.place] = wt.workers[last]
	wt.workers[w.place].place = w.place
	wt.workers[last] = nil
	if wt.workers = wt.workers[:last]; cap(wt.workers) > 64 && last < cap(wt.workers)/4 {
		wt.workers = append(make([]*worker, 0, 2*last), wt.workers...)
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
		calls, workers := wt.look(time.Now())
		if idle++; calls > 0 {
			idle = 0
		}
		if idle >= watchIdle {
			wt.running.Store(false)
			if calls, _ = wt.look(time.Now()); calls == 0 || !wt.running.CompareAndSwap(false, true) {
				return
			}
			idle = 0
		}
		timer.Reset(watchEvery * time.Duration(1+workers/watchMany))
	}
}

// look has every call taken over that has lasted too long.
func (wt *watch) look(now time.Time) (calls, workers int) {
	late := now.Add(-takeOverAfter).UnixNano()
	type slow struct {
		w       *worker
		started int64
	}
	var found []slow
	wt.mu.Lock()
	workers = len(wt.workers)
	for _, w := range wt.workers {
		switch started := w.started.Load(); {
		case started == 0:
		case started <= late:
			found = append(found, slow{w, started})
			calls++
		default:
			calls++
		}
	}
	wt.mu.Unlock()
	for _, s := range found {
		s.w.takeOver(s.started)
	}
	return calls, workers
}
