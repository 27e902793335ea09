package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"example.com/gateway/internal/endpoint"
	"example.com/gateway/internal/forward"
	"example.com/gateway/internal/mapping"
)

// HTTPIntegration calls an HTTP endpoint for each event: type HTTP_PROXY of the service,
// or HTTP if it has a Transform. It is compiled once, when its route is set: a mistake
// in it is an error of [Gateway.Deploy] and a panic of [Gateway.Handle]. Each
// route that it serves keeps a copy.
//
// The endpoint gets the message as the body of its request. For CONNECT and DISCONNECT
// the body is empty. The request has these headers, and RequestParameters can replace
// any of them:
//
//	Content-Type             application/json, MESSAGE only
//	User-Agent               AmazonAPIGateway_{API ID}
//	X-Amzn-Apigateway-Api-Id the API ID
//	X-Amzn-Trace-Id          on CONNECT the client's, if it sent one; otherwise Root=1-…, a new one for each event
//	X-Forwarded-For          what the client sent in this header, and then the client's address
//	X-Forwarded-Port, -Proto where the client connected, CONNECT only
//	Gateway-State            Request.State, if the connection has one: JSON in ASCII, other text percent-encoded
//	Gateway-Group            Request.Group, JOIN and LEAVE only: the name, percent-encoded
//	Gateway-Groups           Request.Groups, if there are any: the names, percent-encoded, separated by commas
//	Gateway-Omitted          Gateway-State above 4 KiB, Gateway-Groups above 2 KiB and Gateway-Principal above 512 bytes: they are left out, and this has their names
//
// With [WithAnswerCommands] a backend needs no URL to call back, but has to know what it
// answers. So the request also has these headers, whatever CallbackURL is:
//
//	connectionId, routeKey   the connection and the route
//	eventType, stage         CONNECT, MESSAGE, DISCONNECT, JOIN or LEAVE; and the stage
//	Gateway-Principal        Request.PrincipalID, if there is one, percent-encoded where it has to be
//
// For CONNECT it also has the other headers and the query of the upgrade request.
// Headers that are meant for the gateway alone are left out: those about the
// connection, those that Connection names, Proxy-Authorization, Expect, Range, the If-*
// headers, and Content-Encoding. (RFC 9110, section 7.6.1.) Those of the gateway are left
// out too, where their names begin with Gateway-, or the gateway sends others of the same
// name: no client can pretend to have them. Without CallbackURL and [WithAnswerCommands] the
// endpoint does not get the connection ID.
//
// Gateway-State and Gateway-Groups are bounded, because many servers take at most 8 KiB of
// headers, and a client that can join groups, or fill a state, could make its endpoint
// unreachable. A part of the groups is never sent: it would look like all of them. The log
// says so once for each route, at WARN. If an endpoint needs more, put context.state or
// context.groups into its query with RequestParameters, or $context.state or $context.groups
// into its body with a Transform: these are not bounded. An endpoint that answers 431 to an
// event with one of the two headers has failed.
//
// The endpoint's status, body and headers become the Response. On $connect a status
// other than 2xx refuses the connection, and Sec-WebSocket-Protocol chooses the
// subprotocol. On a message the body is the answer, whatever the status is. With
// [WithAnswerCommands] the headers also have commands. Redirects
// are not followed. If the endpoint cannot be reached, the integration fails with 504;
// if the endpoint's status is below 200, with 502. (API Gateway: "Setting up a
// WebSocket API integration request".)
//
// An HTTPIntegration must not be copied after its first use.
type HTTPIntegration struct {
	// URI is the address of the endpoint, http or https, of at most 2,048 characters. It
	// may have ${stageVariables.name}, whose value is put in unchanged, and {name}, which
	// is replaced by the value of the parameter integration.request.path.name, escaped.
	// A {name} stands in the path or in the value of a query parameter. It needs that
	// parameter, and a source that the events of the route can have. A stage variable
	// that is not defined is empty, which the log says when the route is set.
	//
	// A client's value stays in its place: it never adds a segment to the path or a
	// parameter to the query. The integration fails with 500 if a value could do so on
	// this or another server. That is the case for a value with "/", "\", a line break or
	// a zero byte, and for one that makes a segment "." or "..". It also fails if a value
	// is missing, null or empty.
	//
	// User and password of the URI become the Authorization header and replace the
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
	// The first two lines have values on $connect only. If a source is missing or a JSON
	// null, its target is left out, unless it is a {name} of the URI. Headers that belong
	// to the connection or frame the request, such as Content-Length, cannot be mapped.
	// If the request goes through an HTTP proxy that would send it to the server that
	// Host names, a mapped Host fails the integration. (API Gateway: "Setting up data
	// mapping for WebSocket APIs".)
	RequestParameters map[string]string
	// CallbackURL is the URL that [Gateway.ManagementHandler] is mounted at, as the
	// endpoint sees it, without /@connections: for example https://gateway.internal/prod.
	// If it is set, the endpoint gets the headers connectionId, routeKey, eventType, stage
	// and callbackUrl. The last one is CallbackURL followed by /@connections/ and the
	// escaped connection ID, ready for a POST. "" adds no header.
	CallbackURL string
	// UpgradeHeaders also passes on the Sec-WebSocket-* headers of the upgrade request, as
	// the service does. Many HTTP servers answer 400 to them. Sec-WebSocket-Protocol is
	// always passed on.
	UpgradeHeaders bool
	// ResponseBytes is the most bytes that the endpoint's body may have. A longer body
	// fails the integration. 0 means 128 KiB, which is also the longest message that a
	// client can be sent by default.
	ResponseBytes int
	// Timeout ends the call earlier than Quotas.IntegrationTimeout does. 0 means that
	// only Quotas.IntegrationTimeout ends it.
	Timeout time.Duration
	// Client makes the calls. Its redirect policy is not used, and the gateway does not
	// close its connections. nil means a client that all HTTP integrations of the gateway
	// share. That one keeps up to 64 idle connections to each host, for 90 seconds or
	// until the gateway is closed, and takes up to 64 KiB of headers.
	Client *http.Client
	// Transform makes this a non-proxy integration: the endpoint gets the transformed
	// payload, and only what is mapped of the upgrade request. nil means proxy.
	Transform *Transform

	own endpoint.Client // for calls that belong to no gateway
}

