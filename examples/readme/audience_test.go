package readme

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

func TestGroups(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	gw := srv.Gateway
	srv.HandleFunc("$disconnect", func(context.Context, *gateway.Request) (*gateway.Response, error) { return nil, nil })
	srv.Handle("$connect", &gateway.MockIntegration{}, gateway.WithAuthorizer(gateway.AuthorizerFunc(
		func(context.Context, *gateway.Request) (*gateway.Authorization, error) {
			return &gateway.Authorization{PrincipalID: "ann"}, nil
		})))

	gw.HandleFunc("enter", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		return nil, gw.Join(ctx, req.ConnectionID, "room-1") // ends when the connection ends, or with Leave
	})
	gw.HandleFunc("say", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		_, err := gw.PostTo(ctx, gateway.Group("room-1").Except(req.ConnectionID), req.Body)
		return nil, err
	})
	gw.HandleFunc("logout", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		user, _ := req.Authorizer["principalId"].(string)
		_, err := gw.CloseAll(ctx, gateway.User(user), 4001, "logged out") // every device of the user
		return nil, err
	})

	a, b := srv.Dial(t), srv.Dial(t)
	for _, c := range []*gatewaytest.Client{a, b} {
		c.Send(`{"action":"enter"}`)
		srv.WaitEvent(func(e gatewaytest.Event) bool { return e.ConnectionID == c.ConnectionID() && e.RouteKey == "enter" })
	}
	a.Send(`{"action":"say"}`)
	require.Equal(t, `{"action":"say"}`, b.Receive())
	a.Send(`{"action":"logout"}`)
	code, reason := b.ReceiveClose()
	require.Equal(t, 4001, code)
	require.Equal(t, "logged out", reason)
}
