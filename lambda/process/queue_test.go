package process

import (
	goruntime "runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// idle makes a function with processes that wait for an event, and are none in truth.
func idle(t *testing.T, n int) *Function {
	t.Helper()
	f := &Function{
		cfg: Config{Concurrency: n, Timeout: time.Minute}, code: &code{}, all: map[*process]struct{}{},
		processes: n, idle: time.Hour,
	}
	for range n {
		p := &process{fn: f, code: f.code, events: make(chan *invocation, 1)}
		p.timer = time.AfterFunc(time.Hour, func() {})
		t.Cleanup(func() { p.timer.Stop() })
		f.all[p] = struct{}{}
		f.free = append(f.free, p)
	}
	return f
}

// arrive lets events arrive.
func (f *Function) arrive(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range n {
		f.queue = append(f.queue, &invocation{arrived: time.Now(), done: make(chan outcome, 1)})
		f.advance(lifetime())
	}
}

// finishOne ends the event of a process after a time, and the process asks for the next.
func (f *Function) finishOne(after time.Duration) {
	time.Sleep(after) //nolint:forbidigo // in a bubble
	f.mu.Lock()
	defer f.mu.Unlock()
	for p := range f.all {
		if p.current != nil {
			<-p.events
			f.took(p.current)
			p.current.finish(nil, nil)
			f.release(lifetime(), p)
			return
		}
	}
}

// state returns how many events run, and how many wait.
func (f *Function) state() [2]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	running, _ := f.count()
	return [2]int{running, len(f.queue)}
}

// Short events share as many processes as there are cores. One that waits too long, and the
// events of a function that waits for others, get one more.
func TestFunction_Hesitates(t *testing.T) {
	t.Parallel()
	cores := goruntime.GOMAXPROCS(0)
	synctest.Test(t, func(t *testing.T) {
		f := idle(t, cores+3)
		f.arrive(cores + 2)
		require.Equal(t, [2]int{cores, 2}, f.state())
		f.finishOne(hesitation / 2)
		require.Equal(t, [2]int{cores, 1}, f.state(), "the process that is free takes the next")
		time.Sleep(hesitation) //nolint:forbidigo // in a bubble
		synctest.Wait()
		require.Equal(t, [2]int{cores + 1, 0}, f.state(), "it has waited long enough")
		for range cores + 1 {
			f.finishOne(time.Second)
		}
		require.Equal(t, [2]int{0, 0}, f.state())
		f.arrive(cores + 3)
		require.Equal(t, [2]int{cores + 3, 0}, f.state(), "its events take long")
		f.arrive(1)
		require.Equal(t, [2]int{cores + 3, 1}, f.state(), "there is no process left")
		f.finishOne(time.Second)
		require.Equal(t, [2]int{cores + 3, 0}, f.state())
	})
}