var _ Integration = (*HTTPIntegration)(nil)

// Invoke calls the endpoint. A route compiles the integration once. A direct call of
// Invoke compiles it each time. If ctx comes from a gateway, both use the gateway's
// connections. Otherwise they use those of this HTTPIntegration, which are closed when
// they have been idle for 90 seconds.
func (i *HTTPIntegration) Invoke(ctx context.Context, req *Request) (*Response, error) {
	return invokeOnce(ctx, i, req)
}

const defaultResponseBytes = 128 << 10

func (i *HTTPIntegration) clone() preparer {
	return &HTTPIntegration{
		URI: i.URI, Method: i.Method, RequestParameters: maps.Clone(i.RequestParameters), CallbackURL: i.CallbackURL,
		UpgradeHeaders: i.UpgradeHeaders, ResponseBytes: i.ResponseBytes, Timeout: i.Timeout, Client: i.Client,
		Transform: i.Transform.clone(),
	}
}

func (i *HTTPIntegration) prepare(r *Route) (Integration, error) {
	uri, err := mapping.ParseURI(i.URI)
	if err != nil {
		return nil, invalid("HTTPIntegration.URI", err)
	}
	mappings, err := mapping.Request().Compile(i.RequestParameters)
	if err != nil {
		return nil, invalid("HTTPIntegration.RequestParameters", err)
	}
	if err := checkTargets(uri, mappings, r.RouteKey); err != nil {
		return nil, err
	}
	if i.Method != "" && !httpMethod.MatchString(i.Method) {
		return nil, fmt.Errorf("%w: HTTPIntegration.Method %q: write 1 to 20 capital letters, like POST", ErrInvalidOption, i.Method)
	}
	if err := i.checkSettings(); err != nil {
		return nil, err
	}
	call := &httpCall{Call: forward.Call{
		URI: uri, Mappings: mappings, Method: cmp.Or(i.Method, http.MethodPost), Timeout: i.Timeout,
		Own: &i.own, CallbackURL: i.CallbackURL, UpgradeHeaders: i.UpgradeHeaders,
		Proxy: i.Transform == nil, ResponseBytes: i.ResponseBytes,
	}}
	call.Omitted = call.logOmitted(r.RouteKey)
	if i.Client != nil {
		call.Client = endpoint.WithoutRedirects(i.Client)
	}
	if call.ResponseBytes == 0 {
		call.ResponseBytes = defaultResponseBytes
	}
	if i.Transform != nil {
		t, err := compileTransform(i.Transform, false, r, call.do)
		if err != nil {
			return nil, err
		}
		t.call = call
		return t, nil
	}
	return call, nil
}

