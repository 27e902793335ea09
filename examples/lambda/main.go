// Command lambda is the chat of examples/chat with a Lambda handler as its backend.
// handler.go could be deployed to AWS unchanged: it gets the service's events, answers
// with statusCode and body, and posts to connections over HTTP.
//
//	go run ./examples/lambda
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"example.com/gateway"
	"example.com/gateway/examples/chat/page"
	"example.com/gateway/lambda"
)

// stage is the name of the stage, and so the path of the sockets.
const stage = "chat"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	addr := flag.String("addr", "127.0.0.1:8080", "`address` to listen on, of the loopback interface")
	flag.Parse()
	if err := run(ctx, *addr); err != nil {
		fmt.Fprintln(os.Stderr, "lambda:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, addr string) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	if bound, ok := ln.Addr().(*net.TCPAddr); !ok || !bound.IP.IsLoopback() {
		return errors.Join(errors.New("-addr must be a loopback address: the management API is open"), ln.Close())
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	gw, err := gateway.New(gateway.WithStage(stage, nil), gateway.WithAPI("chat", ln.Addr().String()),
		gateway.WithLogger(log), gateway.WithoutManagementAuth())
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	function := lambda.Wrap(newChat("http", log).handle)
	for _, key := range []string{"$connect", "$disconnect"} {
		gw.Handle(key, function)
	}
	for _, key := range []string{"join", "sendmessage", "leave", "fail", "$default"} {
		gw.Handle(key, function, gateway.WithRouteResponse())
	}
	mux := http.NewServeMux()
	mux.Handle("/"+stage, gw.Handler())
	mux.Handle("/"+stage+"/@connections/", gw.ManagementHandler())
	mux.Handle("/", page.Handler())

	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { failed <- server.Serve(ln) }) // until Shutdown, which is called on every path below
	fmt.Printf("page: http://%s/\n", ln.Addr())
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	// Shut down the gateway first: the function's last posts need the server.
	return errors.Join(err, gw.Shutdown(ctx), server.Shutdown(ctx))
}
