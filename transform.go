package gateway

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/gateway/internal/jsonpath"
	"example.com/gateway/internal/mapping"
	"example.com/gateway/internal/selection"
	"example.com/gateway/internal/vtl"
)

// Transform is what the service does to a payload on its way to a backend and
// back: the difference between a non-proxy integration (HTTP, AWS, MOCK) and a
// proxy one. It is compiled once, with its route; what is wrong with it is an
// error of [Gateway.Deploy], a panic of [Gateway.Handle]. (API Gateway: "Setting
// up data transformations for WebSocket APIs".)
type Transform struct {
	// RequestTemplates are mapping templates by key. The template whose key
	// TemplateSelectionExpression gives, else that of "$default", makes the payload
	// for the backend; without one, PassthroughBehavior decides. A template that the
	// expression can never select is an error.
	RequestTemplates map[string]string
	// TemplateSelectionExpression may use $request.body.<JSONPath>. "" and \$default
	// select the template "$default", or where there is none the template
	// "application/json". Where there are templates, an expression that can select none
	// of them is an error.
	TemplateSelectionExpression string
	// PassthroughBehavior is what happens to a message that no template matches. ""
	// means PassthroughWhenNoMatch.
	PassthroughBehavior PassthroughBehavior
	// ContentHandling converts the payload for the backend. "" leaves it.
	ContentHandling ContentHandling
	// Responses are the integration responses by key: "/regex/", which has to match
	// the whole selection value, or "$default". The value is the backend's status
	// code, or for [CustomIntegration].SelectByErrorMessage the member errorMessage
	// of its body. Of several keys that match, the first in the order of strings
	// counts. On a two-way route a message whose answer matches none gets the error
	// frame "Internal server error"; a one-way route needs none.
	Responses map[string]IntegrationResponse
}

