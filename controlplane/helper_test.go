package controlplane_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane"
)

// document is a JSON object.
type document = map[string]any

func textOf(d document, name string) string {
	text, _ := d[name].(string)
	return text
}

// client calls a Server as an SDK does.
type client struct {
	t      testing.TB
	server *controlplane.Server
}

// newClient returns a client of a Server with this configuration.
func newClient(t testing.TB, cfg controlplane.Config) *client {
	t.Helper()
	server, err := controlplane.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Shutdown(context.Background())) })
	return &client{t, server}
}

// response is an HTTP answer.
type response struct {
	status int
	header http.Header
	text   string
	body   document
}

// errorType returns the header with the name of the error, which has not the form of
// net/http.
func (a *response) errorType() []string {
	return a.header[errorTypeHeader] //nolint:staticcheck // as the service writes it
}

const errorTypeHeader = "x-amzn-ErrorType"

func (c *client) request(method, target string, body any) *http.Request {
	c.t.Helper()
	var reader io.Reader
	switch body := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(body)
	default:
		text, err := json.Marshal(body)
		require.NoError(c.t, err)
		reader = bytes.NewReader(text)
	}
	r := httptest.NewRequestWithContext(c.t.Context(), method, target, reader)
	r.RemoteAddr, r.Host = "127.0.0.1:50000", "127.0.0.1:4567"
	r.Header.Set("Content-Type", "application/json")
	return r
}

func (c *client) send(r *http.Request) *response {
	c.t.Helper()
	w := httptest.NewRecorder()
	c.server.ServeHTTP(w, r)
	a := &response{status: w.Code, header: w.Result().Header, text: w.Body.String()}
	if a.text != "" {
		decoder := json.NewDecoder(strings.NewReader(a.text))
		decoder.UseNumber()
		require.NoError(c.t, decoder.Decode(&a.body), "%s", a.text)
	}
	return a
}

// do makes a call of the path below /v2.
func (c *client) do(method, path string, body any) *response {
	c.t.Helper()
	return c.send(c.request(method, "/v2"+path, body))
}

// must makes a call that succeeds with this status.
func (c *client) must(status int, method, path string, body any) document {
	c.t.Helper()
	a := c.do(method, path, body)
	require.Equal(c.t, status, a.status, "%s %s: %s", method, path, a.text)
	return a.body
}

// refused makes a call that fails with this status, error and text.
func (c *client) refused(status int, name, message, method, path string, body any) {
	c.t.Helper()
	a := c.do(method, path, body)
	require.Equal(c.t, status, a.status, "%s %s: %s", method, path, a.text)
	require.Equal(c.t, []string{name}, a.errorType())
	require.Equal(c.t, document{"message": message}, a.body)
}

func (c *client) api() string {
	c.t.Helper()
	return "/apis/" + textOf(c.must(201, "POST", "/apis", document{"name": "n", "protocolType": "WEBSOCKET", "routeSelectionExpression": "$request.body.action"}), "apiId")
}

// mock makes a MOCK integration, and returns its ID.
func (c *client) mock(api string) string {
	c.t.Helper()
	return textOf(c.must(201, "POST", api+"/integrations", document{"integrationType": "MOCK"}), "integrationId")
}

// route makes a route to a new MOCK integration, and returns its ID.
func (c *client) route(api, key string) string {
	c.t.Helper()
	return textOf(c.must(201, "POST", api+"/routes", document{"routeKey": key, "target": "integrations/" + c.mock(api)}), "routeId")
}

// deployment makes a deployment, and returns its ID.
func (c *client) deployment(api string) string {
	c.t.Helper()
	return textOf(c.must(201, "POST", api+"/deployments", document{}), "deploymentId")
}

// number is a number in a document.
func number(text string) json.Number { return json.Number(text) }
