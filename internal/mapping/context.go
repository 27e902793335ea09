package mapping

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Variables holds the values of the $context variables for one request. A field that
// does not apply is left zero. (API Gateway: "WebSocket API mapping template and access
// logging variable reference".)
type Variables struct {
	EventType                          string // CONNECT, MESSAGE or DISCONNECT
	APIID, Stage, DomainName, RouteKey string
	ConnectionID, RequestID, MessageID string
	ConnectedAt, RequestTime           time.Time
	DisconnectStatusCode               int
	DisconnectReason                   string

	SourceIP, UserAgent string
	APIKey, APIKeyID    string
	Caller              Caller
	Authorizer          map[string]any

	// State and Groups of the connection, which the service does not have.
	State  []byte
	Groups []string
	Group  string // that a JOIN or LEAVE is about

	// Status is that of the answer, 0 until it is known.
	Status int
	// Called says that an integration was called: then IntegrationLatency is how long it
	// took, and IntegrationStatus what it returned. 0 means that it failed.
	Called             bool
	IntegrationStatus  int
	IntegrationLatency time.Duration

	Failure *Failure // nil: the request was not answered with an error of the gateway
}

// Caller is who signed an upgrade request.
type Caller struct{ AccountID, PrincipalID, ARN string }

// Failure is an error that the gateway has answered a request with.
type Failure struct {
	Message      string // "": the answer has none
	MessageJSON  string // the message as JSON: in quotes, or null
	ResponseType string // the gateway response type; "": it has none
	Validation   string // what the model says of the message; "": no model refused it
}

// requestTimeLayout is how the service writes $context.requestTime, in UTC.
const requestTimeLayout = "02/Jan/2006:15:04:05 -0700"

// Text returns a variable as text. It is named without "$context.". Text reports false
// if the variable has no value for this request, or is unknown.
func (v *Variables) Text(name string) (string, bool) {
	switch name {
	case "apiId":
		return v.APIID, true
	case "connectionId":
		return v.ConnectionID, true
	case "domainName":
		return v.DomainName, true
	case "eventType":
		return v.EventType, true
	case "messageDirection":
		return "IN", true
	case "requestId", "extendedRequestId":
		return v.RequestID, true
	case "requestTime":
		return v.RequestTime.UTC().Format(requestTimeLayout), true
	case "routeKey":
		return v.RouteKey, true
	case "stage":
		return v.Stage, true
	case "messageId":
		return given(v.MessageID)
	case "disconnectReason":
		return v.DisconnectReason, v.EventType == "DISCONNECT"
	case "state":
		return given(string(v.State))
	case "group":
		return given(v.Group)
	case "groups":
		return v.groups()
	}
	if number, ok := v.number(name); ok {
		return strconv.FormatInt(number, 10), true
	}
	switch kind, property, dotted := strings.Cut(name, "."); {
	case !dotted:
	case kind == "identity":
		return v.identity(property)
	case kind == "error":
		return v.failure(property)
	case kind == "authorizer":
		text, ok := v.Authorizer[property].(string)
		return text, ok
	}
	return "", false
}

// Value is [Variables.Text] for mapping templates, where times, durations and status codes
// are numbers: a template can count with them. A value is a string or an int64.
func (v *Variables) Value(name string) (any, bool) {
	if number, ok := v.number(name); ok {
		return number, true
	}
	return v.Text(name)
}

// number returns a variable that is a number.
func (v *Variables) number(name string) (int64, bool) {
	switch name {
	case "connectedAt":
		return v.ConnectedAt.UnixMilli(), true
	case "requestTimeEpoch":
		return v.RequestTime.UnixMilli(), true
	case "disconnectStatusCode":
		return int64(v.DisconnectStatusCode), v.EventType == "DISCONNECT"
	case "status":
		return int64(v.Status), v.Status != 0
	case "integration.status", "integration.integrationStatus":
		return int64(v.IntegrationStatus), v.IntegrationStatus != 0
	case "integrationLatency", "integration.latency":
		return v.IntegrationLatency.Milliseconds(), v.Called
	}
	return 0, false
}

// groups returns the names as a JSON array, which a template can write as it is.
func (v *Variables) groups() (string, bool) {
	if len(v.Groups) == 0 {
		return "", false
	}
	text, err := json.Marshal(v.Groups)
	return string(text), err == nil
}

func (v *Variables) identity(property string) (string, bool) {
	switch property {
	case "sourceIp":
		return v.SourceIP, true
	case "userAgent":
		return given(v.UserAgent)
	case "apiKey":
		return given(v.APIKey)
	case "apiKeyId":
		return given(v.APIKeyID)
	case "accountId":
		return given(v.Caller.AccountID)
	case "caller", "user":
		return given(v.Caller.PrincipalID)
	case "userArn":
		return given(v.Caller.ARN)
	}
	return "", false
}

func (v *Variables) failure(property string) (string, bool) {
	if v.Failure == nil {
		return "", false
	}
	switch property {
	case "message":
		return given(v.Failure.Message)
	case "messageString":
		return given(v.Failure.MessageJSON)
	case "responseType":
		return given(v.Failure.ResponseType)
	case "validationErrorString":
		return given(v.Failure.Validation)
	}
	return "", false
}

// given returns text, and whether it is not empty.
func given(text string) (string, bool) { return text, text != "" }

// IsContextVariable reports whether the service documents a $context variable of that
// name, its events have it, or ours do. It includes those that get a value only by authorizers,
// IAM, API keys, errors, logs and WAF.
func IsContextVariable(name string) bool {
	if property, ok := strings.CutPrefix(name, "authorizer."); ok {
		return property != ""
	}
	return slices.Contains(ContextVariables(), name)
}

// ContextVariables returns the names of all $context variables, but for those of
// authorizers, which choose their own.
func ContextVariables() []string {
	return []string{
		"apiId", "connectedAt", "connectionId", "domainName", "eventType", "extendedRequestId", "messageId", "requestId",
		"requestTime", "requestTimeEpoch", "routeKey", "stage", "status", "integrationLatency",
		"messageDirection", "disconnectStatusCode", "disconnectReason", // in events only
		"state", "group", "groups", // ours
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
