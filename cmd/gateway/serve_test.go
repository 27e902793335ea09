package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/wsconn"
)

// withRoutes is a configuration with health, two mocks and more of the test's own.
func withRoutes(more string) string {
	return `stage: prod
listen: [{address: 127.0.0.1:0}]
health: 127.0.0.1:0
integrations:
  one: {mock: {body: one}}
  two: {mock: {body: two}}
` + more
}

func TestServe_Health(t *testing.T) {
	t.Parallel()
	p := serve(t, withRoutes("routes: {$default: {integration: one, routeResponse: true}}"))
	health := "http://" + p.address("health", 1)
	status, body := get(t, health+"/healthz")
	require.Equal(t, "200 ok", fmt.Sprint(status, " ", strings.TrimSpace(body)))
	status, body = get(t, health+"/readyz")
	require.Equal(t, "200 ready", fmt.Sprint(status, " ", strings.TrimSpace(body)))
	clients := "http://" + p.address("clients", 1)
	for _, path := range []string{"/healthz", "/", "/prod2", "/prod/x", "/@connections/x"} {
		status, body = get(t, clients+path)
		require.Equal(t, `404 {"message":"Not Found"}`, fmt.Sprint(status, " ", body), path)
	}
	status, _ = get(t, clients+"/prod")
	require.Equal(t, http.StatusUpgradeRequired, status)
}

// SIGTERM: the address for health says 503 while connections still come, then the open
// connections are closed with 1001. What had arrived is answered, and $disconnect runs.
func TestServe_Drain(t *testing.T) {
	t.Parallel()
	arrived, answer, left := make(chan struct{}), make(chan struct{}), make(chan string, 4)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("eventType") == "DISCONNECT" {
			left <- r.Header.Get("connectionId")
			return
		}
		close(arrived)
		<-answer
		_, _ = io.WriteString(w, "late")
	}))
	defer backend.Close()
	p := serve(t, withRoutes(`
  backend: {http: {uri: "`+backend.URL+`", callbackUrl: "http://127.0.0.1/prod"}}
routes:
  $disconnect: {integration: backend}
  slow: {integration: backend, routeResponse: true}
  $default: {integration: one, routeResponse: true}
shutdown: {delay: 700ms, timeout: 15s}
`))
	url, health := "ws://"+p.address("clients", 1)+"/prod", "http://"+p.address("health", 1)
	c := dial(t, url, wsconn.DialOptions{})
	c.send(`{"action":"slow"}`)
	<-arrived
	p.signal(syscall.SIGTERM)
	require.EqualValues(t, 1, p.await("stopping", 1)["connections"])
	require.Eventually(t, func() bool {
		status, _ := get(t, health+"/readyz")
		return status == http.StatusServiceUnavailable
	}, patience, 5*time.Millisecond)
	status, _ := get(t, health+"/healthz")
	require.Equal(t, http.StatusOK, status)
	late := dial(t, url, wsconn.DialOptions{})
	late.send("x")
	require.Equal(t, "one", late.receive())
	close(answer)
	require.Equal(t, "late", c.receive())
	require.Equal(t, wsconn.CloseGoingAway, c.closed())
	require.Equal(t, wsconn.CloseGoingAway, late.closed())
	require.Equal(t, 0, p.exit())
	first, second := <-left, <-left
	require.NotEqual(t, first, second)
	p.await("stopped", 1)
}

// A second signal ends the program at once, which is a failure.
func TestServe_DrainTwice(t *testing.T) {
	t.Parallel()
	p := serve(t, withRoutes("routes: {$default: {integration: one}}\nshutdown: {delay: 1h}"))
	dial(t, "ws://"+p.address("clients", 1)+"/prod", wsconn.DialOptions{})
	p.signal(syscall.SIGTERM)
	p.await("stopping", 1)
	p.signal(syscall.SIGINT)
	require.Equal(t, 1, p.exit())
	require.Contains(t, p.rest.String(), "gateway: ")
}

