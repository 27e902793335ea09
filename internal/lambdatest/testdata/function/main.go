// Command function is a Lambda function as it is written for AWS.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

func handle(ctx context.Context, req events.APIGatewayWebsocketProxyRequest) (events.APIGatewayProxyResponse, error) {
	fmt.Println("event", req.RequestContext.RouteKey)
	lc, _ := lambdacontext.FromContext(ctx)
	deadline, _ := ctx.Deadline()
	switch req.RequestContext.RouteKey {
	case "fail":
		return events.APIGatewayProxyResponse{}, errors.New("no database")
	case "panic":
		panic("no database")
	case "exit":
		os.Exit(3)
	case "hang":
		select {}
	}
	body := fmt.Sprintf("%s %s %s %t %t", lambdacontext.FunctionName, lc.InvokedFunctionArn, req.Body,
		len(lc.AwsRequestID) == 36, time.Until(deadline) > 0)
	return events.APIGatewayProxyResponse{StatusCode: 200, Body: body}, nil
}

func main() { lambda.Start(handle) }
