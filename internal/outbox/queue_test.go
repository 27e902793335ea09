package outbox

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// fixed is a peer that has only limits.
type fixed struct {
	Peer
	limits *Limits
}

func (f fixed) Limits() *Limits { return f.limits }

func newQueue(limits Limits) *queue {
	return &queue{peer: fixed{limits: &limits}}
}

// push calls push and drops the role of the drainer.
func push(t *testing.T, q *queue, messages ...string) {
	t.Helper()
	for _, m := range messages {
		require.NoError(t, q.pushOnly([]byte(m)))
	}
}

// drain returns the writes of a drainer with a buffer of size bytes, until the queue
// is empty.
func drain(q *queue, size int) (writes []string) {
	buf := make([]byte, 0, size)
	for {
		b, ok := q.next(buf)
		if !ok {
			return writes
		}
		writes = append(writes, string(b))
	}
}

func done(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

func TestQueue_Next(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("b", 20)
	type urgent struct {
		kind  int
		frame string
	}
	for _, tc := range []struct {
		name     string
		size     int // of the drainer's buffer
		messages []string
		urgent   []urgent
		last     string
		want     []string
	}{
		{"one message goes as it is", 10, []string{"a"}, nil, "", []string{"a"}},
		{"messages are joined in order", 10, []string{"a", "bb", "ccc"}, nil, "", []string{"abbccc"}},
		{"up to the buffer's capacity exactly", 6, []string{"a", "bb", "ccc", "d"}, nil, "", []string{"abbccc", "d"}},
		{"but no further", 5, []string{"a", "bb", "ccc", "d"}, nil, "", []string{"abb", "cccd"}},
		{"a big one goes as it is", 10, []string{big}, nil, "", []string{big}},
		{"a big one first", 10, []string{big, "a", "b"}, nil, "", []string{big, "ab"}},
		{"a big one in between", 10, []string{"a", "b", big, "c", "d"}, nil, "", []string{"ab", big, "cd"}},
		{"without a buffer, each by itself", 0, []string{"a", "b"}, nil, "", []string{"a", "b"}},

		{"urgent frames go first, a pong before a ping", 10, []string{"a"}, []urgent{{ping, "I"}, {pong, "O"}}, "", []string{"OIa"}},
		{"the newest of a kind wins", 10, nil, []urgent{{pong, "1"}, {ping, "I"}, {pong, "2"}}, "", []string{"2I"}},
		{"urgent frames go before a big message", 10, []string{big}, []urgent{{pong, "O"}}, "", []string{"O", big}},
		{"urgent frames alone", 10, nil, []urgent{{ping, "I"}}, "", []string{"I"}},
		{"urgent frames without a buffer", 0, []string{"a"}, []urgent{{ping, "I"}}, "", []string{"I", "a"}},

		{"the close frame goes last, with what it fits", 10, []string{"a", "b"}, []urgent{{pong, "O"}}, "C", []string{"OabC"}},
		{"the close frame after one message", 10, []string{"a"}, nil, "C", []string{"aC"}},
		{"the close frame alone", 10, nil, nil, "C", []string{"C"}},
		{"the close frame after a big message", 10, []string{"a", big}, nil, "C", []string{"a", big, "C"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			q := newQueue(Limits{})
			push(t, q, tc.messages...)
			claimed := false
			for _, u := range tc.urgent {
				got := q.urgent(u.kind, []byte(u.frame))
				require.Equal(t, !claimed, got)
				claimed = true
			}
			if tc.last != "" {
				require.Equal(t, !claimed, q.close([]byte(tc.last)))
				claimed = true
			}
			require.Equal(t, !claimed, q.claim())
			require.Equal(t, tc.want, drain(q, tc.size))
			require.False(t, q.claim(), "empty")
			if tc.last != "" {
				require.True(t, done(q.drained()))
			}
		})
	}
	t.Run("what is pushed meanwhile goes out too, urgent frames first", func(t *testing.T) {
		t.Parallel()
		q := newQueue(Limits{})
		push(t, q, "a", "b")
		require.True(t, q.claim())
		b, ok := q.next(make([]byte, 0, 1))
		require.True(t, ok)
		require.Equal(t, "a", string(b))
		push(t, q, "c")
		require.False(t, q.urgent(pong, []byte("O")), "somebody drains")
		require.Equal(t, []string{"O", "b", "c"}, drain(q, 1))
	})
}

func TestQueue_claims(t *testing.T) {
	t.Parallel()
	q := newQueue(Limits{})
	require.False(t, q.claim(), "nothing to write")
	claimed, err := q.push([]byte("a"))
	require.NoError(t, err)
	require.True(t, claimed)
	for range 2 {
		claimed, err = q.push([]byte("b"))
		require.NoError(t, err)
		require.False(t, claimed, "taken")
		require.False(t, q.claim(), "taken")
	}
	require.False(t, q.urgent(ping, []byte("I")), "taken")
	require.Equal(t, []string{"Iabb"}, drain(q, 10))
	claimed, err = q.push([]byte("c"))
	require.NoError(t, err)
	require.True(t, claimed, "free again")
	require.Equal(t, []string{"c"}, drain(q, 10))
}

func TestQueue_Cork(t *testing.T) {
	t.Parallel()
	cork := func(q *queue, m string, claim bool) (corked, drain bool) {
		return q.cork(len(m), func(dst []byte) []byte { return append(dst, m...) }, claim)
	}
	q := newQueue(Limits{Messages: 4})
	corked, _ := cork(q, "x", true)
	require.False(t, corked, "nothing to join it with")
	for _, m := range []string{"a", "b"} {
		corked, drain := cork(q, m, false)
		require.True(t, corked)
		require.False(t, drain)
	}
	corked, drainer := cork(q, "c", true)
	require.True(t, corked && drainer)
	require.False(t, q.claimFor(1), "others come first")
	corked, _ = cork(q, "x", false)
	require.False(t, corked, "somebody drains")
	push(t, q, "d")
	require.ErrorIs(t, q.pushOnly([]byte("x")), ErrFull, "what is corked counts")
	require.Equal(t, []string{"abc", "d"}, drain(q, 10))

	push(t, q, "a")
	corked, _ = cork(q, "x", false)
	require.False(t, corked, "a message comes first")
	require.True(t, q.claim())
	require.Equal(t, []string{"a"}, drain(q, 10))

	corked, _ = cork(q, strings.Repeat("x", 5000), false)
	require.False(t, corked, "too large")
	corked, _ = cork(q, strings.Repeat("x", 4000), false)
	require.True(t, corked)
	corked, _ = cork(q, strings.Repeat("x", 4000), false)
	require.False(t, corked, "no room")
	q.abort()
	require.True(t, done(q.drained()), "what was corked is forgotten")
}

// When a message is written, the queue subtracts what it has counted for it, whatever
// size the caller expected.
func TestQueue_Cork_counts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name           string
		expected, real int
	}{
		{"as expected", 10, 10},
		{"smaller than expected", 10, 8},
		{"larger than expected", 10, 30},
		{"one byte", 4, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			q := newQueue(Limits{Bytes: 64, Messages: 8})
			message := strings.Repeat("x", tc.real)
			encode := func(dst []byte) []byte { return append(dst, message...) }
			for range 1000 { // far more than the limits allow, one after the other
				for range 2 {
					corked, _ := q.cork(tc.expected, encode, false)
					require.True(t, corked)
				}
				require.Equal(t, 2*tc.real, q.bytes)
				require.True(t, q.claim())
				require.Len(t, strings.Join(drain(q, 10), ""), 2*tc.real)
				require.Zero(t, q.count)
				require.Zero(t, q.bytes)
			}
		})
	}
	t.Run("one that turns out too large is not taken", func(t *testing.T) {
		t.Parallel()
		q := newQueue(Limits{Bytes: 20})
		corked, _ := q.cork(4, func(dst []byte) []byte { return append(dst, "aaaa"...) }, false)
		require.True(t, corked)
		corked, _ = q.cork(4, func(dst []byte) []byte { return append(dst, strings.Repeat("b", 17)...) }, false)
		require.False(t, corked)
		corked, _ = q.cork(4, func(dst []byte) []byte { return append(dst, strings.Repeat("b", 16)...) }, false)
		require.True(t, corked)
		require.True(t, q.claim())
		require.Equal(t, []string{"aaaa" + strings.Repeat("b", 16)}, drain(q, 10))
	})
}

