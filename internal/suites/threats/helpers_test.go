package threats_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/suites/wiretest"
)

const apiKeyOfTest = "anns-key-0123456789abcdef"

func apiKey(value string) gatewaytest.DialOption { return gatewaytest.Header("x-api-key", value) }

func newGateway(tb testing.TB, opts ...gateway.Option) *gateway.Gateway {
	tb.Helper()
	gw, err := gateway.New(opts...)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, gw.Close()) })
	return gw
}

func serve(context.Context, *gateway.Request) (*gateway.Response, error) {
	return &gateway.Response{Body: []byte("served")}, nil
}

// echoing has a backend that answers with what the templates make of a message.
func echoing(tr gateway.Transform) *gateway.CustomIntegration {
	return &gateway.CustomIntegration{Transform: &tr, Backend: func(_ context.Context, _ *gateway.Request, payload []byte) (*gateway.Response, error) {
		return &gateway.Response{Body: payload}, nil
	}}
}

// managementText is a management call.
func managementText(method, connectionID, body string) string {
	return wiretest.Request(method+" /prod/@connections/"+url.QueryEscape(connectionID)+" HTTP/1.1",
		"Host: gateway.test", fmt.Sprintf("Content-Length: %d", len(body))) + body
}

// operations are the methods of the three calls.
func operations() []string { return []string{http.MethodPost, http.MethodGet, http.MethodDelete} }

// field returns the only value of the header whose name is spelled exactly so.
func field(w *httptest.ResponseRecorder, name string) string {
	if values := w.Header()[name]; len(values) == 1 {
		return values[0]
	}
	return ""
}

// keyStore accepts every API key, or fails.
type keyStore struct{ err error }

// FindAPIKey implements [gateway.UsageStore].
func (s *keyStore) FindAPIKey(context.Context, string) (gateway.APIKey, error) {
	return gateway.APIKey{ID: "ann", UsagePlanID: "p"}, s.err
}

// misfit is a model that no message fits.
type misfit struct{ err error }

// Validate implements [gateway.Model].
func (m misfit) Validate([]byte) error { return m.err }
