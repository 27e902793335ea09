// Command proxyprotocol serves a WebSocket API behind a load balancer that speaks the PROXY
// protocol, as HAProxy and the load balancers of most clouds do. The listener reads the
// address of the client, so the gateway needs no option for it.
//
//	go run ./proxyprotocol -from 10.0.0.0/8
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/pires/go-proxyproto"

	"example.com/gateway"
)

func main() {
	addr := flag.String("addr", "localhost:8080", "address to listen on")
	from := flag.String("from", "127.0.0.1/32", "network of the load balancers")
	flag.Parse()
	if err := run(context.Background(), *addr, *from); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, addr, from string) error {
	gw, err := newGateway()
	if err != nil {
		return err
	}
	defer gw.Close()
	inner, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	l, err := listener(inner, from)
	if err != nil {
		return err
	}
	log.Printf("ws://%s/", inner.Addr())
	server := &http.Server{Handler: gw.Handler(), ReadHeaderTimeout: 5 * time.Second}
	return server.Serve(l)
}

// listener reads the header of the PROXY protocol, which each connection from the network
// must have. It closes connections from elsewhere: they could write any address into it.
func listener(inner net.Listener, from string) (net.Listener, error) {
	_, network, err := net.ParseCIDR(from)
	if err != nil {
		return nil, err
	}
	return &proxyproto.Listener{
		Listener:          inner,
		ReadHeaderTimeout: 5 * time.Second,
		ConnPolicy: func(o proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
			if peer, ok := o.Upstream.(*net.TCPAddr); ok && network.Contains(peer.IP) {
				return proxyproto.REQUIRE, nil
			}
			return proxyproto.REJECT, proxyproto.ErrInvalidUpstream
		},
	}, nil
}

// newGateway makes an API that tells a client its address.
func newGateway() (*gateway.Gateway, error) {
	gw, err := gateway.New()
	if err != nil {
		return nil, err
	}
	gw.HandleFunc(gateway.RouteKeyDefault, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Body: []byte(req.Identity.SourceIP)}, nil
	}, gateway.WithRouteResponse())
	return gw, nil
}
