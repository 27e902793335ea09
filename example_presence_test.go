package gateway_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"example.com/gateway"
)

// The members of a room learn who comes and goes, and how many there are.
func Example_presence() {
	gw, err := gateway.New()
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	gw.HandleFunc("enter", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		return nil, gw.Join(ctx, req.ConnectionID, "room-1")
	})
	tell := func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		n, err := gw.Count(ctx, gateway.Group(req.Group))
		if err != nil {
			return nil, err
		}
		_, err = gw.PostTo(ctx, gateway.Group(req.Group), fmt.Appendf(nil, "%s, now %d in %s", req.EventType, n, req.Group))
		return nil, err
	}
	gw.HandleFunc(gateway.RouteKeyJoin, tell)
	gw.HandleFunc(gateway.RouteKeyLeave, tell)

	srv := httptest.NewServer(gw.Handler())
	defer srv.Close()
	ann, _ := dial(srv.URL)
	ann.send(`{"action":"enter"}`)
	fmt.Println(ann.receive())
	bob, _ := dial(srv.URL)
	bob.send(`{"action":"enter"}`)
	fmt.Println(ann.receive())
	bob.close(1000, "")
	fmt.Println(ann.receive())
	ann.close(1000, "")
	// Output:
	// JOIN, now 1 in room-1
	// JOIN, now 2 in room-1
	// LEAVE, now 1 in room-1
}
