package gateway_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

func TestConnection_SlowClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{SendBufferBytes: 64 << 10, MessageBytes: 32 << 10}))
		srv.HandleFunc("$disconnect", answerNothing)
		slow, other := srv.Dial(t), srv.Dial(t)
		slow.Pause()
		data := []byte(strings.Repeat("x", 8000))
		accepted := 0
		for err := error(nil); err == nil; accepted++ {
			require.Less(t, accepted, 20, "the send buffer has no bound")
			err = srv.PostToConnection(t.Context(), slow.ConnectionID(), data)
			if err != nil {
				require.ErrorIs(t, err, gateway.ErrLimitExceeded)
			}
		}
		start := time.Now()
		require.NoError(t, srv.PostToConnection(t.Context(), other.ConnectionID(), data))
		require.Equal(t, string(data), other.Receive())
		require.Zero(t, time.Since(start), "a slow client delays no other")

		e := srv.WaitDisconnect(slow.ConnectionID())
		require.Equal(t, 1006, e.DisconnectStatusCode)
		require.Equal(t, "Client did not read in time", e.DisconnectReason)
		require.Equal(t, 10*time.Second, time.Since(start), "one write may take WriteTimeout")
		require.ErrorIs(t, srv.PostToConnection(t.Context(), slow.ConnectionID(), data), gateway.ErrGone)
	})
}

func TestConnection_SlowClientThatRecovers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{SendBufferMessages: 3}))
		c := srv.Dial(t)
		c.Pause()
		accepted := 0
		for srv.PostToConnection(t.Context(), c.ConnectionID(), []byte(strconv.Itoa(accepted))) == nil {
			accepted++
		}
		time.Sleep(9 * time.Second) //nolint:forbidigo // in a synctest bubble
		c.Resume()
		for n := range accepted {
			require.Equal(t, strconv.Itoa(n), c.Receive())
		}
		require.NoError(t, srv.PostToConnection(t.Context(), c.ConnectionID(), []byte("again")))
		require.Equal(t, "again", c.Receive())
	})
}

// A client that sends and does not read is held back: its replies wait for room, and
// no reply is lost.
func TestConnection_RepliesWaitForASlowClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{SendBufferMessages: 2}))
		srv.HandleFunc("$default", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
			return &gateway.Response{Body: req.Body}, nil
		}, gateway.WithRouteResponse())
		c := srv.Dial(t)
		c.Pause()
		go func() {
			for n := range 100 {
				c.Send(strconv.Itoa(n))
			}
		}()
		time.Sleep(5 * time.Second) //nolint:forbidigo // in a synctest bubble
		c.Resume()
		for n := range 100 {
			require.Equal(t, strconv.Itoa(n), c.Receive())
		}
	})
}

// A reply that is too large is an error frame for the client, a failed post for the
// observers, and a sent message, which is the error frame.
func TestReply_TooLarge(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"too long": "0123456789a", "too long once its bytes are replaced": "\xff\xff\xff\xff"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				type failure struct {
					bytes int
					text  string
				}
				var failed []failure
				var sent []int
				srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{MessageBytes: 10}), gateway.WithObserver(&gateway.Observer{
					MessageSent: func(_ context.Context, _ string, bytes int) { sent = append(sent, bytes) },
					PostFailed: func(_ context.Context, _ string, bytes int, err error) {
						require.ErrorIs(t, err, gateway.ErrPayloadTooLarge)
						failed = append(failed, failure{bytes, err.Error()})
					},
				}))
				srv.Handle("$default", respond(&gateway.Response{Body: []byte(body)}), gateway.WithRouteResponse())
				c := srv.Dial(t)
				c.Send("x")
				text := c.Receive()
				require.Contains(t, text, "Internal server error")
				synctest.Wait()
				bytes := len(strings.ToValidUTF8(body, "")) + 3*strings.Count(body, "\xff")
				require.Equal(t, []failure{{bytes, fmt.Sprintf("gateway: payload too large: %d bytes, quota 10", bytes)}}, failed)
				require.Equal(t, []int{len(text)}, sent)
			})
		})
	}
}
