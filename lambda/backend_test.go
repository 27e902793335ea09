package lambda_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/lambda"
)

// A function behind templates gets their output and not an event. The error that it raises
// selects the integration response.
func TestFunction_Backend(t *testing.T) {
	t.Parallel()
	url := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case strings.Contains(string(body), "raise"):
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
			_, _ = io.WriteString(w, `{"errorMessage":"[404] no such item","errorType":"NotFound"}`)
		case strings.Contains(string(body), "refuse"):
			w.WriteHeader(http.StatusForbidden)
		default:
			_, _ = w.Write(body)
		}
	})
	srv := gatewaytest.New(t)
	srv.Handle("$default", &gateway.CustomIntegration{
		Backend:              (&lambda.Function{URL: url}).Backend,
		SelectByErrorMessage: true,
		Transform: &gateway.Transform{
			RequestTemplates: map[string]string{"$default": `{"item":$input.json('$.item')}`},
			Responses: map[string]gateway.IntegrationResponse{
				`/\[404\].*/`: {ResponseTemplates: map[string]string{"$default": `not found: $input.path('$.errorType')`}},
				"$default":    {},
			},
		},
	}, gateway.WithRouteResponse())
	c := srv.Dial(t)
	c.Send(`{"item":"tea","secret":1}`)
	require.Equal(t, `{"item":"tea"}`, c.Receive())
	c.Send(`{"item":"raise"}`)
	require.Equal(t, "not found: NotFound", c.Receive())
	c.Send(`{"item":"refuse"}`)
	require.Contains(t, c.Receive(), `{"message": "Internal server error"`)
}

// The log shows where a handler panicked.
func TestWrap_LogsWhereAHandlerPanicked(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	srv := gatewaytest.New(t, gateway.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	srv.Handle("$connect", lambda.Wrap(func() { panic("no database") }))
	_, refused := srv.TryDial(t)
	require.Equal(t, http.StatusBadGateway, refused.StatusCode)
	require.Contains(t, log.String(), "no database")
	require.Contains(t, log.String(), "TestWrap_LogsWhereAHandlerPanicked")
}
