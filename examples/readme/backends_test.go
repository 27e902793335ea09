package readme

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

func TestHTTPIntegration(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t, gateway.WithStage("prod", map[string]string{"version": "v1"}))
	gw := srv.Gateway

	orders := &gateway.HTTPIntegration{
		URI:         "http://orders.internal/${stageVariables.version}/events",
		CallbackURL: "http://gateway.internal/prod", // adds the headers connectionId, routeKey, eventType, stage and callbackUrl
		RequestParameters: map[string]string{
			"integration.request.header.X-Request-Id": "context.requestId",
			"integration.request.querystring.room":    "route.request.body.data.room",
		},
	}
	gw.Handle(gateway.RouteKeyConnect, orders) // the service accepts an upgrade with a status of 2xx
	gw.Handle("order", orders, gateway.WithRouteResponse())

	require.Panics(t, func() { gw.Handle("order", orders) }, "the route is there")
}

func TestTransform(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	gw := srv.Gateway

	gw.Handle("price", &gateway.HTTPIntegration{
		URI: "http://prices.internal/quote",
		Transform: &gateway.Transform{
			RequestTemplates: map[string]string{"$default": `{"item": $input.json('$.item'), "for": "$context.connectionId"}`},
			Responses: map[string]gateway.IntegrationResponse{
				`/4\d\d/`:  {ResponseTemplates: map[string]string{"$default": `{"error": "no such item"}`}},
				"$default": {},
			},
		},
	}, gateway.WithRouteResponse())

	require.Panics(t, func() { gw.Handle("price", &gateway.MockIntegration{}) }, "the route is there")
}
