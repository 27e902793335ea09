package gateway

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/mapping"
)

// Every field of a request that a $context variable tells of reaches that variable.
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
		{refusedByAuthorizer(ErrInvalidAuthorization), "", "null", "AUTHORIZER_CONFIGURATION_ERROR", ""},
	} {
		req := &Request{failure: tt.err}
		for name, want := range map[string]string{
			"error.message": tt.message, "error.messageString": tt.quoted, "error.responseType": tt.kind, "error.validationErrorString": tt.detail,
		} {
			value, ok := req.context().Text(name)
			require.Equal(t, want, value, "%v: %s", tt.err, name)
			require.Equal(t, want != "", ok, name)
		}
	}
}
