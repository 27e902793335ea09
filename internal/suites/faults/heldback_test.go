package faults_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

// A client whose messages fill the inbox, since integrations are slower than it
// sends, is held back: the gateway does not read from it. That its pongs wait
// unread is no silence of the client.
func TestPings_HeldBackClient(t *testing.T) {
	t.Parallel()
	const messages = 18 // one with the integration, 16 in the inbox, one in the reader's hand
	var err error
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{PingInterval: 5 * time.Second}))
		srv.HandleFunc("$default", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
			select {
			case <-time.After(20 * time.Second):
			case <-ctx.Done():
			}
			return &gateway.Response{Body: req.Body}, nil
		}, gateway.WithRouteResponse())
		transport, ok := srv.HTTPClient().Transport.(*http.Transport)
		require.True(t, ok)
		nc, dialed := transport.DialContext(t.Context(), "tcp", "")
		require.NoError(t, dialed)
		defer func() { _ = nc.Close() }()
		p := &peer{t, nc, bufio.NewReader(nc)}
		p.upgrade("")
		for n := range messages {
			p.write(frame(text, fmt.Sprint(n)))
		}
		for n := 0; n < messages && err == nil; n++ {
			_, err = p.message()
		}
	})
	require.NoError(t, err)
}
