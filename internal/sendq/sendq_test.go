package sendq_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/sendq"
)

func newQueue(limits sendq.Limits) *sendq.Queue {
	q := new(sendq.Queue)
	q.Limit(&limits)
	return q
}

// push pushes without asking for the role.
func push(t *testing.T, q *sendq.Queue, messages ...string) {
	t.Helper()
	for _, m := range messages {
		require.NoError(t, q.PushOnly([]byte(m)))
	}
}

// drain is what a drainer with a buffer of size bytes writes, until the end.
func drain(q *sendq.Queue, size int) (writes []string) {
	buf := make([]byte, 0, size)
	for {
		b, ok := q.Next(buf)
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

		{"urgent frames go first, a pong before a ping", 10, []string{"a"}, []urgent{{sendq.Ping, "I"}, {sendq.Pong, "O"}}, "", []string{"OIa"}},
		{"the newest of a kind wins", 10, nil, []urgent{{sendq.Pong, "1"}, {sendq.Ping, "I"}, {sendq.Pong, "2"}}, "", []string{"2I"}},
		{"urgent frames go before a big message", 10, []string{big}, []urgent{{sendq.Pong, "O"}}, "", []string{"O", big}},
		{"urgent frames alone", 10, nil, []urgent{{sendq.Ping, "I"}}, "", []string{"I"}},
		{"urgent frames without a buffer", 0, []string{"a"}, []urgent{{sendq.Ping, "I"}}, "", []string{"I", "a"}},

		{"the close frame goes last, with what it fits", 10, []string{"a", "b"}, []urgent{{sendq.Pong, "O"}}, "C", []string{"OabC"}},
		{"the close frame after one message", 10, []string{"a"}, nil, "C", []string{"aC"}},
		{"the close frame alone", 10, nil, nil, "C", []string{"C"}},
		{"the close frame after a big message", 10, []string{"a", big}, nil, "C", []string{"a", big, "C"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			q := newQueue(sendq.Limits{})
			push(t, q, tc.messages...)
			claimed := false
			for _, u := range tc.urgent {
				got := q.Urgent(u.kind, []byte(u.frame))
				require.Equal(t, !claimed, got)
				claimed = true
			}
			if tc.last != "" {
				require.Equal(t, !claimed, q.Close([]byte(tc.last)))
				claimed = true
			}
			require.Equal(t, !claimed, q.Claim())
			require.Equal(t, tc.want, drain(q, tc.size))
			require.False(t, q.Claim(), "empty")
			if tc.last != "" {
				require.True(t, done(q.Drained()))
			}
		})
	}
	t.Run("what is pushed meanwhile goes out too, urgent frames first", func(t *testing.T) {
		t.Parallel()
		q := newQueue(sendq.Limits{})
		push(t, q, "a", "b")
		require.True(t, q.Claim())
		b, ok := q.Next(make([]byte, 0, 1))
		require.True(t, ok)
		require.Equal(t, "a", string(b))
		push(t, q, "c")
		require.False(t, q.Urgent(sendq.Pong, []byte("O")), "somebody drains")
		require.Equal(t, []string{"O", "b", "c"}, drain(q, 1))
	})
}

func TestQueue_claims(t *testing.T) {
	t.Parallel()
	q := newQueue(sendq.Limits{})
	require.False(t, q.Claim(), "nothing to write")
	claimed, err := q.Push([]byte("a"))
	require.NoError(t, err)
	require.True(t, claimed)
	for range 2 {
		claimed, err = q.Push([]byte("b"))
		require.NoError(t, err)
		require.False(t, claimed, "taken")
		require.False(t, q.Claim(), "taken")
	}
	require.False(t, q.Urgent(sendq.Ping, []byte("I")), "taken")
	require.Equal(t, []string{"Iabb"}, drain(q, 10))
	claimed, err = q.Push([]byte("c"))
	require.NoError(t, err)
	require.True(t, claimed, "free again")
	require.Equal(t, []string{"c"}, drain(q, 10))
}

