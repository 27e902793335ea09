package gateway_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"strings"

	"example.com/gateway"
	"example.com/gateway/internal/wsconn"
)

// Browsers offer compression by themselves. Messages of 512 bytes and more are then
// compressed, in both directions.
func ExampleWithCompression() {
	gw, err := gateway.New(gateway.WithCompression(gateway.Compression{}))
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	gw.HandleFunc("report", func(context.Context, *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Body: []byte(strings.Repeat(`{"temperature":21.5}`, 100))}, nil
	}, gateway.WithRouteResponse())

	srv := httptest.NewServer(gw.Handler())
	defer srv.Close()
	ws, resp, err := wsconn.Dial(context.Background(), srv.URL, wsconn.DialOptions{Compress: true}) //nolint:bodyclose // a 101 has no body
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(resp.Header.Get("Sec-WebSocket-Extensions"))
	c := &client{ws}
	c.send(`{"action":"report"}`)
	fmt.Println(len(c.receive()), "bytes")
	c.close(1000, "")
	// Output:
	// permessage-deflate; server_no_context_takeover; client_no_context_takeover
	// 2000 bytes
}
