package gateway_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"example.com/gateway"
)

// A client joins a room, and what it says reaches the others in the room. The gateway
// knows who is there: the backend keeps no table of connections.
func ExampleGateway_PostTo() {
	gw, err := gateway.New()
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	const room = "room-1"
	gw.HandleFunc("enter", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		if err := gw.Join(ctx, req.ConnectionID, room); err != nil {
			return nil, err
		}
		n, err := gw.Count(ctx, gateway.Group(room))
		return &gateway.Response{Body: fmt.Appendf(nil, "%d in the room", n)}, err
	}, gateway.WithRouteResponse())
	gw.HandleFunc("say", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		d, err := gw.PostTo(ctx, gateway.Group(room).Except(req.ConnectionID), req.Body)
		return &gateway.Response{Body: fmt.Appendf(nil, "%d others got it", d.Accepted)}, err
	}, gateway.WithRouteResponse())

	srv := httptest.NewServer(gw.Handler())
	defer srv.Close()
	alice, _ := dial(srv.URL)
	defer alice.close(1000, "")
	bob, _ := dial(srv.URL)
	defer bob.close(1000, "")
	alice.send(`{"action":"enter"}`)
	fmt.Println("alice got", alice.receive())
	bob.send(`{"action":"enter"}`)
	fmt.Println("bob got", bob.receive())
	bob.send(`{"action":"say","text":"hello"}`)
	fmt.Println("bob got", bob.receive())
	fmt.Println("alice got", alice.receive())
	// Output:
	// alice got 1 in the room
	// bob got 2 in the room
	// bob got 1 others got it
	// alice got {"action":"say","text":"hello"}
}

// A user who logs out everywhere: all connections of the principal close with a code that
// the client understands.
func ExampleGateway_CloseAll() {
	gw, err := gateway.New()
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	gw.Handle(gateway.RouteKeyConnect, &gateway.MockIntegration{}, gateway.WithAuthorizer(gateway.AuthorizerFunc(
		func(_ context.Context, req *gateway.Request) (*gateway.Authorization, error) {
			return &gateway.Authorization{PrincipalID: req.Upgrade.URL.Query().Get("user")}, nil // check a token here
		})))

	srv := httptest.NewServer(gw.Handler())
	defer srv.Close()
	phone, _ := dial(srv.URL + "?user=alice")
	laptop, _ := dial(srv.URL + "?user=alice")
	bob, _ := dial(srv.URL + "?user=bob")
	defer bob.close(1000, "")

	d, err := gw.CloseAll(context.Background(), gateway.User("alice"), 4001, "logged out")
	fmt.Println(d.Accepted, "closed", err)
	fmt.Println(phone.receiveClose())
	fmt.Println(laptop.receiveClose())
	n, err := gw.Count(context.Background(), gateway.Everyone())
	fmt.Println(n, "left", err)
	// Output:
	// 2 closed <nil>
	// 4001 logged out
	// 4001 logged out
	// 1 left <nil>
}
