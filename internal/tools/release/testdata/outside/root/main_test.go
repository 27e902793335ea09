package main

import (
	"testing"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

func TestEcho(t *testing.T) {
	srv := gatewaytest.New(t)
	srv.HandleFunc(gateway.RouteKeyDefault, echo, gateway.WithRouteResponse())
	c := srv.Dial(t)
	c.Send("hello")
	if got := c.Receive(); got != "hello" {
		t.Errorf("got %q", got)
	}
}
