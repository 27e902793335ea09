//go:build unix

package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

// nginxConfig is for a folder, an address, and what the server does.
const nginxConfig = `
daemon off;
master_process off;
pid %[1]s/pid;
error_log stderr notice;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	server {
		listen %[2]s;
		%[3]s
	}
}
`

// inPlace serves the paths in the URIs of TestNginx_ClientValuesStayInPlace. For any other
// request, it reports where that request went.
const inPlace = `
		location ~ ^/users/[^/]+/[^/]+/x$ { return 200 "in place:$uri"; }
		location ~ ^/joined/[^/]+/x$ { return 200 "in place:$uri"; }
		location = /query { return 200 "in place:$arg_role $args"; }
		location / { return 200 "elsewhere:$uri"; }
`

// startNginx runs nginx with a server that does what config says. It returns the address once
// nginx listens.
func startNginx(t *testing.T, config string) string {
	t.Helper()
	path := findTool(t, "apt-get install nginx", "/usr/sbin/nginx", "nginx")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close()) // nginx must bind the port itself
	dir := t.TempDir()
	file := filepath.Join(dir, "nginx.conf")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, nginxConfig, dir, l.Addr(), config), 0o600))
	cmd := exec.CommandContext(t.Context(), path, "-e", "stderr", "-p", dir, "-c", file)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	start(t, cmd).stderr.contains(t, "event method") // nginx logs this after it has bound the port
	return l.Addr().String()
}

// hostileValues are values of a client that tries to reach another place, and random
// values made of the same pieces.
func hostileValues() []string {
	values := []string{
		"7", "x", "..", ".", "...", "../admin", "../../admin", "/admin", "a/b", "//", `..\admin`, `\`, "%2e%2e", "%2E", "%2F", "%5c", "..%2fadmin", "%252e", "..;", ".;x=1", "..%00", "\x00", "a\x00/..",
		"1&role=admin", "&role=admin", "1;role=admin", "=", "#", "?role=admin", "a+b", "100%", "é", " ", "\n", "\u2028", "{id}", "$uri", "", "．．", ". .", "..\n", "\t..",
	}
	pieces := []string{".", "..", "/", `\`, "%2e", "%2f", "%5C", "%", ";", "&", "=", "?", "#", "+", " ", "a", "role", "admin", "\x00", "\r\n", "é"}
	random := rand.New(rand.NewPCG(1, 2))
	for range 400 {
		var b strings.Builder
		for range 1 + random.IntN(4) {
			b.WriteString(pieces[random.IntN(len(pieces))])
		}
		values = append(values, b.String())
	}
	return values
}

// A real server sees each value of a client in the segment or parameter where the URI
// of the integration has it, or the server gets no request at all.
func TestNginx_ClientValuesStayInPlace(t *testing.T) {
	outside(t)
	server := "http://" + startNginx(t, inPlace)
	for name, tt := range map[string]struct {
		uri  string
		want func(t *testing.T, value, seen string)
	}{
		"segments": {"/users/{id}/{what}/x", func(t *testing.T, value, seen string) {
			t.Helper()
			require.Equal(t, "/users/"+value+"/admin/x", seen)
		}},
		"one segment of two values": {"/joined/{id}{id}/x", func(t *testing.T, value, seen string) {
			t.Helper()
			require.Equal(t, "/joined/"+value+value+"/x", seen)
		}},
		"behind a dot": {"/joined/.{id}/x", func(t *testing.T, value, seen string) {
			t.Helper()
			require.Equal(t, "/joined/."+value+"/x", seen)
		}},
		"a parameter": {"/query?role=user&id={id}", func(t *testing.T, value, seen string) {
			t.Helper()
			role, args, _ := strings.Cut(seen, " ")
			require.Equal(t, "user", role)
			pairs := strings.Split(args, "&")
			require.Len(t, pairs, 2)
			require.NotContains(t, args, ";")
			sent, err := url.QueryUnescape(strings.TrimPrefix(pairs[0], "id="))
			require.NoError(t, err)
			require.Equal(t, value, sent)
			require.Equal(t, "role=user", pairs[1])
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parameters := map[string]string{"integration.request.path.id": "route.request.body.id"}
			if strings.Contains(tt.uri, "{what}") {
				parameters["integration.request.path.what"] = "'admin'"
			}
			srv := gatewaytest.New(t)
			srv.Handle(gateway.RouteKeyDefault, &gateway.HTTPIntegration{URI: server + tt.uri, RequestParameters: parameters}, gateway.WithRouteResponse())
			c := srv.Dial(t)
			served := 0
			for _, value := range hostileValues() {
				message, err := json.Marshal(map[string]string{"id": value})
				require.NoError(t, err)
				c.Send(string(message))
				answer := c.Receive()
				seen, ok := strings.CutPrefix(answer, "in place:")
				if ok {
					served++
					tt.want(t, value, seen)
					continue
				}
				require.True(t, strings.HasPrefix(answer, `{"message": "Internal server error"`), "%q: %s", value, answer)
			}
			require.Greater(t, served, 20, "harmless values are served")
		})
	}
}