func TestQueue_Hold(t *testing.T) {
	t.Parallel()
	q := newQueue(Limits{})
	q.hold()
	claimed, err := q.push([]byte("a"))
	require.NoError(t, err)
	require.False(t, claimed)
	require.False(t, q.close([]byte("C")))
	require.False(t, done(q.drained()))
	require.Equal(t, []string{"aC"}, drain(q, 10))
	require.True(t, done(q.drained()))
}

func TestQueue_limits(t *testing.T) {
	t.Parallel()
	try := func(q *queue, m string) error { return q.pushOnly([]byte(m)) }
	t.Run("messages, those being written included", func(t *testing.T) {
		t.Parallel()
		q := newQueue(Limits{Messages: 2})
		push(t, q, "a", "b")
		require.ErrorIs(t, try(q, "c"), ErrFull)
		require.True(t, q.claim())
		_, _ = q.next(make([]byte, 0, 10))
		require.ErrorIs(t, try(q, "c"), ErrFull, "both are being written")
		_, ok := q.next(nil)
		require.False(t, ok)
		push(t, q, "c", "d")
		require.ErrorIs(t, try(q, "e"), ErrFull)
		require.True(t, q.claim())
		require.Equal(t, []string{"cd"}, drain(q, 10), "what was refused is not held")
	})
	t.Run("bytes, those being written included", func(t *testing.T) {
		t.Parallel()
		q := newQueue(Limits{Bytes: 5})
		push(t, q, "aaa", "bb")
		require.ErrorIs(t, try(q, "c"), ErrFull)
		require.True(t, q.claim())
		b, _ := q.next(make([]byte, 0, 3))
		require.Equal(t, "aaa", string(b))
		require.ErrorIs(t, try(q, "c"), ErrFull)
		b, _ = q.next(make([]byte, 0, 3)) // so aaa is written
		require.Equal(t, "bb", string(b))
		push(t, q, "ccc")
		require.ErrorIs(t, try(q, "d"), ErrFull)
	})
	t.Run("an empty queue takes a message above the limit", func(t *testing.T) {
		t.Parallel()
		q := newQueue(Limits{Bytes: 5})
		push(t, q, "aaaaaaaa")
		require.ErrorIs(t, try(q, "b"), ErrFull)
		require.True(t, q.claim())
		_, _ = q.next(nil)
		require.ErrorIs(t, try(q, "b"), ErrFull, "being written is not empty")
	})
	t.Run("control frames do not count", func(t *testing.T) {
		t.Parallel()
		q := newQueue(Limits{Bytes: 1, Messages: 1})
		require.True(t, q.urgent(pong, []byte("OOO")))
		push(t, q, "a")
		require.False(t, q.urgent(ping, []byte("III")))
		require.False(t, q.close([]byte("CCC")))
		require.Equal(t, []string{"OOOIIIaCCC"}, drain(q, 10))
	})
	t.Run("zero is no limit", func(t *testing.T) {
		t.Parallel()
		q := newQueue(Limits{})
		for range 10_000 {
			push(t, q, "a")
		}
		require.True(t, q.claim())
		require.Equal(t, []string{strings.Repeat("a", 10_000)}, drain(q, 10_000))
	})
}