// IntegrationResponse makes the client's answer from a backend's.
type IntegrationResponse struct {
	// ResponseTemplates are mapping templates by key, chosen like RequestTemplates. If
	// there are none, the backend's body is the answer. If there are some and the
	// expression selects none of them, the integration fails with "Internal server
	// error": what a template was to leave out never passes. A $connect that is accepted
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
	// 'literal'. It matters for a $connect that is refused, and for the
	// Sec-WebSocket-Protocol of one that is accepted.
	ResponseParameters map[string]string
	// ContentHandling converts the answer. "" leaves it.
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
const (
	ConvertToBinary ContentHandling = "CONVERT_TO_BINARY" // base64 text to bytes
	ConvertToText   ContentHandling = "CONVERT_TO_TEXT"   // bytes to base64 text
)

// CustomIntegration is a non-proxy integration with a backend of one's own: what
// type AWS is for a Lambda function that gets a template's output instead of an
// event. [HTTPIntegration] and [MockIntegration] have a Transform built in.
type CustomIntegration struct {
	Transform
	// Backend gets the transformed payload. The Response's status code, zero being
	// 200, and headers can be selected and mapped from.
	Backend func(ctx context.Context, req *Request, payload []byte) (*Response, error)
	// SelectByErrorMessage selects integration responses by
	// $integration.response.body.errorMessage, as for Lambda functions, instead of
	// the status code.
	SelectByErrorMessage bool
}

var _ Integration = (*CustomIntegration)(nil)

// Invoke transforms the event, calls the Backend and transforms its answer. A
// route has it compiled once; a direct call compiles it each time.
func (i *CustomIntegration) Invoke(ctx context.Context, req *Request) (*Response, error) {
	return invokeOnce(ctx, i, req)
}

func (i *CustomIntegration) prepare(r *Route) (Integration, error) {
	if i.Backend == nil {
		return nil, fmt.Errorf("%w: the CustomIntegration has no Backend", ErrInvalidOption)
	}
	kind := selection.HTTPIntegrationResponse
	if i.SelectByErrorMessage {
		kind = selection.LambdaIntegrationResponse
	}
	return compileTransform(&i.Transform, kind, r, i.Backend)
}

// transformed is a Transform, compiled, around a backend.
type transformed struct {
	backend     func(ctx context.Context, req *Request, payload []byte) (*Response, error)
	request     templates
	passthrough PassthroughBehavior
	handling    ContentHandling
	selection   *selection.Expression
	responses   []integrationResponse
	answers     bool // somebody gets the answer
}

// templates are mapping templates with what selects one.
type templates struct {
	selection *selection.Expression
	byKey     map[string]*vtl.Template
}

type integrationResponse struct {
	pattern    *regexp.Regexp // nil: $default
	templates  templates
	parameters []mapping.Mapping
	handling   ContentHandling
}

// Errors that the client sees as a status or an error frame.
var (
	errUnsupportedMediaType  = errors.New("no request template matches the message")
	errNoIntegrationResponse = errors.New("no integration response matches the backend's answer: add one with the key $default")
	errNoResponseTemplate    = errors.New("no response template matches the backend's answer: add one with the key $default")
	errStageTemplate         = errors.New("a template could not be run")
)

func compileTransform(t *Transform, responseKind selection.Kind, r *Route, backend func(context.Context, *Request, []byte) (*Response, error)) (*transformed, error) {
	c := &transformed{backend: backend, passthrough: t.PassthroughBehavior, handling: t.ContentHandling}
	c.answers = r.RouteResponse || r.RouteKey == RouteKeyConnect
	switch c.passthrough {
	case "":
		c.passthrough = PassthroughWhenNoMatch
	case PassthroughWhenNoMatch, PassthroughWhenNoTemplates, PassthroughNever:
	default:
		return nil, fmt.Errorf("%w: PassthroughBehavior %q: want WHEN_NO_MATCH, WHEN_NO_TEMPLATES or NEVER", ErrInvalidOption, c.passthrough)
	}
	if err := c.handling.check(); err != nil {
		return nil, err
	}
	var err error
	if c.request, err = compileTemplates(selection.RequestTemplate, t.TemplateSelectionExpression, t.RequestTemplates); err != nil {
		return nil, err
	}
	expression := "$integration.response.statuscode"
	if responseKind == selection.LambdaIntegrationResponse {
		expression = "$integration.response.body.errorMessage"
	}
	if c.selection, err = compileSelection(responseKind, expression); err != nil {
		return nil, err
	}
	for key, response := range t.Responses {
		ir, err := compileIntegrationResponse(key, &response)
		if err != nil {
			return nil, invalid(fmt.Sprintf("integration response %q", key), err)
		}
		c.responses = append(c.responses, ir)
	}
	slices.SortFunc(c.responses, byPattern)
	return c, nil
}

// byPattern puts patterns in the order of strings and $default last.
func byPattern(a, b integrationResponse) int {
	switch {
	case a.pattern == nil:
		return 1
	case b.pattern == nil:
		return -1
	}
	return strings.Compare(a.pattern.String(), b.pattern.String())
}

func compileIntegrationResponse(key string, r *IntegrationResponse) (ir integrationResponse, err error) {
	if key != RouteKeyDefault {
		pattern, ok := strings.CutPrefix(key, "/")
		if ok {
			pattern, ok = strings.CutSuffix(pattern, "/")
		}
		if !ok {
			return ir, fmt.Errorf("%w: the key is neither $default nor /regex/: a status code is written like /404/", ErrInvalidOption)
		}
		if ir.pattern, err = wholeMatch(pattern); err != nil {
			return ir, fmt.Errorf("%w: %w", ErrInvalidOption, err)
		}
	}
	if ir.templates, err = compileTemplates(selection.ResponseTemplate, r.TemplateSelectionExpression, r.ResponseTemplates); err != nil {
		return ir, err
	}
	if ir.parameters, err = compileMappings(mapping.Response(), r.ResponseParameters); err != nil {
		return ir, err
	}
	ir.handling = r.ContentHandling
	return ir, ir.handling.check()
}

// wholeMatch compiles a pattern that has to match a whole text.
func wholeMatch(pattern string) (*regexp.Regexp, error) {
	if _, err := regexp.Compile(pattern); err != nil { // alone: one like "a)|(b" would end the group around it
		return nil, err
	}
	return regexp.Compile(`^(?s:` + pattern + `)$`)
}

// contentTypeJSON is the key of the template for JSON, as other APIs of the service
// have it. Messages have no content type, so that one template takes all.
const contentTypeJSON = "application/json"

func compileTemplates(kind selection.Kind, expression string, texts map[string]string) (t templates, err error) {
	if expression == "" {
		expression = `\$default`
	}
	if t.selection, err = compileSelection(kind, expression); err != nil {
		return t, fmt.Errorf("%w: %w", ErrInvalidOption, err)
	}
	if err := checkKeys(t.selection, expression, texts); err != nil {
		return t, err
	}
	t.byKey = make(map[string]*vtl.Template, len(texts))
	for key, text := range texts {
		template, err := vtl.Parse(text)
		if err != nil {
			return t, fmt.Errorf("%w: template %q: %w", ErrInvalidOption, key, err)
		}
		if key == contentTypeJSON && t.selection.Is(RouteKeyDefault) {
			key = RouteKeyDefault
		}
		t.byKey[key] = template
	}
	return t, nil
}

// checkKeys refuses templates that e never selects, and an e that selects none of
// them: a message would pass without its template, and nobody would notice.
func checkKeys(e *selection.Expression, expression string, texts map[string]string) error {
	keys := slices.Sorted(maps.Keys(texts))
	values, err := wholeMatch(e.Pattern())
	if err != nil {
		return fmt.Errorf("%w: template selection expression %q: %w", ErrInvalidOption, expression, err)
	}
	matches := 0
	for _, key := range keys {
		switch {
		case values.MatchString(key):
			matches++
		case key == RouteKeyDefault, key == contentTypeJSON && e.Is(RouteKeyDefault): // the fallbacks
		case e.Is(RouteKeyDefault):
			return fmt.Errorf("%w: template %q: no TemplateSelectionExpression selects it: name it \"$default\" or \"application/json\", or set the expression", ErrInvalidOption, key)
		default:
			return fmt.Errorf("%w: template %q: the TemplateSelectionExpression %q never has this value", ErrInvalidOption, key, expression)
		}
	}
	switch {
	case e.Constant() && matches == 1 && len(keys) == 2: // it and a fallback
		return fmt.Errorf("%w: templates %q: one of them is never used, since the TemplateSelectionExpression always has the value of the other: remove one", ErrInvalidOption, keys)
	case matches == 0 && len(keys) > 0 && !e.Is(RouteKeyDefault):
		return fmt.Errorf("%w: the TemplateSelectionExpression %q selects none of the templates %q: add the template or remove the expression", ErrInvalidOption, expression, keys)
	}
	return nil
}

// choose returns the template for in: that of the selected key, else of
// $default, else nil.
func (t *templates) choose(in *selection.Input) *vtl.Template {
	var scratch [maxRouteKey]byte
	if chosen, ok := t.byKey[string(t.selection.Append(scratch[:0], in))]; ok {
		return chosen
	}
	return t.byKey[RouteKeyDefault]
}

// Invoke implements Integration.
func (c *transformed) Invoke(ctx context.Context, req *Request) (*Response, error) {
	in := &selection.Input{Body: req.Body, BodyValid: jsonpath.Valid(req.Body)}
	payload, err := c.payload(req, in)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	resp, err := c.backend(ctx, req, payload)
	req.outcome.called(time.Since(start), resp, err)
	if err != nil || !c.answers {
		return nil, err
	}
	if resp == nil {
		resp = &Response{}
	}
	return c.answer(req, in, resp)
}

// payload makes what the backend gets.
func (c *transformed) payload(req *Request, in *selection.Input) ([]byte, error) {
	template := c.request.choose(in)
	payload := req.Body
	switch {
	case template != nil:
		var err error
		if payload, err = template.Append(nil, templateEnv(req, req.Body)); err != nil {
			return nil, fmt.Errorf("%w: %w", errStageTemplate, err)
		}
	case c.passthrough == PassthroughNever, c.passthrough == PassthroughWhenNoTemplates && len(c.request.byKey) > 0:
		return nil, &IntegrationError{StatusCode: http.StatusUnsupportedMediaType, Err: errUnsupportedMediaType}
	}
	return c.handling.convert(payload)
}

// answer makes the client's answer from the backend's.
func (c *transformed) answer(req *Request, in *selection.Input, resp *Response) (*Response, error) {
	status := resp.StatusCode
	if status == 0 {
		status = http.StatusOK
	}
	in.IntegrationStatus, in.IntegrationHeader, in.IntegrationBody = status, resp.Header, resp.Body
	in.IntegrationBodyValid = jsonpath.Valid(resp.Body)
	chosen := c.chooseResponse(in)
	if chosen == nil {
		if len(c.responses) == 0 && req.EventType != EventMessage {
			return &Response{StatusCode: status, Body: resp.Body}, nil
		}
		return nil, &IntegrationError{StatusCode: http.StatusInternalServerError, Err: errNoIntegrationResponse}
	}
	answer := &Response{StatusCode: status, Header: http.Header{}, Body: resp.Body}
	if err := chosen.templates.respond(answer, req, in); err != nil {
		return nil, err
	}
	mapped := &resolver{req: req, resp: resp}
	for _, m := range chosen.parameters {
		for _, value := range m.Values(mapped) {
			answer.Header.Add(m.Name, value)
		}
	}
	var err error
	answer.Body, err = chosen.handling.convert(answer.Body)
	return answer, err
}

// respond runs the response template for in on the answer, if there are templates.
func (t *templates) respond(answer *Response, req *Request, in *selection.Input) error {
	if len(t.byKey) == 0 {
		return nil
	}
	template := t.choose(in)
	switch {
	case template != nil:
	case req.EventType == EventConnect && answer.StatusCode >= 200 && answer.StatusCode <= 299: // nobody gets the body of a 101
		answer.Body = nil
		return nil
	default:
		return &IntegrationError{StatusCode: http.StatusInternalServerError, Err: errNoResponseTemplate}
	}
	req.outcome.status = statusOf(answer)
	body, err := template.Append(nil, templateEnv(req, answer.Body))
	if err != nil {
		return fmt.Errorf("%w: %w", errStageTemplate, err)
	}
	answer.Body = body
	return nil
}

func (c *transformed) chooseResponse(in *selection.Input) *integrationResponse {
	value := c.selection.Append(nil, in)
	for n := range c.responses {
		if p := c.responses[n].pattern; p == nil || p.Match(value) {
			return &c.responses[n]
		}
	}
	return nil
}

// templateEnv returns what a mapping template can refer to.
func templateEnv(req *Request, body []byte) *vtl.Env {
	in := &resolver{req: req}
	return &vtl.Env{
		Body:           body,
		Context:        func(name string) (any, bool) { return in.context().Value(name) },
		StageVariables: req.StageVariables,
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

func (h ContentHandling) check() error {
	switch h {
	case "", ConvertToBinary, ConvertToText:
		return nil
	}
	return fmt.Errorf("%w: ContentHandling %q: want CONVERT_TO_BINARY or CONVERT_TO_TEXT", ErrInvalidOption, h)
}

func (h ContentHandling) convert(payload []byte) ([]byte, error) {
	switch h {
	case ConvertToText:
		return base64.StdEncoding.AppendEncode(nil, payload), nil
	case ConvertToBinary:
		decoded, err := base64.StdEncoding.AppendDecode(nil, payload)
		if err != nil {
			return nil, &IntegrationError{StatusCode: http.StatusInternalServerError, Err: fmt.Errorf("content handling: %w", err)}
		}
		return decoded, nil
	}
	return payload, nil
}

// mockBackend is the backend of a MOCK integration: it takes the status code out
// of the template's output.
func mockBackend(_ context.Context, _ *Request, payload []byte) (*Response, error) {
	path, err := jsonpath.Compile("statusCode")
	if err != nil {
		return nil, err
	}
	var value jsonpath.Value
	if jsonpath.Valid(payload) {
		value = path.Lookup(payload)
	}
	status, err := strconv.Atoi(string(value.AppendString(nil)))
	if err != nil || value.Kind != jsonpath.Number || status < 100 || status > 599 {
		return nil, &IntegrationError{StatusCode: http.StatusInternalServerError, Err: errors.New(`the mock's request template gives no statusCode that is a number from 100 to 599: write {"statusCode": 200}`)}
	}
	return &Response{StatusCode: status}, nil
}
