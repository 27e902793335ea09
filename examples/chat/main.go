// Command chat is a chat with rooms whose whole backend is a handful of route
// integrations. Run it, open the page it prints in two windows, and post into
// one of them from a terminal with the curl line it logs for each member:
//
//	go run ./examples/chat
//
// The sockets are at /chat, as wss://host/stage is on Amazon API Gateway, and
// the management API is at /chat/@connections/.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
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
)

// stage is the stage's name and so the path of the sockets.
const stage = "chat"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	addr := flag.String("addr", "127.0.0.1:8080", "`address` to listen on")
	flag.Parse()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := run(ctx, *addr, os.Stdout, log); err != nil {
		log.Error("chat failed", "error", err)
		os.Exit(1)
	}
}

// run serves the chat on addr until ctx ends, then says goodbye to every
// connection. It writes the addresses that a reader needs to out.
func run(ctx context.Context, addr string, out io.Writer, log *slog.Logger) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	opts := []gateway.Option{
		gateway.WithStage(stage, nil),
		gateway.WithAPI("chat", ln.Addr().String()), // not the Host that a client claims: it ends up in a line to be pasted
		gateway.WithLogger(log),
	}
	// The management API is open only because a loopback address can be reached
	// from this machine alone. On any other address calls are refused, until
	// gateway.WithManagementAuth says who may make them.
	if bound, ok := ln.Addr().(*net.TCPAddr); ok && bound.IP.IsLoopback() {
		opts = append(opts, gateway.WithoutManagementAuth())
	}
	gw, err := gateway.New(opts...)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	newChat(gw, log).register(gw)

	server := &http.Server{Handler: newMux(gw), ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { failed <- server.Serve(ln) }) // until Shutdown, which every way out below calls
	fmt.Fprintf(out, "page: http://%s/\n", ln.Addr())
	fmt.Fprintf(out, "post: curl -X POST --data 'hello from curl' 'http://%s/%s/@connections/<connection ID, = as %%3D>'\n", ln.Addr(), stage)

	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	// The gateway goes first: it refuses new clients and closes the sockets, of which
	// the server does not know.
	return errors.Join(err, gw.Shutdown(ctx), server.Shutdown(ctx))
}

// newMux mounts the page, the sockets and the management API.
func newMux(gw *gateway.Gateway) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/"+stage, gw.Handler())
	mux.Handle("/"+stage+"/@connections/", gw.ManagementHandler())
	mux.Handle("/", page.Handler())
	return mux
}
