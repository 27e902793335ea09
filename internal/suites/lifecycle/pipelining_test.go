package lifecycle_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/internal/suites/wiretest"
)

// However many messages a client sends ahead, it gets a reply to each, in order: with
// any limit of the send buffer, over any socket, and whether the integrations return
// at once or wait until the client has all earlier replies.
func TestPipelining_everyMessageIsAnswered(t *testing.T) {
	t.Parallel()
	type bound struct{ messages, bytes int }
	bounds := []bound{{0, 0}, {1, 0}, {2, 0}, {8, 0}, {0, 1}, {0, 64}, {0, 3000}, {3, 64}, {-1, -1}}
	depths := []int{1, 2, 7, 8, 9, 64, 255, 256, 257, 300, 1000, 5000}
	for socket, dial := range wiretest.Sockets() {
		for _, quick := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, quick %v", socket, quick), func(t *testing.T) {
				t.Parallel()
				for _, b := range bounds {
					for _, inFlight := range []int{1, 4, -1} {
						for _, depth := range depths {
							if inFlight != 1 && (depth > 300 || !quick) || !quick && depth > 64 {
								continue // overlapping integrations may return in any order, and slow ones take long
							}
							quotas := gateway.Quotas{SendBufferMessages: b.messages, SendBufferBytes: b.bytes, InFlight: inFlight}
							pipeline(t, dial, quotas, depth, quick)
						}
					}
				}
			})
		}
	}
}

func pipeline(t *testing.T, dial func(testing.TB, http.Handler) *wiretest.Peer, quotas gateway.Quotas, depth int, quick bool) {
	t.Helper()
	gw, err := gateway.New(gateway.WithQuotas(quotas))
	require.NoError(t, err)
	defer gw.Close()
	var received atomic.Int64
	arrived := make(chan struct{}, depth)
	gw.HandleFunc("$default", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		var n int64
		if _, err := fmt.Sscan(string(req.Body), &n); err != nil {
			return nil, err
		}
		for !quick && n%5 == 4 && received.Load() < n { // while this runs, no earlier reply is held back
			select {
			case <-arrived:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		return &gateway.Response{Body: []byte(strings.Repeat(string(req.Body)+" ", 1+int(n%3)*20))}, nil
	}, gateway.WithRouteResponse())
	c := dial(t, gw.Handler())
	c.MustOpen()
	messages := make([]string, depth)
	want := map[string]bool{}
	for n := range messages {
		messages[n] = fmt.Sprint(n)
		want[messages[n]] = true
	}
	failed := c.SendAhead(messages...)
	for n := range depth {
		number, _, _ := strings.Cut(c.Receive(), " ")
		require.True(t, want[number], "an answer to %s, %+v", number, quotas)
		delete(want, number)
		if quotas.InFlight == 1 {
			require.Equal(t, messages[n], number, "%+v", quotas)
		}
		received.Add(1)
		arrived <- struct{}{}
	}
	require.NoError(t, <-failed)
}

// A client can send ahead forever: the send buffer subtracts what it has counted for
// the replies.
func TestPipelining_forEver(t *testing.T) {
	t.Parallel()
	for reply, received := range map[string]string{
		"": "", "x": "x", "\xff\xfe\xfd": "\uFFFD\uFFFD\uFFFD", strings.Repeat("y", 200): strings.Repeat("y", 200),
	} {
		t.Run(fmt.Sprintf("%d bytes", len(reply)), func(t *testing.T) {
			t.Parallel()
			gw, err := gateway.New(gateway.WithQuotas(gateway.Quotas{SendBufferBytes: 4 << 10}))
			require.NoError(t, err)
			defer gw.Close()
			gw.HandleFunc("$default", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
				return &gateway.Response{Body: append([]byte(reply), req.Body...)}, nil
			}, gateway.WithRouteResponse())
			c := wiretest.Sockets()["tcp"](t, gw.Handler())
			c.MustOpen()
			for range 4 << 10 {
				failed := c.SendAhead("1", "2", "3")
				for _, want := range []string{"1", "2", "3"} {
					require.Equal(t, received+want, c.Receive())
				}
				require.NoError(t, <-failed)
			}
		})
	}
}

// A reply that is ready does not wait for the messages behind it, however fast each
// of them is.
func TestPipelining_repliesAreNotHeldBack(t *testing.T) {
	t.Parallel()
	for name, replies := range map[string]bool{"with replies": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const messages, busy = 300, 700 * time.Microsecond
			gw, err := gateway.New()
			require.NoError(t, err)
			defer gw.Close()
			var ran atomic.Int64
			gw.HandleFunc("$default", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
				if ran.Add(1) == 1 {
					return &gateway.Response{Body: []byte("first")}, nil
				}
				for end := time.Now().Add(busy); time.Now().Before(end); { //nolint:revive // the loop keeps the processor busy
				}
				if !replies && string(req.Body) != "last" {
					return nil, nil
				}
				return &gateway.Response{Body: req.Body}, nil
			}, gateway.WithRouteResponse())
			c := wiretest.Sockets()["tcp"](t, gw.Handler())
			c.MustOpen()
			all := make([]string, messages)
			for n := range all {
				all[n] = "next"
			}
			all[messages-1] = "last"
			failed := c.SendAhead(all...)
			require.Equal(t, "first", c.Receive())
			require.Less(t, ran.Load(), int64(messages/2), "the reply came long before the other integrations had run")
			for last := ""; last != "last"; last = c.Receive() { //nolint:revive // the loop only reads
			}
			require.NoError(t, <-failed)
		})
	}
}
