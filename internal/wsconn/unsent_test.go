package wsconn_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/wsconn"
)

// A client that takes something is waited for, up to the limit. A client that takes nothing
// is given up as soon as its patience is over.
func TestConn_AwaitTaken(t *testing.T) {
	t.Parallel()
	const s = time.Second
	never := time.Duration(-1)
	falling := func(from, perSecond int) func(time.Duration) int {
		return func(after time.Duration) int { return max(0, from-perSecond*int(after/s)) }
	}
	for _, tc := range []struct {
		name   string
		unsent func(after time.Duration) int
		done   time.Duration
		taken  bool
		took   time.Duration
	}{
		{"a client that answers", falling(0, 0), 2 * s, true, 2 * s},
		{"a client that answers late, but has taken all", falling(0, 0), never, true, 5 * s},
		{"a client that takes nothing", falling(100, 0), never, false, 5 * s},
		{"a client that takes nothing, but answers", falling(100, 0), 4 * s, true, 4 * s},
		{"a client that takes it slowly", falling(80, 10), never, true, 13 * s},
		{"a client that takes it slowly, and then answers", falling(80, 10), 9 * s, true, 9 * s},
		{"a client that takes a part, and then nothing", func(after time.Duration) int { return max(50, 80-10*int(after/s)) }, never, false, 8 * s},
		{"a client that takes a little every four seconds", func(after time.Duration) int { return 12 - int(after/(4*s)) }, never, false, 30 * s},
		{"a client that has taken all just before the limit", func(after time.Duration) int { return max(0, 29-int(after/s)) }, never, true, 30 * s},
		{"a client of which the kernel tells nothing", func(time.Duration) int { return -1 }, never, true, 5 * s},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start, done := time.Now(), make(chan struct{})
				if tc.done != never {
					defer time.AfterFunc(tc.done, func() { close(done) }).Stop()
				}
				unsent := func() int { return tc.unsent(time.Since(start)) }
				require.Equal(t, tc.taken, wsconn.AwaitTaken(unsent, done, 5*s, 30*s))
				require.Equal(t, tc.took, time.Since(start))
			})
		})
	}
}
