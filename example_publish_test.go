package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"

	"example.com/gateway"
)

// The messages of clients go into a queue, here a channel. A worker reads the queue and
// answers later.
func ExamplePublishIntegration() {
	gw, err := gateway.New()
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	queue := make(chan *gateway.Request, 100)
	gw.Handle("order", gateway.PublishIntegration(func(_ context.Context, req *gateway.Request) error {
		select {
		case queue <- req:
			return nil
		default:
			return errors.New("the queue is full") // the client gets an error frame
		}
	}))
	go func() {
		for req := range queue {
			_ = gw.PostToConnection(context.Background(), req.ConnectionID, []byte("ordered: "+string(req.Body)))
		}
	}()
	defer close(queue)

	srv := httptest.NewServer(gw.Handler())
	defer srv.Close()
	c, _ := dial(srv.URL)
	c.send(`{"action":"order","item":"tea"}`)
	fmt.Println(c.receive())
	c.close(1000, "")
	// Output:
	// ordered: {"action":"order","item":"tea"}
}
