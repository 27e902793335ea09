package gateway

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// requestTimeLayout is how the service writes $context.requestTime, in UTC.
const requestTimeLayout = "02/Jan/2006:15:04:05 -0700"

// contextValue returns a $context variable as text, named without "$context.": the
// one resolver for mappings, identity sources and templates. It reports false for a variable that has
// no value for this event, or none at all. (API Gateway: "WebSocket API mapping
// template and access logging variable reference".)
func (req *Request) contextValue(name string) (string, bool) {
	switch name {
	case "apiId":
		return req.APIID, true
	case "connectedAt":
		return epochMillis(req.ConnectedAt), true
	case "connectionId":
		return req.ConnectionID, true
	case "domainName":
		return req.DomainName, true
	case "eventType":
		return string(req.EventType), true
	case "messageDirection":
		return "IN", true
	case "requestId", "extendedRequestId":
		return req.RequestID, true
	case "requestTime":
		return req.RequestTime.UTC().Format(requestTimeLayout), true
	case "requestTimeEpoch":
		return epochMillis(req.RequestTime), true
	case "routeKey":
		return req.RouteKey, true
	case "stage":
		return req.Stage, true
	case "identity.sourceIp":
		return req.Identity.SourceIP, true
	case "identity.userAgent":
		return req.Identity.UserAgent, req.Identity.UserAgent != ""
	case "identity.apiKey":
		key := req.keyUse.apiKey()
		return key, key != ""
	case "identity.apiKeyId":
		return req.Identity.APIKeyID, req.Identity.APIKeyID != ""
	case "identity.accountId", "identity.caller", "identity.user", "identity.userArn":
		return req.Identity.Caller.contextValue(name)
	case "error.message", "error.messageString", "error.responseType", "error.validationErrorString":
		return req.failureValue(name)
	case "messageId":
		return req.MessageID, req.MessageID != ""
	case "disconnectStatusCode":
		return strconv.Itoa(req.DisconnectStatusCode), req.EventType == EventDisconnect
	case "disconnectReason":
		return req.DisconnectReason, req.EventType == EventDisconnect
	}
	if property, ok := strings.CutPrefix(name, "authorizer."); ok && property != integrationLatency { // which logs have
		text, ok := req.Authorizer[property].(string)
		return text, ok
	}
	return "", false
}

func (c *Caller) contextValue(name string) (string, bool) {
	if c == nil {
		return "", false
	}
	value := c.PrincipalID
	switch name {
	case "identity.accountId":
		value = c.AccountID
	case "identity.userArn":
		value = c.ARN
	}
	return value, value != ""
}

// failureValue returns a variable of a request that was answered with an error.
func (req *Request) failureValue(name string) (string, bool) {
	if req.failure == nil {
		return "", false
	}
	answer := answerOf(req.failure)
	switch name {
	case "error.message":
		return answer.text, true
	case "error.messageString":
		return string(appendJSONString(nil, answer.text)), true
	case "error.responseType":
		return answer.kind, answer.kind != ""
	}
	var invalid *ValidationError
	if !errors.As(req.failure, &invalid) {
		return "", false
	}
	return invalid.Err.Error(), true
}

// templateValue is contextValue for mapping templates, where times and status codes
// are numbers: a template can count with them.
func (req *Request) templateValue(name string) (any, bool) {
	switch name {
	case "connectedAt":
		return req.ConnectedAt.UnixMilli(), true
	case "requestTimeEpoch":
		return req.RequestTime.UnixMilli(), true
	case "disconnectStatusCode":
		return int64(req.DisconnectStatusCode), req.EventType == EventDisconnect
	}
	return req.contextValue(name)
}

func epochMillis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

// isContextVariable reports whether the service documents a $context variable of
// that name, or its events have it: also those that get a value only by
// authorizers, IAM, API keys, errors, logs and WAF.
func isContextVariable(name string) bool {
	if property, ok := strings.CutPrefix(name, "authorizer."); ok {
		return property != ""
	}
	return slices.Contains(contextVariables(), name)
}

func contextVariables() []string {
	return []string{
		"apiId", "connectedAt", "connectionId", "domainName", "eventType", "extendedRequestId", "messageId", "requestId",
		"requestTime", "requestTimeEpoch", "routeKey", "stage", "status", "integrationLatency",
		"messageDirection", "disconnectStatusCode", "disconnectReason", // in events only
		"authorize.error", "authorize.latency", "authorize.status",
		"authenticate.error", "authenticate.latency", "authenticate.status",
		"error.message", "error.messageString", "error.responseType", "error.validationErrorString",
		"identity.accountId", "identity.apiKey", "identity.apiKeyId", "identity.caller",
		"identity.cognitoAuthenticationProvider", "identity.cognitoAuthenticationType", "identity.cognitoIdentityId",
		"identity.cognitoIdentityPoolId", "identity.principalOrgId", "identity.sourceIp", "identity.user",
		"identity.userAgent", "identity.userArn",
		"integration.error", "integration.integrationStatus", "integration.latency", "integration.requestId", "integration.status",
		"waf.error", "waf.latency", "waf.status",
	}
}
