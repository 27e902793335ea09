package gateway_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"net/netip"

	"example.com/gateway"
)

// Behind a proxy on this machine, the address of a client is the one that the proxy has
// told.
func ExampleWithTrustedProxies() {
	gw, err := gateway.New(gateway.WithTrustedProxies(netip.MustParsePrefix("127.0.0.1/32")))
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	gw.HandleFunc("whereami", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Body: []byte(req.Identity.SourceIP)}, nil
	}, gateway.WithRouteResponse())

	srv := httptest.NewServer(gw.Handler())
	defer srv.Close()
	// The client at 203.0.113.7 has sent "1.2.3.4" itself. The proxy has added its address.
	c, _ := dial(srv.URL, "X-Forwarded-For", "1.2.3.4, 203.0.113.7")
	c.send(`{"action":"whereami"}`)
	fmt.Println(c.receive())
	c.close(1000, "")
	// Output:
	// 203.0.113.7
}
