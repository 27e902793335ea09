package gateway

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
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
//	X-Amzn-Trace-Id          Root=1-…, new for each event
//	X-Forwarded-For          the client's address, after what a client sent itself
//	X-Forwarded-Port, -Proto where the client connected, CONNECT only
//
// and, for CONNECT, the other headers and the query of the upgrade request,
// except those about its connection. What it does not get is the connection ID:
// see CallbackURL.
//
// Its status, body and headers become the Response: on $connect a status other
// than 2xx refuses, and Sec-WebSocket-Protocol chooses the subprotocol. On a
// message the body is the answer, whatever the status. Redirects are not
// followed. An endpoint that cannot be reached fails with 504. (API Gateway:
// "Setting up a WebSocket API integration request".)
type HTTPIntegration struct {
	// URI is the endpoint, http or https. It may hold ${stageVariables.name}, which
	// is replaced as it is, and {name}, which integration.request.path.name fills,
	// escaped.
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
	// The first two lines have values on $connect only. A source that is missing
	// leaves its target out. (API Gateway: "Setting up data mapping for WebSocket
	// APIs".)
	RequestParameters map[string]string
	// CallbackURL tells the endpoint whom it serves: when set, it gets the headers
	// connectionId, routeKey, eventType, stage, and callbackUrl, which is CallbackURL
	// with /@connections/ and the escaped connection ID behind it. It is the URL, as
	// the endpoint sees it, that [Gateway.ManagementHandler] is mounted at, without
	// /@connections.
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
	// Client makes the calls; its redirect policy is not used. nil means a client
	// that keeps up to 64 idle connections to the endpoint.
	Client *http.Client
	// Transform makes this a non-proxy integration: the endpoint gets the
	// transformed payload, and of the upgrade request only what is mapped. nil means
	// proxy.
	Transform *Transform
}

var _ Integration = (*HTTPIntegration)(nil)

// Invoke calls the endpoint. A route has the integration compiled once; a direct
// call compiles it each time.
func (i *HTTPIntegration) Invoke(ctx context.Context, req *Request) (*Response, error) {
	return invokeOnce(ctx, i, req)
}

const (
	defaultResponseBytes = 128 << 10
	idlePerEndpoint      = 64
)

func (i *HTTPIntegration) prepare(r *Route) (Integration, error) {
	uri, err := compileURI(i.URI)
	if err != nil {
		return nil, err
	}
	mappings, err := requestMappings().compile(i.RequestParameters)
	if err != nil {
		return nil, err
	}
	for _, m := range mappings {
		if m.place == "path" && !uri.has(m.name) {
			return nil, fmt.Errorf("%w: parameter integration.request.path.%s: the URI %q has no {%s}", ErrInvalidOption, m.name, i.URI, m.name)
		}
	}
	if i.Method != "" && !httpMethod.MatchString(i.Method) {
		return nil, fmt.Errorf("%w: HTTP method %q", ErrInvalidOption, i.Method)
	}
	call := &httpCall{HTTPIntegration: *i, uri: uri, mappings: mappings}
	if call.Method == "" {
		call.Method = http.MethodPost
	}
	if call.ResponseBytes <= 0 {
		call.ResponseBytes = defaultResponseBytes
	}
	call.Client = endpointClient(i.Client)
	if i.Transform != nil {
		return compileTransform(i.Transform, selectHTTPIntegrationResponse, r, call.do)
	}
	return call, nil
}

var httpMethod = regexp.MustCompile("^[A-Z]{1,20}$")

// endpointClient returns a copy of client that follows no redirect.
func endpointClient(client *http.Client) *http.Client {
	if client == nil {
		transport := &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout: 10 * time.Second,
			MaxIdleConnsPerHost: idlePerEndpoint,
			IdleConnTimeout:     90 * time.Second,
			ForceAttemptHTTP2:   true,
			DisableCompression:  true, // the body is passed on as it is
		}
		client = &http.Client{Transport: transport}
	}
	c := *client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

// httpCall is an HTTPIntegration, compiled.
type httpCall struct {
	HTTPIntegration
	uri      uriTemplate
	mappings []mapping
}

// Invoke implements Integration: the proxy form.
func (c *httpCall) Invoke(ctx context.Context, req *Request) (*Response, error) {
	return c.do(ctx, req, req.Body)
}

