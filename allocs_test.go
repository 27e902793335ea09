//go:build !race

package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
)

// preparedReply returns the same reply every time, so that what is allocated is
// the gateway's.
type preparedReply struct{ resp *gateway.Response }

func (p preparedReply) Invoke(context.Context, *gateway.Request) (*gateway.Response, error) {
	return p.resp, nil
}

// TestAllocations holds the path of a message, and that of a post, to what a user
// gets in hand: for a message its body and its event. It is not parallel, and not
// for the race detector, under which pools forget on purpose.
func TestAllocations(t *testing.T) {
	gw, addr := newBench(t)
	gw.Handle("echo", preparedReply{&gateway.Response{Body: []byte(benchReply)}}, gateway.WithRouteResponse())
	gw.Handle("silent", preparedReply{nil})
	nc := dialBench(t, addr)
	var id string
	for c := range gw.Connections() {
		id = c.ID
	}
	padding := bytes.Repeat([]byte("x"), 98)
	echo := benchFrame(fmt.Sprintf(`{"action":"echo","padding":%q}`, padding))
	silent := benchFrame(fmt.Sprintf(`{"action":"silent","padding":%q}`, padding[:96]))
	replies := make([]byte, 16*(2+len(benchReply)))
	post := []byte(benchReply)
	ids := []string{id}
	exchange := func(request []byte, answers int) func() {
		return func() {
			_, err := nc.Write(request)
			if err == nil {
				_, err = io.ReadFull(nc, replies[:answers*(2+len(benchReply))])
			}
			if err != nil {
				panic(err)
			}
		}
	}
	receive := exchange(nil, 1)
	const event, body, frame = 1, 1, 1
	for _, tt := range []struct {
		name string
		want float64
		run  func()
	}{
		{"a message and its reply", event + body, exchange(echo, 1)},
		{"16 at once, replies corked", 16 * (event + body), exchange(bytes.Repeat(echo, 16), 16)},
		{"a message without a reply, then one with", 2 * (event + body), exchange(append(silent[:len(silent):len(silent)], echo...), 1)},
		{"a post", 0, func() {
			if err := gw.PostToConnection(t.Context(), id, post); err != nil {
				panic(err)
			}
			receive()
		}},
		{"a post to many, encoded once", frame, func() {
			if errs := gw.PostToConnections(t.Context(), ids, post); errs != nil {
				panic(errs[0])
			}
			receive()
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
