// Package lambda gives Lambda functions to a [gateway.Gateway] as integrations:
// type AWS_PROXY of the service. They get the service's events and answer as they
// do there, so that one program runs in both places.
//
// [Wrap] takes a Go function of the shape that the Lambda runtime takes:
//
//	gw.Handle("sendmessage", lambda.Wrap(func(ctx context.Context, req lambda.WebsocketRequest) (lambda.Response, error) {
//		return lambda.Response{StatusCode: 200, Body: "got " + req.Body}, nil
//	}), gateway.WithRouteResponse())
//
// [Function] calls a function in any language, behind any endpoint of Lambda's
// Invoke API: Lambda itself, a runtime interface emulator in a container, or
// another local stand-in:
//
//	gw.Handle("sendmessage", &lambda.Function{URL: "http://127.0.0.1:9000", Concurrency: 1})
//
// An emulator takes one call at a time, and ends when it gets a second: hence the
// Concurrency.
//
// [WrapAuthorizer] and [Function.Authorizer] make a [gateway.Authorizer] of a
// Lambda authorizer.
//
// # Events
//
// The events are those of the service, key by key. Three things an embedded
// gateway knows less of, or otherwise:
//
//   - Header names have net/http's capitals, such as X-Api-Key, and not the
//     client's; Sec-WebSocket-Key and its like are spelled so.
//   - X-Forwarded-Proto and X-Forwarded-Port say how the client reached the
//     embedding server, by its TLS and its Host header; the client's own are
//     dropped. X-Forwarded-For is the client's own and the address it came from.
//   - X-Amzn-Trace-Id is the client's, if it sent one, and else made from the
//     request ID.
//
// # Answers
//
// A function answers with an object of statusCode, headers, multiValueHeaders,
// body and isBase64Encoded. The status code is a number, or its digits as text.
// Another key, a status code that is neither, a body that is no string: the answer
// is malformed, and the integration has failed.
// $connect wants a statusCode; other routes can do without, and without any
// answer at all.
//
// Whatever fails is a *[gateway.IntegrationError]. A refused $connect says 502
// when the function raised or its answer is malformed, 504 after a timeout, and
// 500 when the function could not be invoked. (API Gateway: "Set up a WebSocket
// API integration request"; "Set up Lambda proxy integrations".)
package lambda

import "encoding/json"

// WebsocketRequest is the event of the service, for handlers written in Go. It
// has the JSON, and the names, of events.APIGatewayWebsocketProxyRequest in
// github.com/aws/aws-lambda-go, which can be used just as well. Fields that an
// event does not have are empty.
type WebsocketRequest struct {
	Headers                         map[string]string       `json:"headers,omitempty"` // CONNECT, DISCONNECT; of several values the last
	MultiValueHeaders               map[string][]string     `json:"multiValueHeaders,omitempty"`
	QueryStringParameters           map[string]string       `json:"queryStringParameters,omitempty"` // CONNECT; of several values the last
	MultiValueQueryStringParameters map[string][]string     `json:"multiValueQueryStringParameters,omitempty"`
	StageVariables                  map[string]string       `json:"stageVariables,omitempty"`
	RequestContext                  WebsocketRequestContext `json:"requestContext"`
	Body                            string                  `json:"body,omitempty"` // MESSAGE
	IsBase64Encoded                 bool                    `json:"isBase64Encoded"`
}

// WebsocketRequestContext is the requestContext of a [WebsocketRequest].
type WebsocketRequestContext struct {
	RouteKey             string            `json:"routeKey"`
	Authorizer           map[string]any    `json:"authorizer,omitempty"` // principalId and the context: strings; on CONNECT integrationLatency: a number
	MessageID            string            `json:"messageId,omitempty"`  // MESSAGE
	DisconnectStatusCode int64             `json:"disconnectStatusCode,omitempty"`
	EventType            string            `json:"eventType"` // CONNECT, MESSAGE or DISCONNECT
	ExtendedRequestID    string            `json:"extendedRequestId"`
	RequestTime          string            `json:"requestTime"`      // 02/Jan/2006:15:04:05 -0700
	MessageDirection     string            `json:"messageDirection"` // IN
	DisconnectReason     *string           `json:"disconnectReason,omitempty"`
	Stage                string            `json:"stage"`
	ConnectedAt          int64             `json:"connectedAt"`      // milliseconds since 1970
	RequestTimeEpoch     int64             `json:"requestTimeEpoch"` // milliseconds since 1970
	Identity             WebsocketIdentity `json:"identity"`
	RequestID            string            `json:"requestId"`
	DomainName           string            `json:"domainName"`
	ConnectionID         string            `json:"connectionId"`
	APIID                string            `json:"apiId"`
}

