package gateway_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

// A broadcast reaches everybody it can, in order with other posts, and reports
// for each who it did not reach.
func TestPostToConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sent, refused int
		srv := gatewaytest.New(t,
			gateway.WithQuotas(gateway.Quotas{SendBufferMessages: 3}),
			gateway.WithObserver(&gateway.Observer{
				MessageSent: func(context.Context, string, int) { sent++ },
				PostFailed:  func(context.Context, string, int, error) { refused++ },
			}))
		ann, bob, slow, left := srv.Dial(t), srv.Dial(t), srv.Dial(t), srv.Dial(t)
		left.Close(1000, "")
		slow.Pause()
		synctest.Wait()
		ids := []string{ann.ConnectionID(), "never issued", bob.ConnectionID(), slow.ConnectionID(), left.ConnectionID()}
		text := strings.Repeat("x", 1000)
		for range 3 { // one is being written, two wait
			srv.PostToConnections(t.Context(), ids[3:4], []byte(text))
		}
		sent, refused = 0, 0
		require.NoError(t, srv.PostToConnection(t.Context(), ann.ConnectionID(), []byte("first")))
		errs := srv.PostToConnections(t.Context(), ids, []byte(text))
		require.NoError(t, srv.PostToConnection(t.Context(), ann.ConnectionID(), []byte("last")))
		require.Len(t, errs, len(ids))
		require.NoError(t, errs[0])
		require.ErrorIs(t, errs[1], gateway.ErrGone)
		require.NoError(t, errs[2])
		require.ErrorIs(t, errs[3], gateway.ErrLimitExceeded)
		require.ErrorIs(t, errs[4], gateway.ErrGone)
		require.Equal(t, [2]int{4, 3}, [2]int{sent, refused})
		for _, want := range []string{"first", text, "last"} {
			require.Equal(t, want, ann.Receive())
		}
		require.Equal(t, text, bob.Receive())
		require.Nil(t, srv.PostToConnections(t.Context(), ids[:1], []byte("all is well")))

		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		for _, err := range srv.PostToConnections(canceled, ids, nil) {
			require.ErrorIs(t, err, context.Canceled)
		}
		for _, err := range srv.PostToConnections(t.Context(), ids, make([]byte, 131_073)) {
			require.ErrorIs(t, err, gateway.ErrPayloadTooLarge)
		}
		require.Nil(t, srv.PostToConnections(t.Context(), nil, []byte("nobody")))
	})
}
