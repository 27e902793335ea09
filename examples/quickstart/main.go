// Command quickstart is the first program of the README: whoever sends
// {"action": "sendmessage", …} has the message sent to everyone.
//
//	go run ./examples/quickstart
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"time"

	"example.com/gateway"
)

func main() {
	addr := flag.String("addr", "localhost:8080", "address to listen on")
	flag.Parse()
	gw, err := newGateway()
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/prod", gw.Handler())
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "The WebSocket API is at ws://%s/prod\n", r.Host)
	})
	server := &http.Server{Addr: *addr, Handler: mux, ReadHeaderTimeout: 5 * time.Second}

	interrupted, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	log.Printf("open http://%s/", *addr)
	select {
	case err := <-failed:
		log.Fatal(err)
	case <-interrupted.Done():
	}
	stop() // from now on a second Ctrl-C ends the program at once
	log.Print("shutting down")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	// The gateway goes first: it closes the sockets, which the server does not know about.
	if err := errors.Join(gw.Shutdown(ctx), server.Shutdown(ctx)); err != nil {
		log.Fatal(err) //nolint:gocritic // no deferred call is needed any more
	}
}

// newGateway makes the API: the "action" of a message names its route.
func newGateway() (*gateway.Gateway, error) {
	gw, err := gateway.New()
	if err != nil {
		return nil, err
	}
	gw.HandleFunc("sendmessage", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		_, err := gw.PostTo(ctx, gateway.Everyone(), req.Body) // waits for no client
		return nil, err
	})
	return gw, nil
}
