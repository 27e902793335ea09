// Command program answers its clients with what they say.
package main

import (
	"context"
	"log"
	"net/http"
	"time"

	"example.com/gateway"
)

func echo(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
	return &gateway.Response{Body: req.Body}, nil
}

func main() {
	gw, err := gateway.New()
	if err != nil {
		log.Fatal(err)
	}
	gw.HandleFunc(gateway.RouteKeyDefault, echo, gateway.WithRouteResponse())
	srv := &http.Server{Addr: "127.0.0.1:8080", Handler: gw.Handler(), ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(srv.ListenAndServe())
}
