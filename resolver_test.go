package gateway

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/mapping"
)

// Every field of a request that has a $context variable reaches that variable.
func TestContextValue(t *testing.T) {
	t.Parallel()
	at := time.Date(2024, 1, 20, 12, 54, 57, 421e6, time.FixedZone("CET", 3600))
	req := &Request{
		RouteKey: "say", ConnectionID: "gbgHN0-zjQAYKEjhgA==", RequestID: "R1kmwHZ3NjMFcTg=", MessageID: "gbgHN0-zjQBYKEjhgA==",
		Identity: Identity{
			SourceIP: "203.0.113.7", UserAgent: "test", APIKeyID: "ann",
			Caller: &Caller{AccountID: "111122223333", PrincipalID: "AIDA", ARN: "arn:aws:iam::111122223333:user/ann"},
		},
		EventType: EventDisconnect, APIID: "a1b2c3d4e5", Stage: "prod", DomainName: "chat.example", Authorizer: map[string]any{"principalId": "p"},
		ConnectedAt: at, RequestTime: at.Add(time.Second), DisconnectStatusCode: 1001, DisconnectReason: "Going away",
		keyUse: &keyUse{value: "key"},
	}
	for name, want := range map[string]string{
		"apiId": "a1b2c3d4e5", "connectedAt": "1705751697421", "connectionId": "gbgHN0-zjQAYKEjhgA==", "domainName": "chat.example",
		"eventType": "DISCONNECT", "extendedRequestId": "R1kmwHZ3NjMFcTg=", "messageDirection": "IN", "requestId": "R1kmwHZ3NjMFcTg=",
		"messageId": "gbgHN0-zjQBYKEjhgA==", "requestTime": "20/Jan/2024:11:54:58 +0000", "requestTimeEpoch": "1705751698421",
		"routeKey": "say", "stage": "prod", "identity.sourceIp": "203.0.113.7", "identity.userAgent": "test",
		"identity.apiKey": "key", "identity.apiKeyId": "ann", "identity.accountId": "111122223333", "identity.caller": "AIDA",
		"identity.user": "AIDA", "identity.userArn": "arn:aws:iam::111122223333:user/ann", "authorizer.principalId": "p",
		"disconnectStatusCode": "1001", "disconnectReason": "Going away",
	} {
		value, ok := req.context().Text(name)
		require.True(t, ok, name)
		require.Equal(t, want, value, name)
	}
	for _, name := range mapping.ContextVariables() {
		_, ok := new(Request).context().Text(name)
		switch name {
		case "apiId", "connectedAt", "connectionId", "domainName", "eventType", "extendedRequestId", "messageDirection", "requestId",
			"requestTime", "requestTimeEpoch", "routeKey", "stage", "identity.sourceIp":
			require.True(t, ok, name)
		default:
			require.False(t, ok, name)
		}
	}
}

// The $context variables that an error sets for logs.
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
		{refusedByAuthorizer(ErrInvalidAuthorization), "", "null", "AUTHORIZER_CONFIGURATION_ERROR", ""},
	} {
		req := note(new(Request))
		req.ownRecord().fail(tt.err)
		for name, want := range map[string]string{
			"error.message": tt.message, "error.messageString": tt.quoted, "error.responseType": tt.kind, "error.validationErrorString": tt.detail,
		} {
			value, ok := req.context().Text(name)
			require.Equal(t, want, value, "%v: %s", tt.err, name)
			require.Equal(t, want != "", ok, name)
		}
	}
}

// The $context variables about the outcome of an event, which observers could log.
func TestContextValue_Outcome(t *testing.T) {
	t.Parallel()
	const none = "-"
	for _, tt := range []struct {
		name                               string
		out                                invocation
		backend                            *Response // of a Transform; nil: no backend was called
		status, integration, text, latency string
	}{
		{"no response", invocation{}, nil, "200", "200", none, "7"},
		{"a response", invocation{resp: &Response{}}, nil, "200", "200", none, "7"},
		{"a status", invocation{resp: &Response{StatusCode: 503}}, nil, "503", "503", none, "7"},
		{"a status that is none", invocation{resp: &Response{StatusCode: -1}}, nil, none, none, none, "7"},
		{"a failure", invocation{err: integrationError("x", errors.New("secret"), false)}, nil, "502", none, "Internal server error", "7"},
		{"a timeout", invocation{err: integrationError("x", context.DeadlineExceeded, true)}, nil, "504", none, "Endpoint request timed out", "7"},
		{"a backend behind a Transform", invocation{resp: &Response{StatusCode: 200}}, &Response{StatusCode: 404}, "200", "404", none, "5"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			req := note(&Request{EventType: EventMessage})
			if tt.backend != nil {
				req.ownRecord().backendReturned(calledFor(5*time.Millisecond, tt.backend, nil))
			}
			req.ownRecord().settle(tt.out, 7*time.Millisecond)
			for name, want := range map[string]string{
				"status": tt.status, "integration.status": tt.integration, "integration.integrationStatus": tt.integration,
				"integration.latency": tt.latency, "integrationLatency": tt.latency, "error.message": tt.text,
			} {
				value, ok := req.context().Text(name)
				if !ok {
					value = none
				}
				require.Equal(t, want, value, name)
			}
		})
	}
	rejected := note(&Request{EventType: EventMessage})
	rejected.ownRecord().fail(errThrottled)
	status, _ := rejected.context().Text("status")
	require.Equal(t, "429", status)
	_, called := rejected.context().Text("integrationLatency")
	require.False(t, called, "no integration was called")
}
