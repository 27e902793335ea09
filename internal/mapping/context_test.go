package mapping_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/mapping"
)

// Which variables have a value, for each type of event, before an integration is
// called. All others have none.
func TestVariables_Text(t *testing.T) {
	t.Parallel()
	at := time.Date(2024, 1, 20, 12, 54, 57, 421e6, time.FixedZone("CET", 3600))
	all := mapping.Variables{
		RouteKey: "say", ConnectionID: "gbgHN0-zjQAYKEjhgA==", RequestID: "R1kmwHZ3NjMFcTg=", MessageID: "gbgHN0-zjQBYKEjhgA==",
		SourceIP: "203.0.113.7", UserAgent: "test", APIID: "a1b2c3d4e5", Stage: "prod", DomainName: "chat.example",
		ConnectedAt: at, RequestTime: at.Add(time.Second), DisconnectStatusCode: 1001, DisconnectReason: "",
	}
	always := map[string]string{
		"apiId": "a1b2c3d4e5", "connectedAt": "1705751697421", "connectionId": "gbgHN0-zjQAYKEjhgA==", "domainName": "chat.example",
		"extendedRequestId": "R1kmwHZ3NjMFcTg=", "messageDirection": "IN", "requestId": "R1kmwHZ3NjMFcTg=",
		"requestTime": "20/Jan/2024:11:54:58 +0000", "requestTimeEpoch": "1705751698421", "routeKey": "say", "stage": "prod",
		"identity.sourceIp": "203.0.113.7", "identity.userAgent": "test",
	}
	own := map[string]map[string]string{
		"CONNECT":    {"eventType": "CONNECT"},
		"MESSAGE":    {"eventType": "MESSAGE", "messageId": "gbgHN0-zjQBYKEjhgA=="},
		"DISCONNECT": {"eventType": "DISCONNECT", "disconnectStatusCode": "1001", "disconnectReason": ""},
	}
	for event, values := range own {
		t.Run(event, func(t *testing.T) {
			t.Parallel()
			c := all
			c.EventType = event
			if event != "MESSAGE" {
				c.MessageID = ""
			}
			for _, name := range append(mapping.ContextVariables(), "authorizer.principalId", "nothing", "authorizer", "identity", "error") {
				value, ok := c.Text(name)
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
	silent := all
	silent.UserAgent = ""
	_, ok := silent.Text("identity.userAgent")
	require.False(t, ok, "it was not sent")
}

// Some variables are numbers in a template, so that it can count with them.
func TestVariables_Value(t *testing.T) {
	t.Parallel()
	c := &mapping.Variables{
		EventType: "DISCONNECT", ConnectedAt: time.UnixMilli(17), RequestTime: time.UnixMilli(18), DisconnectStatusCode: 1000,
		Status: 503, Called: true, IntegrationStatus: 404, IntegrationLatency: 1999 * time.Microsecond,
		SourceIP: "203.0.113.7", Authorizer: map[string]any{"tenant": "t", "integrationLatency": int64(5)},
	}
	for name, want := range map[string]any{
		"connectedAt": int64(17), "requestTimeEpoch": int64(18), "disconnectStatusCode": int64(1000), "status": int64(503),
		"integration.status": int64(404), "integration.integrationStatus": int64(404),
		"integration.latency": int64(1), "integrationLatency": int64(1),
		"identity.sourceIp": "203.0.113.7", "authorizer.tenant": "t",
	} {
		value, ok := c.Value(name)
		require.True(t, ok, name)
		require.Equal(t, want, value, name)
	}
	for _, name := range []string{"authorizer.integrationLatency", "authorizer.", "integration.error", "integration.requestId", "nothing", ""} {
		_, ok := c.Value(name)
		require.False(t, ok, name)
	}
}

func TestIsContextVariable(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"connectionId": true, "authorizer.principalId": true, "authorizer.tenant": true, "identity.userArn": true, "waf.status": true,
		"connectionid": false, "authorizer.": false, "authorizer": false, "nothing": false, "": false, "identity": false,
	} {
		require.Equal(t, want, mapping.IsContextVariable(name), name)
	}
}
