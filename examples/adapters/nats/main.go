// Command nats hands every event of a WebSocket API to a stream of NATS JetStream. Whoever
// reads the stream answers with @connections.
//
//	nats-server -js
//	go run ./nats
package main

import (
	"context"
	"flag"
	"log"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/gateway"
)

func main() {
	addr := flag.String("addr", "localhost:8080", "address to listen on")
	url := flag.String("nats", nats.DefaultURL, "URL of the NATS server")
	flag.Parse()
	if err := run(context.Background(), *addr, *url); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, addr, url string) error {
	nc, err := nats.Connect(url, nats.MaxReconnects(-1))
	if err != nil {
		return err
	}
	defer nc.Close()
	gw, err := newGateway(ctx, nc)
	if err != nil {
		return err
	}
	defer gw.Close()
	mux := http.NewServeMux()
	mux.Handle("/prod", gw.Handler())
	server := &http.Server{Addr: addr, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	log.Printf("ws://%s/prod", addr)
	return server.ListenAndServe()
}

// newGateway makes the API and the stream of its events.
func newGateway(ctx context.Context, nc *nats.Conn) (*gateway.Gateway, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	if _, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: "CHAT", Subjects: []string{"chat.*"}, MaxAge: time.Hour,
	}); err != nil {
		return nil, err
	}
	// A client should soon know that the server is away.
	gw, err := gateway.New(gateway.WithQuotas(gateway.Quotas{IntegrationTimeout: 2 * time.Second}))
	if err != nil {
		return nil, err
	}
	for _, key := range []string{gateway.RouteKeyConnect, gateway.RouteKeyDisconnect, gateway.RouteKeyDefault} {
		gw.Handle(key, publish(js))
	}
	return gw, nil
}

// publish hands an event to the stream. It waits until the server has stored the event, so
// the client of an event that is lost gets an error.
func publish(js jetstream.Publisher) gateway.PublishIntegration {
	return func(ctx context.Context, req *gateway.Request) error {
		msg := nats.NewMsg("chat." + string(req.EventType)) // chat.CONNECT, chat.MESSAGE, chat.DISCONNECT
		msg.Header.Set("Connection-Id", req.ConnectionID)
		msg.Header.Set("Route-Key", req.RouteKey)
		msg.Data = req.Body
		_, err := js.PublishMsg(ctx, msg, jetstream.WithMsgID(req.RequestID)) // with the ID, the server drops a second copy
		return err
	}
}
