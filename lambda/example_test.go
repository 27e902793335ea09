package lambda_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"example.com/gateway"
	"example.com/gateway/lambda"
)

// request is an event as a Gateway passes it to an integration.
func request(body string) *gateway.Request {
	return &gateway.Request{
		RouteKey: "greet", EventType: gateway.EventMessage, ConnectionID: "R1kmxc2VNjMCFIA=", Body: []byte(body),
		RequestTime: time.UnixMilli(1705751700453),
	}
}

// A handler written for Lambda. Give the result of Wrap to Gateway.Handle; the example
// calls it as a Gateway would.
func ExampleWrap() {
	greet := func(_ context.Context, req lambda.WebsocketRequest) (lambda.Response, error) {
		return lambda.Response{StatusCode: 200, Body: "hello, " + req.RequestContext.ConnectionID}, nil
	}
	// gw.Handle("greet", lambda.Wrap(greet), gateway.WithRouteResponse())
	resp, err := lambda.Wrap(greet).Invoke(context.Background(), request(`{"action":"greet"}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d %s\n", resp.StatusCode, resp.Body)
	// Output: 200 hello, R1kmxc2VNjMCFIA=
}

// A type of your own needs only the keys that you use.
func ExampleWrap_ownTypes() {
	type event struct{ Body string }
	type answer struct {
		Body string `json:"body"`
	}
	shout := lambda.Wrap(func(e event) (answer, error) { return answer{e.Body + "!"}, nil })
	resp, err := shout.Invoke(context.Background(), request("hello"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", resp.Body)
	// Output: hello!
}

// A function in any language, in a container with a runtime interface emulator,
// such as the base images of Lambda have: docker run -p 9000:8080 and its name.
func ExampleFunction() {
	emulator := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, r.URL.Path)
		fmt.Fprint(w, `{"statusCode":200,"body":"hello from Python"}`)
	}))
	defer emulator.Close()

	greet := &lambda.Function{URL: emulator.URL} // http://127.0.0.1:9000
	// gw.Handle("greet", greet, gateway.WithRouteResponse())
	resp, err := greet.Invoke(context.Background(), request(`{"action":"greet"}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", resp.Body)
	// Output:
	// POST /2015-03-31/functions/function/invocations
	// hello from Python
}

// The result of an authorizer written for Lambda.
func ExampleDecide() {
	result := []byte(`{
		"principalId": "user-17",
		"policyDocument": {
			"Version": "2012-10-17",
			"Statement": [{
				"Effect": "Allow", "Action": "execute-api:Invoke",
				"Resource": "arn:aws:execute-api:us-east-1:111122223333:a1b2c3d4e5/*/$connect"
			}]
		},
		"context": {"level": 3}
	}`)
	r, err := lambda.Decide(result, "arn:aws:execute-api:us-east-1:111122223333:a1b2c3d4e5/prod/$connect")
	if err != nil {
		log.Fatal(err) // the service answers 500
	}
	fmt.Println(r.Decision == lambda.Allow, r.PrincipalID, r.Context["level"])
	// Output: true user-17 3
}

// A Lambda authorizer in this process. Refused clients get the same answer as from the
// service.
func ExampleWrapAuthorizer() {
	authorize := func(_ context.Context, req lambda.AuthorizerRequest) (lambda.AuthorizerResponse, error) {
		effect := "Deny"
		if req.QueryStringParameters["token"] == "secret" {
			effect = "Allow"
		}
		return lambda.AuthorizerResponse{PrincipalID: "ann", PolicyDocument: lambda.PolicyFor(effect, req.MethodARN)}, nil
	}
	// gw.Handle("$connect", integration, gateway.WithAuthorizer(lambda.WrapAuthorizer(authorize)))
	upgrade := httptest.NewRequest(http.MethodGet, "/?token=guess", nil)
	_, err := lambda.WrapAuthorizer(authorize).Authorize(context.Background(), &gateway.Request{Upgrade: upgrade, EventType: gateway.EventConnect})
	fmt.Println(errors.Is(err, gateway.ErrForbidden))
	fmt.Println(err)
	// Output:
	// true
	// lambda: the authorizer's policy: User is not authorized to access this resource with an explicit deny in an identity-based policy
}

// A function in a form of one's own is an Invoker, and so an integration.
func ExampleNewIntegration() {
	greet := lambda.NewInvoker(func(_ context.Context, req lambda.WebsocketRequest) (lambda.Response, error) {
		return lambda.Response{StatusCode: 200, Body: "hello, " + req.RequestContext.ConnectionID}, nil
	})
	functions := map[string]lambda.Invoker{"arn:aws:lambda:us-east-1:123456789012:function:greet": greet}
	// gw.Handle("greet", lambda.NewIntegration(functions[arn]), gateway.WithRouteResponse())
	integration := lambda.NewIntegration(functions["arn:aws:lambda:us-east-1:123456789012:function:greet"])
	resp, err := integration.Invoke(context.Background(), request(`{"action":"greet"}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d %s\n", resp.StatusCode, resp.Body)
	// Output: 200 hello, R1kmxc2VNjMCFIA=
}
