package gateway_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

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
