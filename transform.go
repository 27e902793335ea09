package gateway

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"time"

	"example.com/gateway/internal/mapping"
	"example.com/gateway/internal/transform"
	"example.com/gateway/internal/vtl"
)

// Transform says how a payload changes on its way to a backend and back. It is what
// distinguishes a non-proxy integration (HTTP, AWS, MOCK) from a proxy one. It is
// compiled once, when its route is set: a mistake in it is an error of [Gateway.Deploy]
// and a panic of [Gateway.Handle]. The route keeps a copy. (API Gateway: "Setting up data
// transformations for WebSocket APIs".)
type Transform struct {
	// RequestTemplates are mapping templates by key. The payload for the backend is made
	// by the template whose key is the value of TemplateSelectionExpression, or else by
	// that of "$default". If there is neither, PassthroughBehavior decides. A template
	// that the expression can never select is an error, unless AllowUnusedTemplates is set.
	// So is a template that cannot be parsed. If one refers to a variable or a method that does not exist, the reference
	// prints its own text or nothing, as in the service. When the route is set, the log
	// tells of such references if they cannot be meant as text.
	RequestTemplates map[string]string
	// TemplateSelectionExpression may use $request.body.<JSONPath>. "" and \$default
	// select the template "$default", or, if there is none, the template
	// "application/json". If there are templates, an expression that can select none of
	// them is an error, unless AllowUnusedTemplates is set.
	TemplateSelectionExpression string
	// PassthroughBehavior says what happens to a message that no template matches. ""
	// means PassthroughWhenNoMatch.
	PassthroughBehavior PassthroughBehavior
	// ContentHandling converts the payload for the backend. "" leaves it as it is.
	ContentHandling ContentHandling
	// Responses are the integration responses by key. A key is "/regex/", which has to
	// match the whole of the value that selects, or "$default". The value is the
	// backend's status code, or, for [CustomIntegration].SelectByErrorMessage, the member
	// errorMessage of its body. If several keys match, the first in the order of strings
	// counts. On a two-way route, the client gets the error frame "Internal server error"
	// if no key matches. A one-way route needs no integration response.
	Responses map[string]IntegrationResponse
	// AllowUnusedTemplates accepts templates that are never selected, here and in
	// Responses, as the service does. The log warns of them when the route is set.
	AllowUnusedTemplates bool
}

// IntegrationResponse makes the client's answer from a backend's.
type IntegrationResponse struct {
	// ResponseTemplates are mapping templates by key, chosen like RequestTemplates. If
	// there are none, the backend's body is the answer. If there are some and the
	// expression selects none of them, the integration fails with "Internal server
	// error", so that data that a template should remove is never sent unchanged. A $connect that is accepted
	// has no answer, and needs no template.
	//
	// In these templates $context.status and $context.integration.status are the
	// backend's status code, and $context.integration.latency is how many milliseconds
	// the backend took. All three are numbers.
	ResponseTemplates map[string]string
	// TemplateSelectionExpression may use $request.body.<JSONPath>,
	// $integration.response.statuscode and $integration.response.header.<name>. ""
	// and \$default mean what they mean for RequestTemplates.
	TemplateSelectionExpression string
	// ResponseParameters maps method.response.header.{name} from
	// integration.response.header.{name}, integration.response.body.{JSONPath} or
	// 'literal'. Only the answer to an upgrade has headers: all of them if $connect
	// refuses, only Sec-WebSocket-Protocol if it accepts.
	ResponseParameters map[string]string
	// ContentHandling converts the answer. "" leaves it as it is.
	ContentHandling ContentHandling
}

// PassthroughBehavior says what happens to a payload that no template matches.
// (API Gateway: "Integration passthrough behaviors".)
type PassthroughBehavior string

// The three behaviors. A payload that may not pass is answered with 415
// "Unsupported Media Type".
const (
	PassthroughWhenNoMatch     PassthroughBehavior = "WHEN_NO_MATCH"     // it passes unchanged
	PassthroughWhenNoTemplates PassthroughBehavior = "WHEN_NO_TEMPLATES" // it passes if there are no templates at all
	PassthroughNever           PassthroughBehavior = "NEVER"             // it does not pass
)

// ContentHandling converts a payload between bytes and their base64 text. (API
// Gateway: "Working with binary media types for WebSocket APIs".)
type ContentHandling string

