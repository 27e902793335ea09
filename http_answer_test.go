package gateway_test

import (
	"bufio"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

// rawEndpoint is an HTTP backend that answers each request with text, and then keeps
// the connection open until the end of the test.
func rawEndpoint(t *testing.T, text string) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var running sync.WaitGroup
	over := make(chan struct{})
	running.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer nc.Close()
				if _, err := http.ReadRequest(bufio.NewReader(nc)); err == nil {
					_, _ = nc.Write([]byte(text))
				}
				<-over
			})
		}
	})
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		close(over)
		running.Wait()
	})
	return "http://" + l.Addr().String()
}

// An endpoint's status that ends no request is a failure: it accepts nobody, and an
// endpoint that keeps the socket keeps neither the client nor the gateway.
func TestHTTPIntegration_StatusThatIsNone(t *testing.T) {
	t.Parallel()
	for _, head := range []string{
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\n\r\n",
		"HTTP/1.1 000 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 001 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok",
	} {
		t.Run(head[:len("HTTP/1.1 101")], func(t *testing.T) {
			t.Parallel()
			quotas := gateway.WithQuotas(gateway.Quotas{IntegrationTimeout: 10 * time.Second})
			srv := gatewaytest.New(t, quotas)
			srv.Handle("$connect", &gateway.HTTPIntegration{URI: rawEndpoint(t, head)})
			requireRefused(t, srv, http.StatusBadGateway, `"Internal server error"`)
			require.NoError(t, srv.Close())

			srv = gatewaytest.New(t, quotas)
			srv.Handle("$default", &gateway.HTTPIntegration{URI: rawEndpoint(t, head)}, gateway.WithRouteResponse())
			c := srv.Dial(t)
			c.Send("x")
			require.Contains(t, c.Receive(), `{"message": "Internal server error"`)
			require.NoError(t, srv.Gateway.Close())
		})
	}
}

// What the endpoint says about its own connection does not reach a client.
func TestHTTPIntegration_RefusalWithoutHopHeaders(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	srv.Handle("$connect", &gateway.HTTPIntegration{URI: rawEndpoint(t, "HTTP/1.1 418 No\r\nConnection: keep-alive, x-hop\r\nX-Hop: 1\r\n"+
		"Keep-Alive: 5\r\nX-Kept: 1\r\nContent-Length: 2\r\n\r\nno")})
	r := wireTo(t, srv).ask(upgradeText())
	require.Equal(t, 418, r.status)
	require.Equal(t, "no", r.body)
	require.Equal(t, "1", r.get("X-Kept"))
	require.Empty(t, r.get("X-Hop"))
	require.Empty(t, r.get("Keep-Alive"))
	require.Empty(t, r.get("Connection"))
}

// Headers without end are as bad as a body without end, and a line of them that is no
// header stands in the error, and so in the log.
func TestHTTPIntegration_HeadersWithoutEnd(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string]string{
		"headers":   strings.Repeat("X-A: "+strings.Repeat("a", 1000)+"\r\n", 1000),
		"one line":  strings.Repeat("a", 1000_000) + "\r\n",
		"and later": "X-A: " + strings.Repeat("a", 1000_000) + "\r\nX-B: b\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := &lockedBuffer{}
			srv := gatewaytest.New(t, gateway.WithLogger(slog.New(slog.NewTextHandler(log, nil))))
			srv.Handle("$connect", &gateway.HTTPIntegration{URI: rawEndpoint(t, "HTTP/1.1 200 OK\r\n"+lines+"Content-Length: 0\r\n\r\n")})
			requireRefused(t, srv, http.StatusGatewayTimeout, `"Internal server error"`)
			require.Less(t, len(log.String()), 300_000)
		})
	}
}
