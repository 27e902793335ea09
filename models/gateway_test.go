package models_test

import (
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