// SIGHUP: an open connection gets the new routes. A bad configuration changes nothing. What
// needs a restart is logged.
func TestServe_Reload(t *testing.T) {
	t.Parallel()
	p := serve(t, withRoutes("routes: {$default: {integration: one, routeResponse: true}}"))
	c := dial(t, "ws://"+p.address("clients", 1)+"/prod", wsconn.DialOptions{})
	exchange := func(want string) {
		t.Helper()
		c.send(`{"action":"x"}`)
		require.Equal(t, want, c.receive())
	}
	exchange("one")
	p.reload(withRoutes("routes: {$default: {integration: two, routeResponse: true}}"), "reloaded", 1)
	exchange("two")

	line := p.reload(withRoutes("routes: {$default: {integration: three, routeResponse: true}}"), "not reloaded: the configuration is not valid", 1)
	require.Equal(t, p.file+`:7:21: routes.$default.integration: there is no integration "three"`, line["problem"])
	exchange("two")

	changed := strings.Replace(withRoutes("routes: {$default: {integration: one, routeResponse: true}}\nquotas: {messageBytes: 65536}"), "stage: prod", "stage: other", 1)
	p.reload(changed, "reloaded", 2)
	require.Equal(t, "stage", p.await("a change needs a restart", 1)["key"])
	require.Equal(t, "path", p.await("a change needs a restart", 2)["key"], "it follows the stage")
	require.Equal(t, "quotas", p.await("a change needs a restart", 3)["key"])
	exchange("one")
	p.reload(changed, "reloaded", 3)
	require.Equal(t, "quotas", p.await("a change needs a restart", 6)["key"], "it is said each time")

	// The level of the log and the throttle can change.
	p.reload(withRoutes("routes: {$default: {integration: one, routeResponse: true}}\nthrottle: {rate: 0.001, burst: 1}\nlog: {format: json, level: debug}"), "reloaded", 4)
	exchange("one")
	c.send("x")
	require.Contains(t, c.receive(), "Too Many Requests")
	p.signal(syscall.SIGTERM)
	require.Equal(t, wsconn.CloseGoingAway, c.closed())
	require.Equal(t, 0, p.exit())
}

// A reload that gives @connections a port of its own, or takes it away, opens nothing on the
// ports that are open: its rules wait for the restart. Taking away management refuses at once.
func TestServe_ReloadManagementListen(t *testing.T) {
	t.Parallel()
	const (
		none   = ""
		open   = "management: {access: open}\n"
		apart  = "management: {access: open, listen: {address: 127.0.0.1:0}}\n"
		other  = "management: {access: open, listen: {address: 127.0.0.2:0}}\n"
		signed = "management: {access: signed, keys: [{id: AKIAIOSFODNN7EXAMPLE, secret: {environment: SECRET}}], listen: {address: 127.0.0.1:0}}\n"
	)
	for name, c := range map[string]struct {
		start, purpose string
		status         int
		reloads        []string
		statuses       []int
		restart        []bool
	}{
		"none, then apart":   {none, "clients", 403, []string{apart, apart, open, apart}, []int{403, 403, 200, 200}, []bool{true, true, false, true}},
		"open, then apart":   {open, "clients", 200, []string{signed, none, apart, open}, []int{200, 403, 403, 200}, []bool{true, false, true, false}},
		"apart, then moved":  {apart, "management", 200, []string{other, open, none, open, apart}, []int{200, 200, 403, 403, 200}, []bool{true, true, true, true, false}},
		"signed, then moved": {signed, "management", 403, []string{open, other, apart, signed}, []int{403, 403, 200, 403}, []bool{true, true, false, false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ids, routes := identified(t)
			p := serve(t, withRoutes(routes+c.start), "SECRET=wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
			dial(t, "ws://"+p.address("clients", 1)+"/prod", wsconn.DialOptions{})
			path := "/prod/@connections/" + url.PathEscape(<-ids)
			call := func(purpose string) int {
				status, _ := get(t, "http://"+p.address(purpose, 1)+path)
				return status
			}
			require.Equal(t, c.status, call(c.purpose))
			warned := 0
			for n, text := range c.reloads {
				p.reload(withRoutes(routes+text), "reloaded", n+1)
				require.Equal(t, c.statuses[n], call(c.purpose), "reload %d", n+1)
				if c.restart[n] {
					warned++
				}
				require.Equal(t, warned, p.count("a change needs a restart", "management.listen"), "reload %d", n+1)
			}
			if c.purpose == "management" {
				require.Equal(t, http.StatusNotFound, call("clients"))
			}
		})
	}
}

// identified returns routes whose backend tells the IDs of the connections.
func identified(t *testing.T) (ids chan string, yaml string) {
	ids = make(chan string, 1)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case ids <- r.Header.Get("connectionId"):
		default:
		}
	}))
	t.Cleanup(s.Close)
	return ids, "  b: {http: {uri: \"" + s.URL + "\", callbackUrl: \"http://127.0.0.1/prod\"}}\nroutes: {$connect: {integration: b}}\n"
}

