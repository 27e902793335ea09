package gateway_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"time"

	"example.com/gateway"
)

// Shutdown closes the connections in order. The Shutdown of http.Server does not know
// these connections. Call both, this one first.
func ExampleGateway_Shutdown() {
	gw, err := gateway.New()
	if err != nil {
		log.Fatal(err)
	}
	srv := httptest.NewServer(gw.Handler())
	defer srv.Close()
	c, _ := dial(srv.URL)
	closed := make(chan string)
	go func() {
		code, reason := c.receiveClose()
		closed <- fmt.Sprintf("the client sees %d %q", code, reason)
	}()

	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	fmt.Println(gw.Shutdown(ctx))
	fmt.Println(<-closed)
	_, statusCode := dial(srv.URL)
	fmt.Println(statusCode)
	// Output:
	// <nil>
	// the client sees 1001 "Going away"
	// 503
}
