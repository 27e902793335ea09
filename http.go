package gateway

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"example.com/gateway/internal/connid"
	"example.com/gateway/internal/endpoint"
	"example.com/gateway/internal/event"
	"example.com/gateway/internal/mapping"
	"example.com/gateway/internal/selection"
)

// HTTPIntegration calls an HTTP endpoint for each event: type HTTP_PROXY of the
// service, or HTTP when it has a Transform. It is compiled once, with its route;
// what is wrong with it is an error of [Gateway.Deploy], a panic of
// [Gateway.Handle]. It may serve several routes.
//
// The endpoint gets the message as body, for CONNECT and DISCONNECT an empty
// one, with these headers, of which RequestParameters can replace any:
//
//	Content-Type             application/json, MESSAGE only
//	User-Agent               AmazonAPIGateway_{API ID}
//	X-Amzn-Apigateway-Api-Id the API ID
//	X-Amzn-Trace-Id          on CONNECT the client's, if it sent one; otherwise Root=1-…, another for each event
//	X-Forwarded-For          the client's address, after what a client sent itself
//	X-Forwarded-Port, -Proto where the client connected, CONNECT only
//
// and, for CONNECT, the other headers and the query of the upgrade request. Headers
// that are meant for the gateway alone are left out: those about the connection,
// those that Connection names, Proxy-Authorization, Expect, Range, the If-* headers,
// and Content-Encoding. (RFC 9110, section 7.6.1.) The endpoint does not get the
// connection ID: see CallbackURL.
//
// Its status, body and headers become the Response: on $connect a status other
// than 2xx refuses, and Sec-WebSocket-Protocol chooses the subprotocol. On a
// message the body is the answer, whatever the status. Redirects are not
// followed. An endpoint that cannot be reached fails with 504, one whose status is
// below 200 with 502. (API Gateway: "Setting up a WebSocket API integration request".)
//
// An HTTPIntegration must not be copied after its first use.
type HTTPIntegration struct {
	// URI is the endpoint, http or https, of at most 2,048 characters. It may hold
	// ${stageVariables.name}, which is replaced as it is, and {name}, which
	// integration.request.path.name fills, escaped. Each {name} needs that parameter,
	// and stands in the path or in the value of a query parameter.
	//
	// A value never changes the segments of the path or the parameters of the query.
	// One that would, for this or any other server, fails the integration with 500,
	// as does one that is missing, null or empty: in the path "." and "..", also
	// together with what stands beside them, and everything that has "/", "\", a line
	// break or a zero byte.
	//
	// User and password of the URI become the Authorization header, in place of the
	// client's.
	URI string
	// Method is the HTTP method. "" means POST, for all events.
	Method string
	// RequestParameters maps integration.request.header.{name},
	// integration.request.querystring.{name} and integration.request.path.{name}
	// from one of
	//
	//	route.request.querystring.{name}, route.request.multivaluequerystring.{name}
	//	route.request.header.{name}, route.request.multivalueheader.{name}
	//	route.request.body.{JSONPath}
	//	stageVariables.{name}
	//	context.{name}, e.g. context.connectionId
	//	'literal'
	//
	// The first two lines have values on $connect only. A source that is missing or a
	// JSON null leaves its target out; a {name} of the URI cannot be left out. Headers
	// that belong to the connection or frame the request, such as Content-Length,
	// cannot be mapped. A mapped Host fails the integration where an HTTP proxy would
	// take it for the server to ask. (API Gateway: "Setting up data mapping for
	// WebSocket APIs".)
	RequestParameters map[string]string
	// CallbackURL tells the endpoint whom it serves: when set, it gets the headers
	// connectionId, routeKey, eventType, stage, and callbackUrl, which is CallbackURL
	// with /@connections/ and the escaped connection ID behind it. It is the URL, as
	// the endpoint sees it, that [Gateway.ManagementHandler] is mounted at, without
	// /@connections: an http or https URL.
	CallbackURL string
	// UpgradeHeaders passes on the Sec-WebSocket-* headers of the upgrade request
	// too, as the service does. Many HTTP servers answer 400 to them.
	// Sec-WebSocket-Protocol is passed on in any case.
	UpgradeHeaders bool
	// ResponseBytes bounds the endpoint's body; a longer one fails the integration.
	// 0 means 128 KiB, the most that a client can be sent by default.
	ResponseBytes int
	// Timeout ends the call earlier than Quotas.IntegrationTimeout does. 0 means
	// that one alone.
	Timeout time.Duration
	// Client makes the calls; its redirect policy is not used, and closing its
	// connections is the program's. nil means a client that all HTTP integrations of
	// the gateway share. It keeps up to 64 idle connections to each host, for 90
	// seconds or until the gateway is closed, and takes up to 64 KiB of headers.
	Client *http.Client
	// Transform makes this a non-proxy integration: the endpoint gets the
	// transformed payload, and of the upgrade request only what is mapped. nil means
	// proxy.
	Transform *Transform

	own endpoint.Client // for calls that belong to no gateway
}

