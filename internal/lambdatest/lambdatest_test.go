package lambdatest

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	awslambda "github.com/aws/aws-lambda-go/lambda"
	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/lambda"
)

// handle is written as a handler for AWS is, with the types of AWS.
func handle(_ context.Context, req events.APIGatewayWebsocketProxyRequest) (events.APIGatewayProxyResponse, error) {
	switch req.RequestContext.RouteKey {
	case "$connect":
		if req.QueryStringParameters["token"] != "good" {
			return events.APIGatewayProxyResponse{StatusCode: http.StatusUnauthorized, Body: "who are you?"}, nil
		}
		return events.APIGatewayProxyResponse{StatusCode: http.StatusOK}, nil
	case "fail":
		return events.APIGatewayProxyResponse{}, errors.New("no database")
	}
	return events.APIGatewayProxyResponse{StatusCode: http.StatusOK, Body: req.RequestContext.RouteKey + " " + req.RequestContext.ConnectionID + " " + req.Body}, nil
}

func TestWrap_HandlersOfTheRuntime(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]any{
		"the func":                     handle,
		"the handler made of the func": awslambda.NewHandler(handle),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := gatewaytest.New(t)
			i := lambda.Wrap(handler)
			srv.Handle("$connect", i)
			srv.Handle("$disconnect", i)
			srv.Handle("say", i, gateway.WithRouteResponse())
			srv.Handle("fail", i)
			_, refused := srv.TryDial(t)
			require.Equal(t, http.StatusUnauthorized, refused.StatusCode)
			require.Equal(t, "who are you?", refused.Body)
			c := srv.Dial(t, gatewaytest.Query("token", "good"))
			c.Send(`{"action":"say"}`)
			require.Equal(t, "say "+c.ConnectionID()+` {"action":"say"}`, c.Receive())
			c.Send(`{"action":"fail"}`)
			require.Contains(t, c.Receive(), `{"message": "Internal server error"`)
			c.Close(1000, "bye")
			require.NoError(t, srv.WaitDisconnect(c.ConnectionID()).Err)
		})
	}
}

// Every event is decoded into AWS's types and encoded again without loss: the types have
// a field of the right type for each of its keys.
func TestEvents_AreLosslessInAWSTypes(t *testing.T) {
	t.Parallel()
	seen := make(chan json.RawMessage, 3)
	i := lambda.Wrap(func(event json.RawMessage) (events.APIGatewayProxyResponse, error) {
		seen <- append(json.RawMessage(nil), event...)
		return events.APIGatewayProxyResponse{StatusCode: http.StatusOK}, nil
	})
	srv := gatewaytest.New(t, gateway.WithStage("prod", map[string]string{"table": "t"}), gateway.WithAPI("a1b2c3d4e5", ""))
	for _, key := range []string{"$connect", "$default", "$disconnect"} {
		srv.Handle(key, i)
	}
	c := srv.Dial(t, gatewaytest.Query("room", "1"), gatewaytest.Query("room", "2"), gatewaytest.Header("User-Agent", "test"))
	c.Send(`{"text":"<ünï> & \u2028"}`)
	c.Close(1001, "Going away")
	for _, event := range []string{"CONNECT", "MESSAGE", "DISCONNECT"} {
		raw := <-seen
		var typed events.APIGatewayWebsocketProxyRequest
		require.NoError(t, json.Unmarshal(raw, &typed))
		require.Equal(t, event, typed.RequestContext.EventType)
		again, err := json.Marshal(typed)
		require.NoError(t, err)
		var before, after map[string]any
		require.NoError(t, json.Unmarshal(raw, &before))
		require.NoError(t, json.Unmarshal(again, &after))
		requireContained(t, event, before, after)
	}
}

// requireContained requires that got has everything that want has. It may have more:
// AWS's types write null and empty fields, which the service leaves out.
func requireContained(t *testing.T, path string, want, got any) {
	t.Helper()
	object, ok := want.(map[string]any)
	if !ok {
		require.Equal(t, want, got, path)
		return
	}
	other, _ := got.(map[string]any)
	for key, value := range object {
		if value == false || value == "" { // the types may leave out what is zero
			continue
		}
		requireContained(t, path+"."+key, value, other[key])
	}
}
