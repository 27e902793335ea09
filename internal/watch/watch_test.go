package watch_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/clock"
	"example.com/gateway/internal/watch"
)

// worker counts how often its TakeOver was called.
type worker struct {
	entry    watch.Entry
	takeOver func()
	taken    atomic.Int32
}

func (w *worker) TakeOver() {
	if w.takeOver != nil {
		w.takeOver()
	}
	w.taken.Add(1)
}

// bundle returns a watch on the bubble's clock. The watch ends with the test.
func bundle(t *testing.T) (*watch.Watch, clock.Clock) {
	t.Helper()
	c := clock.New()
	wt := watch.New(c)
	t.Cleanup(wt.Close)
	return wt, c
}

func TestWatch(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		lasts time.Duration
		taken int32
	}{
		{"a call that returns at once", 0, 0},
		{"a call that returns in time", watch.After - 1, 0},
		{"a call that takes too long", 2*watch.After + 1, 1},
		{"a call that takes very long is taken over once", time.Second, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				wt, c := bundle(t)
				w := new(worker)
				require.False(t, w.entry.Watched())
				wt.Add(&w.entry, w)
				require.True(t, w.entry.Watched())
				for n := int32(1); n <= 3; n++ {
					began := c.Now()
					w.entry.Begin(began)
					time.Sleep(tt.lasts) //nolint:forbidigo // in a synctest bubble
					require.Equal(t, tt.taken == 0, w.entry.End(began))
					require.Equal(t, n*tt.taken, w.taken.Load())
					time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble: long enough for the watch to stop looking
				}
				w.entry.Remove()
				require.False(t, w.entry.Watched())
				require.Zero(t, wt.Len())
			})
		})
	}
}

// A call that ends while TakeOver runs waits for it. The test runs in real time,
// because the clock of a bubble stands still while a goroutine waits for a mutex.
func TestEntry_EndWaitsForTakeOver(t *testing.T) {
	t.Parallel()
	wt, c := bundle(t)
	entered, release := make(chan struct{}), make(chan struct{})
	w := &worker{takeOver: func() { close(entered); <-release }}
	wt.Add(&w.entry, w)
	began := c.Now()
	w.entry.Begin(began)
	<-entered
	require.Zero(t, w.taken.Load())
	time.AfterFunc(time.Millisecond, func() { close(release) })
	require.False(t, w.entry.End(began))
	require.EqualValues(t, 1, w.taken.Load())
	w.entry.Remove()
}

func TestEntry_Drop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		wt, c := bundle(t)
		w := new(worker)
		w.entry.Drop() // the entry is in no watch, so nothing happens
		require.False(t, w.entry.End(c.Now()))
		w.entry.Remove()
		wt.Add(&w.entry, w)
		began := c.Now()
		w.entry.Begin(began)
		w.entry.Drop()
		time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble
		require.False(t, w.entry.End(began))
		require.Zero(t, w.taken.Load())
		w.entry.Remove()
	})
}

// Every slot is used again, and each of many workers is watched.
func TestWatch_Places(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		wt, c := bundle(t)
		const n = 1000
		for range 3 {
			workers := make([]*worker, n)
			var running sync.WaitGroup
			for i := range workers {
				w := new(worker)
				workers[i] = w
				running.Go(func() {
					wt.Add(&w.entry, w)
					began := c.Now()
					w.entry.Begin(began)
					if i%2 == 0 {
						time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble
					}
					w.entry.End(began)
				})
			}
			running.Wait()
			require.Equal(t, n, wt.Len())
			for i, w := range workers {
				require.EqualValues(t, 1-i%2, w.taken.Load())
				w.entry.Remove()
			}
			require.Zero(t, wt.Len())
		}
	})
}

func TestEntry_DoesNotAllocate(t *testing.T) {
	c := clock.New()
	wt := watch.New(c)
	defer wt.Close()
	w := new(worker)
	wt.Add(&w.entry, w)
	defer w.entry.Remove()
	require.Zero(t, testing.AllocsPerRun(100, func() {
		began := c.Now()
		w.entry.Begin(began)
		w.entry.End(began)
	}))
}
