package gateway_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"example.com/gateway"
)

// The $connect route runs before the upgrade is answered, and can refuse it. It sees
// the client's request with its header, query and cookies.
func ExampleRequest_connect() {
	gw, err := gateway.New()
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	gw.HandleFunc(gateway.RouteKeyConnect, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		if req.Upgrade.URL.Query().Get("token") != "let-me-in" {
			return &gateway.Response{StatusCode: http.StatusUnauthorized, Body: []byte(`{"message":"who are you?"}`)}, nil
		}
		return nil, nil // accepted, as with any status from 200 to 299
	})

	srv := httptest.NewServer(gw.Handler())
	defer srv.Close()
	_, statusCode := dial(srv.URL + "?token=wrong")
	fmt.Println(statusCode)
	c, statusCode := dial(srv.URL + "?token=let-me-in")
	fmt.Println(statusCode)
	c.close(1000, "")
	// Output:
	// 401
	// 101
}
