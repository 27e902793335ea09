package deadline_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/deadline"
)

type key struct{}

func TestContext_EndsAtItsDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var c deadline.Context[context.Context]
		c.Init(context.WithValue(t.Context(), key{}, "v"), start, time.Minute)
		defer c.Cancel()
		d, ok := c.Deadline()
		require.True(t, ok)
		require.Equal(t, start.Add(time.Minute), d)
		require.Equal(t, "v", c.Value(key{}))
		require.NoError(t, c.Err())
		<-c.Done()
		require.Equal(t, time.Minute, time.Since(start))
		require.ErrorIs(t, c.Err(), context.DeadlineExceeded)
		require.Equal(t, "v", c.Value(key{}))
	})
}

func TestContext_ErrAloneSeesTheDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var c deadline.Context[context.Context]
		c.Init(t.Context(), time.Now(), time.Minute)
		defer c.Cancel()
		time.Sleep(time.Minute) //nolint:forbidigo // in a synctest bubble
		require.ErrorIs(t, c.Err(), context.DeadlineExceeded)
	})
}

func TestContext_EndsWithItsParent(t *testing.T) {
	t.Parallel()
	parent, cancel := context.WithCancel(t.Context())
	var early, late deadline.Context[context.Context]
	early.Init(parent, time.Now(), 0)
	late.Init(parent, time.Now(), 0)
	done := early.Done()
	cancel()
	<-done
	require.ErrorIs(t, early.Err(), context.Canceled)
	require.ErrorIs(t, late.Err(), context.Canceled)
	_, ok := late.Deadline()
	require.False(t, ok)
}

func TestContext_TheEarlierDeadlineCounts(t *testing.T) {
	t.Parallel()
	now := time.Now()
	parent, cancel := context.WithDeadline(t.Context(), now.Add(time.Hour))
	defer cancel()
	var c deadline.Context[context.Context]
	c.Init(parent, now, 2*time.Hour)
	d, _ := c.Deadline()
	require.Equal(t, now.Add(time.Hour), d)
}

func TestContext_Cancel(t *testing.T) {
	t.Parallel()
	var unwatched, watched deadline.Context[context.Context]
	unwatched.Init(t.Context(), time.Now(), time.Hour)
	watched.Init(t.Context(), time.Now(), time.Hour)
	done := watched.Done()
	unwatched.Cancel()
	watched.Cancel()
	watched.Cancel()
	<-done
	require.ErrorIs(t, unwatched.Err(), context.Canceled)
	<-unwatched.Done()
	require.ErrorIs(t, watched.Err(), context.Canceled)
}

func TestContext_ParentOfAnother(t *testing.T) {
	t.Parallel()
	var c deadline.Context[context.Context]
	c.Init(t.Context(), time.Now(), time.Hour)
	child, cancel := context.WithCancel(&c)
	defer cancel()
	c.Cancel()
	<-child.Done()
	require.ErrorIs(t, child.Err(), context.Canceled)
}

func BenchmarkContext(b *testing.B) {
	parent := b.Context()
	b.Run("unwatched", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var c deadline.Context[context.Context]
			c.Init(parent, time.Now(), time.Hour)
			c.Cancel()
		}
	})
	b.Run("standard", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, cancel := context.WithDeadline(parent, time.Now().Add(time.Hour))
			cancel()
		}
	})
}

// Whoever waits while the context is canceled does not wait for ever, and everybody gets
// the same channel. The race detector sees what a wrong order would do.
func TestContext_CancelWhileOthersBeginToWait(t *testing.T) {
	t.Parallel()
	for range 1000 {
		var c deadline.Context[context.Context]
		c.Init(t.Context(), time.Now(), time.Hour)
		channels := make(chan (<-chan struct{}), 2)
		var waiting sync.WaitGroup
		for range cap(channels) {
			waiting.Go(func() {
				done := c.Done()
				<-done
				channels <- done
			})
		}
		c.Cancel()
		waiting.Wait()
		first, second := <-channels, <-channels
		require.Equal(t, first, second)
		require.ErrorIs(t, c.Err(), context.Canceled)
	}
}