func (c *httpCall) do(ctx context.Context, req *Request, payload []byte) (*Response, error) {
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Timeout)
		defer cancel()
	}
	out, err := c.request(ctx, req, payload)
	if err != nil {
		return nil, &IntegrationError{StatusCode: http.StatusInternalServerError, Err: err}
	}
	resp, err := c.Client.Do(out)
	if err != nil {
		return nil, &IntegrationError{StatusCode: http.StatusGatewayTimeout, Err: withoutURL(err)}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(c.ResponseBytes)+1))
	switch {
	case err != nil:
		return nil, &IntegrationError{StatusCode: http.StatusGatewayTimeout, Err: err}
	case len(body) > c.ResponseBytes:
		return nil, fmt.Errorf("the endpoint's body is above %d bytes", c.ResponseBytes)
	}
	return &Response{StatusCode: resp.StatusCode, Header: resp.Header, Body: body}, nil
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
	in := newMappingInput(req)
	target, err := c.uri.expand(req.StageVariables, pathValues(c.mappings, in))
	if err != nil {
		return nil, err
	}
	query := target.Query()
	if c.Transform == nil {
		for name, values := range in.query {
			if _, own := query[name]; !own { // what the URI says, no client changes
				query[name] = values
			}
		}
	}
	out, err := http.NewRequestWithContext(ctx, c.Method, "", bytes.NewReader(payload))
	if err != nil {
		return nil, err
	}
	c.setHeader(out.Header, req)
	for _, m := range c.mappings {
		values := m.values(in)
		switch {
		case m.place == "querystring":
			delete(query, m.name) // also where the source is missing: no client sets a mapped name
			if len(values) > 0 {
				query[m.name] = values
			}
		case m.place == "header" && strings.EqualFold(m.name, "Host"):
			out.Host = strings.Join(values, "")
		case m.place == "header":
			setHeader(out.Header, m.name, inHeader(values)...)
		}
	}
	target.RawQuery = query.Encode()
	out.URL, out.Host = target, cmp.Or(out.Host, target.Host)
	return out, nil
}

// setHeader sets what the gateway itself sends.
func (c *httpCall) setHeader(header http.Header, req *Request) {
	forwarded := req.Identity.SourceIP
	if up := req.Upgrade; up != nil {
		for name, values := range up.Header {
			if c.passesOn(name) {
				header[name] = values
			}
		}
		if before := header.Values("X-Forwarded-For"); len(before) > 0 {
			forwarded = strings.Join(before, ", ") + ", " + forwarded
		}
		proto, port := "http", "80"
		if up.TLS != nil {
			proto, port = "https", "443"
		}
		if _, p, err := net.SplitHostPort(up.Host); err == nil {
			port = p
		}
		header.Set("X-Forwarded-Proto", proto)
		header.Set("X-Forwarded-Port", port)
	}
	if req.EventType == EventMessage || c.Transform != nil {
		header.Set("Content-Type", "application/json")
	}
	header.Set("User-Agent", "AmazonAPIGateway_"+req.APIID)
	header.Set("X-Amzn-Apigateway-Api-Id", req.APIID)
	header.Set("X-Amzn-Trace-Id", string(appendTraceID(nil, req.RequestTime)))
	header.Set("X-Forwarded-For", forwarded)
	if c.CallbackURL != "" {
		setHeader(header, "connectionId", req.ConnectionID)
		setHeader(header, "routeKey", req.RouteKey)
		setHeader(header, "eventType", string(req.EventType))
		setHeader(header, "stage", req.Stage)
		setHeader(header, "callbackUrl", strings.TrimSuffix(c.CallbackURL, "/")+"/@connections/"+url.QueryEscape(req.ConnectionID))
	}
}

// setHeader sets a header in this spelling, in place of any that a client sent.
// Without a value it is left out.
func setHeader(header http.Header, name string, values ...string) {
	header.Del(name)
	delete(header, name)
	if len(values) > 0 {
		header[name] = values
	}
}

// inHeader makes values of a client ones that a header can hold: a control
// character, which would fail the call, becomes a blank, as in net/http's answers.
func inHeader(values []string) []string {
	clean := make([]string, len(values))
	for n, v := range values {
		clean[n] = strings.Map(func(r rune) rune {
			if r < ' ' && r != '\t' || r == 0x7f {
				return ' '
			}
			return r
		}, v)
	}
	return clean
}

