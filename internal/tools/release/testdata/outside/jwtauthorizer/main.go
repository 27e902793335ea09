// Command program admits clients that have a token.
package main

import (
	"log"
	"net/http"
	"time"

	"example.com/gateway"
	"example.com/gateway/jwtauthorizer"
)

func connect() (gateway.Integration, gateway.RouteOption, error) {
	a, err := jwtauthorizer.New(jwtauthorizer.Config{Issuer: "https://issuer.example", Audience: []string{"chat"}, QueryParameter: "token"})
	if err != nil {
		return nil, nil, err
	}
	return &gateway.MockIntegration{}, gateway.WithAuthorizer(a), nil
}

func main() {
	gw, err := gateway.New()
	if err != nil {
		log.Fatal(err)
	}
	integration, authorized, err := connect()
	if err != nil {
		log.Fatal(err)
	}
	gw.Handle(gateway.RouteKeyConnect, integration, authorized)
	srv := &http.Server{Addr: "127.0.0.1:8080", Handler: gw.Handler(), ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(srv.ListenAndServe())
}
