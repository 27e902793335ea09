package gateway

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strings"
	"time"

	"example.com/gateway/internal/connid"
	"example.com/gateway/internal/forward"
	"example.com/gateway/internal/query"
	"example.com/gateway/internal/tap"
	"example.com/gateway/internal/wsconn"
)

// upgrade is an upgrade request under way.
type upgrade struct {
	g            *Gateway
	w            http.ResponseWriter
	r            *http.Request
	parent       connectionContext // becomes the connection's
	ctx          context.Context   //nolint:containedctx // &parent
	connectionID string
	requestID    string
	now          time.Time

	sourceIP, userAgent, host string // of r, which an integration may change

	table       *routeTable
	handshake   *wsconn.Handshake
	admission   admission
	subprotocol string
	lent        bool // an authorizer or an integration that was given up still has r
	counted     bool // among the connections of its source
	connected   bool // the $connect integration accepted it
	accepted    bool // a connection has taken over
	logged      bool // the failure that refuses it is in the log
}

// admission is what the gateway knows of a client since its upgrade, besides its
// address.
type admission struct {
	authorizer     map[string]any // Request.Authorizer; nil: there is no authorizer
	authorizerTook time.Duration
	usageKey       string // the API key that the authorizer named
	caller         *Caller
	keyUse         *keyUse // nil: the client has no API key
}

// ofConnect is Request.Authorizer of the CONNECT event, the only one that says
// how long the authorizer took.
func (a *admission) ofConnect() map[string]any {
	if a.authorizer == nil {
		return nil
	}
	m := maps.Clone(a.authorizer)
	m[integrationLatency] = a.authorizerTook.Milliseconds()
	return m
}

// upgradeSteps are what an upgrade request goes through, in this order, before
// its connection begins. The first error ends it, and is its answer.
//
// No document gives the service's order. This one agrees with all that is known:
// the authorizer may name the API key, so that it comes before the usage plan;
// nothing that is refused costs an integration.
func upgradeSteps() [10]func(*upgrade) error {
	return [...]func(*upgrade) error{
		(*upgrade).checkFrontEnd,       // size of URL and headers, duplicates: before API Gateway's own logic
		(*upgrade).checkHandshake,      // RFC 6455, origin: 426, 403
		(*upgrade).checkNewConnections, // new connections a second, connections of a source and in all: 429
		(*upgrade).authorize,           // $connect's Authorizer: 401, 403
		(*upgrade).checkAPIKey,         // API key: 403
		(*upgrade).throttle,            // usage plan, route or stage, account: 429
		(*upgrade).countRequest,        // quota of the usage plan, last so that what is throttled costs none: 429
		(*upgrade).checkRequest,        // required request parameters: 400
		(*upgrade).checkHijack,         // the server lets the connection go: 500
		(*upgrade).connect,             // $connect's integration
	}
}

// retryAfter is the Retry-After of upgrades refused during a shutdown, in
// seconds: time for a load balancer to look elsewhere.
const retryAfter = "1"

func (g *Gateway) serveUpgrade(w http.ResponseWriter, r *http.Request) {
	tap.Offer[*Observer](r.Context(), tapped{g})
	u := &upgrade{
		g: g, w: w, r: r,
		connectionID: connid.New(g.tag),
		requestID:    connid.NewRequest(),
		parent:       connectionContext{g.root, r.Context()},
		now:          time.Now(),
		table:        g.routes.Load(),
		sourceIP:     sourceIPOf(r), userAgent: r.UserAgent(), host: r.Host,
	}
	u.ctx = &u.parent
	if !g.join() {
		w.Header().Set("Retry-After", retryAfter)
		u.refuse(ErrClosed)
		return
	}
	defer g.running.Done()
	defer u.release() //nolint:contextcheck // a $disconnect outlives its request
	for _, step := range upgradeSteps() {
		err := step(u)
		if u.g.root.Err() != nil { // the gateway has been cut: whatever a callback made of that
			err = ErrClosed
		}
		if err != nil {
			u.refuse(err)
			return
		}
	}
	g.accept(u) //nolint:contextcheck // a connection outlives its request
}