func TestQueue_Cork(t *testing.T) {
	t.Parallel()
	cork := func(q *sendq.Queue, m string, claim bool) (corked, drain bool) {
		return q.Cork(len(m), func(dst []byte) []byte { return append(dst, m...) }, claim)
	}
	q := newQueue(sendq.Limits{Messages: 4})
	corked, _ := cork(q, "x", true)
	require.False(t, corked, "nothing to join it with")
	for _, m := range []string{"a", "b"} {
		corked, drain := cork(q, m, false)
		require.True(t, corked)
		require.False(t, drain)
	}
	corked, drainer := cork(q, "c", true)
	require.True(t, corked && drainer)
	require.False(t, q.ClaimFor(1), "others come first")
	corked, _ = cork(q, "x", false)
	require.False(t, corked, "somebody drains")
	push(t, q, "d")
	require.ErrorIs(t, q.PushOnly([]byte("x")), sendq.ErrFull, "what is corked counts")
	require.Equal(t, []string{"abc", "d"}, drain(q, 10))

	push(t, q, "a")
	corked, _ = cork(q, "x", false)
	require.False(t, corked, "a message comes first")
	require.True(t, q.Claim())
	require.Equal(t, []string{"a"}, drain(q, 10))

	corked, _ = cork(q, strings.Repeat("x", 5000), false)
	require.False(t, corked, "too large")
	corked, _ = cork(q, strings.Repeat("x", 4000), false)
	require.True(t, corked)
	corked, _ = cork(q, strings.Repeat("x", 4000), false)
	require.False(t, corked, "no room")
	q.Abort()
	require.True(t, done(q.Drained()), "what was corked is forgotten")
}

func TestQueue_Hold(t *testing.T) {
	t.Parallel()
	q := newQueue(sendq.Limits{})
	q.Hold()
	claimed, err := q.Push([]byte("a"))
	require.NoError(t, err)
	require.False(t, claimed)
	require.False(t, q.Close([]byte("C")))
	require.False(t, done(q.Drained()))
	require.Equal(t, []string{"aC"}, drain(q, 10))
	require.True(t, done(q.Drained()))
}

func TestQueue_limits(t *testing.T) {
	t.Parallel()
	try := func(q *sendq.Queue, m string) error { return q.PushOnly([]byte(m)) }
	t.Run("messages, those being written included", func(t *testing.T) {
		t.Parallel()
		q := newQueue(sendq.Limits{Messages: 2})
		push(t, q, "a", "b")
		require.ErrorIs(t, try(q, "c"), sendq.ErrFull)
		require.True(t, q.Claim())
		_, _ = q.Next(make([]byte, 0, 10))
		require.ErrorIs(t, try(q, "c"), sendq.ErrFull, "both are being written")
		_, ok := q.Next(nil)
		require.False(t, ok)
		push(t, q, "c", "d")
		require.ErrorIs(t, try(q, "e"), sendq.ErrFull)
		require.True(t, q.Claim())
		require.Equal(t, []string{"cd"}, drain(q, 10), "what was refused is not held")
	})
	t.Run("bytes, those being written included", func(t *testing.T) {
		t.Parallel()
		q := newQueue(sendq.Limits{Bytes: 5})
		push(t, q, "aaa", "bb")
		require.ErrorIs(t, try(q, "c"), sendq.ErrFull)
		require.True(t, q.Claim())
		b, _ := q.Next(make([]byte, 0, 3))
		require.Equal(t, "aaa", string(b))
		require.ErrorIs(t, try(q, "c"), sendq.ErrFull)
		b, _ = q.Next(make([]byte, 0, 3)) // aaa is written
		require.Equal(t, "bb", string(b))
		push(t, q, "ccc")
		require.ErrorIs(t, try(q, "d"), sendq.ErrFull)
	})
	t.Run("an empty queue takes a message above the limit", func(t *testing.T) {
		t.Parallel()
		q := newQueue(sendq.Limits{Bytes: 5})
		push(t, q, "aaaaaaaa")
		require.ErrorIs(t, try(q, "b"), sendq.ErrFull)
		require.True(t, q.Claim())
		_, _ = q.Next(nil)
		require.ErrorIs(t, try(q, "b"), sendq.ErrFull, "being written is not empty")
	})
	t.Run("control frames do not count", func(t *testing.T) {
		t.Parallel()
		q := newQueue(sendq.Limits{Bytes: 1, Messages: 1})
		require.True(t, q.Urgent(sendq.Pong, []byte("OOO")))
		push(t, q, "a")
		require.False(t, q.Urgent(sendq.Ping, []byte("III")))
		require.False(t, q.Close([]byte("CCC")))
		require.Equal(t, []string{"OOOIIIaCCC"}, drain(q, 10))
	})
	t.Run("zero is no limit", func(t *testing.T) {
		t.Parallel()
		q := newQueue(sendq.Limits{})
		for range 10_000 {
			push(t, q, "a")
		}
		require.True(t, q.Claim())
		require.Equal(t, []string{strings.Repeat("a", 10_000)}, drain(q, 10_000))
	})
}