// TestQueue_growth is not parallel, because it would count what other tests allocate.
// A queue that never runs empty must not keep the slots of messages that were written
// long ago.
func TestQueue_growth(t *testing.T) {
	q := newQueue(Limits{Messages: 3})
	message, buf := []byte("a"), make([]byte, 0, 1)
	push(t, q, "a", "a")
	require.True(t, q.claim())
	round := func() {
		_, _ = q.next(buf)
		_ = q.pushOnly(message)
	}
	for range 100 {
		round()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100_000 {
		round()
	}
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<10))
}

func TestQueue_Close(t *testing.T) {
	t.Parallel()
	t.Run("an empty queue is drained at once", func(t *testing.T) {
		t.Parallel()
		q := newQueue(Limits{})
		require.False(t, q.close(nil))
		require.True(t, done(q.drained()))
	})
	t.Run("a queue is drained when its drainer has written all", func(t *testing.T) {
		t.Parallel()
		q := newQueue(Limits{})
		push(t, q, "a")
		require.True(t, q.close([]byte("C")))
		_, ok := q.next(nil)
		require.True(t, ok)
		require.False(t, done(q.drained()))
		_, ok = q.next(nil)
		require.True(t, ok)
		require.False(t, done(q.drained()), "the close frame is being written")
		_, ok = q.next(nil)
		require.False(t, ok)
		require.True(t, done(q.drained()))
	})
	t.Run("a queue is not drained while its last message is written", func(t *testing.T) {
		t.Parallel()
		q := newQueue(Limits{})
		push(t, q, "a")
		require.True(t, q.claim())
		_, _ = q.next(nil)
		require.False(t, q.close(nil), "somebody drains")
		require.False(t, done(q.drained()))
		require.Empty(t, drain(q, 0))
		require.True(t, done(q.drained()))
	})
	t.Run("nothing comes after it", func(t *testing.T) {
		t.Parallel()
		q := newQueue(Limits{Messages: 1})
		push(t, q, "a")
		require.True(t, q.close([]byte("C")))
		_, err := q.push([]byte("b"))
		require.ErrorIs(t, err, ErrClosed)
		_, _, err = q.pushWait([]byte("b"))
		require.ErrorIs(t, err, ErrClosed)
		require.False(t, q.urgent(pong, []byte("O")))
		require.False(t, q.close([]byte("D")), "the first one wins")
		require.Equal(t, []string{"aC"}, drain(q, 10))
		require.False(t, q.close([]byte("D")))
		require.False(t, q.claim())
	})
}

