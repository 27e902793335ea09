package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

// An event that was taken is answered with nothing, one that was not with an error.
func TestPublishIntegration(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"taken":          {nil, ""},
		"not taken":      {errors.New("the queue is full: secret"), "Internal server error"},
		"its own status": {&gateway.IntegrationError{StatusCode: 504, Err: errors.New("secret")}, "Internal server error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			published := make(chan *gateway.Request, 1)
			srv := gatewaytest.New(t, gateway.WithLogger(gatewaytest.Logger(t, 12))) // the errors are meant
			srv.Handle("order", gateway.PublishIntegration(func(_ context.Context, req *gateway.Request) error {
				published <- req
				return tt.err
			}), gateway.WithRouteResponse())
			srv.HandleFunc(gateway.RouteKeyDefault, echo, gateway.WithRouteResponse())
			c := srv.Dial(t)
			c.Send(`{"action":"order"}`)
			req := <-published
			require.Equal(t, `{"action":"order"}`, string(req.Body))
			require.Equal(t, c.ConnectionID(), req.ConnectionID)
			if tt.want != "" {
				answer := c.Receive()
				require.Contains(t, answer, tt.want)
				require.NotContains(t, answer, "secret")
			}
			c.Send("next")
			require.Equal(t, "next", c.Receive(), "nothing else was sent")
			require.Equal(t, `{"action":"order"}`, string(req.Body), "the body may be kept")
		})
	}
}

// A client may connect if its CONNECT was taken.
func TestPublishIntegration_Connect(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	events := make(chan string, 10)
	srv := gatewaytest.New(t, gateway.WithLogger(gatewaytest.Logger(t, 12)))
	publish := gateway.PublishIntegration(func(_ context.Context, req *gateway.Request) error {
		events <- string(req.EventType)
		if down.Load() {
			return errors.New("the queue is down")
		}
		return nil
	})
	srv.Handle(gateway.RouteKeyConnect, publish)
	srv.Handle(gateway.RouteKeyDisconnect, publish)
	c := srv.Dial(t)
	require.Equal(t, "CONNECT", <-events)
	c.Close(1000, "")
	require.Equal(t, "DISCONNECT", <-events)
	srv.WaitDisconnect(c.ConnectionID())
	down.Store(true)
	_, refused := srv.TryDial(t)
	require.NotNil(t, refused)
	require.Equal(t, http.StatusBadGateway, refused.StatusCode)
}

// A queue that does not answer is given up, and the error is logged once.
func TestPublishIntegration_Timeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		failed := make(chan error, 2)
		srv := gatewaytest.New(t, gateway.WithLogger(gatewaytest.Logger(t, 12)), gateway.WithQuotas(gateway.Quotas{IntegrationTimeout: 3 * time.Second}),
			gateway.WithObserver(&gateway.Observer{IntegrationDone: func(_ context.Context, _ *gateway.Request, _ *gateway.Response, _ time.Duration, err error) {
				failed <- err
			}}))
		srv.Handle(gateway.RouteKeyDefault, gateway.PublishIntegration(func(ctx context.Context, _ *gateway.Request) error {
			<-ctx.Done()
			return fmt.Errorf("publishing: %w", ctx.Err())
		}))
		c := srv.Dial(t)
		start := time.Now()
		c.Send("x")
		require.Contains(t, c.Receive(), "Endpoint request timed out")
		require.Equal(t, 3*time.Second, time.Since(start))
		require.ErrorIs(t, <-failed, context.DeadlineExceeded)
	})
}

func TestPublishIntegration_Nil(t *testing.T) {
	t.Parallel()
	gw := newGateway(t)
	require.Panics(t, func() { gw.Handle("order", gateway.PublishIntegration(nil)) })
	require.ErrorContains(t, gw.Deploy(gateway.Deployment{Routes: []gateway.Route{{RouteKey: "order", Integration: gateway.PublishIntegration(nil)}}}), "the integration is nil")
}
