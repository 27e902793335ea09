package gateway_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"example.com/gateway"
)

// An authorizer decides before the $connect integration runs. What it knows about the
// client is part of every event.
func ExampleWithAuthorizer() {
	gw, err := gateway.New()
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	tokens := map[string]string{"let-me-in": "ann"}
	authorizer := &gateway.RequestAuthorizer{
		IdentitySource: []string{"route.request.querystring.token"}, // if it is missing: 401, and the authorizer is not called
		Authorizer: gateway.AuthorizerFunc(func(_ context.Context, req *gateway.Request) (*gateway.Authorization, error) {
			name, ok := tokens[req.Upgrade.URL.Query().Get("token")]
			if !ok {
				return nil, gateway.ErrForbidden
			}
			return &gateway.Authorization{PrincipalID: name, Context: map[string]any{"level": 3}}, nil
		}),
	}
	gw.Handle(gateway.RouteKeyConnect, &gateway.MockIntegration{}, gateway.WithAuthorizer(authorizer))
	gw.HandleFunc("whoami", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Body: fmt.Appendf(nil, "%s, level %s", req.PrincipalID(), req.Authorizer["level"])}, nil
	}, gateway.WithRouteResponse())

	srv := httptest.NewServer(gw.Handler())
	defer srv.Close()
	_, statusCode := dial(srv.URL)
	fmt.Println(statusCode)
	_, statusCode = dial(srv.URL + "?token=guess")
	fmt.Println(statusCode)
	c, _ := dial(srv.URL + "?token=let-me-in")
	c.send(`{"action":"whoami"}`)
	fmt.Println(c.receive())
	c.close(1000, "")
	// Output:
	// 401
	// 403
	// ann, level 3
}

// Each connection knows who its client is. This closes all connections of one user, as
// after a change of their password.
func ExampleGateway_Connections() {
	gw, err := gateway.New()
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	gw.Handle(gateway.RouteKeyConnect, &gateway.MockIntegration{}, gateway.WithAuthorizer(gateway.AuthorizerFunc(
		func(_ context.Context, req *gateway.Request) (*gateway.Authorization, error) {
			return &gateway.Authorization{PrincipalID: req.Upgrade.URL.Query().Get("user")}, nil
		})))

	srv := httptest.NewServer(gw.Handler())
	defer srv.Close()
	ann, _ := dial(srv.URL + "?user=ann")
	bob, _ := dial(srv.URL + "?user=bob")
	defer bob.close(1000, "")
	fmt.Println(gw.Len(), "connections")
	for c := range gw.Connections() {
		if c.PrincipalID == "ann" {
			_ = gw.DeleteConnection(context.Background(), c.ID) // gateway.ErrGone: it has closed already
		}
	}
	fmt.Println(ann.receiveClose())
	// Output:
	// 2 connections
	// 1000 Connection Closed Normally
}
