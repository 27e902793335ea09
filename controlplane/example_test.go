package controlplane_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"example.com/gateway/controlplane"
	"example.com/gateway/internal/wsconn"
	"example.com/gateway/lambda"
)

// A program makes an API by the calls that SDKs and Terraform make, and connects to it.
func Example() {
	server, err := controlplane.New(controlplane.Config{
		Functions: controlplane.Functions{
			"chat": lambda.NewInvoker(func(req lambda.WebsocketRequest) (lambda.Response, error) {
				return lambda.Response{StatusCode: 200, Body: "chat got " + req.Body}, nil
			}),
		},
	})
	if err != nil {
		panic(err)
	}
	defer func() { _ = server.Shutdown(context.Background()) }()
	srv := httptest.NewServer(server)
	defer srv.Close()

	create := func(path, body, id string) string {
		resp, err := http.Post(srv.URL+"/v2"+path, "application/json", bytes.NewReader([]byte(body)))
		if err != nil {
			panic(err)
		}
		defer resp.Body.Close()
		var answer map[string]any
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusCreated {
			panic(fmt.Sprint(resp.Status, answer, err))
		}
		return fmt.Sprint(answer[id])
	}
	id := create("/apis", `{"name":"chat","protocolType":"WEBSOCKET","routeSelectionExpression":"$request.body.action"}`, "apiId")
	api := "/apis/" + id
	integration := create(api+"/integrations", `{"integrationType":"AWS_PROXY","integrationUri":"arn:aws:lambda:us-east-1:123456789012:function:chat"}`, "integrationId")
	route := create(api+"/routes", `{"routeKey":"$default","target":"integrations/`+integration+`","routeResponseSelectionExpression":"$default"}`, "routeId")
	create(api+"/routes/"+route+"/routeresponses", `{"routeResponseKey":"$default"}`, "routeResponseId")
	create(api+"/stages", `{"stageName":"prod"}`, "stageName")
	create(api+"/deployments", `{"stageName":"prod"}`, "deploymentId")

	ctx := context.Background()
	ws, _, err := wsconn.Dial(ctx, "ws"+strings.TrimPrefix(srv.URL, "http")+"/"+id+"/prod", wsconn.DialOptions{}) //nolint:bodyclose // Dial says that it needs no closing
	if err != nil {
		panic(err)
	}
	defer ws.CloseNow()
	if err := ws.Write(ctx, []byte("hello"), true); err != nil {
		panic(err)
	}
	answer, _, err := ws.Read(ctx)
	fmt.Println(string(answer), err)
	// Output: chat got hello <nil>
}