// checkFrontEnd is what stands before the service's own logic: sizes, and
// duplicates of headers that must be unambiguous.
func (u *upgrade) checkFrontEnd() error {
	q := &u.g.quotas
	switch {
	case q.URLBytes > 0 && len(u.r.RequestURI) > q.URLBytes:
		return errURLBytes
	case q.HeaderBytes > 0 && headerBytes(u.r) > q.HeaderBytes:
		return errHeaderBytes
	case len(u.r.Header.Values("Authorization")) > 1:
		return &refusal{answer: answerOf(errTwoHeaders), html: true, err: fmt.Errorf("%w: Authorization", errTwoHeaders)}
	case len(u.r.Header.Values("Origin")) > 1:
		return fmt.Errorf("%w: Origin", errTwoHeaders)
	}
	return u.checkQuery()
}

// checkQuery refuses a query that cannot be read. Of one that can, it leaves a form
// that every reader takes in the same way: in the service both "&" and ";" separate
// parameters, but [net/url.URL.Query] leaves out what has a ";". The query as it was
// sent stays in RequestURI.
func (u *upgrade) checkQuery() error {
	raw := u.r.URL.RawQuery
	if _, err := query.Parse(raw); err != nil {
		return fmt.Errorf("%w: %w", errQuery, err)
	}
	if strings.Contains(raw, ";") {
		target := *u.r.URL
		target.RawQuery = strings.ReplaceAll(raw, ";", "&")
		u.r = u.r.WithContext(u.r.Context()) // a copy: the request is the server's
		u.r.URL = &target
	}
	return nil
}

// headerBytes is the size of a request's header fields on the wire, with their
// separators.
func headerBytes(r *http.Request) int {
	const separators = len(": \r\n")
	n := len("Host") + len(r.Host) + separators
	for name, values := range r.Header {
		for _, value := range values {
			n += len(name) + len(value) + separators
		}
	}
	return n
}

func (u *upgrade) checkHandshake() error {
	handshake, refused := wsconn.CheckHandshake(u.r, u.g.origins)
	if refused == nil {
		u.handshake = handshake
		return nil
	}
	row, err := errHandshake, refused.Err
	switch refused.StatusCode {
	case http.StatusForbidden:
		row, err = errOrigin, u.originError()
	case http.StatusMethodNotAllowed:
		row = errMethod
	case http.StatusUpgradeRequired:
		row = errNoUpgrade
	case http.StatusInternalServerError:
		row = errInternal
	}
	return &refusal{answer: answerOf(row), header: refused.Header, err: err}
}

// originError says which origin was refused, shortened, and how to allow it.
func (u *upgrade) originError() error {
	return fmt.Errorf("%w: %+.128q: if its pages may connect, pass WithOriginPatterns with this origin to New", errOrigin, u.r.Header.Get("Origin"))
}