// WebsocketIdentity is who the client is.
type WebsocketIdentity struct {
	UserAgent string `json:"userAgent,omitempty"`
	SourceIP  string `json:"sourceIp"`
}

// Response is the answer of a handler. It has the JSON, and the names, of
// events.APIGatewayProxyResponse in github.com/aws/aws-lambda-go.
type Response struct {
	// StatusCode accepts a connection with 200 to 299, and refuses it with any
	// other, on $connect. It must not be 0 there, and does not matter elsewhere.
	StatusCode int `json:"statusCode"`
	// Headers and MultiValueHeaders, which win, matter on $connect:
	// Sec-WebSocket-Protocol, or those of the refusal.
	Headers           map[string]string   `json:"headers,omitempty"`
	MultiValueHeaders map[string][]string `json:"multiValueHeaders,omitempty"`
	// Body goes to the client, on a route with a route response, and when a
	// connection is refused.
	Body            string `json:"body,omitempty"`
	IsBase64Encoded bool   `json:"isBase64Encoded,omitempty"`
}

// maxPayload is Lambda's bound on what a function answers, in bytes.
const maxPayload = 6<<20 + 100

// raised reads what a function reports instead of an answer when it raised.
func raised(function string, body []byte) *FunctionError {
	var report struct{ ErrorMessage, ErrorType string }
	if json.Unmarshal(body, &report) != nil || report.ErrorMessage == "" && report.ErrorType == "" {
		report.ErrorMessage = clip(string(body))
	}
	return &FunctionError{Function: function, Type: report.ErrorType, Message: report.ErrorMessage}
}

// clip bounds what an error repeats of an answer.
func clip(s string) string {
	if len(s) > 256 {
		return s[:256] + "…"
	}
	return s
}

// AuthorizerRequest is the event of a Lambda authorizer, for handlers written in
// Go. Fields that are empty are there as empty objects.
type AuthorizerRequest struct {
	Type                            string                  `json:"type"` // REQUEST
	MethodARN                       string                  `json:"methodArn"`
	Headers                         map[string]string       `json:"headers"`
	MultiValueHeaders               map[string][]string     `json:"multiValueHeaders"`
	QueryStringParameters           map[string]string       `json:"queryStringParameters"`
	MultiValueQueryStringParameters map[string][]string     `json:"multiValueQueryStringParameters"`
	StageVariables                  map[string]string       `json:"stageVariables"`
	RequestContext                  WebsocketRequestContext `json:"requestContext"`
}

// AuthorizerResponse is what a Lambda authorizer returns. It has the JSON of
// events.APIGatewayCustomAuthorizerResponse in github.com/aws/aws-lambda-go.
type AuthorizerResponse struct {
	PrincipalID        string         `json:"principalId,omitempty"`
	PolicyDocument     PolicyDocument `json:"policyDocument"`
	Context            map[string]any `json:"context,omitempty"` // strings, numbers, booleans
	UsageIdentifierKey string         `json:"usageIdentifierKey,omitempty"`
}

// PolicyDocument is an IAM policy.
type PolicyDocument struct {
	Version   string            `json:"Version"` // 2012-10-17
	Statement []PolicyStatement `json:"Statement"`
}

// PolicyStatement is a statement of an IAM policy.
type PolicyStatement struct {
	Effect   string   `json:"Effect"`   // Allow or Deny
	Action   []string `json:"Action"`   // execute-api:Invoke
	Resource []string `json:"Resource"` // the methodArn, or a pattern
}

// PolicyFor returns the policy with the one statement that effect, Allow or Deny,
// is for resource: that is what most authorizers return for their methodArn.
func PolicyFor(effect, resource string) PolicyDocument {
	return PolicyDocument{
		Version:   "2012-10-17",
		Statement: []PolicyStatement{{Effect: effect, Action: []string{invokeAction}, Resource: []string{resource}}},
	}
}
