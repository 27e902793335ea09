// Package lambda makes integrations of Lambda functions: integration type AWS_PROXY of
// the service. The functions get the service's events, and answer as they do in Lambda,
// so that the same program runs in both places.
//
// [Wrap] takes a Go function that the Lambda runtime takes too:
//
//	gw.Handle("sendmessage", lambda.Wrap(func(ctx context.Context, req lambda.WebsocketRequest) (lambda.Response, error) {
//		return lambda.Response{StatusCode: 200, Body: "got " + req.Body}, nil
//	}), gateway.WithRouteResponse())
//
// [Function] calls a function in any language through an endpoint of Lambda's Invoke
// API. That is Lambda itself, a runtime interface emulator in a container, or another
// local substitute:
//
//	gw.Handle("sendmessage", &lambda.Function{URL: "http://127.0.0.1:9000", Concurrency: 1})
//
// An emulator takes one call at a time, and exits when it gets a second one: therefore
// Concurrency is 1.
//
// [WrapAuthorizer] and [Function.Authorizer] make a [gateway.Authorizer] from a Lambda
// authorizer.
//
// What all functions have in common is [Invoker]. [NewIntegration], [NewBackend] and
// [NewAuthorizer] take any of them, also one of your own. Package
// [example.com/gateway/lambda/process] has one that runs a function in Node.js, Python
// or Go as a local process, with nothing installed but the interpreter.
//
// # Events
//
// The events have the same keys as those of the service. Three values differ, because
// an embedded gateway knows less, or something else:
//
//   - Header names have net/http's capitals, such as X-Api-Key, not the client's.
//     Sec-WebSocket-Key and the other WebSocket headers are spelled like this.
//   - X-Forwarded-Proto and X-Forwarded-Port say how the client reached the embedding
//     server: they come from its TLS state and the Host header. Those that the client
//     sent are dropped. X-Forwarded-For is what the client sent, followed by the address
//     that it came from. Behind proxies that [gateway.WithTrustedProxies] names, all this
//     is about the first of them.
//   - X-Amzn-Trace-Id is what the client sent. If it sent none, the ID is made from the
//     request ID.
//
// The event of a connection that has a state, or is in a group, has state and groups in its
// requestContext, too: see [gateway.Gateway.SetState] and [gateway.Gateway.Join].
//
// # Answers
//
// A function answers with an object that has the keys statusCode, headers,
// multiValueHeaders, body and isBase64Encoded. The status code is a number, or text of
// digits. With another key, another status code, or a body that is not a string, the
// answer is malformed and the integration fails. $connect needs a statusCode. Other
// routes need none, and not even an answer.
//
// Every failure is a *[gateway.IntegrationError]. A failed $connect is refused with 502
// when the function raised an error or its answer is malformed, with 504 after a
// timeout, and with 500 when the function could not be invoked. (API Gateway: "Set up a
// WebSocket API integration request"; "Set up Lambda proxy integrations".)
package lambda

import internalclip "example.com/gateway/internal/clip"

// WebsocketRequest is the event of the service, for handlers written in Go. Its JSON
// and its names are those of events.APIGatewayWebsocketProxyRequest in
// github.com/aws/aws-lambda-go, which you can use instead. Fields that an event does not
// have are empty.
type WebsocketRequest struct {
	Headers                         map[string]string       `json:"headers,omitempty"` // CONNECT, DISCONNECT; of several values the last
	MultiValueHeaders               map[string][]string     `json:"multiValueHeaders,omitempty"`
	QueryStringParameters           map[string]string       `json:"queryStringParameters,omitempty"` // CONNECT; of several values the last
	MultiValueQueryStringParameters map[string][]string     `json:"multiValueQueryStringParameters,omitempty"`
	StageVariables                  map[string]string       `json:"stageVariables,omitempty"`
	RequestContext                  WebsocketRequestContext `json:"requestContext"`
	Body                            string                  `json:"body,omitempty"`  // MESSAGE; the base64 of a binary message
	IsBase64Encoded                 bool                    `json:"isBase64Encoded"` // the message is binary: see gateway.WithBinaryMessages
}

// WebsocketRequestContext is the requestContext of a [WebsocketRequest]. The types of
// aws-lambda-go have all of it but State and Groups.
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
	State                string            `json:"state,omitempty"`  // what the connection remembers; the service has no such thing
	Groups               []string          `json:"groups,omitempty"` // that the connection is in; the service has no such thing
}

// WebsocketIdentity describes the client.
type WebsocketIdentity struct {
	UserAgent string `json:"userAgent,omitempty"`
	SourceIP  string `json:"sourceIp"`
}

// Response is the answer of a handler. Its JSON and its names are those of
// events.APIGatewayProxyResponse in github.com/aws/aws-lambda-go.
type Response struct {
	// StatusCode decides about a connection on $connect: 200 to 299 accept it, any other
	// refuses it, and 0 is an error. Other routes ignore it.
	StatusCode int `json:"statusCode"`
	// Headers and MultiValueHeaders are used on $connect only: Sec-WebSocket-Protocol
	// when the connection is accepted, all when it is refused. With
	// gateway.WithAnswerCommands they also have commands, on every route. A header that is
	// in both is taken from MultiValueHeaders.
	Headers           map[string]string   `json:"headers,omitempty"`
	MultiValueHeaders map[string][]string `json:"multiValueHeaders,omitempty"`
	// Body is sent to the client on a route with a route response, and when a connection
	// is refused. With IsBase64Encoded it is base64, and what is in it is sent: in a gateway
	// with [gateway.WithBinaryMessages] as a binary message, and in any other as text.
	Body            string `json:"body,omitempty"`
	IsBase64Encoded bool   `json:"isBase64Encoded,omitempty"`
}

// maxPayload is Lambda's bound on an answer, in bytes.
const maxPayload = 6<<20 + 100

// clip shortens the text of an answer for an error.
func clip(s string) string { return internalclip.To(s, 256) }

// AuthorizerRequest is the event of a Lambda authorizer, for handlers written in Go. In
// the JSON, empty maps are empty objects.
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

// AuthorizerResponse is the result of a Lambda authorizer. Its JSON is that of
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

// PolicyFor returns a policy with one statement, which has the effect, Allow or Deny, on
// a resource. Most authorizers return such a policy for their methodArn.
func PolicyFor(effect, resource string) PolicyDocument {
	return PolicyDocument{
		Version:   "2012-10-17",
		Statement: []PolicyStatement{{Effect: effect, Action: []string{invokeAction}, Resource: []string{resource}}},
	}
}
