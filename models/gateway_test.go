package models_test

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/models"
)

var _ gateway.Model = (*models.Model)(nil)

// A message that does not fit its model gets the service's error frame.
func TestModel_OfARoute(t *testing.T) {
	t.Parallel()
	order := models.MustCompile(`{"type":"object","required":["item"],"properties":{"item":{"type":"string"}}}`)
	srv := gatewaytest.New(t)
	srv.Handle("order", &gateway.MockIntegration{Body: []byte("ordered")}, gateway.WithRouteResponse(),
		gateway.WithRequestModel(order))
	c := srv.Dial(t)
	c.Send(`{"action":"order","item":"tea"}`)
	require.Equal(t, "ordered", c.Receive())
	c.Send(`{"action":"order","item":7}`)
	require.Contains(t, c.Receive(), `{"message": "Invalid request body", "connectionId":"`)
}

// A Model that nothing has compiled fails each message, and the log says why.
func TestModel_Zero(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	srv := gatewaytest.New(t, gateway.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	srv.Handle("$default", &gateway.MockIntegration{}, gateway.WithRequestModel(&models.Model{}))
	c := srv.Dial(t)
	c.Send(`{}`)
	require.Contains(t, c.Receive(), `{"message": "Internal server error"`)
	require.NoError(t, srv.Close())
	require.Contains(t, log.String(), "models: the Model has no schema: make it with Compile, MustCompile or CompileAll")
}
