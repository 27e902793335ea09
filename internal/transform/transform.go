// Package transform changes a payload on its way to a backend and back, as the
// service's non-proxy integrations do: mapping templates, integration responses,
// passthrough and content handling. (API Gateway: "Setting up data transformations for
// WebSocket APIs".)
package transform

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"example.com/gateway/internal/jsonpath"
	"example.com/gateway/internal/mapping"
	"example.com/gateway/internal/selection"
	"example.com/gateway/internal/vtl"
)

// Config is what a [Transform] is compiled from. The fields are those of the public
// types with the same names.
type Config struct {
	RequestTemplates            map[string]string
	TemplateSelectionExpression string
	PassthroughBehavior         string
	ContentHandling             string
	Responses                   map[string]Response
	SelectByErrorMessage        bool
	AllowUnusedTemplates        bool
}

// Response is what an integration response is compiled from.
type Response struct {
	ResponseTemplates           map[string]string
	TemplateSelectionExpression string
	ResponseParameters          map[string]string
	ContentHandling             string
}

// Compiler compiles a selection expression: [selection.Compile], or the program's own
// form of it, which may return another error.
type Compiler func(kind selection.Kind, text string) (*selection.Expression, error)

// Transform is compiled. It never changes and is safe for concurrent use.
type Transform struct {
	request     templates
	passthrough string
	handling    handling
	selection   *selection.Expression // of the integration response
	responses   []response
}

// response is an integration response, compiled.
type response struct {
	key        string
	pattern    *regexp.Regexp // nil: $default
	templates  templates
	parameters []mapping.Mapping
	handling   handling
}

// Event is what is transformed.
type Event struct {
	Type string // CONNECT, MESSAGE or DISCONNECT
	Body []byte // of a message
	// Binary says that the message is binary: then it is not JSON, whatever its bytes are.
	Binary bool
	// Env returns what a template can refer to. $input is about body.
	Env func(body []byte) *vtl.Env

	in selection.Input
}

// Answer is a backend's answer, and what [Transform.Answer] makes of it.
type Answer struct {
	StatusCode int
	Header     http.Header
	Body       []byte
	Binary     bool // for the client, a binary message
}

// Error says with which status the gateway answers an event that could not be
// transformed. A failure that is no *Error is answered with 502.
type Error struct {
	StatusCode int
	Err        error
}

// Error implements error.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// The passthrough behaviors.
const (
	passthroughWhenNoMatch     = "WHEN_NO_MATCH"
	passthroughWhenNoTemplates = "WHEN_NO_TEMPLATES"
	passthroughNever           = "NEVER"
)

// keyDefault is the key of the template, or of the response, for everything else.
const keyDefault = "$default"

// Compile checks and compiles c.
func Compile(c *Config, compile Compiler) (*Transform, error) {
	t := &Transform{passthrough: c.PassthroughBehavior, handling: handling(c.ContentHandling)}
	switch t.passthrough {
	case "":
		t.passthrough = passthroughWhenNoMatch
	case passthroughWhenNoMatch, passthroughWhenNoTemplates, passthroughNever:
	default:
		return nil, fmt.Errorf("Transform.PassthroughBehavior %q: want WHEN_NO_MATCH, WHEN_NO_TEMPLATES or NEVER", t.passthrough)
	}
	if err := t.handling.check(); err != nil {
		return nil, err
	}
	var err error
	if t.request, err = compileTemplates(selection.RequestTemplate, c.TemplateSelectionExpression, c.RequestTemplates, c.AllowUnusedTemplates, compile); err != nil {
		return nil, err
	}
	kind, expression := selection.HTTPIntegrationResponse, "$integration.response.statuscode"
	if c.SelectByErrorMessage {
		kind, expression = selection.LambdaIntegrationResponse, "$integration.response.body.errorMessage"
	}
	if t.selection, err = compile(kind, expression); err != nil {
		return nil, err
	}
	for key, r := range c.Responses {
		compiled, err := compileResponse(key, &r, c.AllowUnusedTemplates, compile)
		if err != nil {
			return nil, fmt.Errorf("integration response %q: %w", key, err)
		}
		t.responses = append(t.responses, compiled)
	}
	slices.SortFunc(t.responses, byPattern)
	return t, nil
}

