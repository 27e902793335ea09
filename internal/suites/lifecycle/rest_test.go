package lifecycle_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/suites/wiretest"
)

// A reader that rests loses nothing. Whatever pauses a client makes, between messages
// and within a frame, each of its messages is answered, and the gateway notices its
// end.
func TestConnection_Rests(t *testing.T) {
	t.Parallel()
	frame := wiretest.Frame(wiretest.Text, `{"action":"m"}`)
	for _, pause := range []time.Duration{time.Millisecond, 1999 * time.Millisecond, 2 * time.Second, 2001 * time.Millisecond, 5 * time.Second, 4 * time.Minute} {
		t.Run(pause.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{ConnectionDuration: -1}))
				srv.Handle("m", gateway.IntegrationFunc(func(context.Context, *gateway.Request) (*gateway.Response, error) {
					return &gateway.Response{Body: []byte("served")}, nil
				}), gateway.WithRouteResponse())
				srv.Handle(gateway.RouteKeyDisconnect, &gateway.MockIntegration{})
				w := dialRaw(t, srv)
				for split := range len(frame) {
					w.MustWrite(frame[:split])
					time.Sleep(pause) //nolint:forbidigo // virtual time
					w.MustWrite(frame[split:])
					require.Equal(t, "served", w.Receive())
					time.Sleep(pause) //nolint:forbidigo // virtual time
				}
				_ = w.Close()
				e := srv.WaitEvent(func(e gatewaytest.Event) bool { return e.EventType == gateway.EventDisconnect })
				require.Equal(t, 1006, e.DisconnectStatusCode)
				require.Len(t, srv.Events(), len(frame)+1)
			})
		})
	}
}