var _ Integration = (*HTTPIntegration)(nil)

// Invoke calls the endpoint. A route has the integration compiled once; a direct
// call compiles it each time. Both use the same connections: those of the gateway
// that ctx comes from, or, with another ctx, those of this HTTPIntegration, which
// are closed when they have been idle for 90 seconds.
func (i *HTTPIntegration) Invoke(ctx context.Context, req *Request) (*Response, error) {
	return invokeOnce(ctx, i, req)
}

const defaultResponseBytes = 128 << 10

func (i *HTTPIntegration) prepare(r *Route) (Integration, error) {
	uri, err := mapping.ParseURI(i.URI)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidOption, err)
	}
	mappings, err := compileMappings(mapping.Request(isContextVariable), i.RequestParameters)
	if err != nil {
		return nil, err
	}
	if err := checkTargets(uri, mappings); err != nil {
		return nil, err
	}
	if i.Method != "" && !httpMethod.MatchString(i.Method) {
		return nil, fmt.Errorf("%w: HTTP method %q: write 1 to 20 capital letters, like POST", ErrInvalidOption, i.Method)
	}
	if err := i.checkSettings(); err != nil {
		return nil, err
	}
	call := &httpCall{
		uri: uri, mappings: mappings, method: cmp.Or(i.Method, http.MethodPost), timeout: i.Timeout,
		own: &i.own, callbackURL: i.CallbackURL,
		upgradeHeaders: i.UpgradeHeaders, proxy: i.Transform == nil, responseBytes: i.ResponseBytes,
	}
	if i.Client != nil {
		call.client = endpoint.WithoutRedirects(i.Client)
	}
	if call.responseBytes <= 0 {
		call.responseBytes = defaultResponseBytes
	}
	if i.Transform != nil {
		return compileTransform(i.Transform, selection.HTTPIntegrationResponse, r, call.do)
	}
	return call, nil
}

// checkSettings checks CallbackURL and Timeout. A URL may hold a password: the error
// does not quote it.
func (i *HTTPIntegration) checkSettings() error {
	if i.Timeout < 0 {
		return fmt.Errorf("%w: HTTPIntegration.Timeout %v is negative: leave it 0 for Quotas.IntegrationTimeout alone", ErrInvalidOption, i.Timeout)
	}
	if i.CallbackURL == "" {
		return nil
	}
	u, err := url.Parse(i.CallbackURL)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.RawQuery != "", u.Fragment != "":
		return fmt.Errorf("%w: HTTPIntegration.CallbackURL: write an http or https URL without query and fragment, like https://gateway.internal/prod", ErrInvalidOption)
	case strings.HasSuffix(strings.TrimSuffix(u.Path, "/"), "/@connections"):
		return fmt.Errorf("%w: HTTPIntegration.CallbackURL ends in /@connections: leave that out, the gateway adds it", ErrInvalidOption)
	}
	return nil
}

// checkTargets finds mappings that can lead nowhere, and placeholders of the URI
// that nothing fills.
func checkTargets(uri *mapping.URI, mappings []mapping.Mapping) error {
	placeholders := uri.Placeholders()
	filled := map[string]bool{}
	for _, m := range mappings {
		switch {
		case m.Target == mapping.ToHeader && reservedHeader(m.Name):
			return fmt.Errorf("%w: parameter integration.request.header.%s: this header belongs to the connection or frames the request, so that it cannot be mapped", ErrInvalidOption, m.Name)
		case m.Target == mapping.ToPath && !slices.Contains(placeholders, m.Name):
			return fmt.Errorf("%w: parameter integration.request.path.%s: the URI %q has no {%[2]s}", ErrInvalidOption, m.Name, uri)
		case m.Target == mapping.ToPath:
			filled[m.Name] = true
		}
	}
	for _, name := range placeholders {
		if !filled[name] {
			return fmt.Errorf("%w: URI %q: nothing fills {%s}: add the parameter integration.request.path.%[3]s", ErrInvalidOption, uri, name)
		}
	}
	return nil
}

var httpMethod = regexp.MustCompile("^[A-Z]{1,20}$")

