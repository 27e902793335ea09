package jwtauthorizer_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"example.com/gateway"
	"example.com/gateway/jwtauthorizer"
)

// Only clients with a token of the issuer, for this API, may connect.
func ExampleNew() {
	a, err := jwtauthorizer.New(jwtauthorizer.Config{
		Issuer:      "https://issuer.test",
		Audience:    []string{"chat"},
		Claims:      []string{"email"},
		Subprotocol: "bearer",                            // new WebSocket(url, ["bearer", token])
		Client:      &http.Client{Transport: edIssuer()}, // an issuer in memory, for the example
	})
	if err != nil {
		log.Fatal(err)
	}
	gw, err := gateway.New()
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	gw.HandleFunc(gateway.RouteKeyConnect, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		fmt.Println(req.PrincipalID(), req.Authorizer["email"])
		return &gateway.Response{Header: http.Header{"Sec-WebSocket-Protocol": {"bearer"}}}, nil
	}, gateway.WithAuthorizer(a))

	srv := httptest.NewServer(gw.Handler())
	defer srv.Close()
	token := edToken(object{"email": "alice@example.com"})
	fmt.Println(offer(srv.URL, "bearer, "+token))
	expired := edToken(object{"exp": time.Now().Add(-time.Hour).Unix()})
	fmt.Println(offer(srv.URL, "bearer, "+expired))
	// Output:
	// alice alice@example.com
	// 101 bearer
	// 401
}

// offer connects as a browser does, and returns the answer's status code and the
// subprotocol that it selects.
func offer(url, subprotocols string) (statusCode int, selected string) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	req.Header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
		"Sec-Websocket-Protocol": {subprotocols},
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode, resp.Header.Get("Sec-WebSocket-Protocol")
}
