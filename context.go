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
	if r := req.record; r != nil {
		if r.failure != nil {
			c.Failure = failureOf(*r.failure)
		}
		c.Status, c.IntegrationStatus = int(r.status), int(r.integrationStatus)
		c.IntegrationLatency, c.Called = r.latency()
	}
	return c
}

// record is what the gateway itself notes about a request. It is not a part of the
// Request, which is the integration's, who may change it, copy it and keep it. It is
// small, because every message has one.
type record struct {
	failure           *error  // that the request is answered with; nil: none so far
	unmatched         *string // see Request.SelectionValue; nil: RouteKey says it, or there is no value
	status            uint16  // of the answer; 0: not known yet
	integrationStatus uint16  // that the integration returned; 0: none
	took              uint32  // by the integration, in milliseconds, and 1 more; 0: none was called
}

// recorded returns the record of req, a new one if it has none.
func (req *Request) recorded() *record {
	if req.record == nil {
		req.record = new(record)
	}
	return req.record
}

// latency returns how long the integration took, and whether one was called.
func (r *record) latency() (took time.Duration, called bool) {
	return time.Duration(max(r.took, 1)-1) * time.Millisecond, r.took > 0
}

// called notes that an integration, or the backend of one, was called and how long it
// took. What it returned does not matter if err is not nil.
func (r *record) called(took time.Duration, resp *Response, err error) {
	r.took = 1 + uint32(min(max(took.Milliseconds(), 0), math.MaxUint32-1))
	if err == nil {
		r.integrationStatus = statusOf(resp)
	}
}

// settle notes the outcome of an integration that was called.
func (r *record) settle(out invocation, took time.Duration) {
	if r.took == 0 { // else the time of its backend is known
		r.called(took, out.resp, out.err)
	}
	r.status = statusOf(out.resp)
	if out.err != nil {
		r.fail(out.err)
	}
}

// fail notes that the request is answered with err.
func (r *record) fail(err error) {
	r.failure = &err
	r.status = uint16(answerOf(err).status)
}

// statusOf returns the status code of a response. nil means 200.
func statusOf(resp *Response) uint16 {
	if resp == nil || resp.StatusCode == 0 {
		return http.StatusOK
	}
	return uint16(min(max(resp.StatusCode, 0), math.MaxUint16))
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
