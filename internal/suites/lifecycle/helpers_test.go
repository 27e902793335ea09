package lifecycle_test

import (
	"context"
	"testing"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/suites/wiretest"
)

func answerNothing(context.Context, *gateway.Request) (*gateway.Response, error) { return nil, nil }

func isDisconnect(e gatewaytest.Event) bool { return e.EventType == gateway.EventDisconnect }

func connectionIDs(gw *gateway.Gateway) (ids []string) {
	for c := range gw.Connections() {
		ids = append(ids, c.ID)
	}
	return ids
}

// dialRaw upgrades a connection and lets the test write its frames.
func dialRaw(t *testing.T, srv *gatewaytest.Server) *wiretest.Peer {
	t.Helper()
	p := wiretest.Dial(t, srv.HTTPClient())
	p.MustOpen()
	return p
}
