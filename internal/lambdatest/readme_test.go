package lambdatest

import (
	"context"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/lambda"
)

// The README shows the middle of this test.
func TestREADME(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	gw := srv.Gateway

	handler := func(ctx context.Context, event events.APIGatewayWebsocketProxyRequest) (events.APIGatewayProxyResponse, error) {
		return events.APIGatewayProxyResponse{StatusCode: 200, Body: event.RequestContext.ConnectionID}, nil
	}
	gw.Handle("whoami", lambda.Wrap(handler), gateway.WithRouteResponse())
	gw.Handle("report", &lambda.Function{URL: "http://127.0.0.1:9000", Concurrency: 1}) // an emulator in a container: one call at a time

	c := srv.Dial(t)
	c.Send(`{"action":"whoami"}`)
	require.Equal(t, c.ConnectionID(), c.Receive())
}