// The two conversions. Base64 that cannot be decoded fails the integration.
//
// In a gateway with [WithBinaryMessages], ConvertToText makes base64 text of a binary
// message of a client, and an answer after ConvertToBinary is a binary message. For
// expressions and mappings a binary message is not JSON. A template sees its bytes as
// $input.body, and what a template makes is text.
const (
	ConvertToBinary ContentHandling = "CONVERT_TO_BINARY" // base64 text to bytes
	ConvertToText   ContentHandling = "CONVERT_TO_TEXT"   // bytes to base64 text
)

// CustomIntegration is a non-proxy integration whose backend is the program's own func.
// It is what type AWS is for a Lambda function that gets the output of a template
// instead of an event.
type CustomIntegration struct {
	// Transform makes the payload for the Backend, and the answer from its Response. nil
	// means the zero Transform: the message is the payload, and a two-way route has no
	// integration response, so that its client gets an error frame.
	Transform *Transform
	// Backend gets the transformed payload. The status code of its Response, of which 0
	// means 200, selects the integration response. Its headers and body can be mapped.
	Backend func(ctx context.Context, req *Request, payload []byte) (*Response, error)
	// SelectByErrorMessage selects integration responses by
	// $integration.response.body.errorMessage, as for Lambda functions, and not by the
	// status code.
	SelectByErrorMessage bool
}

var _ Integration = (*CustomIntegration)(nil)

// Invoke transforms the event, calls the Backend and transforms its answer. A route
// compiles the Transform once. A direct call of Invoke compiles it each time.
func (i *CustomIntegration) Invoke(ctx context.Context, req *Request) (*Response, error) {
	return invokeOnce(ctx, i, req)
}

func (i *CustomIntegration) clone() preparer {
	c := *i
	c.Transform = i.Transform.clone()
	return &c
}

func (i *CustomIntegration) prepare(r *Route) (Integration, error) {
	if i.Backend == nil {
		return nil, fmt.Errorf("%w: the CustomIntegration has no Backend: set CustomIntegration.Backend", ErrInvalidOption)
	}
	return compileTransform(cmp.Or(i.Transform, new(Transform)), i.SelectByErrorMessage, r, i.Backend)
}

// MockIntegration answers without a backend: type MOCK of the service. The zero value
// answers 200 without a body, and so accepts every connection. It is copied when its
// route is set.
type MockIntegration struct {
	// StatusCode and Body are the answer if there is no Transform. StatusCode is 200 to
	// 599; 0 means 200.
	StatusCode int
	Body       []byte
	// Transform, unless it is nil, makes the answer instead. Its request template has to
	// make JSON with a number statusCode, which selects the integration response.
	Transform *Transform
}

var _ Integration = (*MockIntegration)(nil)

// Invoke returns the answer. A route compiles the Transform once. A direct call of
// Invoke compiles it each time.
func (m *MockIntegration) Invoke(ctx context.Context, req *Request) (*Response, error) {
	if m.Transform != nil {
		return invokeOnce(ctx, m, req)
	}
	return &Response{StatusCode: m.StatusCode, Body: m.Body}, nil
}

func (m *MockIntegration) clone() preparer {
	return &MockIntegration{m.StatusCode, bytes.Clone(m.Body), m.Transform.clone()}
}

func (m *MockIntegration) prepare(r *Route) (Integration, error) {
	if m.StatusCode != 0 && (m.StatusCode < http.StatusOK || m.StatusCode > 599) {
		return nil, fmt.Errorf("%w: MockIntegration.StatusCode %d: use 200 to 599, or 0 for 200", ErrInvalidOption, m.StatusCode)
	}
	if m.Transform == nil {
		return m, nil
	}
	return compileTransform(m.Transform, false, r, mockBackend)
}

// clone returns a copy of t, which may be nil.
func (t *Transform) clone() *Transform {
	if t == nil {
		return nil
	}
	c := *t
	c.RequestTemplates, c.Responses = maps.Clone(t.RequestTemplates), maps.Clone(t.Responses)
	for key, r := range c.Responses {
		r.ResponseTemplates, r.ResponseParameters = maps.Clone(r.ResponseTemplates), maps.Clone(r.ResponseParameters)
		c.Responses[key] = r
	}
	return &c
}

