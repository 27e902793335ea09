package gateway_test

import (
	"context"
	"crypto/subtle"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"example.com/gateway"
)

// Other processes reach the connections over HTTP, with an AWS SDK or without one.
//
// The handler must come before the mux: some SDKs send "//@connections" if their endpoint
// ends in a slash. A mux would redirect that, and no SDK follows the redirect.
func ExampleGateway_ManagementHandler() {
	gw, err := gateway.New(
		gateway.WithStage("prod", nil),
		gateway.WithoutManagementAuth(), // only if nobody else can call it
	)
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	ids := make(chan string, 1)
	gw.HandleFunc(gateway.RouteKeyConnect, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		ids <- req.ConnectionID
		return nil, nil
	})

	mux := http.NewServeMux()
	mux.Handle("/prod", gw.Handler())
	management := gw.ManagementHandler()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/@connections/") {
			management.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	defer srv.Close()

	c, _ := dial(srv.URL + "/prod")
	defer c.close(1000, "")
	callback := srv.URL + "/prod//@connections/" + url.PathEscape(<-ids)
	resp, err := http.Post(callback, "", strings.NewReader("hello from elsewhere"))
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.StatusCode)
	fmt.Println(c.receive())
	// Output:
	// 200
	// hello from elsewhere
}

// A ManagementAuth of your own: backends send a token, and may post and look up
// connections, but not disconnect anybody.
func ExampleManagementAuth() {
	token := []byte("Bearer 3f8a1c0d5e")
	gw, err := gateway.New(gateway.WithManagementAuth(gateway.ManagementAuthFunc(
		func(_ context.Context, call *gateway.ManagementCall) error {
			shown := []byte(call.Request.Header.Get("Authorization"))
			if subtle.ConstantTimeCompare(shown, token) != 1 || call.Action == gateway.ActionDeleteConnection {
				return gateway.ErrForbidden
			}
			return nil
		})))
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()

	srv := httptest.NewServer(gw.Handler())
	defer srv.Close()
	client, _ := dial(srv.URL)
	defer client.close(1000, "")
	for c := range gw.Connections() {
		for _, method := range []string{"GET", "DELETE"} {
			r := httptest.NewRequest(method, "/@connections/"+url.PathEscape(c.ID), nil)
			r.Header.Set("Authorization", "Bearer 3f8a1c0d5e")
			w := httptest.NewRecorder()
			gw.ManagementHandler().ServeHTTP(w, r)
			fmt.Println(method, w.Code)
		}
	}
	// Output:
	// GET 200
	// DELETE 403
}
