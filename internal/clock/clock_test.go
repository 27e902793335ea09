package clock_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/clock"
)

func TestClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		first := c.Now()
		require.Positive(t, first, "zero stands for never")
		time.Sleep(time.Minute) //nolint:forbidigo // in a synctest bubble
		require.Equal(t, time.Minute, c.Now().Since(first))
		require.Equal(t, first.Add(time.Minute), c.Now())
		require.Equal(t, c.Now(), c.At(time.Now()))
	})
}

func TestLatest_NeverGoesBack(t *testing.T) {
	t.Parallel()
	var (
		latest  clock.Latest
		running sync.WaitGroup
	)
	require.Zero(t, latest.Load())
	for n := range 8 {
		running.Go(func() {
			for i := range 1000 {
				latest.Advance(clock.Instant(i*8 + n))
			}
		})
	}
	running.Wait()
	require.Equal(t, clock.Instant(7999), latest.Load())
	latest.Advance(5)
	require.Equal(t, clock.Instant(7999), latest.Load())
}
