package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkDev_Start starts the program without functions. It prints how long a start takes
// until the first connection is accepted, and how long the first one takes, which makes the
// certificate.
func BenchmarkDev_Start(b *testing.B) {
	file := project(b, template())
	for name, args := range map[string][]string{
		"no file": nil, "state": {"--state", filepath.Join(b.TempDir(), "state")}, "template": {file},
	} {
		b.Run(name, func(b *testing.B) {
			first := startTime(b, args)
			var sum time.Duration
			for b.Loop() {
				sum += startTime(b, args)
			}
			b.ReportMetric(float64(first)/1e6, "ms/first")
			b.ReportMetric(float64(sum)/1e6/float64(b.N), "ms/start")
		})
	}
}

// startTime returns how long a start takes, from the call of the program to the first
// connection that it accepts.
func startTime(t testing.TB, args []string) time.Duration {
	t.Helper()
	port := freePort(t)
	began := time.Now()
	p := startDev(t, nil, append([]string{"--port", port}, args...)...)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:"+port+"/v2/apis", nil)
		require.NoError(t, err)
		if resp, err := http.DefaultTransport.RoundTrip(r); err == nil {
			took := time.Since(began)
			require.Equal(t, http.StatusOK, resp.StatusCode)
			_ = resp.Body.Close()
			require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
			require.Equal(t, 0, p.exit())
			return took
		}
		require.NoError(t, ctx.Err())
	}
}

// freePort returns a port that nobody uses at the moment.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}
