package main

import (
	"net"
	"net/http"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/wsconn"
)

// An address that others reach requires signatures. The key pair is printed if there is none.
func TestDev_Listen(t *testing.T) {
	t.Parallel()
	p := runDev(t, []string{"GATEWAY_ACCESS_KEY_ID=", "GATEWAY_SECRET_ACCESS_KEY="}, "--listen", "0.0.0.0", "--host", "devbox")
	status, _ := p.control(http.MethodGet, "/v2/apis", "", "", "")
	require.Equal(t, http.StatusForbidden, status)
	key := p.await(`AWS_ACCESS_KEY_ID=(\S+) AWS_SECRET_ACCESS_KEY=(\S+)$`)
	status, answer := p.control(http.MethodGet, "/v2/apis", "", key[1], key[2])
	require.Equal(t, http.StatusOK, status, answer)
	for host, want := range map[string]string{"devbox": "Missing Authentication Token", "evil.example": "is not a name of this server"} {
		status, answer := p.control(http.MethodGet, "/v2/apis", "", "", "", "Host", host)
		require.Equal(t, http.StatusForbidden, status)
		require.Contains(t, answer, want)
	}
}

// An address of loopback is listened on, too, and calls there need no signature.
func TestDev_ListenLoopback(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("other systems have 127.0.0.1 alone, unless somebody adds more")
	}
	p := runDev(t, nil, "--listen", "127.0.0.5")
	port := p.await(`^ready in \d+ ms +http://\S+:(\d+),`)[1]
	resp, err := http.Get("http://127.0.0.5:" + port + "/v2/apis")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	http.DefaultClient.CloseIdleConnections()
}

// A page that this machine serves to others may connect from the address at which they come.
func TestDev_ListenOrigins(t *testing.T) {
	t.Parallel()
	own := ownAddress(t)
	p := runDev(t, nil, "--listen", "0.0.0.0", project(t, template()))
	for origin, allowed := range map[string]bool{"http://" + own + ":3000": true, "http://192.0.2.77:3000": false} {
		c, _, err := wsconn.Dial(t.Context(), p.url(), wsconn.DialOptions{Header: http.Header{"Origin": {origin}}}) //nolint:bodyclose // Dial has read it
		require.Equal(t, allowed, err == nil, "%s: %v", origin, err)
		if allowed {
			c.CloseNow()
		}
	}
}

// ownAddress is an address of this machine that others reach.
func ownAddress(t *testing.T) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	t.Skip("this machine has no address but those of loopback")
	return ""
}
