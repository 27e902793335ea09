// Package forward passes an event on to an HTTP endpoint, and says which headers may
// cross a gateway. (RFC 9110, section 7.6; API Gateway: "Setting up a WebSocket API
// integration request".)
package forward

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"example.com/gateway/internal/command"
	"example.com/gateway/internal/connid"
	"example.com/gateway/internal/endpoint"
	"example.com/gateway/internal/event"
	"example.com/gateway/internal/mapping"
)

// Call says how an endpoint is called. It is safe for concurrent use and must not be
// changed after its first use.
type Call struct {
	URI      *mapping.URI
	Mappings []mapping.Mapping
	Method   string
	// Timeout ends the call earlier than its context does. 0 means none.
	Timeout time.Duration
	// Client makes the calls. nil means the client of the gateway that the context belongs
	// to, or Own if the context belongs to no gateway.
	Client *http.Client
	Own    *endpoint.Client
	// CallbackURL, unless it is "", adds the headers that tell of the connection.
	CallbackURL string
	// UpgradeHeaders passes on the Sec-WebSocket-* headers.
	UpgradeHeaders bool
	// Proxy passes on headers and query of the upgrade request.
	Proxy bool
	// ResponseBytes bounds the body of the answer.
	ResponseBytes int
	// Omitted is called when headers have no room for state or groups. It gets their names.
	Omitted func(ctx context.Context, headers string)
}

// Event is what the endpoint may be told.
type Event struct {
	Type                                                      string // CONNECT, MESSAGE, DISCONNECT, JOIN or LEAVE
	RouteKey, ConnectionID, RequestID, APIID, Stage, SourceIP string
	RequestTime                                               time.Time
	StageVariables                                            map[string]string
	Payload                                                   []byte
	Binary                                                    bool             // the payload is any bytes, and no JSON
	Values                                                    mapping.Resolver // for the mappings
	State                                                     []byte           // of the connection; empty: none
	Groups                                                    []string         // of the connection
	Group                                                     string           // JOIN and LEAVE
	Told                                                      bool             // the endpoint gets the headers that tell of the connection, also without a CallbackURL
	Principal                                                 string           // who the client is; "": the endpoint is not told

	// The upgrade request, on CONNECT only.
	Sent    http.Header   // as the client sent it
	Headers event.Headers // with what the front end adds
	Query   map[string][]string
}

// Response is the endpoint's answer.
type Response struct {
	StatusCode int
	Header     http.Header
	Body       []byte
	Binary     bool // its Content-Type is Binary
}

// Binary is the Content-Type of a binary message, to the endpoint and from it.
const Binary = "application/octet-stream"

// Error says with which status the gateway answers a call that failed. A failure that
// is no *Error is the endpoint's: 502.
type Error struct {
	StatusCode int // 500: the request could not be made; 504: there was no answer
	Err        error
}

// Error implements error.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Do calls the endpoint for e.
func (c *Call) Do(ctx context.Context, e *Event) (*Response, error) {
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Timeout)
		defer cancel()
	}
	out, err := c.request(ctx, e)
	if err != nil {
		return nil, &Error{http.StatusInternalServerError, err}
	}
	client := c.Client
	if client == nil {
		client = endpoint.For(ctx, c.Own)
	}
	if err := endpoint.CheckHost(client, out); err != nil {
		return nil, &Error{http.StatusInternalServerError, err}
	}
	resp, err := client.Do(out)
	if err != nil {
		return nil, &Error{http.StatusGatewayTimeout, withoutURL(err)}
	}
	defer resp.Body.Close()
	if resp.StatusCode < http.StatusOK { // among them 101, whose body is the socket: reading it would never end
		return nil, fmt.Errorf("the endpoint's status is %d, which is not from 200 to 599", resp.StatusCode)
	}
	if resp.StatusCode == http.StatusRequestHeaderFieldsTooLarge && len(e.State)+len(e.Groups) > 0 {
		return nil, errHeadersTooLarge
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, max(int64(c.ResponseBytes), int64(c.ResponseBytes)+1))) // the largest number has no next one
	switch {
	case err != nil:
		return nil, &Error{http.StatusGatewayTimeout, err}
	case len(body) > c.ResponseBytes:
		return nil, fmt.Errorf("the endpoint's body is above %d bytes", c.ResponseBytes)
	}
	kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	return &Response{resp.StatusCode, resp.Header, body, strings.EqualFold(strings.TrimSpace(kind), Binary)}, nil
}

// errHeadersTooLarge is the failure of an event that no program behind the endpoint has seen,
// because of headers that the service does not send.
var errHeadersTooLarge = fmt.Errorf("the endpoint's status is 431, the request has more headers than its server takes: let that take 8 KiB, or shorten what %s and %s have, the state and the names of the groups", command.State, command.Groups)

