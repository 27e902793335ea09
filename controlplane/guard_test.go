package controlplane_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/controlplane"
	"example.com/gateway/sigv4"
)

// Who may call the REST API, unless Config.ControlAuth decides.
func TestGuard(t *testing.T) {
	t.Parallel()
	c := newClient(t, controlplane.Config{Hosts: []string{"gateway.internal"}, Endpoint: "ws://dev.example.com:4567"})
	for _, test := range []struct {
		name   string
		change func(*http.Request)
		status int
	}{
		{"loopback", func(*http.Request) {}, 200},
		{"localhost", func(r *http.Request) { r.Host = "localhost:4567" }, 200},
		{"IPv6", func(r *http.Request) { r.Host, r.RemoteAddr = "[::1]:4567", "[::1]:5000" }, 200},
		{"a configured name", func(r *http.Request) { r.Host = "gateway.internal" }, 200},
		{"the name of the endpoint", func(r *http.Request) { r.Host = "dev.example.com:4567" }, 200},
		{"DNS rebinding", func(r *http.Request) { r.Host = "evil.example.com:4567" }, 403},
		{"no host", func(r *http.Request) { r.Host = "" }, 403},
		{"another machine", func(r *http.Request) { r.RemoteAddr = "192.0.2.1:5000" }, 403},
		{"an unknown address", func(r *http.Request) { r.RemoteAddr = "" }, 403},
		{"a page of this server", func(r *http.Request) { r.Header.Set("Origin", "http://127.0.0.1:4567") }, 200},
		{"a hostile page", func(r *http.Request) { r.Header.Set("Origin", "https://evil.example.com") }, 403},
		{"a page on another port", func(r *http.Request) { r.Header.Set("Origin", "http://127.0.0.1:3000") }, 403},
		{"a sandboxed page", func(r *http.Request) { r.Header.Set("Origin", "null") }, 403},
		{"two origins", func(r *http.Request) {
			r.Header["Origin"] = []string{"http://127.0.0.1:4567", "https://evil.example.com"}
		}, 403},
		{"an image of a hostile page", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, 403},
		{"a page of this server, without Origin", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-origin") }, 200},
	} {
		r := c.request("GET", "/v2/apis", nil)
		test.change(r)
		require.Equal(t, test.status, c.send(r).status, test.name)
	}
}

// ControlAuth decides in the place of the address of the caller, after the path and
// before the documents.
func TestGuard_ControlAuth(t *testing.T) {
	t.Parallel()
	var calls []gateway.ManagementCall
	var verdict error
	c := newClient(t, controlplane.Config{ControlAuth: gateway.ManagementAuthFunc(func(_ context.Context, call *gateway.ManagementCall) error {
		calls = append(calls, *call)
		if errors.Is(verdict, errPanic) {
			panic(verdict)
		}
		return verdict
	})})
	remote := func(method, path string, body any) *response {
		r := c.request(method, path, body)
		r.RemoteAddr = "192.0.2.1:5000"
		return c.send(r)
	}
	require.Equal(t, 404, remote("PATCH", "/v2/apis/abc", `{"name":"x"}`).status)
	require.Len(t, calls, 1)
	require.Equal(t, gateway.ManagementAction("apigateway:PATCH"), calls[0].Action)
	require.Equal(t, "abc", calls[0].APIID)
	require.Equal(t, `{"name":"x"}`, string(calls[0].Body))
	verdict = errors.New("secret reason")
	a := remote("GET", "/v2/apis", nil)
	require.Equal(t, 403, a.status)
	require.Equal(t, []string{"AccessDeniedException"}, a.errorType())
	require.Equal(t, document{"Message": "User is not authorized to perform this action"}, a.body)
	verdict = errPanic
	require.Equal(t, 500, remote("GET", "/v2/apis", nil).status)
}

var errPanic = errors.New("panic")

// Signatures are those of SDKs for the service "apigateway".
func TestGuard_Signature(t *testing.T) {
	t.Parallel()
	c := newClient(t, controlplane.Config{ControlAuth: &sigv4.Verifier{Service: "apigateway", Region: "us-east-1", Keys: sigv4.StaticKeys(map[string]sigv4.Key{"AKIDEXAMPLE": {SecretAccessKey: "secret"}})}})
	c.refused(403, "MissingAuthenticationTokenException", "Missing Authentication Token", "GET", "/apis", nil)
	r := c.request("GET", "/v2/apis", nil)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDOTHER/20260101/us-east-1/apigateway/aws4_request, SignedHeaders=host;x-amz-date, Signature=00")
	r.Header.Set("X-Amz-Date", "20260101T000000Z")
	require.Equal(t, 403, c.send(r).status)
}

// A call that an SDK has signed is answered, whatever is escaped in its path.
func TestGuard_Signed(t *testing.T) {
	t.Parallel()
	c := newClient(t, controlplane.Config{ControlAuth: &sigv4.Verifier{Service: "apigateway", Region: "us-east-1", Keys: sigv4.StaticKeys(map[string]sigv4.Key{"AKIDEXAMPLE": {SecretAccessKey: "secret"}})}})
	for _, test := range []struct {
		service, path string
		status        int
	}{
		{"apigateway", "/v2/apis", 200},
		{"apigateway", "/v2/tags/arn%3Aaws%3Aapigateway%3Aus-east-1%3A%3A%2Fapis%2Fabc", 404},
		{"apigateway", "/v2/apis/a/stages/b/routesettings/%24connect", 404},
		{"execute-api", "/v2/apis", 403},
	} {
		method := "GET"
		if strings.Contains(test.path, "routesettings") {
			method = "DELETE"
		}
		r := c.request(method, test.path, nil)
		r.RemoteAddr = "192.0.2.1:5000"
		signV4(r, test.service)
		a := c.send(r)
		require.Equal(t, test.status, a.status, "%s %s: %s", test.service, test.path, a.text)
	}
}

// signV4 signs a request without a body as SDKs do, for the key of the test.
func signV4(r *http.Request, service string) {
	now := time.Now().UTC()
	date := now.Format("20060102T150405Z")
	r.Header.Set("X-Amz-Date", date)
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:])
	}
	mac := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		_, _ = h.Write([]byte(text))
		return h.Sum(nil)
	}
	path := strings.ReplaceAll(r.URL.EscapedPath(), "%", "%25")
	canonical := r.Method + "\n" + path + "\n\nhost:" + r.Host + "\nx-amz-date:" + date + "\n\nhost;x-amz-date\n" + hash("")
	scope := now.Format("20060102") + "/us-east-1/" + service + "/aws4_request"
	key := []byte("AWS4secret")
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	signature := mac(key, "AWS4-HMAC-SHA256\n"+date+"\n"+scope+"\n"+hash(canonical))
	r.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/%s, SignedHeaders=host;x-amz-date, Signature=%x", scope, signature))
}
