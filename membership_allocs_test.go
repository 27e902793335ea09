//go:build !race

package gateway_test

import (
	"math"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// One group costs a connection at most 120 bytes, together with its part of a group of
// ten. It is not parallel, because it measures the heap, and it does not run with the race
// detector, which makes everything larger.
func TestJoin_Memory(t *testing.T) {
	if strconv.IntSize < 64 {
		t.Skip("the sizes are those of 64-bit systems")
	}
	const n, members = 10_000, 10
	gw, ids := newNull(t, n)
	least := math.MaxFloat64
	for range 3 { // what else the process does can only make it more
		before := heap()
		for k, id := range ids {
			require.NoError(t, gw.Join(t.Context(), id, "room-"+strconv.Itoa(k%(n/members))))
		}
		least = min(least, float64(heap()-before)/n)
		for k, id := range ids {
			require.NoError(t, gw.Leave(t.Context(), id, "room-"+strconv.Itoa(k%(n/members))))
		}
	}
	require.LessOrEqual(t, least, 120.0)
	require.LessOrEqual(t, testing.AllocsPerRun(1000, func() {
		if gw.Join(t.Context(), ids[0], "room") != nil || gw.Leave(t.Context(), ids[0], "room") != nil {
			t.Error("no join")
		}
	}), 6.0, "a group, its name and its members, the membership, the extras after the join and after the leave")
}
