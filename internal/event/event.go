// Package event writes the JSON events that the service passes to a Lambda function, and
// reads the JSON with which the function answers.
//
// The events have exactly the keys of the service's events, in the same order, and behind
// them state and groups of a connection that has any. They are
// written without reflection, so that a MESSAGE event needs no allocation except to extend
// the buffer.
package event

import (
	"encoding/base64"
	"net/textproto"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// Event has the data for all kinds of events. Each function reads the fields that its kind
// of event has, and ignores the others.
type Event struct {
	RouteKey     string
	RequestID    string
	ConnectionID string
	MessageID    string // MESSAGE
	APIID        string
	Stage        string
	DomainName   string
	SourceIP     string
	UserAgent    string // "": the client sent none

	ConnectedAt, RequestTime time.Time

	StageVariables map[string]string

	// Authorizer is what an authorizer returned: principalId and the context, which are
	// strings, and on CONNECT integrationLatency, which is an int64. nil means that there
	// is no authorizer.
	Authorizer map[string]any
	// Caller is the IAM identity of the client; the zero value means none.
	Caller Caller

	Body   []byte // MESSAGE
	Binary bool   // MESSAGE: Body is any bytes, and its event has their base64

	DisconnectStatusCode int    // DISCONNECT
	DisconnectReason     string // DISCONNECT

	// State and Groups are what the service's connections do not have. Without them an
	// event is the service's, to the byte.
	State  []byte
	Groups []string
	Group  string // JOIN and LEAVE

	Upgrade   Upgrade // CONNECT and the authorizer's event
	MethodARN string  // the authorizer's event
}

// Caller is an IAM identity, as in requestContext.identity.
type Caller struct{ AccountID, PrincipalID, ARN string }

// requestTimeLayout is the layout of requestTime in the service, which is in UTC.
const requestTimeLayout = "02/Jan/2006:15:04:05 -0700"

// AppendConnect appends the CONNECT event.
func AppendConnect(dst []byte, e *Event) []byte {
	dst = appendHeaders(append(dst, '{'), e.Headers())
	if len(e.Upgrade.Query) > 0 {
		dst = append(appendQuery(dst, e.Upgrade.Query), ',')
	}
	dst = appendStageVariables(dst, e)
	dst = appendContextStart(dst, e, "CONNECT")
	dst = appendContextEnd(dst, e)
	return append(dst, `,"isBase64Encoded":false}`...)
}

// AppendMessage appends the MESSAGE event, which has no headers.
func AppendMessage(dst []byte, e *Event) []byte {
	dst = slices.Grow(dst, 640+len(e.Body)+len(e.Body)/4)
	dst = appendStageVariables(append(dst, '{'), e)
	dst = appendContextStart(dst, e, "MESSAGE")
	dst = appendContextEnd(dst, e)
	dst = append(dst, `,"body":`...)
	if e.Binary {
		dst = append(base64.StdEncoding.AppendEncode(append(dst, '"'), e.Body), '"')
		return append(dst, `,"isBase64Encoded":true}`...)
	}
	dst = appendString(dst, e.Body)
	return append(dst, `,"isBase64Encoded":false}`...)
}

// AppendDisconnect appends the DISCONNECT event. Its headers are not those of the client:
// the service invents them.
func AppendDisconnect(dst []byte, e *Event) []byte {
	dst = appendHeaders(append(dst, '{'), Headers{
		{"Host", []string{e.DomainName}},
		{"x-api-key", []string{""}},
		{"X-Forwarded-For", []string{""}},
		{"x-restapi", []string{""}},
	})
	dst = appendStageVariables(dst, e)
	dst = appendContextStart(dst, e, "DISCONNECT")
	dst = appendContextEnd(dst, e)
	return append(dst, `,"isBase64Encoded":false}`...)
}

// AppendPresence appends the JOIN or LEAVE event, which the service does not have. It is made
// as a DISCONNECT, without headers, and has the group in requestContext.
func AppendPresence(dst []byte, e *Event, eventType string) []byte {
	dst = appendStageVariables(append(dst, '{'), e)
	dst = appendContextStart(dst, e, eventType)
	dst = appendContextEnd(dst, e)
	return append(dst, `,"isBase64Encoded":false}`...)
}

// AppendAuthorizer appends the event of a Lambda REQUEST authorizer. Unlike the other
// events it has the headers about the connection, it has empty objects if there are no
// values, and it has neither body nor isBase64Encoded.
func AppendAuthorizer(dst []byte, e *Event) []byte {
	dst = appendString(append(dst, `{"type":"REQUEST","methodArn":`...), e.MethodARN)
	dst = appendHeaders(append(dst, ','), e.AuthorizerHeaders())
	dst = append(appendQuery(dst, e.Upgrade.Query), ',')
	dst = appendStringMap(append(dst, `"stageVariables":`...), e.StageVariables)
	dst = append(dst, ',')
	own := *e
	own.Authorizer = nil
	dst = appendContextStart(dst, &own, "CONNECT")
	return append(appendContextEnd(dst, &own), '}')
}

// appendHeaders appends "headers", which has the last value of each header, and
// "multiValueHeaders", with a comma after each.
func appendHeaders(dst []byte, fields Headers) []byte {
	dst = append(dst, `"headers":{`...)
	for n, f := range fields {
		dst = appendKey(dst, n, f.Name)
		dst = appendString(dst, f.Values[len(f.Values)-1])
	}
	dst = append(dst, `},"multiValueHeaders":{`...)
	for n, f := range fields {
		dst = appendKey(dst, n, f.Name)
		dst = appendStrings(dst, f.Values)
	}
	return append(dst, `},`...)
}

// appendQuery appends both forms of the query. As with headers, the first form has the
// last value of each parameter.
func appendQuery(dst []byte, query map[string][]string) []byte {
	names := make([]string, 0, len(query))
	for name, values := range query {
		if len(values) > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	dst = append(dst, `"queryStringParameters":{`...)
	for n, name := range names {
		values := query[name]
		dst = appendString(appendKey(dst, n, name), values[len(values)-1])
	}
	dst = append(dst, `},"multiValueQueryStringParameters":{`...)
	for n, name := range names {
		dst = appendStrings(appendKey(dst, n, name), query[name])
	}
	return append(dst, '}')
}

// appendStageVariables appends "stageVariables" and a comma, if there are any.
func appendStageVariables(dst []byte, e *Event) []byte {
	if len(e.StageVariables) == 0 {
		return dst
	}
	dst = append(dst, `"stageVariables":`...)
	return append(appendStringMap(dst, e.StageVariables), ',')
}

// appendContextStart appends the beginning of "requestContext", up to the event
// type.
func appendContextStart(dst []byte, e *Event, eventType string) []byte {
	dst = appendString(append(dst, `"requestContext":{"routeKey":`...), e.RouteKey)
	if e.Authorizer != nil {
		dst = appendAuthorizer(append(dst, `,"authorizer":`...), e.Authorizer)
	}
	switch eventType {
	case "MESSAGE":
		dst = appendString(append(dst, `,"messageId":`...), e.MessageID)
	case "DISCONNECT":
		dst = strconv.AppendInt(append(dst, `,"disconnectStatusCode":`...), int64(e.DisconnectStatusCode), 10)
	}
	dst = append(append(dst, `,"eventType":"`...), eventType...)
	dst = appendString(append(dst, `","extendedRequestId":`...), e.RequestID)
	dst = append(dst, `,"requestTime":"`...)
	dst = e.RequestTime.UTC().AppendFormat(dst, requestTimeLayout)
	dst = append(dst, `","messageDirection":"IN"`...)
	if eventType == "DISCONNECT" {
		dst = appendString(append(dst, `,"disconnectReason":`...), e.DisconnectReason)
	}
	return dst
}

// appendContextEnd appends the rest of "requestContext".
func appendContextEnd(dst []byte, e *Event) []byte {
	dst = appendString(append(dst, `,"stage":`...), e.Stage)
	dst = strconv.AppendInt(append(dst, `,"connectedAt":`...), e.ConnectedAt.UnixMilli(), 10)
	dst = strconv.AppendInt(append(dst, `,"requestTimeEpoch":`...), e.RequestTime.UnixMilli(), 10)
	dst = append(dst, `,"identity":{`...)
	if e.UserAgent != "" {
		dst = appendString(append(dst, `"userAgent":`...), e.UserAgent)
		dst = append(dst, ',')
	}
	dst = appendString(append(dst, `"sourceIp":`...), e.SourceIP)
	if c := e.Caller; c != (Caller{}) {
		dst = appendString(append(dst, `,"accountId":`...), c.AccountID)
		dst = appendString(append(dst, `,"caller":`...), c.PrincipalID)
		dst = appendString(append(dst, `,"user":`...), c.PrincipalID)
		dst = appendString(append(dst, `,"userArn":`...), c.ARN)
	}
	dst = appendString(append(dst, `},"requestId":`...), e.RequestID)
	dst = appendString(append(dst, `,"domainName":`...), e.DomainName)
	dst = appendString(append(dst, `,"connectionId":`...), e.ConnectionID)
	dst = appendString(append(dst, `,"apiId":`...), e.APIID)
	if e.Group != "" {
		dst = appendString(append(dst, `,"group":`...), e.Group)
	}
	if len(e.State) > 0 {
		dst = appendString(append(dst, `,"state":`...), e.State)
	}
	if len(e.Groups) > 0 {
		dst = appendStrings(append(dst, `,"groups":`...), e.Groups)
	}
	return append(dst, '}')
}

// appendStringMap appends an object whose keys are sorted.
func appendStringMap(dst []byte, m map[string]string) []byte {
	var few [16]string // keeps the keys off the heap
	dst = append(dst, '{')
	for n, name := range appendSorted(few[:0], m) {
		dst = appendString(appendKey(dst, n, name), m[name])
	}
	return append(dst, '}')
}

// appendAuthorizer appends an object of strings and numbers, sorted by their keys.
func appendAuthorizer(dst []byte, m map[string]any) []byte {
	var few [16]string
	dst = append(dst, '{')
	for n, name := range appendSorted(few[:0], m) {
		dst = appendKey(dst, n, name)
		switch value := m[name].(type) {
		case int64:
			dst = strconv.AppendInt(dst, value, 10)
		case string:
			dst = appendString(dst, value)
		default:
			dst = append(dst, "null"...)
		}
	}
	return append(dst, '}')
}

func appendSorted[V any](names []string, m map[string]V) []string {
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func appendStrings(dst []byte, values []string) []byte {
	dst = append(dst, '[')
	for n, v := range values {
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, v)
	}
	return append(dst, ']')
}

// appendKey appends the key of the n-th member of an object.
func appendKey(dst []byte, n int, name string) []byte {
	if n > 0 {
		dst = append(dst, ',')
	}
	return append(appendString(dst, name), ':')
}

// appendString appends s as a JSON string. Each byte that is not valid UTF-8 becomes
// U+FFFD. Only those characters are escaped that JSON requires to be escaped.
func appendString[T string | []byte](dst []byte, s T) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	begin := 0
	for n := 0; n < len(s); {
		c := s[n]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				n++
				continue
			}
			dst = append(dst, s[begin:n]...)
			switch c {
			case '"', '\\':
				dst = append(dst, '\\', c)
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\r':
				dst = append(dst, '\\', 'r')
			case '\t':
				dst = append(dst, '\\', 't')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
			}
			n++
			begin = n
			continue
		}
		// The conversion of so few bytes does not allocate.
		r, size := utf8.DecodeRuneInString(string(s[n:min(n+utf8.UTFMax, len(s))]))
		if r == utf8.RuneError && size == 1 {
			dst = append(dst, s[begin:n]...)
			dst = append(dst, "\uFFFD"...)
			begin = n + size
		}
		n += size
	}
	dst = append(dst, s[begin:]...)
	return append(dst, '"')
}

// canonical returns the name of a response header in the form for comparing and returning.
func canonical(name string) string { return textproto.CanonicalMIMEHeaderKey(name) }