// checkSettings checks CallbackURL, ResponseBytes and Timeout. A URL may hold a password:
// the error does not quote it.
func (i *HTTPIntegration) checkSettings() error {
	if i.Timeout < 0 {
		return fmt.Errorf("%w: HTTPIntegration.Timeout %v is negative: leave it 0 for Quotas.IntegrationTimeout alone", ErrInvalidOption, i.Timeout)
	}
	if i.ResponseBytes < 0 {
		return fmt.Errorf("%w: HTTPIntegration.ResponseBytes %d is negative: leave it 0 for %d", ErrInvalidOption, i.ResponseBytes, defaultResponseBytes)
	}
	if i.CallbackURL == "" {
		return nil
	}
	u, err := endpoint.ParseBase(i.CallbackURL)
	switch {
	case err != nil:
		return fmt.Errorf("%w: HTTPIntegration.CallbackURL %w: write one like https://gateway.internal/prod", ErrInvalidOption, err)
	case strings.ContainsAny(i.CallbackURL, "{}"):
		return fmt.Errorf("%w: HTTPIntegration.CallbackURL has a brace: write the URL as it is, variables are not replaced in it", ErrInvalidOption)
	case strings.HasSuffix(strings.TrimSuffix(u.Path, "/"), "/@connections"):
		return fmt.Errorf("%w: HTTPIntegration.CallbackURL ends in /@connections: leave that out, the gateway adds it", ErrInvalidOption)
	}
	return nil
}

// checkTargets refuses mappings whose target does not exist, and placeholders of the URI
// that no mapping fills, or that none can fill on this route.
func checkTargets(uri *mapping.URI, mappings []mapping.Mapping, routeKey string) error {
	placeholders := uri.Placeholders()
	filled := map[string]bool{}
	for _, m := range mappings {
		switch {
		case m.Target == mapping.ToHeader && forward.Reserved(m.Name):
			return fmt.Errorf("%w: HTTPIntegration.RequestParameters: parameter integration.request.header.%s: this header belongs to the connection or frames the request, so that it cannot be mapped", ErrInvalidOption, m.Name)
		case m.Target == mapping.ToPath && !slices.Contains(placeholders, m.Name):
			return fmt.Errorf("%w: HTTPIntegration.RequestParameters: parameter integration.request.path.%s: the URI %q has no {%[2]s}", ErrInvalidOption, m.Name, uri)
		case m.Target == mapping.ToPath && neverHas(routeKey, &m.Source):
			return fmt.Errorf("%w: HTTPIntegration.RequestParameters: parameter integration.request.path.%s: the URI %q needs a value for {%[2]s}, and the events of route %[4]q never have %[5]q: %[6]s",
				ErrInvalidOption, m.Name, uri, routeKey, m.String(), insteadOf(routeKey))
		case m.Target == mapping.ToPath:
			filled[m.Name] = true
		}
	}
	for _, name := range placeholders {
		if strings.HasPrefix(name, "stageVariables.") && !filled[name] {
			return fmt.Errorf("%w: HTTPIntegration.URI %q: nothing fills {%s}: did you mean ${%[3]s}?", ErrInvalidOption, uri, name)
		}
		if !filled[name] {
			return fmt.Errorf("%w: HTTPIntegration.URI %q: nothing fills {%s}: add the parameter integration.request.path.%[3]s", ErrInvalidOption, uri, name)
		}
	}
	return nil
}

// neverHas reports whether the events of a route never have what a source reads: only
// $connect has the upgrade request, and only a message has a body.
func neverHas(routeKey string, s *mapping.Source) bool {
	switch routeKey {
	case RouteKeyConnect:
		return s.OfMessage()
	case RouteKeyDisconnect, RouteKeyJoin, RouteKeyLeave:
		return s.OfMessage() || s.OfUpgrade()
	}
	return s.OfUpgrade()
}