// TestQueue_growth is not parallel: what others allocate would count. A queue
// that never runs empty must not keep the places of messages long gone.
func TestQueue_growth(t *testing.T) {
	q := newQueue(sendq.Limits{Messages: 3})
	message, buf := []byte("a"), make([]byte, 0, 1)
	push(t, q, "a", "a")
	require.True(t, q.Claim())
	round := func() {
		_, _ = q.Next(buf)
		_ = q.PushOnly(message)
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
		q := newQueue(sendq.Limits{})
		require.False(t, q.Close(nil))
		require.True(t, done(q.Drained()))
	})
	t.Run("a queue is drained when its drainer has written all", func(t *testing.T) {
		t.Parallel()
		q := newQueue(sendq.Limits{})
		push(t, q, "a")
		require.True(t, q.Close([]byte("C")))
		_, ok := q.Next(nil)
		require.True(t, ok)
		require.False(t, done(q.Drained()))
		_, ok = q.Next(nil)
		require.True(t, ok)
		require.False(t, done(q.Drained()), "the close frame is being written")
		_, ok = q.Next(nil)
		require.False(t, ok)
		require.True(t, done(q.Drained()))
	})
	t.Run("a queue is not drained while its last message is written", func(t *testing.T) {
		t.Parallel()
		q := newQueue(sendq.Limits{})
		push(t, q, "a")
		require.True(t, q.Claim())
		_, _ = q.Next(nil)
		require.False(t, q.Close(nil), "somebody drains")
		require.False(t, done(q.Drained()))
		require.Empty(t, drain(q, 0))
		require.True(t, done(q.Drained()))
	})
	t.Run("nothing comes after it", func(t *testing.T) {
		t.Parallel()
		q := newQueue(sendq.Limits{Messages: 1})
		push(t, q, "a")
		require.True(t, q.Close([]byte("C")))
		_, err := q.Push([]byte("b"))
		require.ErrorIs(t, err, sendq.ErrClosed)
		_, err = q.PushWait([]byte("b"))
		require.ErrorIs(t, err, sendq.ErrClosed)
		require.False(t, q.Urgent(sendq.Pong, []byte("O")))
		require.False(t, q.Close([]byte("D")), "the first one wins")
		require.Equal(t, []string{"aC"}, drain(q, 10))
		require.False(t, q.Close([]byte("D")))
		require.False(t, q.Claim())
	})
}