// httpCall is an HTTPIntegration, compiled.
type httpCall struct {
	uri            *mapping.URI
	mappings       []mapping.Mapping
	method         string
	timeout        time.Duration
	client         *http.Client     // nil: that of the gateway
	own            *endpoint.Client // for a call that belongs to no gateway
	callbackURL    string
	upgradeHeaders bool
	proxy          bool
	responseBytes  int
}

// Invoke implements Integration: the proxy form.
func (c *httpCall) Invoke(ctx context.Context, req *Request) (*Response, error) {
	return c.do(ctx, req, req.Body)
}

func (c *httpCall) do(ctx context.Context, req *Request, payload []byte) (*Response, error) {
	if c.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	out, err := c.request(ctx, req, payload)
	if err != nil {
		return nil, &IntegrationError{StatusCode: http.StatusInternalServerError, Err: err}
	}
	client := c.clientFor(ctx)
	if err := endpoint.CheckHost(client, out); err != nil {
		return nil, &IntegrationError{StatusCode: http.StatusInternalServerError, Err: err}
	}
	resp, err := client.Do(out)
	if err != nil {
		return nil, &IntegrationError{StatusCode: http.StatusGatewayTimeout, Err: withoutURL(err)}
	}
	defer resp.Body.Close()
	if resp.StatusCode < http.StatusOK { // 101 among them, whose body is the socket: it has no end, and no timeout
		return nil, fmt.Errorf("the endpoint's status is %d, want 200 to 599", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(c.responseBytes)+1))
	switch {
	case err != nil:
		return nil, &IntegrationError{StatusCode: http.StatusGatewayTimeout, Err: err}
	case len(body) > c.responseBytes:
		return nil, fmt.Errorf("the endpoint's body is above %d bytes", c.responseBytes)
	}
	return &Response{StatusCode: resp.StatusCode, Header: resp.Header, Body: body}, nil
}

// clientFor returns the client of a call: the integration's own, or that of the
// gateway that ctx belongs to, which closes its connections.
func (c *httpCall) clientFor(ctx context.Context) *http.Client {
	if c.client != nil {
		return c.client
	}
	return endpoint.For(ctx, c.own)
}

