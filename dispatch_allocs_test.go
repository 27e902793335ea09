//go:build !race

package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
)

// preparedReply returns the same reply every time, so that only the gateway
// allocates.
type preparedReply struct{ resp *gateway.Response }

func (p preparedReply) Invoke(context.Context, *gateway.Request) (*gateway.Response, error) {
	return p.resp, nil
}

// TestAllocations checks that the paths of a message and of a post allocate only what
// the user gets: for a message, its body and its event. It is not parallel, and it
// does not run with the race detector, which makes pools drop objects on purpose.
func TestAllocations(t *testing.T) {
	gw, addr := newBench(t)
	reply := &gateway.Response{Body: []byte(benchReply)}
	gw.Handle("echo", preparedReply{reply}, gateway.WithRouteResponse())
	gw.Handle("silent", preparedReply{nil})
	gw.HandleFunc("$default", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		if _, ok := req.SelectionValue(); ok {
			panic("there is no observer, so the value is not kept")
		}
		return reply, nil
	}, gateway.WithRouteResponse())
	nc := dialBench(t, addr)
	var id string
	for c := range gw.Connections() {
		id = c.ID
	}
	padding := bytes.Repeat([]byte("x"), 98)
	echo := benchFrame(fmt.Sprintf(`{"action":"echo","padding":%q}`, padding))
	silent := benchFrame(fmt.Sprintf(`{"action":"silent","padding":%q}`, padding[:96]))
	unknown := benchFrame(fmt.Sprintf(`{"action":"none","padding":%q}`, padding[:98]))
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
		{"a message that no key selects", event + body, exchange(unknown, 1)},
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

// TestAllocations_Observed checks what it costs to tell an observer about a message
// and the value that selected its route: nothing, if a route has that value as its
// key.
func TestAllocations_Observed(t *testing.T) {
	reply := preparedReply{&gateway.Response{Body: []byte(benchReply)}}
	gw, addr := newBench(t, gateway.WithObserver(&gateway.Observer{
		IntegrationDone: func(_ context.Context, req *gateway.Request, _ *gateway.Response, _ time.Duration, _ error) {
			if _, ok := req.SelectionValue(); !ok {
				panic("no value")
			}
		},
	}))
	gw.Handle("echo", reply, gateway.WithRouteResponse())
	gw.Handle("$default", reply, gateway.WithRouteResponse())
	nc := dialBench(t, addr)
	answer := make([]byte, 2+len(benchReply))
	const event, body, value = 1, 1, 2
	for _, tt := range []struct {
		name, action string
		want         float64
	}{
		{"a route's key", "echo", event + body},
		{"no route's key", "none", event + body + value},
	} {
		t.Run(tt.name, func(t *testing.T) {
			request := benchFrame(fmt.Sprintf(`{"action":%q,"padding":%q}`, tt.action, bytes.Repeat([]byte("x"), 98)))
			run := func() {
				_, err := nc.Write(request)
				if err == nil {
					_, err = io.ReadFull(nc, answer)
				}
				if err != nil {
					panic(err)
				}
			}
			for range 100 {
				run()
			}
			require.InDelta(t, tt.want, testing.AllocsPerRun(500, run), 0.01)
		})
	}
}

// TestAllocations_Throttled checks that a message that a throttle refuses allocates what an
// error frame needs, and nothing for the error that names the throttle.
func TestAllocations_Throttled(t *testing.T) {
	gw, addr := newBench(t)
	gw.Handle("m", preparedReply{nil}, gateway.WithThrottle(1e-9, 1))
	nc := dialBench(t, addr)
	request := benchFrame(fmt.Sprintf(`{"action":"m","padding":%q}`, bytes.Repeat([]byte("x"), 110)))
	answer := make([]byte, 1<<10)
	size := 0
	run := func() {
		_, err := nc.Write(request)
		if err == nil {
			size, err = nc.Read(answer)
		}
		if err != nil {
			panic(err)
		}
	}
	_, err := nc.Write(request) // is served
	require.NoError(t, err)
	for range 100 {
		run()
	}
	require.Contains(t, string(answer[:size]), "Too Many Requests")
	const event, body, ids, frame = 1, 1, 2, 6
	require.InDelta(t, event+body+ids+frame, testing.AllocsPerRun(500, run), 0.01)
}
