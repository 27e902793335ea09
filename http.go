package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"example.com/gateway/internal/endpoint"
	"example.com/gateway/internal/forward"
	"example.com/gateway/internal/mapping"
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
		return nil, invalid("HTTPIntegration", err)
	}
	mappings, err := mapping.Request().Compile(i.RequestParameters)
	if err != nil {
		return nil, invalid("RequestParameters", err)
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
	call := &httpCall{forward.Call{
		URI: uri, Mappings: mappings, Method: cmp.Or(i.Method, http.MethodPost), Timeout: i.Timeout,
		Own: &i.own, CallbackURL: i.CallbackURL, UpgradeHeaders: i.UpgradeHeaders,
		Proxy: i.Transform == nil, ResponseBytes: i.ResponseBytes,
	}}
	if i.Client != nil {
		call.Client = endpoint.WithoutRedirects(i.Client)
	}
	if call.ResponseBytes <= 0 {
		call.ResponseBytes = defaultResponseBytes
	}
	if i.Transform != nil {
		return compileTransform(i.Transform, false, r, call.do)
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
		case m.Target == mapping.ToHeader && forward.Reserved(m.Name):
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
type httpCall struct{ forward.Call }

// Invoke implements Integration: the proxy form.
func (c *httpCall) Invoke(ctx context.Context, req *Request) (*Response, error) {
	return c.do(ctx, req, req.Body)
}

func (c *httpCall) do(ctx context.Context, req *Request, payload []byte) (*Response, error) {
	in := &resolver{req: req}
	e := &forward.Event{
		Type: string(req.EventType), RouteKey: req.RouteKey, ConnectionID: req.ConnectionID, RequestID: req.RequestID,
		APIID: req.APIID, Stage: req.Stage, SourceIP: req.Identity.SourceIP, RequestTime: req.RequestTime,
		StageVariables: req.StageVariables, Payload: payload, Values: in,
	}
	if req.Upgrade != nil {
		e.Sent = req.Upgrade.Header
		e.Headers, e.Query = in.upgrade()
	}
	resp, err := c.Do(ctx, e)
	if failed := (*forward.Error)(nil); errors.As(err, &failed) {
		return nil, &IntegrationError{StatusCode: failed.StatusCode, Err: failed.Err}
	}
	return (*Response)(resp), err
}
