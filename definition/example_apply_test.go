package definition_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"example.com/gateway/controlplane"
	"example.com/gateway/definition"
)

// A control plane serves what a definition describes. After a change of the file, load and
// apply it again: the clients stay connected.
func Example_apply() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "template.yaml")
	template := `Resources:
  Chat:
    Type: AWS::ApiGatewayV2::Api
    Properties: {Name: chat, ProtocolType: WEBSOCKET, RouteSelectionExpression: $request.body.action}
  Integration:
    Type: AWS::ApiGatewayV2::Integration
    Properties: {ApiId: !Ref Chat, IntegrationType: HTTP_PROXY, IntegrationMethod: POST, IntegrationUri: "http://127.0.0.1:8080/"}
  Default:
    Type: AWS::ApiGatewayV2::Route
    Properties: {ApiId: !Ref Chat, RouteKey: $default, Target: !Sub "integrations/${Integration}"}
  Prod:
    Type: AWS::ApiGatewayV2::Stage
    Properties: {ApiId: !Ref Chat, StageName: prod, AutoDeploy: true}
`
	if err := os.WriteFile(file, []byte(template), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	server, err := controlplane.New(controlplane.Config{Endpoint: "ws://127.0.0.1:4567"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Shutdown(context.Background()) //nolint:errcheck // no clients
	d, err := definition.Load(file, definition.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	var calls []controlplane.Call
	for _, c := range d.Calls() {
		calls = append(calls, controlplane.Call(c))
	}
	if err := server.Apply(context.Background(), calls); err != nil {
		fmt.Println(err)
		return
	}
	// http.ListenAndServe("127.0.0.1:4567", server)
	fmt.Printf("ws://127.0.0.1:4567/%s/%s\n", d.APIs[0].ID, d.APIs[0].Stages[0].ID)
	// Output:
	// ws://127.0.0.1:4567/o0om6pazvw/prod
}
