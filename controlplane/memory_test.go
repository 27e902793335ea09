package controlplane

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// A set of keys stays in order, whatever is added and removed.
func TestKeySet(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // not a secret
	set, want := keySet{}, map[string]bool{}
	check := func() {
		sorted := make([]string, 0, len(want))
		for key := range want {
			sorted = append(sorted, key)
		}
		slices.Sort(sorted)
		for _, start := range []string{"", "0", fmt.Sprint(random.IntN(5000)), "~"} {
			got := []string{}
			set.from(start, func(key string) bool {
				got = append(got, key)
				return len(got) < 2000
			})
			n, _ := slices.BinarySearch(sorted, start)
			require.Equal(t, sorted[n:min(len(sorted), n+2000)], got)
		}
		for _, piece := range set.pieces {
			require.NotEmpty(t, piece)
			require.LessOrEqual(t, len(piece), longestPiece)
		}
	}
	for step := range 20_000 {
		key := fmt.Sprint(random.IntN(5000))
		switch {
		case want[key] && (step > 10_000 || step%3 == 0):
			set.remove(key)
			delete(want, key)
		case !want[key] && step < 15_000:
			set.add(key)
			want[key] = true
		}
		if step%1000 == 0 {
			check()
		}
	}
	for key := range want {
		set.remove(key)
		delete(want, key)
	}
	check()
	require.Empty(t, set.pieces)
}
