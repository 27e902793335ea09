package gateway

import "example.com/gateway/internal/mapping"

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
		c.Failure = failureOf(req.failure)
	}
	return c
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
