package inbox_test

import (
	"bytes"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/inbox"
)

func TestInbox_Bounds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		size int // of each message
		fit  int
	}{
		{"small messages", 1, 16},
		{"messages of 16 KiB", 16 << 10, 8},
		{"messages of 64 KiB", 64 << 10, 2},
		{"one that is larger than the bound", 1 << 20, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := inbox.New(&sync.Mutex{})
			require.True(t, b.Empty())
			message := inbox.Message{Data: bytes.Repeat([]byte("x"), tt.size)}
			for n := range tt.fit {
				require.True(t, b.Add(message), "message %d", n)
			}
			require.False(t, b.Add(message))
			require.Len(t, b.Take().Data, tt.size)
			require.True(t, b.Add(message), "one was taken: there is room again")
		})
	}
}

func TestInbox_Order(t *testing.T) {
	t.Parallel()
	b := inbox.New(&sync.Mutex{})
	for n := range 40 {
		require.True(t, b.Add(inbox.Message{Data: []byte(strconv.Itoa(n)), Binary: n%2 == 0}))
		if n >= 5 {
			message := b.Take()
			require.Equal(t, strconv.Itoa(n-5), string(message.Data))
			require.Equal(t, n%2 == 1, message.Binary)
		}
	}
	for n := 35; !b.Empty(); n++ {
		require.Equal(t, strconv.Itoa(n), string(b.Take().Data))
	}
	require.True(t, b.Add(inbox.Message{}), "an empty message is one, too")
	require.False(t, b.Empty())
}

func TestInbox_Wait(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*inbox.Inbox){
		"a message is taken": func(b *inbox.Inbox) { b.Take() },
		"the owner wakes it": (*inbox.Inbox).Wake,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				b := inbox.New(&mu)
				waiting, ended := true, make(chan struct{})
				mu.Lock()
				require.True(t, b.Add(inbox.Message{Data: []byte("x")}))
				mu.Unlock()
				go func() {
					defer close(ended)
					mu.Lock()
					defer mu.Unlock()
					b.Wait()
					waiting = false
				}()
				synctest.Wait()
				mu.Lock()
				require.True(t, waiting)
				end(b)
				mu.Unlock()
				<-ended
			})
		})
	}
}

func TestInbox_Nil(t *testing.T) {
	t.Parallel()
	var none *inbox.Inbox
	require.True(t, none.Empty())
	none.Wake()
	none.Drop()
}

func TestInbox_Drop(t *testing.T) {
	t.Parallel()
	b := inbox.New(&sync.Mutex{})
	for b.Add(inbox.Message{Data: make([]byte, 64<<10)}) { // until it is full
	}
	b.Drop()
	require.True(t, b.Empty())
	require.True(t, b.Add(inbox.Message{Data: make([]byte, 128<<10)}))
}
