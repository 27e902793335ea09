//go:build unix

package gateway_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/internal/suites/wiretest"
)

// The benchmarks of docs/performance.md, "Compression". A client writes frames that were made
// before, and does not look into what it reads, so the time is that of the gateway, of the
// kernel, and of little else.

// modes are a gateway that does not compress, and one that does.
func modes() map[string][]gateway.Option {
	return map[string][]gateway.Option{"off": nil, "on": {gateway.WithCompression(gateway.Compression{})}}
}

// benchJSON returns JSON whose values differ as those of real messages do.
func benchJSON(size int) string {
	rnd := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // must be repeatable
	words := strings.Fields("hello order room price update the message of a customer was sent to gateway and received")
	word := func() string { return words[rnd.IntN(len(words))] }
	var b strings.Builder
	b.WriteString(`{"action":"echo","items":[`)
	for b.Len() < size {
		fmt.Fprintf(&b, `{"id":"%08x","user":%q,"text":"%s %s %s %s %s","at":%d,"price":%.2f},`,
			rnd.Uint32(), word(), word(), word(), word(), word(), word(), 1_700_000_000_000+rnd.IntN(1e9), rnd.Float64()*1000)
	}
	return b.String()[:size] // it is cut off, so it is not JSON and goes to $default
}

// dialCompressing is dialBench for a client that offers compression.
func dialCompressing(b testing.TB, addr string) net.Conn {
	b.Helper()
	return dialBench(b, addr, "Sec-WebSocket-Extensions: permessage-deflate")
}

// readMessage reads the frames of one message and returns their size. A Close frame is the
// end.
func readMessage(r io.Reader, buf []byte) (size int, err error) {
	for {
		if _, err := io.ReadFull(r, buf[:2]); err != nil {
			return 0, err
		}
		if buf[0] == wiretest.Close {
			return 0, io.EOF
		}
		fin, n, head := buf[0]&wiretest.Fin != 0, int(buf[1]), 2
		if n == 126 {
			if _, err := io.ReadFull(r, buf[:2]); err != nil {
				return 0, err
			}
			n, head = int(binary.BigEndian.Uint16(buf)), 4
		}
		if _, err := io.ReadFull(r, buf[:n]); err != nil {
			return 0, err
		}
		if size += head + n; fin {
			return size, nil
		}
	}
}

// processorTime returns how long this process has used processors.
func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkCompression_Echo measures a message and its echo, 8 at a time on one connection.
func BenchmarkCompression_Echo(b *testing.B) {
	const together = 8
	for _, size := range []int{100, 1 << 10, 16 << 10} {
		for mode, opts := range modes() {
			b.Run(fmt.Sprintf("size=%d/compression=%s", size, mode), func(b *testing.B) {
				gw, addr := newBench(b, opts...)
				gw.HandleFunc("$default", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
					return &gateway.Response{Body: req.Body}, nil
				}, gateway.WithRouteResponse())
				nc := dialCompressing(b, addr)
				request := wiretest.Frame(wiretest.Text, benchJSON(size))
				if mode == "on" && size >= 512 {
					request = wiretest.Frame(wiretest.Text|wiretest.RSV1, wiretest.Deflate(benchJSON(size)))
				}
				batch := bytes.Repeat(request, together)
				buf, answer := make([]byte, 64<<10), 0
				b.ReportAllocs()
				start := processorTime()
				for b.Loop() {
					if _, err := nc.Write(batch); err != nil {
						b.Fatal(err)
					}
					for range together {
						var err error
						if answer, err = readMessage(nc, buf); err != nil {
							b.Fatal(err)
						}
					}
				}
				b.ReportMetric(float64((processorTime()-start).Nanoseconds())/float64(b.N*together), "cpu-ns/message")
				b.ReportMetric(float64(len(request)+answer), "wire-B/message")
			})
		}
	}
}

// BenchmarkCompression_Fanout measures a post to 5,000 clients until all have read it.
func BenchmarkCompression_Fanout(b *testing.B) {
	const clients = 5000
	for mode, opts := range modes() {
		b.Run("size=1024/compression="+mode, func(b *testing.B) {
			gw, addr := newBench(b, opts...)
			var reading, all sync.WaitGroup
			wire := make([]int, clients)
			for n := range clients {
				nc := dialCompressing(b, addr)
				reading.Go(func() {
					for buf := make([]byte, 4<<10); ; all.Done() {
						var err error
						if wire[n], err = readMessage(nc, buf); err != nil {
							return
						}
					}
				})
			}
			data := []byte(benchJSON(1 << 10))
			start := processorTime()
			for b.Loop() {
				all.Add(clients)
				if d, err := gw.PostTo(b.Context(), gateway.Everyone(), data); err != nil || d.Accepted != clients {
					b.Fatal(d, err)
				}
				all.Wait()
			}
			b.ReportMetric(float64((processorTime()-start).Microseconds())/float64(b.N*clients), "cpu-us/client")
			b.ReportMetric(float64(wire[0]), "wire-B/client")
			_ = gw.Close()
			reading.Wait()
		})
	}
}

// TestCompression_IdleMemory requires that a connection that has agreed on compression, and
// has used it, keeps nothing for it. It is not parallel, because it looks at the memory of the
// whole process.
func TestCompression_IdleMemory(t *testing.T) {
	const clients = 500
	held := func(opts []gateway.Option, extension string) int {
		gw, addr := newBench(t, opts...)
		gw.HandleFunc("$default", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
			return &gateway.Response{Body: req.Body}, nil
		}, gateway.WithRouteResponse())
		buf := make([]byte, 64<<10)
		request := wiretest.Frame(wiretest.Text, benchJSON(1<<10))
		if extension != "" {
			request = wiretest.Frame(wiretest.Text|wiretest.RSV1, wiretest.Deflate(benchJSON(1<<10)))
		}
		measure := func() int { // the least of several, because a goroutine may not be done yet
			least := math.MaxInt
			var m runtime.MemStats
			for range 5 {
				for range 3 { // pools keep what they have for two
					runtime.GC()
				}
				runtime.ReadMemStats(&m)
				least = min(least, int(m.HeapAlloc))
			}
			return least
		}
		before := measure()
		for range clients {
			nc := dialBench(t, addr, extension)
			_, err := nc.Write(request)
			require.NoError(t, err)
			_, err = readMessage(nc, buf)
			require.NoError(t, err)
		}
		return (measure() - before) / clients
	}
	_ = held(nil, "")
	off := held(nil, "")
	on := held(modes()["on"], "Sec-WebSocket-Extensions: permessage-deflate")
	t.Logf("a connection and its client hold %d bytes without compression, and %d with it", off, on)
	require.Less(t, on-off, 64)
}
