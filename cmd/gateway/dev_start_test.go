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

// The program without functions is ready in a blink: at the first start, when it makes a
// certificate, and at later ones.
func TestDev_StartTime(t *testing.T) {
	t.Parallel()
	const aim = 300 * time.Millisecond
	file := project(t, template())
	for name, args := range map[string][]string{
		"without a file": nil, "with a state": {"--state", filepath.Join(t.TempDir(), "state")}, "with a template": {file},
	} {
		best := time.Hour // other programs use the machine, too
		var first time.Duration
		for n := range 10 {
			took := startTime(t, args)
			if n == 0 {
				first = took
			}
			best = min(best, took)
		}
		t.Logf("%s: %v until the first connection is accepted, the first time %v", name, best, first)
		require.Less(t, best, aim, name)
	}
}

// startTime returns how long a start takes, from the call of the program to the first
// connection that it accepts.
func startTime(t *testing.T, args []string) time.Duration {
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
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}
