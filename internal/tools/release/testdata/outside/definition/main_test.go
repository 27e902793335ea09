package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCalls(t *testing.T) {
	path := filepath.Join(t.TempDir(), "template.yaml")
	const template = `Resources:
  Chat: {Type: AWS::ApiGatewayV2::Api, Properties: {Name: chat, ProtocolType: WEBSOCKET, RouteSelectionExpression: $request.body.action}}
  Connect: {Type: AWS::ApiGatewayV2::Route, Properties: {ApiId: !Ref Chat, RouteKey: $connect}}
`
	if err := os.WriteFile(path, []byte(template), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := calls(path)
	if err != nil || len(all) != 2 || all[1].Body["routeKey"] != "$connect" {
		t.Errorf("%+v, %v", all, err)
	}
}
