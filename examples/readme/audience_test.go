package readme

import (
	"context"
	"strconv"
	"strings"
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
		user := req.PrincipalID()
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

func TestStateAndLists(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	gw := srv.Gateway
	gw.HandleFunc("enter", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		return nil, gw.Join(ctx, req.ConnectionID, "room-1")
	})

	gw.HandleFunc("point", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		points, _ := strconv.Atoi(string(req.State)) // what the connection remembers, in each event; "" at first
		next := strconv.AppendInt(nil, int64(points+1), 10)
		return nil, gw.SetState(ctx, req.ConnectionID, next, gateway.IfState(req.State)) // ErrConflict if it has changed meanwhile
	})
	gw.HandleFunc("scores", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		var scores []string
		page := gateway.Page{Limit: 1000}
		for more := true; more; more = page.After != "" {
			members, next, err := gw.List(ctx, gateway.Group("room-1"), page)
			if err != nil {
				return nil, err
			}
			for _, c := range members { // with ID, PrincipalID, Groups, State, …
				scores = append(scores, string(c.State))
			}
			page = next
		}
		return &gateway.Response{Body: []byte(strings.Join(scores, ", "))}, nil
	}, gateway.WithRouteResponse())
	gw.HandleFunc(gateway.RouteKeyJoin, func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		_, err := gw.PostTo(ctx, gateway.Group(req.Group), []byte(`{"came":"somebody"}`)) // gateway.RouteKeyLeave: who has left
		return nil, err
	})

	c := srv.Dial(t)
	c.Send(`{"action":"enter"}`)
	require.Equal(t, `{"came":"somebody"}`, c.Receive())
	c.Send(`{"action":"point"}`)
	c.Send(`{"action":"point"}`)
	c.Send(`{"action":"scores"}`)
	require.Equal(t, "2", c.Receive())
}
