package lambda

import (
	"errors"
	"fmt"
	"net/http"

	"example.com/gateway"
	"example.com/gateway/internal/connid"
	"example.com/gateway/internal/event"
)

// appendEvent appends the event that the service would make from req.
func appendEvent(dst []byte, req *gateway.Request) []byte {
	e := eventOf(req)
	switch req.EventType {
	case gateway.EventConnect:
		e.Upgrade = upgrade(req)
		return event.AppendConnect(dst, &e)
	case gateway.EventDisconnect:
		return event.AppendDisconnect(dst, &e)
	case gateway.EventJoin, gateway.EventLeave:
		return event.AppendPresence(dst, &e, string(req.EventType))
	default:
		return event.AppendMessage(dst, &e)
	}
}

// eventOf returns the parts that all events have.
func eventOf(req *gateway.Request) event.Event {
	e := event.Event{
		RouteKey: req.RouteKey, RequestID: req.RequestID, ConnectionID: req.ConnectionID, MessageID: req.MessageID,
		APIID: req.APIID, Stage: req.Stage, DomainName: req.DomainName,
		SourceIP: req.Identity.SourceIP, UserAgent: req.Identity.UserAgent,
		ConnectedAt: req.ConnectedAt, RequestTime: req.RequestTime,
		StageVariables: req.StageVariables, Body: req.Body, Binary: req.Binary, Authorizer: req.Authorizer,
		DisconnectStatusCode: req.DisconnectStatusCode, DisconnectReason: req.DisconnectReason,
		State: req.State, Groups: req.Groups, Group: req.Group,
	}
	if c := req.Identity.Caller; c != nil {
		e.Caller = event.Caller(*c)
	}
	return e
}

// upgrade returns the parts of an event that describe the upgrade request.
func upgrade(req *gateway.Request) event.Upgrade {
	return event.UpgradeOf(req.Upgrade, connid.TraceID(req.RequestID, req.RequestTime))
}

var (
	errNoAnswer     = fmt.Errorf("%w: there is no answer, but $connect needs a statusCode", event.ErrMalformed)
	errNoStatusCode = fmt.Errorf("%w: there is no statusCode, but $connect needs one", event.ErrMalformed)
	errTooLarge     = errors.New("the answer is above 6 MB")
)

// response reads a function's answer to req.
func response(req *gateway.Request, answer []byte) (*gateway.Response, error) {
	if len(answer) > maxPayload {
		return nil, errTooLarge
	}
	r, err := event.DecodeResponse(answer)
	connect := req.EventType == gateway.EventConnect
	switch {
	case err != nil:
		return nil, err
	case connect && r.None:
		return nil, errNoAnswer
	case connect && (!r.HasStatusCode || r.StatusCode < 100):
		return nil, errNoStatusCode
	case r.None:
		return nil, nil
	}
	return &gateway.Response{StatusCode: r.StatusCode, Header: http.Header(r.Header), Body: r.Body, Binary: r.Binary}, nil
}
