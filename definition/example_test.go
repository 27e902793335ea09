package definition_test

import (
	"fmt"
	"os"
	"path/filepath"

	"example.com/gateway/definition"
)

// A template becomes the create calls of the REST API.
func Example() {
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
    Properties: {Name: !Ref AWS::StackName, ProtocolType: WEBSOCKET, RouteSelectionExpression: $request.body.action}
  Connect:
    Type: AWS::ApiGatewayV2::Route
    Properties: {ApiId: !Ref Chat, RouteKey: $connect}
  Prod:
    Type: AWS::ApiGatewayV2::Stage
    Properties: {ApiId: !Ref Chat, StageName: prod, AutoDeploy: true}
  Table: {Type: AWS::DynamoDB::Table}
`
	if err := os.WriteFile(file, []byte(template), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	d, err := definition.Load(file, definition.Options{StackName: "chat"})
	if err != nil {
		fmt.Println(err) // all problems, each with its file, line, logical ID and what to do
		return
	}
	for _, call := range d.Calls() {
		fmt.Println(call.Path, call.LogicalID)
	}
	for _, note := range d.Notes {
		fmt.Println(note.Text)
	}
	// Output:
	// /v2/apis/r0vdckolru Chat
	// /v2/apis/r0vdckolru/routes/qzp04v4 Connect
	// /v2/apis/r0vdckolru/stages/prod Prod
	// AWS::DynamoDB::Table (Table): not run here: functions get the name; point them to a database with AWS_ENDPOINT_URL_DYNAMODB, which boto3 reads from 1.28 on
}
