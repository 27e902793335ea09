package gateway

import (
	"example.com/gateway/internal/connid"
	"example.com/gateway/internal/event"
	"example.com/gateway/internal/jsonpath"
	"example.com/gateway/internal/mapping"
)

// resolver gives mappings, identity sources, required parameters and templates the values
// of one event. It makes what it needs when it is first asked for.
type resolver struct {
	req  *Request
	resp *Response // of the backend, for ResponseParameters
	// asAuthorizer adds the headers about the connection that an authorizer sees.
	asAuthorizer bool

	upgraded bool // the two fields below are filled
	headers  event.Headers
	query    map[string][]string

	outcome outcome            // of the backend, for response templates
	values  *mapping.Variables // nil: not yet asked for
}

var _ mapping.Resolver = (*resolver)(nil)

// upgrade returns headers and query of the upgrade request, on CONNECT only.
func (v *resolver) upgrade() (event.Headers, map[string][]string) {
	if v.upgraded || v.req.Upgrade == nil {
		return v.headers, v.query
	}
	v.upgraded = true
	e := event.Event{
		SourceIP: v.req.Identity.SourceIP, DomainName: v.req.DomainName,
		Upgrade: event.UpgradeOf(v.req.Upgrade, connid.TraceID(v.req.RequestID, v.req.RequestTime)),
	}
	v.query = e.Upgrade.Query
	if v.asAuthorizer {
		v.headers = e.AuthorizerHeaders()
	} else {
		v.headers = e.Headers()
	}
	return v.headers, v.query
}

// context returns the values of the $context variables.
func (v *resolver) context() *mapping.Variables {
	if v.values == nil {
		v.values = v.req.variables(v.outcome)
	}
	return v.values
}

// Values implements mapping.Resolver.
func (v *resolver) Values(place mapping.Place, name string) []string {
	switch place {
	case mapping.Header:
		headers, _ := v.upgrade()
		return headers.Values(name)
	case mapping.Query:
		_, query := v.upgrade()
		return query[name]
	case mapping.StageVariable:
		value, ok := v.req.StageVariables[name]
		return optional(value, ok)
	case mapping.Context:
		return optional(v.context().Text(name))
	case mapping.ResponseHeader:
		return v.resp.Header.Values(name)
	case mapping.RequestBody, mapping.ResponseBody: // see Body
	}
	return nil
}

// Body implements mapping.Resolver.
func (v *resolver) Body(place mapping.Place) (body []byte, valid bool) {
	if place == mapping.ResponseBody {
		return v.resp.Body, jsonpath.Valid(v.resp.Body)
	}
	return v.req.Body, !v.req.Binary && jsonpath.Valid(v.req.Body)
}

func optional(value string, ok bool) []string {
	if !ok {
		return nil
	}
	return []string{value}
}

// context returns the values of the $context variables of req for logs, with what the
// gateway has noted about it.
func (req *Request) context() *mapping.Variables {
	if req.noted == nil {
		return req.variables(outcome{})
	}
	r := &req.noted.record
	c := req.variables(r.outcome())
	if r.failure != nil {
		c.Failure = failureOf(*r.failure)
	}
	return c
}

// variables returns the values of the $context variables of req for mappings, identity
// sources and templates. These never see what the gateway notes, because an integration may
// have a copy of req, or use it after it has returned. (API Gateway: "WebSocket API mapping
// template and access logging variable reference".)
func (req *Request) variables(of outcome) *mapping.Variables {
	c := &mapping.Variables{
		EventType: string(req.EventType), RouteKey: req.RouteKey,
		APIID: req.APIID, Stage: req.Stage, DomainName: req.DomainName,
		ConnectionID: req.ConnectionID, RequestID: req.RequestID, MessageID: req.MessageID,
		ConnectedAt: req.ConnectedAt, RequestTime: req.RequestTime,
		DisconnectStatusCode: req.DisconnectStatusCode, DisconnectReason: req.DisconnectReason,
		SourceIP: req.Identity.SourceIP, UserAgent: req.Identity.UserAgent,
		APIKey: req.keyUse.apiKey(), APIKeyID: req.Identity.APIKeyID,
		Authorizer: req.Authorizer, State: req.State, Groups: req.Groups, Group: req.Group,
	}
	if caller := req.Identity.Caller; caller != nil {
		c.Caller = mapping.Caller(*caller)
	}
	c.Status, c.IntegrationStatus = int(of.status), int(of.integrationStatus)
	c.IntegrationLatency, c.Called = of.latency()
	return c
}

// failureOf returns what the $context.error variables say of an error.
func failureOf(err error) *mapping.Failure {
	answer := answerOf(err)
	f := &mapping.Failure{MessageJSON: string(appendJSONString(nil, answer.text)), ResponseType: answer.kind}
	if answer.text != noMessage {
		f.Message = answer.text
	}
	if invalid, ok := as[*ValidationError](err); ok && answer.kind == answerOf(errInvalidBody).kind { // else an integration has returned it
		f.Validation = invalid.Err.Error()
	}
	return f
}
