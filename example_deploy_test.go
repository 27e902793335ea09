package gateway_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"example.com/gateway"
)

// A deployment replaces all routes and the stage variables in one step. Open
// connections stay, and use the new deployment from their next message.
func ExampleGateway_Deploy() {
	gw, err := gateway.New()
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	greet := gateway.IntegrationFunc(func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Body: []byte("hello from " + req.StageVariables["version"])}, nil
	})
	deploy := func(version string) {
		err := gw.Deploy(gateway.Deployment{
			Routes:         []gateway.Route{{RouteKey: "greet", Integration: greet, RouteResponse: true}},
			StageVariables: map[string]string{"version": version},
		})
		if err != nil {
			log.Fatal(err)
		}
	}

	srv := httptest.NewServer(gw.Handler())
	defer srv.Close()
	deploy("v1")
	c, _ := dial(srv.URL)
	defer c.close(1000, "")
	c.send(`{"action":"greet"}`)
	fmt.Println(c.receive())
	deploy("v2")
	c.send(`{"action":"greet"}`)
	fmt.Println(c.receive())
	// Output:
	// hello from v1
	// hello from v2
}

// Deployment returns what is deployed, to look at it, or to change it and deploy it
// again.
func ExampleGateway_Deployment() {
	gw, err := gateway.New(gateway.WithStage("prod", map[string]string{"version": "v1"}))
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	gw.Handle("greet", &gateway.MockIntegration{})
	gw.Handle(gateway.RouteKeyDefault, &gateway.MockIntegration{})

	d := gw.Deployment()
	d.StageVariables["version"] = "v2"
	if err := gw.Deploy(d); err != nil {
		log.Fatal(err)
	}
	for _, r := range gw.Deployment().Routes {
		fmt.Println(r.RouteKey)
	}
	fmt.Println(gw.Deployment().StageVariables["version"])
	// Output:
	// $default
	// greet
	// v2
}
