package gateway

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Which $context variables have a value, for each type of event. Those that no
// event has belong to logs, or to clients who came otherwise.
func TestContextValue(t *testing.T) {
	t.Parallel()
	at := time.Date(2024, 1, 20, 12, 54, 57, 421e6, time.FixedZone("CET", 3600))
	req := Request{
		RouteKey: "say", ConnectionID: "gbgHN0-zjQAYKEjhgA==", RequestID: "R1kmwHZ3NjMFcTg=", MessageID: "gbgHN0-zjQBYKEjhgA==",
		Identity: Identity{SourceIP: "203.0.113.7", UserAgent: "test"}, APIID: "a1b2c3d4e5", Stage: "prod", DomainName: "chat.example",
		ConnectedAt: at, RequestTime: at.Add(time.Second), DisconnectStatusCode: 1001, DisconnectReason: "",
	}
	always := map[string]string{
		"apiId": "a1b2c3d4e5", "connectedAt": "1705751697421", "connectionId": "gbgHN0-zjQAYKEjhgA==", "domainName": "chat.example",
		"extendedRequestId": "R1kmwHZ3NjMFcTg=", "messageDirection": "IN", "requestId": "R1kmwHZ3NjMFcTg=",
		"requestTime": "20/Jan/2024:11:54:58 +0000", "requestTimeEpoch": "1705751698421", "routeKey": "say", "stage": "prod",
		"identity.sourceIp": "203.0.113.7", "identity.userAgent": "test",
	}
	own := map[EventType]map[string]string{
		EventConnect:    {"eventType": "CONNECT"},
		EventMessage:    {"eventType": "MESSAGE", "messageId": "gbgHN0-zjQBYKEjhgA=="},
		EventDisconnect: {"eventType": "DISCONNECT", "disconnectStatusCode": "1001", "disconnectReason": ""},
	}
	for event, values := range own {
		t.Run(string(event), func(t *testing.T) {
			t.Parallel()
			req := req
			req.EventType = event
			if event != EventMessage {
				req.MessageID = ""
			}
			for _, name := range append(contextVariables(), "authorizer.principalId", "nothing") {
				value, ok := req.contextValue(name)
				want, expected := always[name]
				if !expected {
					want, expected = values[name]
				}
				require.Equal(t, expected, ok, name)
				if ok {
					require.Equal(t, want, value, name)
				}
			}
		})
	}
	silent := req
	silent.Identity.UserAgent = ""
	_, ok := silent.contextValue("identity.userAgent")
	require.False(t, ok, "it was not sent")
}

func TestIsContextVariable(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"connectionId": true, "authorizer.principalId": true, "authorizer.tenant": true, "identity.userArn": true, "waf.status": true,
		"connectionid": false, "authorizer.": false, "authorizer": false, "nothing": false, "": false, "identity": false,
	} {
		require.Equal(t, want, isContextVariable(name), name)
	}
}

// What an error leaves for logs.
func TestContextValue_Error(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err                           error
		message, quoted, kind, detail string
	}{
		{&ValidationError{Err: errors.New("/a: want number")}, "Invalid request body", `"Invalid request body"`, "BAD_REQUEST_BODY", "/a: want number"},
		{errNoRoute, "Forbidden", `"Forbidden"`, "ACCESS_DENIED", ""},
		{errThrottled, "Too Many Requests", `"Too Many Requests"`, "THROTTLED", ""},
		{errQuota, "Limit Exceeded", `"Limit Exceeded"`, "QUOTA_EXCEEDED", ""},
		{errors.New("secret"), "Internal server error", `"Internal server error"`, "DEFAULT_5XX", ""},
	} {
		req := Request{failure: tt.err}
		for name, want := range map[string]string{
			"error.message": tt.message, "error.messageString": tt.quoted, "error.responseType": tt.kind, "error.validationErrorString": tt.detail,
		} {
			value, ok := req.contextValue(name)
			require.Equal(t, want, value, "%v: %s", tt.err, name)
			require.Equal(t, want != "", ok, name)
		}
	}
}