// Who may call @connections: nobody, unless management says so.
func TestServe_Management(t *testing.T) {
	t.Parallel()
	post := func(p *process, purpose, id string) (int, string) {
		resp, err := http.Post("http://"+p.address(purpose, 1)+"/prod//@connections/"+url.PathEscape(id), "", strings.NewReader("hello"))
		require.NoError(t, err)
		defer resp.Body.Close()
		return resp.StatusCode, resp.Header.Get("x-amzn-ErrorType")
	}
	for name, tc := range map[string]struct {
		management, purpose string
		status              int
	}{
		"closed":              {"", "clients", http.StatusForbidden},
		"open":                {"management: {access: open}", "clients", http.StatusOK},
		"without a signature": {"management: {access: signed, keys: [{id: AKIDX, secret: {environment: S}}]}", "clients", http.StatusForbidden},
		"apart":               {"management: {access: open, listen: {address: 127.0.0.1:0}}", "management", http.StatusOK},
		"not with the rest":   {"management: {access: open, listen: {address: 127.0.0.1:0}}", "clients", http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ids, yaml := identified(t)
			p := serve(t, withRoutes(yaml+tc.management), "S=secret")
			c := dial(t, "ws://"+p.address("clients", 1)+"/prod", wsconn.DialOptions{})
			status, _ := post(p, tc.purpose, <-ids)
			require.Equal(t, tc.status, status)
			if status == http.StatusOK {
				require.Equal(t, "hello", c.receive())
			}
		})
	}
}

// The calls of @connections that the service does not have are open only if management says
// so. A reload closes them at once, and opens them with the next start.
func TestServe_ManagementExtensions(t *testing.T) {
	t.Parallel()
	yaml := func(management string) string {
		return withRoutes("routes: {$default: {integration: one}}\nmanagement: {access: open" + management + "}\n")
	}
	ask := func(p *process) (int, string) {
		return get(t, "http://"+p.address("clients", 1)+"/prod/@connections?count=true")
	}
	p := serve(t, yaml(", extensions: true"))
	dial(t, "ws://"+p.address("clients", 1)+"/prod", wsconn.DialOptions{})
	status, body := ask(p)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, `{"count":1}`, body)
	p.reload(yaml(""), "reloaded", 1)
	status, _ = ask(p)
	require.Equal(t, http.StatusForbidden, status)
	require.Equal(t, 1, p.count("a change needs a restart", "management.extensions"))
	p.reload(yaml(", extensions: true"), "reloaded", 2)
	status, _ = ask(p)
	require.Equal(t, http.StatusOK, status)

	p = serve(t, yaml(""))
	status, body = ask(p)
	require.Equal(t, http.StatusForbidden, status)
	require.Equal(t, `{"message":"Missing Authentication Token"}`, body)
}

