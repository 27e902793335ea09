package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"

	"example.com/gateway"
)

// Any code that has a connection's ID can write to it, at any time. Posting does
// not wait for the client.
func ExampleGateway_PostToConnection() {
	gw, err := gateway.New()
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	gw.HandleFunc("say", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		for c := range gw.Connections() {
			err := gw.PostToConnection(ctx, c.ID, req.Body)
			switch {
			case errors.Is(err, gateway.ErrGone): // it has left in the meantime
			case errors.Is(err, gateway.ErrLimitExceeded): // it reads too slowly
				_ = gw.DeleteConnection(ctx, c.ID)
			case err != nil:
				return nil, err
			}
		}
		return nil, nil
	})

	srv := httptest.NewServer(gw.Handler())
	defer srv.Close()
	alice, _ := dial(srv.URL)
	defer alice.close(1000, "")
	bob, _ := dial(srv.URL)
	defer bob.close(1000, "")

	alice.send(`{"action":"say","text":"hello"}`)
	fmt.Println("alice got", alice.receive())
	fmt.Println("bob got", bob.receive())
	// Output:
	// alice got {"action":"say","text":"hello"}
	// bob got {"action":"say","text":"hello"}
}
