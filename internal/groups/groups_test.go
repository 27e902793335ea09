package groups_test

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/groups"
)

type owner struct {
	name string
	list groups.List[*owner]
}

func names(members []*groups.Member[*owner]) []string {
	all := []string{}
	for _, m := range members {
		all = append(all, m.Owner.name)
	}
	slices.Sort(all)
	return all
}

func TestIndex(t *testing.T) {
	t.Parallel()
	ix := groups.New[*owner]()
	a, b := &owner{name: "a"}, &owner{name: "b"}
	require.True(t, a.list.Empty())
	require.Nil(t, a.list.Names())
	require.Nil(t, ix.Snapshot("x"))

	ix.Join(&a.list, a, "x")
	require.Equal(t, []string{"x"}, *a.list.Names())
	ix.Join(&b.list, b, "x")
	ix.Join(&b.list, b, "y")
	ix.Join(&b.list, b, "w")
	require.Equal(t, []string{"x", "y", "w"}, *b.list.Names(), "in the order of the joins")
	require.Equal(t, []string{"a", "b"}, names(ix.Snapshot("x")))
	require.Equal(t, 2, ix.Len("x"))
	require.Equal(t, 3, ix.Groups())

	require.False(t, ix.Leave(&a.list, "y"), "a is not in it")
	require.True(t, ix.Leave(&b.list, "y"))
	require.Equal(t, []string{"x", "w"}, *b.list.Names())
	require.Zero(t, ix.Len("y"))
	ix.LeaveAll(&b.list)
	require.True(t, b.list.Empty())
	require.Equal(t, []string{"a"}, names(ix.Snapshot("x")))
	require.True(t, ix.Leave(&a.list, "x"))
	require.Zero(t, ix.Groups(), "nothing is kept of empty groups")
}

// The name of a group does not keep the text alive that it was a part of.
func TestIndex_NameIsCopied(t *testing.T) {
	t.Parallel()
	ix := groups.New[*owner]()
	buf := []byte("room")
	a := &owner{}
	ix.Join(&a.list, a, string(buf))
	buf[0] = 'x'
	require.Equal(t, []string{"room"}, *a.list.Names())
}

// The index agrees with a plain map, and a snapshot never changes, whoever comes and goes.
func TestIndex_Model(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	ix := groups.New[*owner]()
	owners := make([]*owner, 300)
	for n := range owners {
		owners[n] = &owner{name: strconv.Itoa(n)}
	}
	model := map[string]map[*owner]bool{"x": {}, "y": {}, "z": {}}
	type kept struct {
		snapshot []*groups.Member[*owner]
		want     []string
	}
	var snapshots []kept
	for range 30_000 {
		o, name := owners[rng.IntN(len(owners))], string(rune('x'+rng.IntN(3)))
		switch in := model[name][o]; {
		case rng.IntN(40) == 0:
			ix.LeaveAll(&o.list)
			for _, members := range model {
				delete(members, o)
			}
		case rng.IntN(100) == 0:
			s := ix.Snapshot(name)
			want := []string{}
			for member := range model[name] {
				want = append(want, member.name)
			}
			slices.Sort(want)
			require.Equal(t, want, names(s))
			require.Equal(t, len(want), ix.Len(name))
			if snapshots = append(snapshots, kept{s, want}); len(snapshots) > 20 {
				snapshots = snapshots[1:]
			}
		case in:
			require.True(t, ix.Leave(&o.list, name))
			delete(model[name], o)
		default:
			ix.Join(&o.list, o, name)
			model[name][o] = true
		}
	}
	for _, k := range snapshots {
		require.Equal(t, k.want, names(k.snapshot))
	}
	for _, o := range owners {
		ix.LeaveAll(&o.list)
	}
	require.Zero(t, ix.Groups())
}

// A group that was large gives its memory back while it becomes small.
func TestIndex_Shrinks(t *testing.T) {
	t.Parallel()
	ix := groups.New[*owner]()
	owners := make([]*owner, 10_000)
	for n := range owners {
		owners[n] = &owner{}
		ix.Join(&owners[n].list, owners[n], "x")
	}
	for _, o := range owners[10:] {
		ix.Leave(&o.list, "x")
	}
	require.Len(t, ix.Snapshot("x"), 10)
	require.LessOrEqual(t, cap(ix.Snapshot("x")), 64)
}

// Nothing is kept of a great many groups that were there once, also if a few others stay. It is
// not parallel, because it measures the heap.
func TestIndex_ManyGroupsShrink(t *testing.T) {
	const n = 100_000
	ix := groups.New[*owner]()
	stay := make([]owner, 1000)
	for k := range stay {
		ix.Join(&stay[k].list, &stay[k], "stay-"+strconv.Itoa(k))
	}
	before := heap()
	owners := make([]owner, n)
	for k := range owners {
		ix.Join(&owners[k].list, &owners[k], "group-"+strconv.Itoa(k))
	}
	require.Equal(t, n+len(stay), ix.Groups())
	for k := range owners {
		require.True(t, ix.Leave(&owners[k].list, "group-"+strconv.Itoa(k)))
	}
	owners = nil // what the test itself keeps
	require.Less(t, heap()-before, int64(n), "a byte for each group that was there")
	for k := range stay {
		require.Equal(t, 1, ix.Len("stay-"+strconv.Itoa(k)))
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestIndex_Concurrent(t *testing.T) {
	t.Parallel()
	ix := groups.New[*owner]()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			o := &owner{}
			for n := range 2000 {
				name := strconv.Itoa(n % 5)
				ix.Join(&o.list, o, name)
				for _, m := range ix.Snapshot(name) {
					_ = m.Owner.name
				}
				ix.Len(name)
				if n%3 == 0 || n%5 == 4 {
					ix.LeaveAll(&o.list)
				}
			}
			ix.LeaveAll(&o.list)
		})
	}
	wg.Wait()
	require.Zero(t, ix.Groups())
}

// A group keeps nothing of who has left, also where no snapshot made it copy its members.
func TestIndex_ForgetsWhoLeaves(t *testing.T) {
	t.Parallel()
	ix := groups.New[*owner]()
	stays := &owner{}
	ix.Join(&stays.list, stays, "x")
	left := func() weak.Pointer[owner] {
		leaves := &owner{name: strconv.Itoa(1)}
		ix.Join(&leaves.list, leaves, "x")
		ix.LeaveAll(&leaves.list)
		return weak.Make(leaves)
	}()
	runtime.GC()
	require.Nil(t, left.Value())
	require.Len(t, ix.Snapshot("x"), 1)
}