// checkRequest refuses an upgrade that lacks a required request parameter, or has
// a blank one. (API Gateway: "Request validation for REST APIs": "included and not
// blank".)
func (u *upgrade) checkRequest() error {
	r := u.table.connect
	if r == nil || len(r.required) == 0 {
		return nil
	}
	in := &resolver{req: u.request(), asAuthorizer: true}
	var missing []string
	for _, source := range r.required {
		if strings.TrimSpace(source.Value(in)) == "" {
			missing = append(missing, source.Name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	text := answerOf(errMissingParam).text + ": [" + strings.Join(missing, ", ") + "]"
	return &refusal{answer: answerOf(errMissingParam).withText(text), err: fmt.Errorf("required request parameters are missing: %q", missing)}
}

// checkHijack refuses what could not become a connection before $connect runs for it.
func (u *upgrade) checkHijack() error {
	if !canHijack(u.w) {
		return errHijack
	}
	return nil
}

// canHijack reports what [http.ResponseController] will find.
func canHijack(w http.ResponseWriter) bool {
	for {
		switch wrapper := w.(type) {
		case http.Hijacker:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = wrapper.Unwrap()
		default:
			return false
		}
	}
}

// connect runs the $connect integration, if there is one.
func (u *upgrade) connect() error {
	r := u.table.connect
	if r == nil {
		return nil
	}
	out := u.g.invokeWithin(u.ctx, r, u.request(), u)
	resp := out.resp
	u.lent = out.gaveUp
	switch {
	case out.err != nil:
		u.logged = true
		return out.err
	case out.accepts():
		u.connected = true
		if resp != nil {
			u.subprotocol = u.chosenSubprotocol(resp.Header)
		}
		return nil
	case resp.StatusCode < 200 || resp.StatusCode > 599:
		return integrationError(RouteKeyConnect, errBadStatus, false)
	}
	return &refusal{answer: errorAnswer{status: resp.StatusCode}, resp: resp}
}

// accepts reports whether the outcome of a $connect integration accepts the
// connection.
func (out *invocation) accepts() bool {
	if out.err != nil || out.resp == nil {
		return out.err == nil
	}
	status := out.resp.StatusCode
	return status == 0 || status >= 200 && status <= 299
}

// cameLate is called when a $connect integration returned after it was given up. If it accepted a connection that the end of the gateway took away, it is told
// by a $disconnect. After a timeout it is not: as in the service, such a connection
// never was.
func (u *upgrade) cameLate(out invocation) {
	if out.accepts() && u.g.root.Err() != nil {
		u.disconnect(goingAway())
	}
}

// disconnect runs the $disconnect route for a connection that $connect accepted and
// that nevertheless could not begin.
func (u *upgrade) disconnect(cs cause) {
	t := u.g.routes.Load()
	if t.disconnect == nil {
		return
	}
	req := u.told()
	req.RouteKey, req.EventType, req.RequestID = RouteKeyDisconnect, EventDisconnect, connid.NewRequest()
	req.Authorizer, req.StageVariables, req.RequestTime = u.admission.authorizer, t.stageVariables, time.Now()
	req.DisconnectStatusCode, req.DisconnectReason = cs.code, cs.reason
	u.g.invokeDisconnect(&u.parent, t.disconnect, req)
}

// told returns the CONNECT request for the observers and the log, while an
// integration still has its own: without the upgrade request, which is that one's.
func (u *upgrade) told() *Request {
	req := u.request()
	req.Upgrade = nil
	return req
}

// refused returns the CONNECT request of an upgrade that was refused for err.
func (u *upgrade) refused(err error) *Request {
	req := u.request()
	if u.lent {
		req.Upgrade = nil
	}
	req.fail(err)
	return req
}

// request makes the CONNECT request, for the authorizer and the integration.
func (u *upgrade) request() *Request {
	return &Request{
		RouteKey: RouteKeyConnect, EventType: EventConnect,
		ConnectionID: u.connectionID, RequestID: u.requestID,
		Upgrade: u.r, Identity: u.identity(), Authorizer: u.admission.ofConnect(), keyUse: u.admission.keyUse,
		APIID: u.g.apiID, Stage: u.g.stage, DomainName: u.domainName(), StageVariables: u.table.stageVariables,
		ConnectedAt: u.now.Round(0), RequestTime: u.now,
	}
}

// chosenSubprotocol passes on what the $connect integration chose, however it
// spelled the header. The service does not check that the client offered it, the
// client will.
func (u *upgrade) chosenSubprotocol(header http.Header) string {
	chosen := ""
	for name, values := range header {
		if strings.EqualFold(name, "Sec-WebSocket-Protocol") && len(values) > 0 {
			chosen = values[0]
		}
	}
	if chosen == "" {
		return ""
	}
	for _, line := range u.r.Header.Values("Sec-WebSocket-Protocol") {
		for offered := range strings.SplitSeq(line, ",") {
			if strings.TrimSpace(offered) == chosen {
				return chosen
			}
		}
	}
	u.logSubprotocol()
	return chosen
}

func (u *upgrade) identity() Identity {
	return Identity{
		SourceIP: u.sourceIP, UserAgent: u.userAgent,
		Caller: u.admission.caller, APIKeyID: u.admission.keyUse.keyID(),
	}
}

func sourceIPOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

func (u *upgrade) domainName() string {
	if u.g.domainName != "" {
		return u.g.domainName
	}
	return u.host
}

// release gives back what the steps have taken, unless a connection has it now.
// Whoever saw $connect accept sees $disconnect.
func (u *upgrade) release() {
	if u.accepted {
		return
	}
	if u.connected {
		defer u.disconnect(brokenOff(nil))
	}
	if u.counted {
		u.g.sources.Remove(u.sourceIP)
	}
	u.admission.keyUse.release()
}

// refusal is why a request is refused, with its answer: what the $connect
// integration returned, or an error of our own.
type refusal struct {
	answer errorAnswer
	header http.Header // more of the answer
	resp   *Response   // of the integration
	err    error       // for the log
	html   bool        // answered by the service's front end
}

func (e *refusal) Error() string {
	if e.err == nil {
		return fmt.Sprintf("refused with status %d", e.answer.status)
	}
	return e.err.Error()
}

// Unwrap returns the reason.
func (e *refusal) Unwrap() error { return e.err }

// apigwID is the header with the request ID, in the service's spelling.
const apigwID = "x-amz-apigw-id"

// refuse answers the upgrade request, and says so to the log and the observers.
func (u *upgrade) refuse(err error) {
	answer := answerOf(err)
	own, _ := as[*refusal](err)
	header := u.w.Header()
	header.Del("Content-Type") // that of a handler in front was not of this body
	var body []byte
	switch {
	case own != nil && own.resp != nil:
		copyHeader(header, own.resp.Header)
		body, err = own.resp.Body, nil
	case own != nil && own.html:
		header.Set("Content-Type", "text/html")
		body = fmt.Appendf(nil, "<html>\r\n<head><title>%d %[2]s</title></head>\r\n<body><h1>%[1]d %[2]s</h1></body>\r\n</html>\r\n", answer.status, http.StatusText(answer.status))
	default:
		body = appendErrorJSON(nil, answer, u.connectionID, u.requestID)
	}
	if own != nil {
		for name, values := range own.header {
			header[name] = values
		}
	}
	if header.Get("Content-Type") == "" {
		header.Set("Content-Type", "application/json")
	}
	header[apigwID] = []string{u.requestID}
	u.w.WriteHeader(answer.status)
	_, _ = u.w.Write(body)
	told := false
	defer func() {
		if !told { // an observer ends this goroutine, and with it the server's part
			_ = http.NewResponseController(u.w).Flush()
		}
	}()
	if err != nil {
		u.logRefused(answer, err)
	}
	if u.g.observers.any() {
		u.g.observers.upgradeRejected(u.ctx, u.refused(err), answer.status, err)
	}
	told = true
}

// copyHeader adds the headers that an integration returned, but for those that it may not
// set.
func copyHeader(dst, src http.Header) {
	for name, values := range src {
		if !forward.HopByHop(name) && !forward.NamedInConnection(src, name) && !strings.EqualFold(name, apigwID) {
			dst[http.CanonicalHeaderKey(name)] = values
		}
	}
}

// accept takes the socket over and starts the connection. The connection can be
// posted to before the client has its 101: a post that comes so early waits in the
// outbox.
func (g *Gateway) accept(u *upgrade) {
	ws, err := u.handshake.Hijack(u.w, &g.frameLimits)
	if err != nil {
		u.refuse(fmt.Errorf("taking the socket over: %w", err))
		return
	}
	c := u.newConnection(ws)
	notPolled := ws.Poll(&g.sockets, c.ready, c.hungUp)
	if !g.connections.Add(c.id, c) { // the ID is taken: 56 random bits, so not in our lifetime
		ws.Close()
		return
	}
	u.accepted = true
	g.running.Add(1)   // until the connection's teardown ends; this upgrade still counts
	defer c.welcome(u) // in a defer: an observer may end this goroutine
	g.observers.connectionOpened(&c.ctx, c.snapshot())
	c.logOpened(notPolled == nil)
}

// newConnection returns the connection that the upgrade has become.
func (u *upgrade) newConnection(ws *wsconn.Conn) *connection {
	c := &connection{
		g: u.g, id: u.connectionID, tail: connid.TailOf(u.connectionID), ws: ws, ctx: u.parent,
		identity: u.identity(), authorizer: u.admission.authorizer, keyUse: u.admission.keyUse,
		domainName: u.domainName(), connectedAt: u.now.UnixNano(), connected: u.g.clock.At(u.now),
	}
	c.out.Open((*clientWriter)(c))
	c.lastActive.Advance(c.connected)
	c.lastHeard.Advance(c.connected)
	return c
}

// welcome answers the upgrade and begins the connection's life.
func (c *connection) welcome(u *upgrade) {
	if c.g.root.Err() != nil { // the gateway was cut, maybe before it knew of the connection
		c.cut(goingAway())
	}
	c.start(c.ws.WriteHandshake(u.handshake, u.w.Header(), u.subprotocol, c.g.quotas.WriteTimeout))
	if c.g.draining() {
		c.end(goingAway())
	}
}
