package controlplane_test

import (
	"context"
	"fmt"

	"example.com/gateway/controlplane"
	"example.com/gateway/lambda"
)

// Functions of the program itself, for integrations that name them by ARN.
func ExampleFunctions() {
	functions := controlplane.Functions{
		"chat": lambda.NewInvoker(func(req lambda.WebsocketRequest) (lambda.Response, error) {
			return lambda.Response{StatusCode: 200, Body: "chat got " + req.Body}, nil
		}),
	}
	config := &controlplane.Config{Functions: functions}

	chat, err := config.Functions.ResolveFunction("arn:aws:lambda:us-east-1:123456789012:function:chat")
	if err != nil {
		panic(err)
	}
	answer, err := chat.InvokeFunction(context.Background(), []byte(`{"body":"hello"}`))
	fmt.Println(string(answer), err)

	_, err = config.Functions.ResolveFunction("arn:aws:lambda:us-east-1:123456789012:function:gone")
	fmt.Println(err)
	// Output:
	// {"statusCode":200,"body":"chat got hello"}
	//  <nil>
	// controlplane: unknown function: "gone"
}

// A resolver of your own reads the name of the function out of what an integration has.
func ExampleParseFunctionName() {
	name, err := controlplane.ParseFunctionName("arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-west-1:123456789012:function:chat:live/invocations")
	fmt.Printf("%s %s in %s, %v\n", name.Name, name.Qualifier, name.Region, err)
	// Output: chat live in eu-west-1, <nil>
}
