package server

import (
	"context"
	"errors"
	"net/http"

	"example.com/gateway"
	"example.com/gateway/benchmarks/wire"
)

func gatewayVariant() Variant {
	return Variant{
		Name:    "gateway",
		Module:  "example.com/gateway",
		Tuning:  "its defaults, every check on; only the throttle of new connections is off, and the management handler open; PostToConnections",
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
	}, nil
}