// insteadOf says where a route can take a value from.
func insteadOf(routeKey string) string {
	switch routeKey {
	case RouteKeyConnect:
		return "take it from route.request.querystring.{name} or route.request.header.{name}"
	case RouteKeyDisconnect, RouteKeyJoin, RouteKeyLeave:
		return "take it from context.{name}, such as context.authorizer.{name}"
	}
	return "take it from route.request.body.{JSONPath} or, if the client names it when it connects, from context.authorizer.{name}"
}

var httpMethod = regexp.MustCompile("^[A-Z]{1,20}$")

// httpCall is an HTTPIntegration, compiled.
type httpCall struct {
	forward.Call
	omitted atomic.Bool // the log has said that a header was left out
}

// gatewayKey is the key of the Gateway in the contexts of integrations.
type gatewayKey struct{}

// logOmitted returns a func that logs that an endpoint did not get a header, once.
func (c *httpCall) logOmitted(routeKey string) func(ctx context.Context, headers string) {
	return func(ctx context.Context, headers string) {
		g, ok := ctx.Value(gatewayKey{}).(*Gateway)
		if !ok || c.omitted.Load() || !c.omitted.CompareAndSwap(false, true) {
			return
		}
		g.logBounded(ctx, slog.LevelWarn, time.Now(), "the endpoint does not get what is too long for a header", func() []slog.Attr {
			return []slog.Attr{
				slog.String("route_key", routeKey), slog.String("stage", g.stage), slog.String("headers", headers),
				slog.String("fix", "keep the state and the names of groups short, or put context.state and context.groups into the query or the body: see HTTPIntegration"),
			}
		})
	}
}

// Invoke implements Integration: the proxy form.
func (c *httpCall) Invoke(ctx context.Context, req *Request) (*Response, error) {
	return c.do(ctx, req, req.Body)
}

func (c *httpCall) do(ctx context.Context, req *Request, payload []byte) (*Response, error) {
	in := &resolver{req: req}
	e := &forward.Event{
		Type: string(req.EventType), RouteKey: req.RouteKey, ConnectionID: req.ConnectionID, RequestID: req.RequestID,
		APIID: req.APIID, Stage: req.Stage, SourceIP: req.Identity.SourceIP, RequestTime: req.RequestTime,
		StageVariables: req.StageVariables, Payload: payload, Values: in, State: req.State, Groups: req.Groups, Group: req.Group,
		Binary: req.Binary && samePayload(payload, req.Body),
	}
	if req.Upgrade != nil {
		e.Sent = req.Upgrade.Header
		e.Headers, e.Query = in.upgrade()
	}
	if g, ok := ctx.Value(gatewayKey{}).(*Gateway); ok && g.answerCommands {
		e.Told, e.Principal = true, req.PrincipalID()
	}
	resp, err := c.Do(ctx, e)
	if failed := (*forward.Error)(nil); errors.As(err, &failed) {
		return nil, &IntegrationError{StatusCode: failed.StatusCode, Err: failed.Err}
	}
	return (*Response)(resp), err
}

// samePayload reports whether no template and no content handling has changed a message on
// its way to the backend.
func samePayload(payload, message []byte) bool {
	return len(payload) == len(message) && (len(payload) == 0 || &payload[0] == &message[0])
}

// doubts implements doubter: the stage variables of the URI and of RequestParameters.
func (c *httpCall) doubts(stageVariables map[string]string) []string {
	var found []string
	add := func(where, name string) {
		if doubt := doubtVariable(where, name, "so that it is empty", stageVariables); doubt != "" && !slices.Contains(found, doubt) {
			found = append(found, doubt)
		}
	}
	for _, text := range c.URI.WithoutBraces() {
		found = append(found, fmt.Sprintf(`HTTPIntegration.URI: %q is taken as it stands: did you mean "${%s}"?`, text, text[1:]))
	}
	for _, name := range c.URI.Variables() {
		add("HTTPIntegration.URI", name)
	}
	for _, m := range c.Mappings {
		if m.Place == mapping.StageVariable {
			add(fmt.Sprintf(`RequestParameters["integration.request.%s.%s"]`, m.Target, m.Name), m.Source.Name)
		}
	}
	return found
}