// passesOn says whether a header of the upgrade request goes to the endpoint.
func (c *httpCall) passesOn(name string) bool {
	switch {
	case c.Transform != nil, hopByHop(name), strings.EqualFold(name, "Accept-Encoding"):
		return false
	case strings.EqualFold(name, "Sec-WebSocket-Protocol"), c.UpgradeHeaders:
		return true
	}
	return len(name) < 14 || !strings.EqualFold(name[:14], "Sec-WebSocket-")
}

// pathValues returns the values for the placeholders of the URI.
func pathValues(mappings []mapping, in *mappingInput) map[string]string {
	values := map[string]string{}
	for _, m := range mappings {
		if m.place == "path" {
			for _, v := range m.values(in) {
				values[m.name] = v
			}
		}
	}
	return values
}

// uriTemplate is a URI with variables and placeholders: literal pieces, and names
// between them.
type uriTemplate []uriPiece

type uriPiece struct {
	literal  string
	variable string // ${stageVariables.name}
	path     string // {name}
}

var uriName = regexp.MustCompile(`\$\{stageVariables\.([A-Za-z0-9_]+)\}|\{([A-Za-z0-9._-]+)\}`)

func compileURI(text string) (uriTemplate, error) {
	var t uriTemplate
	rest := 0
	for _, m := range uriName.FindAllStringSubmatchIndex(text, -1) {
		t = append(t, uriPiece{literal: text[rest:m[0]]})
		if m[2] >= 0 {
			t = append(t, uriPiece{variable: text[m[2]:m[3]]})
		} else {
			t = append(t, uriPiece{path: text[m[4]:m[5]]})
		}
		rest = m[1]
	}
	t = append(t, uriPiece{literal: text[rest:]})
	for _, p := range t {
		if strings.ContainsAny(p.literal, "{}") || strings.HasSuffix(p.literal, "$") && !strings.HasSuffix(text, "$") {
			return nil, fmt.Errorf("%w: URI %q: a brace that belongs to no ${stageVariables.name} and no {name}", ErrInvalidOption, text)
		}
	}
	withScheme := !strings.HasPrefix(text, "${") // else it comes with a stage variable
	if u, err := url.Parse(t[0].literal); withScheme && (err != nil || u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("%w: URI %q: it begins with neither http:// nor https://", ErrInvalidOption, text)
	}
	if name := t.ofHost(); name != "" {
		return nil, fmt.Errorf("%w: URI %q: {%s} stands before the path, where a client's value would choose the host: use ${stageVariables.name}",
			ErrInvalidOption, text, name)
	}
	return t, nil
}

// ofHost returns the name of a placeholder that stands before the path, if there is
// one.
func (t uriTemplate) ofHost() string {
	before := ""
	for _, p := range t {
		_, host, found := strings.Cut(before+p.literal, "//")
		if !found {
			host = before + p.literal // the scheme, or all of it, is a stage variable's
		}
		if strings.ContainsAny(host, "/?#") {
			return ""
		}
		if p.path != "" {
			return p.path
		}
		before += p.literal
	}
	return ""
}

func (t uriTemplate) has(name string) bool {
	for _, p := range t {
		if p.path == name {
			return true
		}
	}
	return false
}

// expand fills the template. A value that comes from a client is one segment,
// whatever it holds.
func (t uriTemplate) expand(stageVariables, path map[string]string) (*url.URL, error) {
	var b strings.Builder
	for _, p := range t {
		switch {
		case p.variable != "":
			b.WriteString(stageVariables[p.variable])
		case p.path != "":
			b.WriteString(pathSegment(path[p.path]))
		default:
			b.WriteString(p.literal)
		}
	}
	u, err := url.Parse(b.String())
	switch {
	case err != nil:
		return nil, errors.New("the URI with its variables is no URL")
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return nil, errors.New("the URI with its variables has no http or https host")
	}
	return u, nil
}

// pathSegment escapes value, dots too where they would lead elsewhere.
func pathSegment(value string) string {
	if strings.Trim(value, ".") == "" {
		return strings.ReplaceAll(value, ".", "%2E")
	}
	return url.PathEscape(value)
}
