package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
)

// nullConn is a socket that takes everything at once and brings nothing until it is closed.
type nullConn struct {
	once   sync.Once
	closed chan struct{}
}

func (c *nullConn) Read([]byte) (int, error) {
	<-c.closed
	return 0, io.EOF
}

func (c *nullConn) Write(b []byte) (int, error) { return len(b), nil }

func (c *nullConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

func (*nullConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (*nullConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (*nullConn) SetDeadline(time.Time) error      { return nil }
func (*nullConn) SetReadDeadline(time.Time) error  { return nil }
func (*nullConn) SetWriteDeadline(time.Time) error { return nil }

type nullWriter struct{ http.ResponseWriter }

// Hijack implements [http.Hijacker].
func (nullWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return &nullConn{closed: make(chan struct{})}, nil, nil
}

// openNull opens n connections whose clients take everything, and returns their IDs.
func openNull(tb testing.TB, gw *gateway.Gateway, n int) (ids []string) {
	tb.Helper()
	for range n {
		upgradeNull(gw)
	}
	for c := range gw.Connections() {
		ids = append(ids, c.ID)
	}
	require.Len(tb, ids, n)
	return ids
}

// upgradeNull opens one such connection.
func upgradeNull(gw *gateway.Gateway) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		r.Header.Set(name, value)
	}
	gw.Handler().ServeHTTP(nullWriter{httptest.NewRecorder()}, r)
}

// newNull returns a gateway with n such connections.
func newNull(tb testing.TB, n int) (*gateway.Gateway, []string) {
	tb.Helper()
	gw, err := gateway.New(gateway.WithQuotas(gateway.Quotas{NewConnections: gateway.Throttle{RateLimit: -1}, GroupsPerConnection: -1}))
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = gw.Close() })
	return gw, openNull(tb, gw, n)
}

// BenchmarkFanOut measures one message for 5,000 connections: as a list of IDs, as a
// group, as everyone.
func BenchmarkFanOut(b *testing.B) {
	const n = 5000
	gw, ids := newNull(b, n)
	for _, id := range ids {
		require.NoError(b, gw.Join(b.Context(), id, "room"))
	}
	data := make([]byte, 128)
	b.Run("PostToConnections", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if errs := gw.PostToConnections(b.Context(), ids, data); errs != nil {
				b.Fatal(errs[0])
			}
		}
	})
	for _, to := range []struct {
		name string
		gateway.Audience
	}{
		{"group", gateway.Group("room")},
		{"group but for one", gateway.Group("room").Except(ids[0])},
		{"everyone", gateway.Everyone()},
		{"connections", gateway.Connections(ids...)},
	} {
		b.Run(to.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				d, err := gw.PostTo(b.Context(), to.Audience, data)
				if err != nil || d.Accepted < n-1 {
					b.Fatal(d, err)
				}
			}
		})
	}
}

// BenchmarkJoin measures the first join of a connection, and a join and a leave of one
// that is in another group already.
func BenchmarkJoin(b *testing.B) {
	const n = 1000
	gw, ids := newNull(b, n)
	b.Run("first", func(b *testing.B) {
		b.ReportAllocs()
		k := 0
		for b.Loop() {
			if err := gw.Join(b.Context(), ids[k], "room"); err != nil {
				b.Fatal(err)
			}
			if k++; k == n {
				b.StopTimer()
				for _, id := range ids {
					require.NoError(b, gw.Leave(b.Context(), id, "room"))
				}
				k = 0
				b.StartTimer()
			}
		}
	})
	b.Run("second, and leave", func(b *testing.B) {
		for _, id := range ids {
			require.NoError(b, gw.Join(b.Context(), id, "room"))
		}
		b.ReportAllocs()
		for k := 0; b.Loop(); k = (k + 1) % n {
			if gw.Join(b.Context(), ids[k], "other") != nil || gw.Leave(b.Context(), ids[k], "other") != nil {
				b.Fatal(ids[k])
			}
		}
	})
}

// BenchmarkJoin_Told measures a join and a leave with the routes $join and $leave, whose
// integrations do nothing, until both have been told.
func BenchmarkJoin_Told(b *testing.B) {
	const n = 1000
	for _, routes := range []struct {
		name string
		keys []string
	}{{"no route", nil}, {"$join", []string{gateway.RouteKeyJoin}}, {"$join and $leave", []string{gateway.RouteKeyJoin, gateway.RouteKeyLeave}}} {
		b.Run(routes.name, func(b *testing.B) {
			gw, ids := newNull(b, n)
			told := make(chan struct{}, 2)
			for _, key := range routes.keys {
				gw.HandleFunc(key, func(context.Context, *gateway.Request) (*gateway.Response, error) {
					told <- struct{}{}
					return nil, nil
				})
			}
			b.ReportAllocs()
			for k := 0; b.Loop(); k = (k + 1) % n {
				if gw.Join(b.Context(), ids[k], "room") != nil || gw.Leave(b.Context(), ids[k], "room") != nil {
					b.Fatal(ids[k])
				}
				for range routes.keys {
					<-told
				}
			}
		})
	}
}

// BenchmarkList measures a page of 1,000 of 100,000 connections, and the counts.
func BenchmarkList(b *testing.B) {
	const n = 100_000
	gw, ids := newNull(b, n)
	for _, id := range ids {
		require.NoError(b, gw.Join(b.Context(), id, "room"))
	}
	for _, of := range []struct {
		name string
		gateway.Audience
	}{{"everyone", gateway.Everyone()}, {"group", gateway.Group("room")}} {
		b.Run(of.name, func(b *testing.B) {
			b.ReportAllocs()
			page := gateway.Page{Limit: 1000}
			for b.Loop() {
				var err error
				if _, page, err = gw.List(b.Context(), of.Audience, page); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("count of "+of.name, func(b *testing.B) {
			for b.Loop() {
				if got, err := gw.Count(b.Context(), of.Audience); err != nil || got != n {
					b.Fatal(got, err)
				}
			}
		})
	}
}

// BenchmarkMemory reports what groups, and the index of users, cost a connection.
func BenchmarkMemory(b *testing.B) {
	const n = 10_000
	for _, members := range []int{1, 10, 1000} {
		b.Run(fmt.Sprintf("members=%d", members), func(b *testing.B) {
			gw, ids := newNull(b, n)
			names := make([]string, n/members)
			for k := range names {
				names[k] = "room-" + strconv.Itoa(k)
			}
			before := heap()
			for k, id := range ids {
				require.NoError(b, gw.Join(b.Context(), id, names[k%len(names)]))
			}
			b.ReportMetric(float64(heap()-before)/n, "B/connection")
			b.ReportMetric(0, "ns/op")
			runtime.KeepAlive(ids)
		})
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