// The address of a client behind a proxy that is named is the one that the proxy tells.
func TestServe_Proxies(t *testing.T) {
	t.Parallel()
	sources := make(chan string, 1)
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { sources <- r.Header.Get("X-Source") }))
	defer backend.Close()
	yaml := func(proxies string) string {
		return withRoutes(`
  b: {http: {uri: "` + backend.URL + `", requestParameters: {integration.request.header.X-Source: context.identity.sourceIp}}}
routes: {$connect: {integration: b}}
proxies: ` + proxies + "\n")
	}
	for name, tc := range map[string]struct{ proxies, forwarded, want string }{
		"a proxy":             {"[127.0.0.0/8]", "198.51.100.7", "198.51.100.7"},
		"two proxies":         {"[127.0.0.1, 10.0.0.0/8]", "203.0.113.9, 198.51.100.7, 10.1.2.3", "198.51.100.7"},
		"a stranger":          {"[10.0.0.0/8]", "198.51.100.7", "127.0.0.1"},
		"nothing said":        {"[127.0.0.1]", "", "127.0.0.1"},
		"nonsense":            {"[127.0.0.1]", "unknown", "127.0.0.1"},
		"nobody but proxies":  {"[127.0.0.1, 10.0.0.0/8]", "10.1.2.3", "10.1.2.3"},
		"a client's own line": {"[127.0.0.1]", "10.9.9.9, 198.51.100.7", "198.51.100.7"},
	} {
		t.Run(name, func(t *testing.T) {
			p := serve(t, yaml(tc.proxies))
			header := http.Header{}
			if tc.forwarded != "" {
				header.Set("X-Forwarded-For", tc.forwarded)
			}
			dial(t, "ws://"+p.address("clients", 1)+"/prod", wsconn.DialOptions{Header: header})
			require.Equal(t, tc.want, <-sources)
		})
	}
}

// With compression a client that offers it gets it.
func TestServe_Compression(t *testing.T) {
	t.Parallel()
	yaml := withRoutes(`  long: {mock: {body: "` + strings.Repeat("hello ", 100) + `"}}
routes: {$default: {integration: long, routeResponse: true}}
`)
	for more, want := range map[string]string{
		"":                  "",
		"compression: {}\n": "permessage-deflate",
	} {
		p := serve(t, yaml+more)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		c, resp, err := wsconn.Dial(ctx, "ws://"+p.address("clients", 1)+"/prod", wsconn.DialOptions{Compress: true}) //nolint:bodyclose // a 101 has no body
		require.NoError(t, err)
		t.Cleanup(c.CloseNow)
		agreed, _, _ := strings.Cut(resp.Header.Get("Sec-WebSocket-Extensions"), ";")
		require.Equal(t, want, agreed, more)
		require.NoError(t, c.Write(ctx, []byte("x"), true))
		text, _, err := c.Read(ctx)
		require.NoError(t, err)
		require.Equal(t, strings.Repeat("hello ", 100), string(text))
	}
}

// With answerCommands an endpoint greets a client, and remembers it, without a call.
func TestServe_AnswerCommands(t *testing.T) {
	t.Parallel()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if state := r.Header.Get("Gateway-State"); state != "" {
			_, _ = io.WriteString(w, "state "+state)
			return
		}
		w.Header().Set("Gateway-State", `{"seen":1}`)
		w.Header().Set("Gateway-Post", "self")
		_, _ = io.WriteString(w, "welcome")
	}))
	defer backend.Close()
	yaml := withRoutes(`
  b: {http: {uri: "` + backend.URL + `"}}
routes: {$connect: {integration: b}, $default: {integration: b, routeResponse: true}}
`)
	p := serve(t, yaml+"answerCommands: true\n")
	c := dial(t, "ws://"+p.address("clients", 1)+"/prod", wsconn.DialOptions{})
	require.Equal(t, "welcome", c.receive())
	c.send("x")
	require.Equal(t, `state {"seen":1}`, c.receive())

	p = serve(t, yaml)
	c = dial(t, "ws://"+p.address("clients", 1)+"/prod", wsconn.DialOptions{})
	c.send("x")
	require.Equal(t, "welcome", c.receive(), "without it, it is the answer of a message")
	require.Equal(t, "write answerCommands: true; or leave the header out", p.await("the answer of the integration has a command, but commands are off", 1)["fix"])
}

