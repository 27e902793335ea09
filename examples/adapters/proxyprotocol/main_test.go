package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"

	"github.com/pires/go-proxyproto"
	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/wsconn"
)

// start serves the API for load balancers of a network, and returns its address.
func start(t *testing.T, from string) string {
	t.Helper()
	gw, err := newGateway()
	require.NoError(t, err)
	inner, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l, err := listener(inner, from)
	require.NoError(t, err)
	server := &http.Server{Handler: gw.Handler()} //nolint:gosec // a test
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		require.NoError(t, errors.Join(gw.Close(), server.Close()))
		require.ErrorIs(t, <-done, http.ErrServerClosed)
	})
	return inner.Addr().String()
}

// dial connects as a load balancer with a header does. A nil header is none.
func dial(t *testing.T, address string, header *proxyproto.Header) (*wsconn.Client, error) {
	t.Helper()
	ws, _, err := wsconn.Dial(t.Context(), "ws://"+address, wsconn.DialOptions{ //nolint:bodyclose // a 101 has no body
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			nc, err := (&net.Dialer{}).DialContext(ctx, network, address)
			if err == nil && header != nil {
				_, err = header.WriteTo(nc)
			}
			return nc, err
		},
	})
	return ws, err
}

// The address of a client is the one in the header, of version 1 and 2, for as long as the
// connection lives.
func TestSourceIP(t *testing.T) {
	address := start(t, "127.0.0.0/8")
	for _, version := range []byte{1, 2} {
		for client, balancer := range map[string]string{"203.0.113.7:4711": "10.0.0.1:80", "[2001:db8::7]:4711": "[2001:db8::1]:80"} {
			from, err := net.ResolveTCPAddr("tcp", client)
			require.NoError(t, err)
			to, err := net.ResolveTCPAddr("tcp", balancer)
			require.NoError(t, err)
			ws, err := dial(t, address, proxyproto.HeaderProxyFromAddrs(version, from, to))
			require.NoError(t, err)
			for range 3 {
				require.NoError(t, ws.Write(t.Context(), []byte("who am I"), true))
				answer, _, err := ws.Read(t.Context())
				require.NoError(t, err)
				require.Equal(t, from.IP.String(), string(answer))
			}
			require.NoError(t, ws.Close(1000, ""))
		}
	}
}

// Nobody else gets in: neither without a header, nor from another network.
func TestStrangers(t *testing.T) {
	_, err := dial(t, start(t, "127.0.0.0/8"), nil)
	require.Error(t, err)
	from := &net.TCPAddr{IP: net.IPv4(203, 0, 113, 7), Port: 4711}
	_, err = dial(t, start(t, "10.0.0.0/8"), proxyproto.HeaderProxyFromAddrs(2, from, from))
	require.Error(t, err)
}
