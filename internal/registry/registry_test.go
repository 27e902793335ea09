package registry_test

import (
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/connid"
	"example.com/gateway/internal/registry"
)

func TestMap(t *testing.T) {
	t.Parallel()
	m := registry.New[int]()
	require.True(t, m.Add("a", 1))
	require.False(t, m.Add("a", 2), "an ID is given out once")
	v, ok := m.Get("a")
	require.True(t, ok)
	require.Equal(t, 1, v)
	require.Equal(t, 1, m.Len())
	m.Remove("a")
	_, ok = m.Get("a")
	require.False(t, ok)
	require.Zero(t, m.Len())
	m.Remove("a")
}

func TestMap_All(t *testing.T) {
	t.Parallel()
	m := registry.New[int]()
	for i := range 1000 {
		require.True(t, m.Add(strconv.Itoa(i), i))
	}
	sum := 0
	for v := range m.All() {
		sum += v
		m.Remove(strconv.Itoa(v)) // the loop's body may change the map
	}
	require.Equal(t, 999*1000/2, sum)
	require.Zero(t, m.Len())

	m.Add("a", 1)
	m.Add("b", 2)
	seen := 0
	for range m.All() {
		seen++
		break
	}
	require.Equal(t, 1, seen)
}

func TestMap_Concurrent(t *testing.T) {
	t.Parallel()
	m := registry.New[int]()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 1000 {
				id := strconv.Itoa(g*1000 + i)
				m.Add(id, i)
				m.Get(id)
				for range m.All() {
					break
				}
				m.Remove(id)
			}
		})
	}
	wg.Wait()
	require.Zero(t, m.Len())
}

// The parts that From yields are in the order of the IDs, and begin with that of the ID.
func TestMap_From(t *testing.T) {
	t.Parallel()
	m := registry.New[string]()
	tag := connid.NewTag()
	var ids []string
	for range 5000 {
		id := connid.New(tag)
		ids = append(ids, id)
		require.True(t, m.Add(id, id))
	}
	slices.SortFunc(ids, connid.Compare)
	for _, from := range []string{"", ids[0], ids[2500], ids[4999]} {
		var got []string
		for part := range m.From(from) {
			require.Less(t, len(part), 200, "the parts are about equally large")
			slices.SortFunc(part, connid.Compare)
			got = append(got, part...)
		}
		require.Equal(t, ids[len(ids)-len(got):], got)
		if from != "" {
			require.Contains(t, got, from)
			require.Less(t, slices.Index(got, from), 200)
		}
	}
	for range m.From("") {
		break
	}
}