// The routes $join and $leave tell an endpoint who comes to a room and who goes, and its answers
// tell the room.
func TestServe_Presence(t *testing.T) {
	t.Parallel()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		event := r.Header.Get("eventType")
		if event == "CONNECT" {
			w.Header().Set("Gateway-Join", "room")
			return
		}
		w.Header().Set("Gateway-Post", "group "+r.Header.Get("Gateway-Group"))
		_, _ = io.WriteString(w, event+" "+r.Header.Get("routeKey"))
	}))
	defer backend.Close()
	p := serve(t, withRoutes(`
  b: {http: {uri: "`+backend.URL+`", callbackUrl: "http://127.0.0.1/prod"}}
routes: {$connect: {integration: b}, $join: {integration: b}, $leave: {integration: b}, $default: {integration: one}}
answerCommands: true
`))
	url := "ws://" + p.address("clients", 1) + "/prod"
	ann := dial(t, url, wsconn.DialOptions{})
	require.Equal(t, "JOIN $join", ann.receive())
	bob := dial(t, url, wsconn.DialOptions{})
	require.Equal(t, "JOIN $join", ann.receive())
	require.Equal(t, "JOIN $join", bob.receive())
	bob.c.CloseNow()
	require.Equal(t, "LEAVE $leave", ann.receive())
}

// With binaryMessages a client gets back the bytes that it has sent.
func TestServe_BinaryMessages(t *testing.T) {
	t.Parallel()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		_, _ = io.Copy(w, r.Body)
	}))
	defer backend.Close()
	p := serve(t, withRoutes(`
  b: {http: {uri: "`+backend.URL+`"}}
routes: {$default: {integration: b, routeResponse: true}}
`)+"binaryMessages: true\n")
	c := dial(t, "ws://"+p.address("clients", 1)+"/prod", wsconn.DialOptions{})
	require.NoError(t, c.c.Write(t.Context(), []byte("\x00\xff"), false))
	data, text, err := c.c.Read(t.Context())
	require.NoError(t, err)
	require.False(t, text)
	require.Equal(t, "\x00\xff", string(data))
}

// A certificate that was renewed is served after SIGHUP. Its key never leaves the file.
func TestServe_TLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := certificate(t, dir, 1)
	yaml := withRoutes(`routes: {$default: {integration: one, routeResponse: true}}`)
	yaml = strings.Replace(yaml, "[{address: 127.0.0.1:0}]", fmt.Sprintf("[{address: 127.0.0.1:0}, {address: 127.0.0.1:0, tls: {certificate: %s/tls.crt, key: %s/tls.key}}]", dir, dir), 1)
	p := serve(t, yaml)
	address := p.address("clients", 2)
	exchange := func(trusted *x509.CertPool) error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		c, _, err := wsconn.Dial(ctx, "wss://"+address+"/prod", wsconn.DialOptions{TLS: &tls.Config{RootCAs: trusted}}) //nolint:bodyclose // a 101 has no body
		if err != nil {
			return err
		}
		peer := &peer{t, c}
		peer.send("x")
		require.Equal(t, "one", peer.receive())
		c.CloseNow()
		return nil
	}
	require.NoError(t, exchange(first))
	second := certificate(t, dir, 2)
	require.NoError(t, exchange(first), "not before SIGHUP")
	p.reload(yaml, "reloaded", 1)
	require.NoError(t, exchange(second))
	require.Error(t, exchange(first))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tls.crt"), []byte("nonsense"), 0o600))
	p.reload(yaml, "not reloaded: the configuration is not valid", 1)
	require.NoError(t, exchange(second))
	code, out, log := run1(t, "", "send", "--ca", filepath.Join(dir, "ca.pem"), "--count", "1", "wss://"+address+"/prod", "x")
	require.Equal(t, "0 one", fmt.Sprint(code, " ", strings.TrimSpace(out)), log)
	code, _, log = run1(t, "", "send", "wss://"+address+"/prod", "x")
	require.Equal(t, 1, code)
	require.Contains(t, log, "certificate signed by unknown authority")
}

