package api_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/internal/testutil"
	"example.com/gateway/lambda/api"
	"example.com/gateway/sigv4"
)

// Who may call, unless Config.Auth decides.
func TestGuard(t *testing.T) {
	t.Parallel()
	c := newClient(t, api.Config{Hosts: []string{"Gateway.Internal", "my.dev."}})
	for name, tt := range map[string]struct {
		change func(*http.Request)
		status int
	}{
		"loopback":                  {func(*http.Request) {}, 200},
		"localhost":                 {func(r *http.Request) { r.Host = "localhost:4567" }, 200},
		"a name of localhost":       {func(r *http.Request) { r.Host = "lambda.us-east-1.localhost:4567" }, 200},
		"a configured name":         {func(r *http.Request) { r.Host = "gateway.internal" }, 200},
		"in other letters":          {func(r *http.Request) { r.Host = "GATEWAY.internal:4567" }, 200},
		"another one":               {func(r *http.Request) { r.Host = "my.dev" }, 200},
		"DNS rebinding":             {func(r *http.Request) { r.Host = "evil.example.com:4567" }, 403},
		"no host":                   {func(r *http.Request) { r.Host = "" }, 403},
		"another machine":           {func(r *http.Request) { r.RemoteAddr = "192.0.2.1:5000" }, 403},
		"a hostile page":            {func(r *http.Request) { r.Header.Set("Origin", "https://evil.example.com") }, 403},
		"an image of a hostile one": {func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, 403},
	} {
		r := c.request("GET", functions, nil)
		tt.change(r)
		require.Equal(t, tt.status, c.send(r).status, name)
	}
}

// Auth decides in the place of the address of the caller.
func TestGuard_Auth(t *testing.T) {
	t.Parallel()
	var calls []gateway.ManagementCall
	var verdict func() error
	var log testutil.LockedBuffer
	c := newClient(t, api.Config{Logger: slog.New(slog.NewTextHandler(&log, nil)), Auth: gateway.ManagementAuthFunc(func(_ context.Context, call *gateway.ManagementCall) error {
		calls = append(calls, *call)
		return verdict()
	})})
	remote := func() *response {
		r := c.request("POST", chat+"/invocations", `{"x":1}`)
		r.RemoteAddr = "192.0.2.1:5000"
		return c.send(r)
	}
	verdict = func() error { return nil }
	require.Equal(t, 404, remote().status)
	require.Equal(t, gateway.ManagementAction("lambda:InvokeFunction"), calls[0].Action)
	require.JSONEq(t, `{"x":1}`, string(calls[0].Body))
	verdict = func() error { return errors.New("secret reason") }
	a := remote()
	require.Equal(t, 403, a.status)
	require.Equal(t, "AccessDeniedException", a.errorType())
	require.NotContains(t, a.text, "secret")
	verdict = func() error { panic("my own mistake") }
	a = remote()
	require.Equal(t, 500, a.status)
	require.NotContains(t, a.text, "mistake")
	require.Regexp(t, `panicked: my own mistake.*guard_test\.go`, log.String(), "the log says what, and where")
	c = newClient(t, api.Config{Auth: verifier()})
	c.refused(403, "MissingAuthenticationTokenException", "", "GET", functions, nil)
}

func verifier() *sigv4.Verifier {
	keys := map[string]sigv4.Key{"AKIDEXAMPLE": {SecretAccessKey: "secret"}}
	return &sigv4.Verifier{Service: "lambda", Region: "us-east-1", Keys: sigv4.StaticKeys(keys)}
}
