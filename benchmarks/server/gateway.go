package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"example.com/gateway"
	"example.com/gateway/benchmarks/wire"
)

func gatewayVariant() Variant {
	return Variant{
		Name:   "gateway",
		Module: "example.com/gateway",
		Tuning: "its defaults, every check on; only the throttle of new connections is off, and the management handler open; PostToConnections, " +
			"and PostTo(Group)",
		Dialect: wire.WebSocket(),
		new:     newGateway,
	}
}

func newGateway(ctx context.Context) (*backend, error) {
	gw, err := gateway.New(
		gateway.WithQuotas(gateway.Quotas{NewConnections: gateway.Throttle{RateLimit: -1}}),
		gateway.WithoutManagementAuth(),
	)
	if err != nil {
		return nil, err
	}
	gw.HandleFunc(gateway.RouteKeyConnect, func(context.Context, *gateway.Request) (*gateway.Response, error) {
		return nil, nil
	})
	gw.HandleFunc("echo", func(context.Context, *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Body: []byte(wire.Reply)}, nil
	}, gateway.WithRouteResponse())
	gw.HandleFunc("whoami", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Body: []byte(req.ConnectionID)}, nil
	}, gateway.WithRouteResponse())
	handleGroup(gw)
	mux := http.NewServeMux()
	mux.Handle("/", gw.Handler())
	mux.Handle("/@connections/", gw.ManagementHandler())
	return &backend{
		handler: mux,
		post:    func(id string, message []byte) error { return gw.PostToConnection(ctx, id, message) },
		broadcast: func(message []byte) error {
			var ids []string
			for c := range gw.Connections() {
				ids = append(ids, c.ID)
			}
			return errors.Join(gw.PostToConnections(ctx, ids, message)...)
		},
		group: func(message []byte) error {
			d, err := gw.PostTo(ctx, gateway.Group(wire.Channel), message)
			if err == nil && d.Refused+d.Gone > 0 {
				err = fmt.Errorf("%d refused, %d gone", d.Refused, d.Gone)
			}
			return err
		},
		members:     postToMembers(ctx, gw),
		memberships: func() []membership { return gatewayMemberships(ctx, gw) },
	}, nil
}

// handleGroup adds the actions of the works about groups and state.
func handleGroup(gw *gateway.Gateway) {
	ok := &gateway.Response{Body: []byte(wire.Reply)}
	gw.HandleFunc("join", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		return ok, gw.Join(ctx, req.ConnectionID, wire.Channel)
	}, gateway.WithRouteResponse())
	state := bytes.Repeat([]byte("s"), wire.StateBytes)
	gw.HandleFunc("remember", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		return ok, gw.SetState(ctx, req.ConnectionID, state)
	}, gateway.WithRouteResponse())
}

// postToMembers posts to the members of the group as a program does that has their IDs.
// Its first call lists them.
func postToMembers(ctx context.Context, gw *gateway.Gateway) func(message []byte) error {
	members := sync.OnceValues(func() (ids []string, err error) {
		page := gateway.Page{Limit: 1000}
		for more := true; more && err == nil; more = page.After != "" {
			var connections []gateway.Connection
			connections, page, err = gw.List(ctx, gateway.Group(wire.Channel), page)
			for _, c := range connections {
				ids = append(ids, c.ID)
			}
		}
		return ids, err
	})
	return func(message []byte) error {
		ids, err := members()
		if err != nil {
			return err
		}
		return errors.Join(gw.PostToConnections(ctx, ids, message)...)
	}
}

func gatewayMemberships(ctx context.Context, gw *gateway.Gateway) []membership {
	var all []membership
	for c := range gw.Connections() {
		all = append(all, membership{
			join:  func() error { return gw.Join(ctx, c.ID, wire.Channel) },
			leave: func() error { return gw.Leave(ctx, c.ID, wire.Channel) },
		})
	}
	return all
}
