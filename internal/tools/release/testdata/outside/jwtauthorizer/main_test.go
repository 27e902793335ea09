package main

import (
	"net/http"
	"testing"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

func TestConnect_NoToken(t *testing.T) {
	integration, authorized, err := connect()
	if err != nil {
		t.Fatal(err)
	}
	srv := gatewaytest.New(t)
	srv.Handle(gateway.RouteKeyConnect, integration, authorized)
	_, refused := srv.TryDial(t)
	if refused == nil || refused.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a token: %+v", refused)
	}
}
