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

// stage is the name of the stage, and so the path of the sockets.
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

// run serves the chat on addr until ctx ends, and then closes every connection. It writes
// the addresses of the page and of the API to out.
func run(ctx context.Context, addr string, out io.Writer, log *slog.Logger) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	opts := []gateway.Option{
		gateway.WithStage(stage, nil),
		gateway.WithAPI("chat", ln.Addr().String()), // and not the Host that a client sends: people paste the line with this name into a shell
		gateway.WithLogger(log),
	}
	// The management API is open only on a loopback address, which nobody can reach from
	// another machine. On any other address all calls are refused: use
	// gateway.WithManagementAuth to say who may call.
	if bound, ok := ln.Addr().(*net.TCPAddr); ok && bound.IP.IsLoopback() {
		opts = append(opts, gateway.WithoutManagementAuth())
	}
	gw, err := gateway.New(opts...)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	(&chat{connections: gw, log: log}).register(gw)

	server := &http.Server{Handler: newMux(gw), ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { failed <- server.Serve(ln) }) // until Shutdown, which is called on every path below
	fmt.Fprintf(out, "page: http://%s/\n", ln.Addr())
	fmt.Fprintf(out, "post: curl -X POST --data 'hello from curl' 'http://%s/%s/@connections/<connection ID, = as %%3D>'\n", ln.Addr(), stage)

	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	// Shut down the gateway first: it refuses new clients and closes the sockets, which the
	// server does not know about.
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
