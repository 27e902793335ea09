package gateway_test

import (
	"fmt"
	"log"
	"net/http/httptest"

	"example.com/gateway"
)

// The keep-alive of a page is answered without a backend.
func ExampleWithAutoResponse() {
	gw, err := gateway.New(gateway.WithAutoResponse("ping", "pong"))
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	srv := httptest.NewServer(gw.Handler())
	defer srv.Close()

	c, _ := dial(srv.URL)
	c.send("ping")
	fmt.Println(c.receive())
	c.close(1000, "")
	// Output:
	// pong
}
