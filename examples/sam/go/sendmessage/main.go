// Sendmessage posts the data of a message to all clients that are connected.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	api "github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	gone "github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

type function struct {
	config aws.Config
	db     *dynamodb.Client
	table  *string
}

func (f function) handle(ctx context.Context, event events.APIGatewayWebsocketProxyRequest) (events.APIGatewayProxyResponse, error) {
	var message struct{ Data string }
	if err := json.Unmarshal([]byte(event.Body), &message); err != nil {
		return events.APIGatewayProxyResponse{}, err
	}
	clients := api.NewFromConfig(f.config, func(o *api.Options) {
		o.BaseEndpoint = aws.String("https://" + event.RequestContext.DomainName + "/" + event.RequestContext.Stage)
	})
	found, err := f.db.Scan(ctx, &dynamodb.ScanInput{TableName: f.table, ProjectionExpression: aws.String("connectionId")})
	if err != nil {
		return events.APIGatewayProxyResponse{}, err
	}
	for _, item := range found.Items {
		id, ok := item["connectionId"].(*types.AttributeValueMemberS)
		if !ok {
			continue
		}
		_, err := clients.PostToConnection(ctx, &api.PostToConnectionInput{ConnectionId: &id.Value, Data: []byte(message.Data)})
		var left *gone.GoneException
		if errors.As(err, &left) {
			_, err = f.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: f.table, Key: item})
		}
		if err != nil {
			return events.APIGatewayProxyResponse{}, err
		}
	}
	return events.APIGatewayProxyResponse{StatusCode: http.StatusOK, Body: "Data sent."}, nil
}

func main() {
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		panic(err)
	}
	lambda.Start(function{cfg, dynamodb.NewFromConfig(cfg), aws.String(os.Getenv("TABLE_NAME"))}.handle)
}