// withoutURL takes the URL, which may hold a secret, out of a client's error.
func withoutURL(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

// request builds the request to the endpoint.
func (c *httpCall) request(ctx context.Context, req *Request, payload []byte) (*http.Request, error) {
	in := &resolver{req: req}
	target, err := c.uri.Expand(req.StageVariables, c.pathValues(in))
	if err != nil {
		return nil, err
	}
	query := url.Values(target.Query)
	if query == nil {
		query = url.Values{}
	}
	headers, sent := in.upgrade()
	if c.proxy {
		for name, values := range sent {
			if _, own := query[name]; !own { // what the URI says, no client changes
				query[name] = values
			}
		}
	}
	out, err := http.NewRequestWithContext(ctx, c.method, "", bytes.NewReader(payload))
	if err != nil {
		return nil, err
	}
	c.setHeader(out.Header, req, headers)
	if user := target.URL.User; user != nil { // net/http would let a client's Authorization go before it
		password, _ := user.Password()
		out.Header.Del("Authorization")
		out.SetBasicAuth(user.Username(), password)
		target.URL.User = nil
	}
	for _, m := range c.mappings {
		apply(&m, m.Values(in), out, query)
	}
	if !isHost(out.Host) {
		return nil, errors.New("integration.request.header.Host has a value that is no host")
	}
	target.URL.RawQuery = query.Encode()
	out.URL, out.Host = target.URL, cmp.Or(out.Host, target.URL.Host)
	return out, nil
}

// isHost says whether text, if there is any, is a host with or without a port. Of
// another one net/http would send nothing.
func isHost(text string) bool {
	u, err := url.Parse("http://" + text)
	return text == "" || err == nil && u.Host == text && u.Hostname() != ""
}

// apply sets what m maps. Where the source is missing the target is left out: no
// client sets a mapped name.
func apply(m *mapping.Mapping, values []string, out *http.Request, query url.Values) {
	switch {
	case m.Target == mapping.ToQuery:
		delete(query, m.Name)
		if len(values) > 0 {
			query[m.Name] = values
		}
	case m.Target == mapping.ToHeader && strings.EqualFold(m.Name, "Host"):
		out.Host = strings.Join(values[max(0, len(values)-1):], "") // a request has one
	case m.Target == mapping.ToHeader:
		setHeader(out.Header, m.Name, inHeader(values)...)
	}
}

// pathValues returns the values for the placeholders of the URI.
func (c *httpCall) pathValues(in *resolver) map[string]string {
	values := map[string]string{}
	for _, m := range c.mappings {
		if m.Target == mapping.ToPath {
			values[m.Name] = m.Value(in)
		}
	}
	return values
}

// setHeader sets what the gateway itself sends. headers are those of the upgrade
// request.
func (c *httpCall) setHeader(header http.Header, req *Request, headers event.Headers) {
	header.Set("X-Forwarded-For", req.Identity.SourceIP)
	header.Set("X-Amzn-Trace-Id", connid.TraceID(req.RequestID, req.RequestTime))
	for _, h := range headers {
		if addedHeader(h.Name) || c.proxy && c.passesOn(h.Name) && !namedInConnection(req.Upgrade.Header, h.Name) {
			header[h.Name] = h.Values
		}
	}
	if req.EventType == EventMessage || !c.proxy {
		setHeader(header, "Content-Type", "application/json")
	}
	setHeader(header, "User-Agent", "AmazonAPIGateway_"+req.APIID)
	setHeader(header, "X-Amzn-Apigateway-Api-Id", req.APIID)
	if c.callbackURL != "" {
		setHeader(header, "connectionId", req.ConnectionID)
		setHeader(header, "routeKey", req.RouteKey)
		setHeader(header, "eventType", string(req.EventType))
		setHeader(header, "stage", req.Stage)
		setHeader(header, "callbackUrl", strings.TrimSuffix(c.callbackURL, "/")+"/@connections/"+url.QueryEscape(req.ConnectionID))
	}
}

// setHeader sets a header in this spelling, in place of any that a client sent,
// also of one with "_" for "-".
// Without a value it is left out.
func setHeader(header http.Header, name string, values ...string) {
	for other := range header {
		if strings.EqualFold(dashed(other), dashed(name)) {
			delete(header, other)
		}
	}
	switch canonical := http.CanonicalHeaderKey(name); canonical {
	case "User-Agent", "Accept-Encoding", "Range", "Authorization": // which net/http looks for, and may add
		name = canonical
	}
	if len(values) > 0 {
		header[name] = values
	}
}

// inHeader makes values of a client ones that a header can hold: a control
// character, which would fail the call, becomes a blank, as in net/http's answers.
// Blanks at the ends are left out, which HTTP/2 does not allow.
func inHeader(values []string) []string {
	clean := make([]string, len(values))
	for n, v := range values {
		clean[n] = strings.Trim(strings.Map(func(r rune) rune {
			if r < ' ' && r != '\t' || r == 0x7f {
				return ' '
			}
			return r
		}, v), " \t")
	}
	return clean
}

// addedHeader says whether the front end adds a header to every upgrade request.
func addedHeader(name string) bool {
	switch name {
	case "X-Amzn-Trace-Id", "X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto":
		return true
	}
	return false
}

// passesOn says whether a header of the upgrade request goes to the endpoint.
func (c *httpCall) passesOn(name string) bool {
	switch canonical := http.CanonicalHeaderKey(dashed(name)); canonical {
	case "Host", "Accept-Encoding": // net/http's
		return false
	case "X-Amzn-Trace-Id", "X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto": // the front end's, in another spelling
		return false
	case "Proxy-Authorization", "Http2-Settings": // for the hop to us (RFC 9110, sections 7.6.1 and 11.7.2)
		return false
	case "Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since": // about the answer to the upgrade
		return false
	case "Content-Encoding", "Content-Range": // of a body that is not sent
		return false
	case "Sec-Websocket-Protocol":
		return true
	default:
		return !reservedHeader(canonical) && (c.upgradeHeaders || !strings.HasPrefix(canonical, "Sec-Websocket-"))
	}
}

// reservedHeader says whether a header is about one connection or frames its
// request, so that it is neither passed on nor mapped. (RFC 9110, sections 7.6.1
// and 10.1.1; API Gateway: "Transform API requests and responses for HTTP APIs",
// reserved headers.)
func reservedHeader(name string) bool {
	name = dashed(name)
	return hopByHop(name) || strings.EqualFold(name, "Expect")
}

// dashed returns the name of a header as the many backends read it that take "_" for
// "-": those with the environment variables of CGI. (RFC 3875, section 4.1.18.)
func dashed(name string) string { return strings.ReplaceAll(name, "_", "-") }

// namedInConnection says whether the sender of header names one in Connection, as
// one that is only for the next hop. (RFC 9110, section 7.6.1.)
func namedInConnection(header http.Header, name string) bool {
	for _, line := range header["Connection"] {
		for option := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(option), name) {
				return true
			}
		}
	}
	return false
}
