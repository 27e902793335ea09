package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
)

// BenchmarkRequestReply measures a message of 128 bytes and its reply over TCP
// loopback, including the client, with several numbers of messages in flight.
func BenchmarkRequestReply(b *testing.B) {
	for _, inFlight := range []int{1, 16} {
		b.Run(fmt.Sprintf("outstanding=%d", inFlight), func(b *testing.B) {
			gw, addr := newBench(b)
			gw.Handle("echo", fixedReply{}, gateway.WithRouteResponse())
			nc := dialBench(b, addr)
			body := fmt.Sprintf(`{"action":"echo","padding":%q}`, bytes.Repeat([]byte("x"), 98))
			batch := bytes.Repeat(benchFrame(body), inFlight)
			replies := make([]byte, inFlight*(2+len(benchReply)))
			b.ReportAllocs()
			b.SetBytes(int64(len(body) * inFlight))
			for b.Loop() {
				if _, err := nc.Write(batch); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(nc, replies); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

const benchReply = `{"ok":true}`

type fixedReply struct{}

func (fixedReply) Invoke(context.Context, *gateway.Request) (*gateway.Response, error) {
	return &gateway.Response{Body: []byte(benchReply)}, nil
}

// BenchmarkPostToConnection measures posts, in the same process, to one client that
// reads.
func BenchmarkPostToConnection(b *testing.B) {
	gw, addr := newBench(b)
	nc := dialBench(b, addr)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, nc)
	}()
	var id string
	for c := range gw.Connections() {
		id = c.ID
	}
	data := bytes.Repeat([]byte("x"), 128)
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		for gw.PostToConnection(b.Context(), id, data) != nil { //nolint:revive // the buffer is full: try again
		}
	}
	_ = nc.Close()
	<-drained
}

// BenchmarkConnect measures an upgrade with a $connect route, and the close.
func BenchmarkConnect(b *testing.B) {
	gw, addr := newBench(b)
	gw.HandleFunc("$connect", answerNothing)
	closeFrame := []byte{0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8}
	b.ReportAllocs()
	for b.Loop() {
		nc := dialBench(b, addr)
		if _, err := nc.Write(closeFrame); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadAll(nc); err != nil {
			b.Fatal(err)
		}
		_ = nc.Close()
	}
}

// newBench returns a gateway behind a real listener, and its address.
func newBench(b testing.TB, opts ...gateway.Option) (*gateway.Gateway, string) {
	b.Helper()
	gw, err := gateway.New(append(opts, gateway.WithQuotas(gateway.Quotas{NewConnections: gateway.Throttle{RateLimit: -1}}))...)
	require.NoError(b, err)
	server := httptest.NewServer(gw.Handler())
	b.Cleanup(func() {
		_ = gw.Close()
		server.Close()
	})
	return gw, server.Listener.Addr().String()
}

func benchFrame(body string) []byte {
	frame := []byte{0x81, 0x80 | 126, byte(len(body) >> 8), byte(len(body)), 0, 0, 0, 0}
	return append(frame, body...)
}

// dialBench upgrades a connection and returns its socket. fields are further lines of the
// request's header; an empty one does not count.
func dialBench(b testing.TB, addr string, fields ...string) net.Conn {
	b.Helper()
	nc, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", addr)
	require.NoError(b, err)
	b.Cleanup(func() { _ = nc.Close() })
	more := ""
	for _, field := range fields {
		if field != "" {
			more += field + "\r\n"
		}
	}
	_, err = fmt.Fprint(nc, "GET /test HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"+more+"\r\n")
	require.NoError(b, err)
	var head []byte
	for one := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); head = append(head, one[0]) {
		_, err := nc.Read(one)
		require.NoError(b, err)
	}
	return nc
}