// byPattern puts patterns in the order of strings, and $default last.
func byPattern(a, b response) int {
	switch {
	case a.pattern == nil:
		return 1
	case b.pattern == nil:
		return -1
	}
	return strings.Compare(a.pattern.String(), b.pattern.String())
}

func compileResponse(key string, r *Response, unused bool, compile Compiler) (compiled response, err error) {
	compiled.key = key
	if key != keyDefault {
		pattern, ok := strings.CutPrefix(key, "/")
		if ok {
			pattern, ok = strings.CutSuffix(pattern, "/")
		}
		if !ok {
			return compiled, errors.New("the key is neither $default nor /regex/: a status code is written like /404/")
		}
		if compiled.pattern, err = wholeMatch(pattern); err != nil {
			return compiled, err
		}
	}
	if compiled.templates, err = compileTemplates(selection.ResponseTemplate, r.TemplateSelectionExpression, r.ResponseTemplates, unused, compile); err != nil {
		return compiled, err
	}
	if compiled.parameters, err = mapping.Response().Compile(r.ResponseParameters); err != nil {
		return compiled, fmt.Errorf("ResponseParameters: %w", err)
	}
	compiled.handling = handling(r.ContentHandling)
	return compiled, compiled.handling.check()
}

// wholeMatch compiles a pattern that has to match a whole text.
func wholeMatch(pattern string) (*regexp.Regexp, error) {
	if _, err := regexp.Compile(pattern); err != nil { // by itself: one like "a)|(b" would end the group around it
		return nil, err
	}
	return regexp.Compile(`^(?s:` + pattern + `)$`)
}

// Payload returns what the backend gets for e.
func (t *Transform) Payload(e *Event) ([]byte, error) {
	e.in = selection.Input{Body: e.Body, BodyValid: !e.Binary && jsonpath.Valid(e.Body)}
	payload := e.Body
	switch template := t.request.choose(&e.in); {
	case template != nil:
		var err error
		if payload, err = run(template, e.Env(e.Body)); err != nil {
			return nil, err
		}
	case t.passthrough == passthroughNever, t.passthrough == passthroughWhenNoTemplates && len(t.request.byKey) > 0:
		return nil, &Error{http.StatusUnsupportedMediaType, errors.New("no request template matches the message")}
	}
	return t.handling.convert(payload)
}

// Answer makes the client's answer from the backend's. values has the sources of
// ResponseParameters. Payload must have been called for e.
func (t *Transform) Answer(e *Event, backend Answer, values mapping.Resolver) (Answer, error) {
	e.in.IntegrationStatus, e.in.IntegrationHeader, e.in.IntegrationBody = backend.StatusCode, backend.Header, backend.Body
	e.in.IntegrationBodyValid = jsonpath.Valid(backend.Body)
	chosen := t.choose(&e.in)
	if chosen == nil {
		if len(t.responses) == 0 && e.Type != "MESSAGE" {
			return Answer{StatusCode: backend.StatusCode, Body: backend.Body, Binary: backend.Binary}, nil
		}
		return Answer{}, &Error{http.StatusInternalServerError, errors.New("no integration response matches the backend's answer: add one with the key $default")}
	}
	answer := Answer{StatusCode: backend.StatusCode, Header: http.Header{}, Body: backend.Body, Binary: backend.Binary}
	if err := chosen.templates.respond(&answer, e); err != nil {
		return Answer{}, err
	}
	for _, m := range chosen.parameters {
		for _, value := range m.Values(values) {
			answer.Header.Add(m.Name, value)
		}
	}
	if chosen.handling != "" {
		answer.Binary = chosen.handling == convertToBinary
	}
	var err error
	answer.Body, err = chosen.handling.convert(answer.Body)
	return answer, err
}

// choose returns the integration response for in, or nil.
func (t *Transform) choose(in *selection.Input) *response {
	value := t.selection.Append(nil, in)
	for n := range t.responses {
		if p := t.responses[n].pattern; p == nil || p.Match(value) {
			return &t.responses[n]
		}
	}
	return nil
}
