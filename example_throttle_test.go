package gateway_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"strings"

	"example.com/gateway"
)

// If a route exceeds its throttle, the client gets an error frame. The connection
// stays open.
func ExampleWithThrottle() {
	gw, err := gateway.New(gateway.WithDefaultThrottle(1000, 2000)) // for all other routes together
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	gw.HandleFunc("search", func(context.Context, *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Body: []byte(`{"message": "found"}`)}, nil
	}, gateway.WithRouteResponse(), gateway.WithThrottle(0.1, 2)) // two at once, then one every ten seconds

	srv := httptest.NewServer(gw.Handler())
	defer srv.Close()
	c, _ := dial(srv.URL)
	for range 3 {
		c.send(`{"action":"search"}`)
		text, _, _ := strings.Cut(c.receive(), ", ")
		fmt.Println(text)
	}
	c.close(1000, "")
	// Output:
	// {"message": "found"}
	// {"message": "found"}
	// {"message": "Too Many Requests"
}
