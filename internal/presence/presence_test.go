package presence_test

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/presence"
)

type event = presence.Event[int]

// slow runs each event for a second.
type slow struct {
	presence.Queues[int]

	wg  sync.WaitGroup
	mu  sync.Mutex
	ran []event
}

func newSlow() *slow {
	s := &slow{}
	s.Go = func(f func()) { s.wg.Go(f) }
	s.Run = func(e event) {
		time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ran = append(s.ran, e)
	}
	return s
}

// Events of a group run in order, those of different groups at the same time.
func TestQueues_Order(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSlow()
		start := time.Now()
		s.Joined(0, "a")
		s.Joined(1, "a")
		s.Left(1, "a")
		s.Left(0, "a")
		s.Joined(0, "a")
		s.Joined(9, "b")
		require.Zero(t, time.Since(start), "nobody has waited")
		require.Equal(t, [3]int{1, 1, 0}, [3]int{s.MemberLeaves(0), s.MemberLeaves(1), s.MemberLeaves(9)})
		require.Equal(t, 6, s.Len())
		require.Equal(t, 2, s.GroupLeaves("a"))
		s.Wait(7) // it has nothing to be told
		s.Wait(9)
		require.Equal(t, time.Second, time.Since(start))
		s.Wait(1)
		require.Equal(t, 3*time.Second, time.Since(start))
		s.Wait(0)
		require.Equal(t, 5*time.Second, time.Since(start))
		s.wg.Wait()
		s.ran = slices.DeleteFunc(s.ran, func(e event) bool { return e.Group != "a" })
		require.Equal(t, []event{{0, "a", true}, {1, "a", true}, {1, "a", false}, {0, "a", false}, {0, "a", true}}, s.ran)
		require.Zero(t, s.Sizes(), "nothing is kept")
	})
}

// While many wait, a JOIN that is undone is taken back, and one LEAVE for each member is enough.
func TestQueues_TakeBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSlow()
		for n := range presence.Many {
			s.Joined(n, "g")
		}
		synctest.Wait() // the JOIN of 0 runs
		s.Left(1, "g")  // not yet many
		s.Left(0, "g")
		for range 3 {
			s.Left(2, "g")
			s.Joined(2, "g")
		}
		s.wg.Wait()
		require.Equal(t, event{1, "g", true}, s.ran[1])
		require.Equal(t, event{3, "g", true}, s.ran[2])
		require.Equal(t, []event{{1, "g", false}, {0, "g", false}, {2, "g", false}, {2, "g", true}}, s.ran[presence.Many-1:])
		require.Zero(t, s.Sizes())
	})
}

// Whatever members do, and whatever Run does: between two JOINs of a member there is a LEAVE, and the
// last event says where it is.
func TestQueues_Members(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	in, wrong := map[event]bool{}, []event{}
	qs := &presence.Queues[int]{}
	var wg, members sync.WaitGroup
	qs.Go = func(f func()) { wg.Go(f) }
	qs.Run = func(e event) {
		mu.Lock()
		at := event{e.Member, e.Group, true}
		if in[at] && e.Joins {
			wrong = append(wrong, e)
		}
		in[at] = e.Joins
		mu.Unlock()
		switch rand.IntN(20) {
		case 0:
			runtime.Goexit()
		case 1:
			runtime.Gosched()
		}
	}
	const each = 8
	ends := [each]map[string]bool{}
	for n := range each {
		ends[n] = map[string]bool{}
		members.Go(func() {
			for range 3000 {
				group := []string{"a", "b", "c"}[rand.IntN(3)]
				if ends[n][group] {
					qs.Left(n, group)
				} else {
					qs.Joined(n, group)
				}
				ends[n][group] = !ends[n][group]
			}
			qs.Wait(n)
		})
	}
	members.Wait()
	wg.Wait()
	require.Empty(t, wrong)
	for n, groups := range ends {
		for group, is := range groups {
			require.Equal(t, is, in[event{n, group, true}])
		}
	}
	require.Zero(t, qs.Sizes())
}

// However fast members come and go, and however slow Run is, events are bounded.
func TestQueues_Bound(t *testing.T) {
	t.Parallel()
	for name, stay := range map[string]func() time.Duration{
		"shortly":        func() time.Duration { return rand.N(time.Second) },
		"until told":     func() time.Duration { return presence.Many * time.Second },
		"until all went": func() time.Duration { return 2 * presence.Many * time.Second },
		"as it may be":   func() time.Duration { return rand.N(10*time.Second) * time.Duration(1+rand.IntN(500)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const most = 200
				s := newSlow()
				var members sync.WaitGroup
				for n := range most {
					members.Go(func() {
						for end := time.Now().Add(max(3*stay(), 1000*time.Second)); time.Now().Before(end); n += most { // always another one
							if s.GroupLeaves("g") >= presence.MaxLeaves {
								time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble
								continue
							}
							s.Joined(n, "g")
							time.Sleep(stay()) //nolint:forbidigo // in a synctest bubble
							s.Left(n, "g")
							if waiting := s.Sizes()[3]; waiting > presence.Many+presence.MaxLeaves+2*most {
								t.Errorf("%d wait", waiting)
								return
							}
						}
					})
				}
				members.Wait()
				s.wg.Wait()
				require.Zero(t, s.Sizes())
			})
		})
	}
}
