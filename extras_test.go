package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

// report answers with the state of its event, in brackets.
func report(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
	return &gateway.Response{Body: fmt.Appendf(nil, "[%s]", req.State)}, nil
}

func TestSetState(t *testing.T) {
	t.Parallel()
	var seen []string // by the observer, when the connection opens and closes
	srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{StateBytes: 10}), gateway.WithObserver(&gateway.Observer{
		ConnectionOpened: func(_ context.Context, c gateway.Connection) { seen = append(seen, string(c.State)) },
		ConnectionClosed: func(_ context.Context, c gateway.Connection, _ int, _ string) { seen = append(seen, string(c.State)) },
	}))
	srv.HandleFunc("$default", report, gateway.WithRouteResponse())
	srv.HandleFunc("$disconnect", answerNothing)
	c, other := srv.Dial(t), srv.Dial(t)
	id, ctx := c.ConnectionID(), t.Context()
	ended, cancel := context.WithCancel(ctx)
	cancel()

	for _, step := range []struct {
		name  string
		state string
		opts  []gateway.StateOption
		err   error  // nil: it is set
		after string // the state that the connection has
	}{
		{"the first", "one", nil, nil, "one"},
		{"replaced", "two", nil, nil, "two"},
		{"the same again", "two", nil, nil, "two"},
		{"as large as it may be", "0123456789", nil, nil, "0123456789"},
		{"too large", "0123456789a", nil, gateway.ErrPayloadTooLarge, "0123456789"},
		{"the state is another", "x", []gateway.StateOption{gateway.IfState([]byte("two"))}, gateway.ErrConflict, "0123456789"},
		{"there is a state", "x", []gateway.StateOption{gateway.IfState(nil)}, gateway.ErrConflict, "0123456789"},
		{"the state is that", "é", []gateway.StateOption{gateway.IfState([]byte("0123456789"))}, nil, "é"},
		{"the last option counts", "y", []gateway.StateOption{gateway.IfState([]byte("x")), gateway.IfState([]byte("é"))}, nil, "y"},
		{"removed", "", nil, nil, ""},
		{"the state is another: none", "x", []gateway.StateOption{gateway.IfState([]byte("y"))}, gateway.ErrConflict, ""},
		{"there is none", "x", []gateway.StateOption{gateway.IfState([]byte{})}, nil, "x"},
		{"removed on a condition", "", []gateway.StateOption{gateway.IfState([]byte("x"))}, nil, ""},
		{"a nil option", "x", []gateway.StateOption{nil}, gateway.ErrInvalidArgument, ""},
		{"the last", "last", nil, nil, "last"},
	} {
		t.Run(step.name, func(t *testing.T) {
			state := []byte(step.state)
			require.ErrorIs(t, srv.SetState(ctx, id, state, step.opts...), step.err)
			copy(state, "##########") // the gateway has a copy
			c.Send("x")
			require.Equal(t, "["+step.after+"]", c.Receive())
			got, err := srv.GetConnection(ctx, id)
			require.NoError(t, err)
			require.Equal(t, step.after, string(got.State))
			require.Equal(t, step.after == "", got.State == nil)
		})
	}
	require.ErrorIs(t, srv.SetState(ended, id, nil), context.Canceled)
	require.ErrorContains(t, srv.SetState(ctx, id, []byte("\xff")), "not valid UTF-8: encode other bytes as text")
	other.Send("x")
	require.Equal(t, "[]", other.Receive(), "each connection has its own")

	c.Close(1000, "")
	require.Equal(t, "last", string(srv.WaitDisconnect(id).State), "$disconnect gets the last one")
	require.ErrorIs(t, srv.SetState(ctx, id, []byte("x")), gateway.ErrGone)
	require.Equal(t, []string{"", "", "last"}, seen)
}

// During $connect there is no connection that could remember anything.
func TestSetState_DuringConnect(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	srv.HandleFunc("$connect", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		if req.State != nil {
			return nil, fmt.Errorf("it has a state: %q", req.State)
		}
		if err := srv.SetState(ctx, req.ConnectionID, []byte("x")); err != gateway.ErrGone { //nolint:errorlint // it is exactly that
			return nil, fmt.Errorf("want ErrGone, got %w", err)
		}
		return nil, nil
	})
	srv.Dial(t)
}

