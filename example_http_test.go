package gateway_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"

	"example.com/gateway"
)

// A route can be served by an HTTP service in any language. Its answer is sent to the
// client.
func ExampleHTTPIntegration() {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s in stage %s, room %q: %s", r.Header.Get("routeKey"), r.Header.Get("stage"), r.URL.Query().Get("room"), body)
	}))
	defer backend.Close()
	gw, err := gateway.New(gateway.WithStage("prod", map[string]string{"version": "v1"}))
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	gw.Handle("order", &gateway.HTTPIntegration{
		URI:         backend.URL + "/${stageVariables.version}/orders",
		CallbackURL: "http://gateway.internal/prod", // adds connectionId, routeKey, stage and callbackUrl
		RequestParameters: map[string]string{
			"integration.request.querystring.room": "route.request.body.room",
		},
	}, gateway.WithRouteResponse())

	srv := httptest.NewServer(gw.Handler())
	defer srv.Close()
	c, _ := dial(srv.URL)
	defer c.close(1000, "")
	c.send(`{"action":"order","room":"kitchen"}`)
	fmt.Println(c.receive())
	// Output:
	// order in stage prod, room "kitchen": {"action":"order","room":"kitchen"}
}

// Mapping templates produce what the backend gets and what the client gets, here
// without any backend.
func ExampleTransform() {
	gw, err := gateway.New()
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	gw.Handle("age", &gateway.MockIntegration{Transform: &gateway.Transform{
		RequestTemplates: map[string]string{
			"$default": `{"statusCode": #if($input.path('$.age') >= 18)200#{else}403#end}`,
		},
		Responses: map[string]gateway.IntegrationResponse{
			"/403/":    {ResponseTemplates: map[string]string{"$default": `{"error": "too young"}`}},
			"$default": {ResponseTemplates: map[string]string{"$default": `{"welcome": true, "route": "$context.routeKey"}`}},
		},
	}}, gateway.WithRouteResponse())

	srv := httptest.NewServer(gw.Handler())
	defer srv.Close()
	c, _ := dial(srv.URL)
	defer c.close(1000, "")
	c.send(`{"action":"age","age":17}`)
	fmt.Println(c.receive())
	c.send(`{"action":"age","age":18}`)
	fmt.Println(c.receive())
	// Output:
	// {"error": "too young"}
	// {"welcome": true, "route": "age"}
}
