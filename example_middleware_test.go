package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"

	"example.com/gateway"
)

// Middleware wraps the integrations of all routes, including $connect and
// $disconnect.
func ExampleWithMiddleware() {
	logged := func(next gateway.Integration) gateway.Integration {
		return gateway.IntegrationFunc(func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
			resp, err := next.Invoke(ctx, req)
			fmt.Println(req.EventType, req.RouteKey, err)
			return resp, err
		})
	}
	gw, err := gateway.New(gateway.WithMiddleware(logged))
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	gw.Handle(gateway.RouteKeyConnect, &gateway.MockIntegration{})
	gw.Handle("ping", &gateway.MockIntegration{Body: []byte("pong")}, gateway.WithRouteResponse())
	gw.HandleFunc("fail", func(context.Context, *gateway.Request) (*gateway.Response, error) {
		return nil, errors.New("no database")
	}, gateway.WithRouteResponse())

	srv := httptest.NewServer(gw.Handler())
	defer srv.Close()
	c, _ := dial(srv.URL)
	defer c.close(1000, "")
	c.send(`{"action":"ping"}`)
	fmt.Println(c.receive())
	c.send(`{"action":"fail"}`)
	fmt.Println(c.receive()[:36]) // the IDs follow; the client does not get the error's own text
	// Output:
	// CONNECT $connect <nil>
	// MESSAGE ping <nil>
	// pong
	// MESSAGE fail no database
	// {"message": "Internal server error",
}
