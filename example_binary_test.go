package gateway_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"example.com/gateway"
)

// Clients may send binary messages, which go to $default, and get them.
func ExampleWithBinaryMessages() {
	gw, err := gateway.New(gateway.WithBinaryMessages())
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	gw.HandleFunc(gateway.RouteKeyDefault, func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		if !req.Binary {
			return &gateway.Response{Body: []byte("send bytes")}, nil
		}
		sum := byte(0)
		for _, b := range req.Body {
			sum += b
		}
		if _, err := gw.PostTo(ctx, gateway.Connections(req.ConnectionID), req.Body, gateway.Binary()); err != nil {
			return nil, err
		}
		return &gateway.Response{Body: []byte{sum}, Binary: true}, nil
	}, gateway.WithRouteResponse())

	srv := httptest.NewServer(gw.Handler())
	defer srv.Close()
	c, _ := dial(srv.URL)
	defer c.close(1000, "")
	c.send("text")
	fmt.Println(c.receive())
	c.sendBinary([]byte{0xf0, 0x0f, 0x01})
	fmt.Printf("%x\n", c.receive())
	fmt.Printf("%x\n", c.receive())
	// Output:
	// send bytes
	// f00f01
	// 00
}