// certificate writes tls.crt, tls.key and ca.pem for 127.0.0.1, and returns who trusts it.
func certificate(t *testing.T, dir string, serial int64) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tls.crt"), text, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ca.pem"), text, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tls.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(text))
	return pool
}

// systemd is told when the program is ready, alive, reloads and stops.
func TestServe_Systemd(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "notify") // t.TempDir is too long for a socket
	require.NoError(t, err)
	defer func() { _ = os.RemoveAll(dir) }()
	name := filepath.Join(dir, "s")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	require.NoError(t, err)
	defer socket.Close()
	told := func() string {
		t.Helper()
		require.NoError(t, socket.SetReadDeadline(time.Now().Add(patience)))
		for {
			buffer := make([]byte, 1024)
			n, err := socket.Read(buffer)
			require.NoError(t, err)
			if text := string(buffer[:n]); text != "WATCHDOG=1" {
				return text
			}
		}
	}
	yaml := withRoutes("routes: {$default: {integration: one}}")
	p := serve(t, yaml, "NOTIFY_SOCKET="+name)
	require.Equal(t, "READY=1", told())
	p.reload(yaml, "reloaded", 1)
	require.Regexp(t, `^RELOADING=1\nMONOTONIC_USEC=\d+\n$`, told())
	require.Equal(t, "READY=1", told())
	p.signal(syscall.SIGTERM)
	require.Equal(t, "STOPPING=1", told())
	require.Equal(t, 0, p.exit())

	alive := serve(t, yaml, "NOTIFY_SOCKET="+name, "WATCHDOG_USEC=20000")
	require.Equal(t, "READY=1", told())
	buffer := make([]byte, 1024)
	n, err := socket.Read(buffer)
	require.NoError(t, err)
	require.Equal(t, "WATCHDOG=1", string(buffer[:n]))
	alive.signal(syscall.SIGTERM)
	require.Equal(t, 0, alive.exit())
}

// A port that another process has is said, and nothing else is left open.
func TestServe_PortInUse(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	yaml := strings.Replace(withRoutes("routes: {$default: {integration: one}}"), "health: 127.0.0.1:0", "health: "+taken.Addr().String(), 1)
	require.NoError(t, os.WriteFile(file, []byte(yaml), 0o600))
	code, _, log := run1(t, "", "serve", file)
	require.Equal(t, 1, code)
	require.Contains(t, log, "gateway: cannot listen on "+taken.Addr().String()+" for health: ")
	require.Contains(t, log, "address already in use: stop what uses it, or change the address in "+file)
}

// The log is text unless the configuration says JSON.
func TestServe_LogAsText(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	yaml := strings.Replace(withRoutes("routes: {$default: {integration: one}}"), "health: 127.0.0.1:0", "health: "+taken.Addr().String(), 1)
	require.NoError(t, os.WriteFile(file, []byte(yaml), 0o600))
	_, _, log := run1(t, "", "serve", file)
	require.Regexp(t, `(?m)^time=\S+ level=INFO msg=listening for=clients address=127.0.0.1:\d+ tls=false$`, log)
	require.Contains(t, log, `level=WARN msg="the configuration may have a mistake" problem="`+file+`:6:3: integrations.two: no route uses this integration"`)
}
