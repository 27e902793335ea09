package flood_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
)

// perConnection computes how many bytes the gateway may hold for a client that does
// not read, if all messages have one size: the messages that the quotas let wait,
// plus an eighth because the allocator rounds up, plus what each connection needs
// once.
func perConnection(q gateway.Quotas, size int) int {
	const (
		fragment    = 8 << 10  // larger messages are sent in frames of this size
		header      = 4        // of each frame
		writeBuffer = 16 << 10 // of the goroutine that waits for the socket
		stack       = 16 << 10 // of the same goroutine
		slot        = 2 * 24   // of a message in the queue: a slice grows by doubling
	)
	frame := size + header*(1+size/fragment)
	messages := min(q.SendBufferMessages, max(1, q.SendBufferBytes/frame))
	return messages*frame*9/8 + messages*slot + writeBuffer + stack
}

// messageBytes is the size of a broadcast message.
const messageBytes = 1 << 10

// broadcast is a gateway with clients in another process. Messages are sent as fast
// as the readers read.
type broadcast struct {
	*server
	clients          *clientProcess
	reading, stalled []string // connection IDs
	rounds           int      // messages to everybody so far
}

func newBroadcast(t *testing.T, readers, stalled int, quotas gateway.Quotas) *broadcast {
	t.Helper()
	b := &broadcast{server: start(t, quotas)}
	b.clients = startClients(t, b.addr, readers, stalled)
	for n := range readers {
		b.reading = append(b.reading, b.id(fmt.Sprint("reader", n)))
	}
	for n := range stalled {
		b.stalled = append(b.stalled, b.id(fmt.Sprint("stalled", n)))
	}
	return b
}

// run broadcasts windows of messages. The readers are never more than two windows
// behind, so none of their posts should be refused.
func (b *broadcast) run(windows int) (took time.Duration, refused int) {
	b.t.Helper()
	everybody := slices.Concat(b.reading, b.stalled)
	begin := time.Now()
	for n := range windows {
		for range window {
			errs := b.PostToConnections(b.t.Context(), everybody, numbered(b.rounds, messageBytes))
			b.rounds++
			for n, err := range errs {
				if n < len(b.reading) {
					require.NoError(b.t, err, "a reader")
				} else if err != nil {
					require.ErrorIs(b.t, err, gateway.ErrLimitExceeded)
					refused++
				}
			}
		}
		if n > 0 {
			b.clients.expect(fmt.Sprint("window ", b.rounds/window-1))
		}
	}
	b.clients.expect(fmt.Sprint("window ", b.rounds/window))
	return time.Since(begin), refused
}

// Clients that never read cost at most what the quotas allow, and cost no other
// client a message: every post to the readers is accepted and arrives, in order.
func TestStalled_Broadcast(t *testing.T) {
	const (
		turns   = 5
		windows = 4
	)
	quotas := gateway.Quotas{SendBufferBytes: 1 << 20, SendBufferMessages: 256, WriteTimeout: -1}
	with, without := newBroadcast(t, readers, stalled, quotas), newBroadcast(t, readers, 0, quotas)
	_, refused := with.run(1) // so that pools and stacks have reached their size
	without.run(1)
	before := memory()
	var tookWith, tookWithout time.Duration
	var ratios []string // one for each turn
	for range turns {
		beside, none := without.run(windows)
		took, n := with.run(windows)
		require.Zero(t, none)
		refused += n
		tookWith, tookWithout = tookWith+took, tookWithout+beside
		ratios = append(ratios, fmt.Sprintf("%.2f", took.Seconds()/beside.Seconds()))
	}
	grown, bound := memory()-before, stalled*perConnection(quotas, messageBytes)+overhead

	posts := with.rounds * (readers + stalled)
	t.Logf("%d rounds to %d readers and %d stalled clients: %d posts, %d refused; memory grew by %d KiB, bound %d KiB",
		with.rounds, readers, stalled, posts, refused, grown>>10, bound>>10)
	ratio := tookWith.Seconds() / tookWithout.Seconds()
	t.Logf("%d rounds took %.2f s with the stalled, %.2f s without: ratio %.2f, turn by turn %v",
		turns*windows*window, tookWith.Seconds(), tookWithout.Seconds(), ratio, ratios)
	require.Less(t, grown, bound)
	require.Greater(t, refused, posts*stalled/(readers+stalled)/2, "the stalled were")
	// This does not test the speed: machines are noisy, and the stalled clients get
	// posts as well. But a post that waits for a client that never reads would not
	// return.
	require.Less(t, ratio, 3.0)
	with.requirePosted(posts-refused, refused)
	require.Equal(t, readers+stalled, with.open(), "nobody was cut")
}

// requirePosted checks what the observer reported.
func (s *server) requirePosted(accepted, refused int) {
	s.t.Helper()
	require.Equal(s.t, [2]int{accepted, refused}, [2]int{int(s.sent.Load()), int(s.full.Load())}, "MessageSent, PostFailed")
}