// An event keeps the state that it was made with, whatever happens to the connection.
func TestSetState_EventKeepsItsState(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	srv.HandleFunc("$default", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		if err := srv.SetState(ctx, req.ConnectionID, append([]byte("after "), req.Body...)); err != nil {
			return nil, err
		}
		return report(ctx, req)
	}, gateway.WithRouteResponse())
	c := srv.Dial(t)
	for _, step := range [][2]string{{"1", "[]"}, {"2", "[after 1]"}, {"3", "[after 2]"}} {
		c.Send(step[0])
		require.Equal(t, step[1], c.Receive())
	}
}

func TestSetState_WithoutQuota(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{StateBytes: -1}))
	c := srv.Dial(t)
	require.NoError(t, srv.SetState(t.Context(), c.ConnectionID(), []byte(strings.Repeat("x", 1<<20))))
	srv = gatewaytest.New(t)
	c = srv.Dial(t)
	require.NoError(t, srv.SetState(t.Context(), c.ConnectionID(), []byte(strings.Repeat("x", 4096))))
	err := srv.SetState(t.Context(), c.ConnectionID(), []byte(strings.Repeat("x", 4097)))
	require.ErrorIs(t, err, gateway.ErrPayloadTooLarge)
	require.ErrorContains(t, err, "4097 bytes, Quotas.StateBytes is 4096")
}

// Of several changes from the same state, exactly one is made.
func TestSetState_OneWins(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	c := srv.Dial(t)
	var old []byte
	for round := range 100 {
		var won atomic.Int32
		var all sync.WaitGroup
		for n := range 4 {
			all.Go(func() {
				err := srv.SetState(t.Context(), c.ConnectionID(), fmt.Appendf(nil, "%d-%d", round, n), gateway.IfState(old))
				if err == nil {
					won.Add(1)
				} else if err != gateway.ErrConflict { //nolint:errorlint // it is exactly that
					t.Error(err)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 1, won.Load())
		now, err := srv.GetConnection(t.Context(), c.ConnectionID())
		require.NoError(t, err)
		require.NotEqual(t, string(old), string(now.State))
		old = now.State
	}
}

// After $disconnect has its event, no change is made any more: a nil error means that
// $disconnect got the state, or a later one.
func TestSetState_WhileItCloses(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	srv.HandleFunc("$disconnect", answerNothing)
	for range 50 {
		c := srv.Dial(t)
		last := make(chan string)
		go func() {
			state := ""
			for n := 0; ; n++ {
				next := fmt.Sprint(n)
				if srv.SetState(t.Context(), c.ConnectionID(), []byte(next)) != nil {
					break
				}
				state = next
			}
			last <- state
		}()
		c.Drop()
		require.Equal(t, <-last, string(srv.WaitDisconnect(c.ConnectionID()).State))
	}
}

// BenchmarkSetState reports the time of a change, and the memory that a state takes besides
// its own length.
func BenchmarkSetState(b *testing.B) {
	const n, length = 10_000, 128
	gw, ids := newNull(b, n)
	states := [2][]byte{[]byte(strings.Repeat("a", length)), []byte(strings.Repeat("b", length))}
	before := heap()
	for _, id := range ids {
		require.NoError(b, gw.SetState(b.Context(), id, states[0]))
	}
	memory := float64(heap()-before)/n - length
	b.ReportAllocs()
	for k := 0; b.Loop(); k++ {
		if err := gw.SetState(b.Context(), ids[k%n], states[k/n&1]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(memory, "B/connection")
}

// BenchmarkAnswerCommands measures what the option costs a message whose answer has headers
// but no commands, and what commands cost.
func BenchmarkAnswerCommands(b *testing.B) {
	for _, bench := range []struct {
		name   string
		header http.Header
		opts   []gateway.Option
	}{
		{"off", http.Header{"Content-Type": {"text/plain"}}, nil},
		{"none", http.Header{"Content-Type": {"text/plain"}}, []gateway.Option{gateway.WithAnswerCommands()}},
		{"state", http.Header{"Gateway-State": {`{"seen":3}`}}, []gateway.Option{gateway.WithAnswerCommands()}},
		{"post to self", http.Header{"Gateway-Post": {"self"}}, []gateway.Option{gateway.WithAnswerCommands()}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			gw, addr := newBench(b, bench.opts...)
			gw.Handle("echo", respond(&gateway.Response{Header: bench.header, Body: []byte(benchReply)}), gateway.WithRouteResponse())
			nc := dialBench(b, addr)
			request, reply := bytes.Repeat(benchFrame(`{"action":"echo"}`), 16), make([]byte, 16*(2+len(benchReply)))
			b.ReportAllocs()
			for b.Loop() {
				_, err := nc.Write(request)
				if err == nil {
					_, err = io.ReadFull(nc, reply)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