// transformed is a Transform, compiled, around a backend.
type transformed struct {
	*transform.Transform
	backend func(ctx context.Context, req *Request, payload []byte) (*Response, error)
	call    doubter // the call of the HTTP endpoint, if the backend is one; else nil
	answers bool    // somebody gets the answer
}

func compileTransform(t *Transform, byErrorMessage bool, r *Route, backend func(context.Context, *Request, []byte) (*Response, error)) (*transformed, error) {
	c := &transform.Config{
		RequestTemplates: t.RequestTemplates, TemplateSelectionExpression: t.TemplateSelectionExpression,
		PassthroughBehavior: string(t.PassthroughBehavior), ContentHandling: string(t.ContentHandling),
		Responses: make(map[string]transform.Response, len(t.Responses)), SelectByErrorMessage: byErrorMessage,
		AllowUnusedTemplates: t.AllowUnusedTemplates,
	}
	for key, response := range t.Responses {
		c.Responses[key] = transform.Response{
			ResponseTemplates: response.ResponseTemplates, TemplateSelectionExpression: response.TemplateSelectionExpression,
			ResponseParameters: response.ResponseParameters, ContentHandling: string(response.ContentHandling),
		}
	}
	compiled, err := transform.Compile(c, compileSelection)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidOption, err)
	}
	return &transformed{Transform: compiled, backend: backend, answers: r.RouteResponse || r.RouteKey == RouteKeyConnect}, nil
}

// Invoke implements Integration.
func (c *transformed) Invoke(ctx context.Context, req *Request) (*Response, error) {
	var outcome outcome // of the backend; zero while it has not returned
	e := &transform.Event{
		Type: string(req.EventType), Body: req.Body, Binary: req.Binary,
		Env: func(body []byte) *vtl.Env { return templateEnv(&resolver{req: req, outcome: outcome}, body) },
	}
	payload, err := c.Payload(e)
	if err != nil {
		return nil, transformFailed(err)
	}
	start := time.Now()
	resp, err := c.backend(ctx, req, payload)
	outcome = calledFor(time.Since(start), resp, err)
	if r := req.ownRecord(); r != nil {
		r.backendReturned(outcome)
	}
	if err != nil || !c.answers {
		return nil, err
	}
	if resp == nil {
		resp = &Response{}
	}
	backend := transform.Answer(*resp)
	if backend.StatusCode == 0 {
		backend.StatusCode = http.StatusOK
	}
	outcome.status = statusOf(resp)
	answer, err := c.Answer(e, backend, &resolver{req: req, resp: resp, outcome: outcome})
	if err != nil {
		return nil, transformFailed(err)
	}
	return (*Response)(&answer), nil
}

// doubts implements doubter: what the templates refer to, and the call behind them.
func (c *transformed) doubts(stageVariables map[string]string) []string {
	found := c.Doubts(&vtl.Known{
		Context: append(mapping.ContextVariables(), "authorizer."), StageVariables: stageVariables,
	})
	if c.call != nil {
		found = append(found, c.call.doubts(stageVariables)...)
	}
	return found
}

// transformFailed says with which status a payload that could not be transformed is
// answered.
func transformFailed(err error) error {
	if failed := (*transform.Error)(nil); errors.As(err, &failed) {
		return &IntegrationError{StatusCode: failed.StatusCode, Err: failed.Err}
	}
	return err
}

// templateEnv returns what a mapping template can refer to.
func templateEnv(in *resolver, body []byte) *vtl.Env {
	return &vtl.Env{
		Body:           body,
		Context:        func(name string) (any, bool) { return in.context().Value(name) },
		StageVariables: in.req.StageVariables,
		Params: func() vtl.Params {
			p := vtl.Params{Path: map[string]string{}, Querystring: map[string]string{}, Header: map[string]string{}}
			headers, query := in.upgrade()
			for _, h := range headers {
				p.Header[h.Name] = h.Values[len(h.Values)-1]
			}
			for name, values := range query {
				p.Querystring[name] = values[len(values)-1]
			}
			return p
		},
	}
}

// mockBackend is the backend of a MOCK integration: it takes the status code out of what
// the template made.
func mockBackend(_ context.Context, _ *Request, payload []byte) (*Response, error) {
	status, err := transform.MockStatus(payload)
	if err != nil {
		return nil, transformFailed(err)
	}
	return &Response{StatusCode: status}, nil
}