// withoutURL takes the URL out of a client's error, because it may hold a secret.
func withoutURL(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

// request makes the request to the endpoint.
func (c *Call) request(ctx context.Context, e *Event) (*http.Request, error) {
	target, err := c.URI.Expand(e.StageVariables, c.pathValues(e.Values))
	if err != nil {
		return nil, err
	}
	query := url.Values(target.Query)
	if query == nil {
		query = url.Values{}
	}
	if c.Proxy {
		for name, values := range e.Query {
			if _, own := query[name]; !own { // no client changes what the URI says
				query[name] = values
			}
		}
	}
	out, err := http.NewRequestWithContext(ctx, c.Method, "", bytes.NewReader(e.Payload))
	if err != nil {
		return nil, err
	}
	c.setHeaders(out.Header, e)
	extras := command.ForRequest(e.Principal, e.State, e.Groups)
	for name, value := range extras {
		set(out.Header, name, value)
	}
	if omitted := extras[command.Omitted]; omitted != "" && c.Omitted != nil {
		c.Omitted(ctx, omitted)
	}
	if user := target.URL.User; user != nil { // net/http would prefer a client's Authorization
		password, _ := user.Password()
		out.Header.Del("Authorization")
		out.SetBasicAuth(user.Username(), password)
		target.URL.User = nil
	}
	for _, m := range c.Mappings {
		apply(&m, m.Values(e.Values), out, query)
	}
	if !isHost(out.Host) {
		return nil, errors.New("integration.request.header.Host has a value that is no host")
	}
	target.URL.RawQuery = query.Encode()
	out.URL, out.Host = target.URL, cmp.Or(out.Host, target.URL.Host)
	return out, nil
}

// isHost reports whether text is empty or a host, with or without a port. With any
// other Host, net/http would send nothing.
func isHost(text string) bool {
	u, err := url.Parse("http://" + text)
	return text == "" || err == nil && u.Host == text && u.Hostname() != ""
}

// apply sets what m maps. If the source is missing, the target is left out, even if the
// client sent it under this name.
func apply(m *mapping.Mapping, values []string, out *http.Request, query url.Values) {
	switch {
	case m.Target == mapping.ToQuery:
		delete(query, m.Name)
		if len(values) > 0 {
			query[m.Name] = values
		}
	case m.Target == mapping.ToHeader && strings.EqualFold(m.Name, "Host"):
		out.Host = strings.Join(values[max(0, len(values)-1):], "") // a request has only one
	case m.Target == mapping.ToHeader:
		set(out.Header, m.Name, clean(values)...)
	}
}

// pathValues returns the values for the placeholders of the URI.
func (c *Call) pathValues(in mapping.Resolver) map[string]string {
	values := map[string]string{}
	for _, m := range c.Mappings {
		if m.Target == mapping.ToPath {
			values[m.Name] = m.Value(in)
		}
	}
	return values
}

// setHeaders sets the headers before the mappings: those of the upgrade request that
// pass, and the gateway's own.
func (c *Call) setHeaders(headers http.Header, e *Event) {
	headers.Set("X-Forwarded-For", e.SourceIP)
	headers.Set("X-Amzn-Trace-Id", connid.TraceID(e.RequestID, e.RequestTime))
	for _, h := range e.Headers {
		if ofFrontEnd(h.Name) || c.Proxy && c.passesOn(h.Name) && !NamedInConnection(e.Sent, h.Name) {
			headers[h.Name] = h.Values
		}
	}
	if e.Type == "MESSAGE" || !c.Proxy {
		kind := "application/json"
		if e.Binary {
			kind = Binary
		}
		set(headers, "Content-Type", kind)
	}
	set(headers, "User-Agent", "AmazonAPIGateway_"+e.APIID)
	set(headers, "X-Amzn-Apigateway-Api-Id", e.APIID)
	if e.Group != "" {
		set(headers, command.OfGroup, command.EncodeGroups([]string{e.Group}))
	}
	if c.CallbackURL != "" || e.Told {
		set(headers, "connectionId", e.ConnectionID)
		set(headers, "routeKey", e.RouteKey)
		set(headers, "eventType", e.Type)
		set(headers, "stage", e.Stage)
		set(headers, "callbackUrl", c.callback(e)...)
	}
}

// callback returns where the endpoint can call back, if the gateway knows that. If it does
// not, the endpoint gets no URL, and least of all a client's.
func (c *Call) callback(e *Event) []string {
	if c.CallbackURL == "" {
		return nil
	}
	return []string{strings.TrimSuffix(c.CallbackURL, "/") + "/@connections/" + url.QueryEscape(e.ConnectionID)}
}
