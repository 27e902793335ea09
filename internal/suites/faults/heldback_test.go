package faults_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/suites/wiretest"
)

// If integrations are slower than the client sends, the inbox is full, and the
// gateway stops reading from the client. Its pongs then wait unread, but that does
// not mean that the client is silent.
func TestPings_HeldBackClient(t *testing.T) {
	t.Parallel()
	const messages = 18 // one with the integration, 16 in the inbox, one that the reader holds
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
		p := &peer{wiretest.Dial(t, srv.HTTPClient()).Conn, t} // not newPeer: this peer has no deadline
		p.upgrade("")
		for n := range messages {
			p.write(wiretest.Frame(wiretest.Text, fmt.Sprint(n)))
		}
		for n := 0; n < messages && err == nil; n++ {
			_, err = p.message()
		}
	})
	require.NoError(t, err)
}
