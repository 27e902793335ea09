package gateway

import (
	"math"
	"net/http"
	"time"

	"example.com/gateway/internal/mapping"
)

// context returns the values of the $context variables of req, for mappings, identity
// sources, templates and logs. (API Gateway: "WebSocket API mapping template and access
// logging variable reference".)
func (req *Request) context() *mapping.Variables {
	c := &mapping.Variables{
		EventType: string(req.EventType), RouteKey: req.RouteKey,
		APIID: req.APIID, Stage: req.Stage, DomainName: req.DomainName,
		ConnectionID: req.ConnectionID, RequestID: req.RequestID, MessageID: req.MessageID,
		ConnectedAt: req.ConnectedAt, RequestTime: req.RequestTime,
		DisconnectStatusCode: req.DisconnectStatusCode, DisconnectReason: req.DisconnectReason,
		SourceIP: req.Identity.SourceIP, UserAgent: req.Identity.UserAgent,
		APIKey: req.keyUse.apiKey(), APIKeyID: req.Identity.APIKeyID,
		Authorizer: req.Authorizer,
	}
	if caller := req.Identity.Caller; caller != nil {
		c.Caller = mapping.Caller(*caller)
	}
	if req.failure != nil {
		c.Failure = failureOf(*req.failure)
	}
	c.Status, c.IntegrationStatus = int(req.outcome.status), int(req.outcome.integrationStatus)
	c.IntegrationLatency, c.Called = req.outcome.latency()
	return c
}

// outcome is what became of a request so far. It is small, because every message has
// one.
type outcome struct {
	status            uint16 // of the answer; 0: not known yet
	integrationStatus uint16 // that the integration returned; 0: none
	took              uint32 // by the integration, in milliseconds, and 1 more; 0: none was called
}

// latency returns how long the integration took, and whether one was called.
func (o *outcome) latency() (took time.Duration, called bool) {
	return time.Duration(max(o.took, 1)-1) * time.Millisecond, o.took > 0
}

// called notes that an integration, or the backend of one, took so long. What it
// returned is nil if it failed.
func (o *outcome) called(took time.Duration, resp *Response, err error) {
	o.took = 1 + uint32(min(max(took.Milliseconds(), 0), math.MaxUint32-1))
	if err == nil {
		o.integrationStatus = statusOf(resp)
	}
}

// statusOf returns the status code of a response, of which nil means 200.
func statusOf(resp *Response) uint16 {
	if resp == nil || resp.StatusCode == 0 {
		return http.StatusOK
	}
	return uint16(min(max(resp.StatusCode, 0), math.MaxUint16))
}

// settle notes the outcome of an integration that was called, for logs.
func (req *Request) settle(out invocation, took time.Duration) {
	if req.outcome.took == 0 { // else the backend's own time is known
		req.outcome.called(took, out.resp, out.err)
	}
	req.outcome.status = statusOf(out.resp)
	if out.err != nil {
		req.fail(out.err)
	}
}

// fail notes that the request is answered with err.
func (req *Request) fail(err error) {
	req.failure = &err
	req.outcome.status = uint16(answerOf(err).status)
}

// failureOf returns what the $context.error variables say of an error.
func failureOf(err error) *mapping.Failure {
	answer := answerOf(err)
	f := &mapping.Failure{MessageJSON: string(appendJSONString(nil, answer.text)), ResponseType: answer.kind}
	if answer.text != noMessage {
		f.Message = answer.text
	}
	if invalid, ok := as[*ValidationError](err); ok {
		f.Validation = invalid.Err.Error()
	}
	return f
}