func TestQueue_Abort(t *testing.T) {
	t.Parallel()
	t.Run("forgets what it holds", func(t *testing.T) {
		t.Parallel()
		q := newQueue(Limits{})
		push(t, q, "a")
		q.abort()
		require.True(t, done(q.drained()))
		require.False(t, q.claim())
		_, err := q.push([]byte("b"))
		require.ErrorIs(t, err, ErrClosed)
		q.abort()
		require.False(t, q.close([]byte("C")))
		require.Empty(t, drain(q, 10))
	})
	t.Run("waits for what is being written", func(t *testing.T) {
		t.Parallel()
		q := newQueue(Limits{})
		push(t, q, "a", "b")
		require.True(t, q.claim())
		_, _ = q.next(make([]byte, 0, 1))
		q.abort()
		require.False(t, done(q.drained()))
		require.Empty(t, drain(q, 1))
		require.True(t, done(q.drained()))
	})
	t.Run("forgets the close frame", func(t *testing.T) {
		t.Parallel()
		q := newQueue(Limits{})
		push(t, q, "a")
		require.True(t, q.close([]byte("C")))
		drained := q.drained()
		q.abort()
		require.False(t, done(drained), "its drainer has not come yet")
		require.Empty(t, drain(q, 10))
		require.True(t, done(drained))
	})
}

