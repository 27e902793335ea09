package gateway_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"time"

	"example.com/gateway"
)

// A selection expression can combine several variables and literals into one route
// key. Keys are compared exactly.
func ExampleWithRouteSelectionExpression() {
	gw, err := gateway.New(
		gateway.WithRouteSelectionExpression("${request.body.service}/${request.body.call.name}"),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	for _, key := range []string{"chat/join", "chat/leave", "game/join", gateway.RouteKeyDefault} {
		gw.HandleFunc(key, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
			return &gateway.Response{Body: []byte(req.RouteKey)}, nil
		}, gateway.WithRouteResponse())
	}

	srv := httptest.NewServer(gw.Handler())
	defer srv.Close()
	c, _ := dial(srv.URL)
	defer c.close(1000, "")
	for _, message := range []string{
		`{"service":"chat","call":{"name":"join"}}`,
		`{"service":"game","call":{"name":"join"}}`,
		`{"service":"game","call":{"name":"leave"}}`,
	} {
		c.send(message)
		fmt.Println(c.receive())
	}
	// Output:
	// chat/join
	// game/join
	// $default
}

// An observer can tell why each message got its route: $default takes those whose value
// is no route's key.
func ExampleRequest_SelectionValue() {
	gw, err := gateway.New(gateway.WithObserver(&gateway.Observer{
		IntegrationDone: func(_ context.Context, req *gateway.Request, _ *gateway.Response, _ time.Duration, _ error) {
			if value, ok := req.SelectionValue(); ok {
				fmt.Printf("%q selected the route %q\n", value, req.RouteKey)
			} else {
				fmt.Printf("the message is not JSON: route %q\n", req.RouteKey)
			}
		},
	}))
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	for _, key := range []string{"join", gateway.RouteKeyDefault} {
		gw.HandleFunc(key, func(context.Context, *gateway.Request) (*gateway.Response, error) {
			return &gateway.Response{Body: []byte("done")}, nil
		}, gateway.WithRouteResponse())
	}

	srv := httptest.NewServer(gw.Handler())
	defer srv.Close()
	c, _ := dial(srv.URL)
	defer c.close(1000, "")
	for _, message := range []string{`{"action":"join"}`, `{"action":"jion"}`, `join`} {
		c.send(message)
		c.receive()
	}
	// Output:
	// "join" selected the route "join"
	// "jion" selected the route "$default"
	// the message is not JSON: route "$default"
}
