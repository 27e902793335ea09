package gateway_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/internal/suites/wiretest"
)

// unwrapping is a ResponseWriter like those that middleware makes.
type unwrapping struct{ http.ResponseWriter }

func (u unwrapping) Unwrap() http.ResponseWriter { return u.ResponseWriter }

func TestUpgrade_Mounted(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		wrap func(http.Handler) http.Handler
	}{
		{"behind http.StripPrefix", func(h http.Handler) http.Handler { return http.StripPrefix("/test", h) }},
		{"behind a mux", func(h http.Handler) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("GET /test", h)
			return mux
		}},
		{"behind a writer with Unwrap", func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(unwrapping{unwrapping{w}}, r) })
		}},
		{"behind http.MaxBytesHandler", func(h http.Handler) http.Handler { return http.MaxBytesHandler(h, 10) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			gw := newGateway(t)
			gw.HandleFunc("$default", answer("on"), gateway.WithRouteResponse())
			w := wiretest.Serve(t, tc.wrap(gw.Handler()))
			require.Equal(t, 101, w.MustAsk(wiretest.Upgrade("/test")).Status)
			w.MustSend(wiretest.Text, strings.Repeat("x", 100))
			require.Equal(t, "on", w.Receive())
		})
	}
}

func TestUpgrade_WriterThatCannotHijack(t *testing.T) {
	t.Parallel()
	rejected := make(chan int, 1)
	gw := newGateway(t, gateway.WithObserver(&gateway.Observer{
		UpgradeRejected: func(_ context.Context, _ *gateway.Request, status int, _ error) { rejected <- status },
	}))
	w := wiretest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		gw.Handler().ServeHTTP(struct{ http.ResponseWriter }{w}, r)
	}))
	r := w.MustAsk(wiretest.Upgrade("/test"))
	require.Equal(t, 500, r.Status)
	require.Regexp(t, `^\{"message": "Internal server error", "connectionId":"[^"]{20}", "requestId":"[^"]{16}"\}$`, r.Body)
	require.Equal(t, 500, <-rejected)
	require.Empty(t, connectionIDs(gw))
}

func TestUpgrade_OverTLS(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"", "http/1.1"} {
		t.Run("ALPN "+protocol, func(t *testing.T) {
			t.Parallel()
			gw := newGateway(t)
			gw.HandleFunc("$connect", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
				if req.Upgrade.TLS == nil {
					return &gateway.Response{StatusCode: 403}, nil
				}
				return nil, nil
			})
			gw.HandleFunc("$default", answer("on"), gateway.WithRouteResponse())
			srv := serveTLS(t, gw.Handler())
			config := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "example.com", MinVersion: tls.VersionTLS12}
			config.RootCAs.AddCert(srv.Certificate())
			if protocol != "" {
				config.NextProtos = []string{protocol}
			}
			nc, err := tls.Dial("tcp", srv.Listener.Addr().String(), config)
			require.NoError(t, err)
			w := wiretest.New(t, nc)
			w.MustWriteString(wiretest.Upgrade("/test") + textFrame("early"))
			require.Equal(t, 101, w.MustReadAnswer().Status)
			require.Equal(t, "on", w.Receive())
			w.MustSend(wiretest.Text, "late")
			require.Equal(t, "on", w.Receive())
		})
	}
}

func serveTLS(tb testing.TB, h http.Handler) *httptest.Server {
	tb.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	tb.Cleanup(srv.Close)
	return srv
}

func TestUpgrade_OverHTTP2(t *testing.T) {
	t.Parallel()
	gw := newGateway(t)
	gw.HandleFunc("$connect", answerNothing)
	srv := serveTLS(t, gw.Handler())
	resp, err := srv.Client().Get(srv.URL)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 2, resp.ProtoMajor)
	require.Equal(t, http.StatusUpgradeRequired, resp.StatusCode)
	require.Contains(t, string(body), `{"message": "Upgrade Required", "connectionId":"`)
	require.NotEmpty(t, resp.Header.Get("x-amz-apigw-id"))
	for _, name := range []string{"Connection", "Upgrade", "Keep-Alive", "Transfer-Encoding"} {
		require.Empty(t, resp.Header.Values(name), "RFC 9113, 8.2.2: no %s in HTTP/2; strict clients drop the response", name)
	}
}
