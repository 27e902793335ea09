package presence_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/presence"
)

type event struct {
	group string
	n     int
}

// Events of a group run in the order in which their changes were made, whoever adds them.
func TestQueues_Order(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	changed, ran := map[string][]int{}, map[string][]int{}
	qs := &presence.Queues[event]{Go: func(f func()) { wg.Go(f) }, Run: func(e event) {
		mu.Lock()
		ran[e.group] = append(ran[e.group], e.n)
		mu.Unlock()
		if e.n%7 == 0 {
			runtime.Goexit()
		}
	}}
	var adders sync.WaitGroup
	errs := make(chan error, 8*3000)
	for n := range 8 {
		adders.Go(func() {
			for m := range 3000 {
				e := event{[]string{"a", "b"}[m%2], n*3000 + m}
				errs <- qs.Reserve(context.Background(), e.group)
				qs.Add(e.group, e, func() { changed[e.group] = append(changed[e.group], e.n) }) // Add has the lock
			}
		})
	}
	adders.Wait()
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	require.Equal(t, changed, ran)
	require.Len(t, ran["a"], 12000)
	require.Zero(t, qs.Groups(), "nothing is kept")
}

// Who adds one more event than may wait, waits for a place, in order, and for no longer than
// its context.
func TestQueues_Bound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var wg sync.WaitGroup
		next := make(chan struct{})
		var ran []int
		qs := &presence.Queues[int]{Go: func(f func()) { wg.Go(f) }, Run: func(n int) {
			<-next
			ran = append(ran, n)
		}}
		add := func(ctx context.Context, n int) error {
			err := qs.Reserve(ctx, "g")
			if err == nil {
				qs.Add("g", n, func() {})
			}
			return err
		}
		for n := range presence.Most {
			require.NoError(t, add(t.Context(), n))
		}
		synctest.Wait() // the first one runs
		require.NoError(t, add(t.Context(), presence.Most))
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		require.ErrorIs(t, add(short, -1), context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start))
		require.NoError(t, qs.Reserve(t.Context(), "other"), "another group has its own places")
		qs.Release("other")

		qs.Force("g") // an event that cannot wait
		qs.Add("g", presence.Most+1, func() {})
		waiting := make(chan error, 2)
		go func() { waiting <- add(t.Context(), presence.Most+2) }()
		synctest.Wait()
		go func() { waiting <- add(t.Context(), presence.Most+3) }()
		synctest.Wait()
		require.Empty(t, waiting)
		next <- struct{}{}
		synctest.Wait()
		require.Empty(t, waiting, "there is still one more than may wait")
		next <- struct{}{}
		synctest.Wait()
		require.Len(t, waiting, 1)
		close(next)
		require.NoError(t, errors.Join(<-waiting, <-waiting))
		wg.Wait()
		require.Len(t, ran, presence.Most+4)
		require.True(t, slices.IsSorted(ran))
		require.Zero(t, qs.Groups())
	})
}

// A place that is given back, or that nobody takes because its context has ended, is free.
func TestQueues_Release(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		qs := &presence.Queues[int]{}
		for range presence.Most {
			require.NoError(t, qs.Reserve(t.Context(), "g"))
		}
		done := make(chan error, 3)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { done <- qs.Reserve(ctx, "g") }()
		synctest.Wait()
		go func() { done <- qs.Reserve(t.Context(), "g") }()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		qs.Release("g")
		require.NoError(t, <-done)
		for range presence.Most {
			qs.Release("g")
		}
		require.Zero(t, qs.Groups())
	})
}
