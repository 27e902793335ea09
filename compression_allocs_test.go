//go:build unix && !race

package gateway_test

import (
	"bytes"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/internal/suites/wiretest"
)

// TestAllocations_Compressed checks what a message and a post allocate where the client has
// agreed on compression. It is not parallel, and it does not run with the race detector, which
// makes pools drop objects on purpose.
func TestAllocations_Compressed(t *testing.T) {
	gw, addr := newBench(t, gateway.WithCompression(gateway.Compression{}))
	large := benchJSON(1 << 10)
	gw.Handle("$default", preparedReply{&gateway.Response{Body: []byte(large)}}, gateway.WithRouteResponse())
	gw.Handle("small", preparedReply{&gateway.Response{Body: []byte(benchReply)}}, gateway.WithRouteResponse())
	nc := dialCompressing(t, addr)
	var id string
	for c := range gw.Connections() {
		id = c.ID
	}
	clients := []net.Conn{nc}
	for range 9 {
		clients = append(clients, dialCompressing(t, addr))
	}
	clients = append(clients, dialBench(t, addr)) // gets the plain form
	packed := wiretest.Frame(wiretest.Text|wiretest.RSV1, wiretest.Deflate(large))
	small := wiretest.Frame(wiretest.Text|wiretest.RSV1, wiretest.Deflate(`{"action":"small"}`))
	plain := benchFrame(large)
	buf := make([]byte, 4<<10)
	receive := func(nc net.Conn) {
		if _, err := readMessage(nc, buf); err != nil {
			panic(err)
		}
	}
	exchange := func(request []byte, answers int) func() {
		return func() {
			if _, err := nc.Write(request); err != nil {
				panic(err)
			}
			for range answers {
				receive(nc)
			}
		}
	}
	post := []byte(large)
	const (
		event, body, frame = 1, 1, 1
		wire               = 1 // the message as it has come, before it is inflated
		call               = 4 // of PostTo, for any number of clients, also without compression
	)
	for _, tt := range []struct {
		name string
		want float64
		run  func()
	}{
		{"a message and its reply, both compressed", event + wire + body + frame, exchange(packed, 1)},
		{"16 at once", 16 * (event + wire + body + frame), exchange(bytes.Repeat(packed, 16), 16)},
		{"a compressed message, a reply below the threshold", event + wire + body, exchange(small, 1)},
		{"a plain message, a compressed reply", event + body + frame, exchange(plain, 1)},
		{"a post", frame, func() {
			if err := gw.PostToConnection(t.Context(), id, post); err != nil {
				panic(err)
			}
			receive(nc)
		}},
		{"a post to 11 clients, compressed once and plain once", call + 2*frame, func() {
			if d, err := gw.PostTo(t.Context(), gateway.Everyone(), post); err != nil || d.Accepted != len(clients) {
				panic(err)
			}
			for _, nc := range clients {
				receive(nc)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 100 {
				tt.run() // fills the pools
			}
			require.InDelta(t, tt.want, testing.AllocsPerRun(500, tt.run), 0.01)
		})
	}
}