func TestQueue_Abort(t *testing.T) {
	t.Parallel()
	t.Run("forgets what it holds", func(t *testing.T) {
		t.Parallel()
		q := newQueue(sendq.Limits{})
		push(t, q, "a")
		q.Abort()
		require.True(t, done(q.Drained()))
		require.False(t, q.Claim())
		_, err := q.Push([]byte("b"))
		require.ErrorIs(t, err, sendq.ErrClosed)
		q.Abort()
		require.False(t, q.Close([]byte("C")))
		require.Empty(t, drain(q, 10))
	})
	t.Run("waits for what is being written", func(t *testing.T) {
		t.Parallel()
		q := newQueue(sendq.Limits{})
		push(t, q, "a", "b")
		require.True(t, q.Claim())
		_, _ = q.Next(make([]byte, 0, 1))
		q.Abort()
		require.False(t, done(q.Drained()))
		require.Empty(t, drain(q, 1))
		require.True(t, done(q.Drained()))
	})
	t.Run("forgets the close frame", func(t *testing.T) {
		t.Parallel()
		q := newQueue(sendq.Limits{})
		push(t, q, "a")
		require.True(t, q.Close([]byte("C")))
		drained := q.Drained()
		q.Abort()
		require.False(t, done(drained), "its drainer has not come yet")
		require.Empty(t, drain(q, 10))
		require.True(t, done(drained))
	})
}

func TestQueue_PushWait(t *testing.T) {
	t.Parallel()
	full := func(t *testing.T) (q *sendq.Queue, result <-chan error, drainer *atomic.Bool) {
		t.Helper()
		q = newQueue(sendq.Limits{Messages: 1})
		push(t, q, "a")
		ch, drainer := make(chan error, 1), new(atomic.Bool)
		go func() { // ends with the bubble
			d, err := q.PushWait([]byte("b"))
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
			require.True(t, q.Claim())
			_, _ = q.Next(nil)
			synctest.Wait()
			require.Empty(t, result, "a is being written")
			_, ok := q.Next(nil)
			require.False(t, ok)
			require.NoError(t, <-result)
			require.True(t, drainer.Load(), "nobody drained any more")
			require.Equal(t, []string{"b"}, drain(q, 0))
		})
	})
	for name, end := range map[string]func(*sendq.Queue){
		"Close": func(q *sendq.Queue) { q.Close([]byte("C")) },
		"Abort": (*sendq.Queue).Abort,
	} {
		t.Run("is woken by "+name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q, result, _ := full(t)
				end(q)
				require.ErrorIs(t, <-result, sendq.ErrClosed)
			})
		})
	}
	t.Run("does not wait when there is room", func(t *testing.T) {
		t.Parallel()
		q := newQueue(sendq.Limits{Messages: 2, Bytes: 2})
		for _, want := range []bool{true, false} {
			claimed, err := q.PushWait([]byte("a"))
			require.NoError(t, err)
			require.Equal(t, want, claimed)
		}
	})
	t.Run("all who wait get their turn", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			q := newQueue(sendq.Limits{Messages: 1})
			const pushers = 20
			var wg sync.WaitGroup
			var written atomic.Int64
			for i := range pushers {
				wg.Go(func() {
					claimed, err := q.PushWait([]byte(fmt.Sprint(i % 10)))
					if err == nil && claimed {
						for _, w := range drain(q, 4) {
							written.Add(int64(len(w)))
						}
					}
				})
			}
			wg.Wait()
			require.EqualValues(t, pushers, written.Load())
		})
	})
}

// Many push at once; whoever gets the role drains. What a drainer touches has no
// other guard than the role, so that the race detector sees a second one.
func TestQueue_concurrently(t *testing.T) {
	t.Parallel()
	const pushers, each = 8, 500
	q := newQueue(sendq.Limits{Messages: 16, Bytes: 1000})
	next := make([]int, pushers) // what must come from each: order is kept
	var wrong []string
	runDrainer := func() {
		buf := make([]byte, 0, 64)
		for b, ok := q.Next(buf); ok; b, ok = q.Next(buf) {
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
				corked, claimed := q.Cork(len(text), encode, i%5 == 0)
				if !corked {
					claimed, _ = q.PushWait(text)
				}
				if claimed {
					runDrainer()
				}
			}
		})
	}
	wg.Wait()
	if q.Close(nil) {
		runDrainer()
	}
	<-q.Drained()
	require.Empty(t, wrong)
	for who := range pushers {
		require.Equal(t, each, next[who])
	}
}