// Messages that are not shared take the most memory. All that were accepted arrive
// when the client reads again.
func TestStalled_Memory(t *testing.T) {
	for _, tt := range []struct {
		name   string
		quotas gateway.Quotas
		size   int
		posts  int
	}{
		{"the default quotas, messages bind", gateway.Quotas{SendBufferBytes: 1 << 20, SendBufferMessages: 256}, 1 << 10, 2000},
		{"the default quotas, bytes bind", gateway.Quotas{SendBufferBytes: 1 << 20, SendBufferMessages: 256}, 16 << 10, 300},
		{"a message larger than the buffer", gateway.Quotas{SendBufferBytes: 32 << 10, SendBufferMessages: 256}, 128 << 10, 50},
		{"a tenth of the bytes", gateway.Quotas{SendBufferBytes: 100 << 10, SendBufferMessages: 1 << 20}, 1 << 10, 2000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.quotas.WriteTimeout = -1
			b := newBroadcast(t, 0, stalled, tt.quotas)
			before := memory()
			accepted, refused := make([]int, stalled), 0
			for range tt.posts {
				for n, id := range b.stalled {
					err := b.PostToConnection(t.Context(), id, numbered(accepted[n], tt.size))
					if err == nil {
						accepted[n]++
						continue
					}
					require.ErrorIs(t, err, gateway.ErrLimitExceeded)
					refused++
				}
			}
			grown, each := memory()-before, perConnection(tt.quotas, tt.size)
			t.Logf("%d clients, %d messages of %d bytes for each: %d KiB each, bound %d KiB each; %d of %d posts refused",
				stalled, tt.posts, tt.size, grown/stalled>>10, each>>10, refused, stalled*tt.posts)
			require.Less(t, grown, stalled*each+overhead)
			require.Greater(t, grown, stalled*each/2, "what is measured is what was meant")

			total := 0
			for n, id := range b.stalled {
				total += accepted[n]
				require.NoError(t, b.DeleteConnection(t.Context(), id)) // its Close frame follows what is queued
			}
			b.requirePosted(total, refused)
			require.Equal(t, stalled*tt.posts, total+refused)
			b.clients.say("read")
			b.clients.expect(fmt.Sprint("read ", total))
			b.wait("the end of the connections", func() bool { return len(b.left) == stalled })
			require.Less(t, memory()-before, overhead, "all memory is released")
		})
	}
}

// A client that takes no bytes for WriteTimeout is cut, once, and the others go on.
// Posts to it return ErrGone.
func TestStalled_WriteTimeout(t *testing.T) {
	quotas := gateway.Quotas{SendBufferBytes: 1 << 20, SendBufferMessages: 256, WriteTimeout: time.Second}
	b := newBroadcast(t, readers/2, stalled, quotas)
	before := memory()
	for ended := 0; ended < stalled; {
		for range window {
			errs := b.PostToConnections(t.Context(), slices.Concat(b.reading, b.stalled), numbered(b.rounds, messageBytes))
			for n, err := range errs {
				if n < len(b.reading) {
					require.NoError(t, err)
				} else if !errors.Is(err, gateway.ErrLimitExceeded) && !errors.Is(err, gateway.ErrGone) {
					require.NoError(t, err)
				}
			}
			b.rounds++
		}
		b.clients.expect(fmt.Sprint("window ", b.rounds/window))
		b.mu.Lock()
		ended = len(b.left)
		b.mu.Unlock()
	}
	t.Logf("%d of %d were cut within %d rounds; memory grew by %d KiB", stalled, stalled, b.rounds, (memory()-before)>>10)
	require.Less(t, memory()-before, overhead, "all memory is released")
	require.Equal(t, len(b.reading), b.open())
	for n, id := range b.stalled {
		b.requireLeft(fmt.Sprint("stalled", n), 1006)
		require.ErrorIs(t, b.PostToConnection(t.Context(), id, nil), gateway.ErrGone)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Len(t, b.left, stalled, "nobody else")
}

// A client that reads a byte now and then counts as one that does not read, because its
// TCP window stays closed.
func TestStalled_Trickle(t *testing.T) {
	t.Parallel()
	s := start(t, gateway.Quotas{WriteTimeout: time.Second})
	p := s.connect("trickle")
	id := s.id("trickle")
	go func() { // ends with the connection
		one := make([]byte, 1)
		for err := error(nil); err == nil; {
			<-time.After(slowly)
			_, err = p.tcp.Read(one)
		}
	}()
	var err error
	for n := 0; err == nil; n++ {
		err = s.PostToConnection(t.Context(), id, numbered(n, 1<<10))
	}
	require.ErrorIs(t, err, gateway.ErrLimitExceeded)
	s.requireLeft("trickle", 1006)
	require.ErrorIs(t, s.PostToConnection(t.Context(), id, nil), gateway.ErrGone)
}