func TestQueue_PushWait(t *testing.T) {
	t.Parallel()
	full := func(t *testing.T) (q *queue, result <-chan error, drainer *atomic.Bool) {
		t.Helper()
		q = newQueue(Limits{Messages: 1})
		push(t, q, "a")
		require.True(t, q.claim(), "another goroutine drains it")
		ch, drainer := make(chan error, 1), new(atomic.Bool)
		go func() { // ends with the bubble
			_, d, err := q.pushWait([]byte("b"))
			drainer.Store(d)
			ch <- err
		}()
		synctest.Wait()
		require.Empty(t, ch, "there is no room")
		return q, ch, drainer
	}
	t.Run("waits until a message is written", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			q, result, drainer := full(t)
			_, _ = q.next(nil)
			synctest.Wait()
			require.Empty(t, result, "a is being written")
			_, ok := q.next(nil)
			require.False(t, ok)
			require.NoError(t, <-result)
			require.True(t, drainer.Load(), "nobody drained any more")
			require.Equal(t, []string{"b"}, drain(q, 0))
		})
	})
	for name, end := range map[string]func(*queue){
		"Close": func(q *queue) { q.close([]byte("C")) },
		"Abort": (*queue).abort,
	} {
		t.Run("is woken by "+name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q, result, _ := full(t)
				end(q)
				require.ErrorIs(t, <-result, ErrClosed)
			})
		})
	}
	t.Run("does not wait for itself: who comes to a full queue that nobody drains has to drain it", func(t *testing.T) {
		t.Parallel()
		for name, fill := range map[string]func(*queue){
			"messages": func(q *queue) { push(t, q, "a", "b") },
			"corked": func(q *queue) {
				for range 2 {
					corked, _ := q.cork(1, func(dst []byte) []byte { return append(dst, 'a') }, false)
					require.True(t, corked)
				}
			},
		} {
			q := newQueue(Limits{Messages: 2})
			fill(q)
			pushed, claimed, err := q.pushWait([]byte("c"))
			require.NoError(t, err)
			require.False(t, pushed, name)
			require.True(t, claimed, name)
			require.Len(t, drain(q, 10), 1)
			pushed, claimed, err = q.pushWait([]byte("c"))
			require.NoError(t, err)
			require.True(t, pushed && claimed, name)
		}
	})
	t.Run("does not wait when there is room", func(t *testing.T) {
		t.Parallel()
		q := newQueue(Limits{Messages: 2, Bytes: 2})
		for _, want := range []bool{true, false} {
			pushed, claimed, err := q.pushWait([]byte("a"))
			require.NoError(t, err)
			require.True(t, pushed)
			require.Equal(t, want, claimed)
		}
	})
	t.Run("all who wait get their turn", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			q := newQueue(Limits{Messages: 1})
			const pushers = 20
			var wg sync.WaitGroup
			var written atomic.Int64
			for i := range pushers {
				wg.Go(func() {
					for pushed, claimed := false, false; !pushed; {
						pushed, claimed, _ = q.pushWait([]byte(fmt.Sprint(i % 10)))
						if claimed {
							for _, w := range drain(q, 4) {
								written.Add(int64(len(w)))
							}
						}
					}
				})
			}
			wg.Wait()
			require.EqualValues(t, pushers, written.Load())
		})
	})
}

// Many goroutines push at once; whoever gets the role drains. Only the role guards
// what a drainer touches, so the race detector would see a second drainer.
func TestQueue_concurrently(t *testing.T) {
	t.Parallel()
	const pushers, each = 8, 500
	q := newQueue(Limits{Messages: 16, Bytes: 1000})
	next := make([]int, pushers) // the next number of each pusher: the order is kept
	var wrong []string
	runDrainer := func() {
		buf := make([]byte, 0, 64)
		for b, ok := q.next(buf); ok; b, ok = q.next(buf) {
			for _, word := range strings.Fields(string(b)) {
				var who, i int
				if _, err := fmt.Sscanf(word, "%d:%d", &who, &i); err != nil || i != next[who] {
					wrong = append(wrong, word)
					continue
				}
				next[who]++
			}
			runtime.Gosched()
		}
	}
	var wg sync.WaitGroup
	for who := range pushers {
		wg.Go(func() {
			for i := range each {
				text := fmt.Appendf(nil, "%d:%d ", who, i)
				encode := func(dst []byte) []byte { return append(dst, text...) }
				done, claimed := q.cork(len(text), encode, i%5 == 0)
				for {
					if claimed {
						runDrainer()
					}
					if done {
						break
					}
					done, claimed, _ = q.pushWait(text)
				}
			}
		})
	}
	wg.Wait()
	if q.close(nil) {
		runDrainer()
	}
	<-q.drained()
	require.Empty(t, wrong)
	for who := range pushers {
		require.Equal(t, each, next[who])
	}
}

// pushOnly is push, but leaves the role of the drainer to others.
func (q *queue) pushOnly(message []byte) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.pushLocked(message)
}
