package load

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A measurement lasts as long as the plan says. If nothing was counted until then, it
// goes on until something is, but not for ever.
func TestMeter_Work(t *testing.T) {
	t.Parallel()
	const planned = 50 * time.Millisecond
	for name, c := range map[string]struct {
		first       time.Duration // when the first reply arrives; 0: none does
		atLeast, to time.Duration
	}{
		"in time": {first: time.Millisecond, atLeast: planned, to: planned},
		"late":    {first: 3 * time.Second, atLeast: 3 * time.Second, to: 3*time.Second + 10*time.Millisecond},
		"never":   {atLeast: planned + 30*time.Second, to: planned + 30*time.Second + 10*time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var m meter
				if c.first > 0 {
					time.AfterFunc(c.first, func() { m.count.Add(1) })
				}
				began := time.Now()
				require.NoError(t, m.work(t.Context(), planned))
				require.GreaterOrEqual(t, time.Since(began), c.atLeast)
				require.LessOrEqual(t, time.Since(began), c.to)
			})
		})
	}
}

// A worker that fails ends the wait.
func TestMeter_WorkFailed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		failed := errors.New("the server went away")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(failed) })
		var m meter
		require.ErrorIs(t, m.work(ctx, time.Millisecond), failed)
	})
}
