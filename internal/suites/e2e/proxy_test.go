//go:build linux

package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/internal/wsconn"
)

// nginx with the lines of docs/deploy.md tells the gateway who the client is. What the
// client itself writes into the headers of proxies changes nothing.
func TestNginx_InFrontOfTheGateway(t *testing.T) {
	outside(t)
	seen := make(chan *gateway.Request, 1)
	gw, err := gateway.New(gateway.WithTrustedProxies(netip.MustParsePrefix("127.0.0.1/32")))
	require.NoError(t, err)
	gw.HandleFunc(gateway.RouteKeyConnect, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		seen <- req
		return nil, nil
	})
	gw.HandleFunc(gateway.RouteKeyDefault, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Body: req.Body}, nil
	}, gateway.WithRouteResponse())
	server := httptest.NewServer(gw.Handler())
	t.Cleanup(func() {
		require.NoError(t, gw.Close())
		server.Close()
	})
	front := startNginx(t, fmt.Sprintf(deployed(t), server.Listener.Addr()))
	for name, tt := range map[string]struct {
		header http.Header
		want   string
		status int
	}{
		"an honest client":           {http.Header{}, "127.0.0.2", 101},
		"a page of the same host":    {http.Header{"Origin": {"https://chat.example.com"}}, "127.0.0.2", 101},
		"a page of another host":     {http.Header{"Origin": {"https://evil.example"}}, "", 403},
		"a page of the inner host":   {http.Header{"Origin": {"http://" + server.Listener.Addr().String()}}, "", 403},
		"a forged address":           {http.Header{"X-Forwarded-For": {"203.0.113.7"}}, "127.0.0.2", 101},
		"two forged lines":           {http.Header{"X-Forwarded-For": {"203.0.113.7", "127.0.0.1"}}, "127.0.0.2", 101},
		"a forged host and a page":   {http.Header{"X-Forwarded-Host": {"evil.example"}, "Origin": {"https://evil.example"}}, "", 403},
		"a forged scheme":            {http.Header{"X-Forwarded-Proto": {"gopher"}, "X-Forwarded-Port": {"1"}}, "127.0.0.2", 101},
		"the header of others":       {http.Header{"Forwarded": {"for=203.0.113.7"}}, "127.0.0.2", 101},
		"an address that is wrong":   {http.Header{"X-Forwarded-For": {"unknown, ,,x"}}, "127.0.0.2", 101},
		"an address that is nginx's": {http.Header{"X-Forwarded-For": {"127.0.0.1"}}, "127.0.0.2", 101},
	} {
		t.Run(name, func(t *testing.T) {
			ws, resp, err := wsconn.Dial(t.Context(), "ws://"+front+"/prod", wsconn.DialOptions{ //nolint:bodyclose // package wsconn keeps a copy
				Host: "chat.example.com", Header: tt.header, DialContext: from("127.0.0.2"),
			})
			if tt.status != 101 {
				require.Error(t, err)
				require.Equal(t, tt.status, resp.StatusCode)
				return
			}
			require.NoError(t, err)
			req := <-seen
			require.Equal(t, tt.want, req.Identity.SourceIP)
			require.Equal(t, "chat.example.com", req.DomainName)
			require.NoError(t, ws.Close(1000, ""))
		})
	}
}

// from returns a func that dials with a source address of this machine.
func from(ip string) func(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	return d.DialContext
}

// deployed returns the lines for nginx in docs/deploy.md. The address of the gateway there
// becomes %s.
func deployed(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/deploy.md")
	require.NoError(t, err)
	found := regexp.MustCompile("(?s)```nginx\n(.*?)```").FindSubmatch(text)
	require.NotNil(t, found, "docs/deploy.md shows the lines for nginx")
	lines := string(found[1])
	require.Contains(t, lines, "http://127.0.0.1:8080")
	return regexp.MustCompile(`http://127\.0\.0\.1:8080`).ReplaceAllString(lines, "http://%s")
}
