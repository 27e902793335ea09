package gateway_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"example.com/gateway"
)

// The $disconnect route runs once for every connection that $connect accepted,
// however it ends.
func ExampleRequest_disconnect() {
	gw, err := gateway.New()
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	left := make(chan string)
	gw.HandleFunc(gateway.RouteKeyDisconnect, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		left <- fmt.Sprintf("%d %q", req.DisconnectStatusCode, req.DisconnectReason)
		return nil, nil // the result is ignored, because the client has gone
	})

	srv := httptest.NewServer(gw.Handler())
	defer srv.Close()
	c, _ := dial(srv.URL)
	c.close(4001, "tab closed")
	fmt.Println(<-left)
	// Output:
	// 4001 "tab closed"
}
