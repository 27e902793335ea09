package gateway_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"example.com/gateway"
)

// A two-way route sends what its integration returns back to the client. On a
// one-way route, the default, only an error is sent.
func ExampleGateway_HandleFunc() {
	gw, err := gateway.New()
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	gw.HandleFunc("echo", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Body: req.Body}, nil
	}, gateway.WithRouteResponse())
	gw.HandleFunc(gateway.RouteKeyDefault, func(context.Context, *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Body: []byte("no such action")}, nil
	}, gateway.WithRouteResponse())

	srv := httptest.NewServer(gw.Handler())
	defer srv.Close()
	c, _ := dial(srv.URL)
	defer c.close(1000, "")

	c.send(`{"action":"echo","text":"hello"}`)
	fmt.Println(c.receive())
	c.send(`{"action":"ehco"}`)
	fmt.Println(c.receive())
	c.send(`not JSON`)
	fmt.Println(c.receive())
	// Output:
	// {"action":"echo","text":"hello"}
	// no such action
	// no such action
}
