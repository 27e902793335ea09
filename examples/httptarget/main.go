// Command httptarget is the chat of examples/chat with a backend in Python or Node.js. The
// backend is an HTTP service that holds no socket, keeps no table and makes no call. The
// gateway keeps the connections and sends each event to the backend as a POST. The headers
// of the answer say who joins which room, and who gets the body.
//
//	go run ./examples/httptarget
//	go run ./examples/httptarget -backend node
//
// It starts the service: backend.py with python3, or backend.mjs with node.
package main

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"example.com/gateway"
	"example.com/gateway/examples/chat/page"
)

// stage is the name of the stage, and so the path of the sockets.
const stage = "chat"

// The service in each language.
var (
	//go:embed backend.py
	inPython string
	//go:embed backend.mjs
	inNode string
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	addr := flag.String("addr", "127.0.0.1:8080", "`address` to listen on, of the loopback interface")
	backend := flag.String("backend", "python", "`language` of the backend, python or node")
	flag.Parse()
	if err := run(ctx, *addr, *backend); err != nil {
		fmt.Fprintln(os.Stderr, "httptarget:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, addr, backend string) error {
	target, stopTarget, err := startBackend(ctx, backend)
	if err != nil {
		return err
	}
	defer stopTarget()
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	if bound, ok := ln.Addr().(*net.TCPAddr); !ok || !bound.IP.IsLoopback() {
		return errors.Join(errors.New("-addr must be a loopback address: the management API is open"), ln.Close())
	}
	gw, err := gateway.New(gateway.WithStage(stage, nil), gateway.WithAPI("chat", ln.Addr().String()),
		gateway.WithLogger(slog.New(slog.NewTextHandler(os.Stderr, nil))), gateway.WithAnswerCommands(),
		gateway.WithoutManagementAuth()) // for the page's curl line; the backend makes no call
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	routes := &gateway.HTTPIntegration{
		URI: target,
		RequestParameters: map[string]string{
			"integration.request.header.requestId": "context.requestId",
			"integration.request.header.status":    "context.disconnectStatusCode",
		},
	}
	for _, key := range []string{"$connect", "$disconnect", "$join", "$leave"} {
		gw.Handle(key, routes)
	}
	for _, key := range []string{"join", "sendmessage", "greet", "leave", "fail", "$default"} {
		gw.Handle(key, routes, gateway.WithRouteResponse())
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
	// Shut down the gateway first: its last events need the backend.
	return errors.Join(err, gw.Shutdown(ctx), server.Shutdown(ctx))
}

// startBackend starts the service in one of the languages and returns its URL. The service
// ends when its standard input ends.
func startBackend(ctx context.Context, language string) (url string, stop func(), err error) {
	ctx = context.WithoutCancel(ctx)
	var cmd *exec.Cmd
	switch language {
	case "python":
		cmd = exec.CommandContext(ctx, "python3", "-c", inPython)
	case "node":
		cmd = exec.CommandContext(ctx, "node", "--input-type=module", "--eval", inNode)
	default:
		return "", nil, fmt.Errorf("-backend %s: want python or node", language)
	}
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	}
	url, err = bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("the backend did not start: %w", err)
	}
	return strings.TrimSpace(url), stop, nil
}
