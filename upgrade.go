package gateway

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"example.com/gateway/internal/command"
	"example.com/gateway/internal/connid"
	"example.com/gateway/internal/domain"
	"example.com/gateway/internal/forward"
	"example.com/gateway/internal/query"
	"example.com/gateway/internal/tap"
	"example.com/gateway/internal/wsconn"
)

// This file takes one upgrade request through its steps, from top to bottom: upgradeSteps,
// then accept, or refuse.

// Handler returns the handler of WebSocket upgrades. It serves any path that it is
// mounted at, over HTTP/1.1, with or without TLS. A request that is not an upgrade gets
// 426. A refused upgrade gets the answer of the service: JSON with message, connectionId
// and requestId, and the header x-amz-apigw-id.
//
// The handler takes the connection of an accepted upgrade over from the server, so each
// middleware around it has to keep [http.Hijacker] reachable: its ResponseWriter needs a
// method Unwrap. [http.TimeoutHandler] has none; mount the handler outside of it. On
// Linux the [net.Conn] that an [http.Server.ConnContext] has seen is closed at that
// moment, but its socket stays open. The timeouts of the [http.Server], such as
// ReadTimeout and WriteTimeout, have no effect after the upgrade: [Quotas] has those of a
// connection.
func (g *Gateway) Handler() http.Handler { return http.HandlerFunc(g.serveUpgrade) }

// upgradeSteps returns the steps of an upgrade request, in order, before it becomes a
// connection. The first error refuses the upgrade.
//
// No document tells the order of the service. This one agrees with everything that is
// known: the authorizer comes before the usage plan, because it may return the API key;
// the integration comes last, so that a refused upgrade costs none.
func upgradeSteps() [11]func(*upgrade) error {
	return [...]func(*upgrade) error{
		(*upgrade).findClient,      // address and host of the client behind trusted proxies: 400
		(*upgrade).checkFrontEnd,   // size of the URL and of the headers, duplicate headers: 414, 431, 400
		(*upgrade).checkHandshake,  // RFC 6455, origin: 426, 405, 400, 403
		(*upgrade).countConnection, // new connections a second, open connections in all and of the source: 429
		(*upgrade).authorize,       // $connect's Authorizer: 401, 403
		(*upgrade).checkAPIKey,     // API key: 403
		(*upgrade).throttle,        // usage plan, route or stage, account: 429
		(*upgrade).countRequest,    // quota of the usage plan, after the throttles, so that only admitted requests count: 429
		(*upgrade).checkRequest,    // required request parameters: 400
		(*upgrade).checkHijack,     // whether the connection can be taken over from the server: 500
		(*upgrade).connect,         // $connect's integration
	}
}

// retryAfter is the Retry-After of upgrades that are refused with ErrClosed, in seconds. By
// then a load balancer should send the client to another node.
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
		sourceIP:     sourceIPOf(r), userAgent: r.UserAgent(), host: cmp.Or(domain.Name(r.Context()), r.Host),
	}
	u.ctx = &u.parent
	if !g.join() {
		u.refuse(ErrClosed)
		return
	}
	defer g.running.Done()
	defer u.release() //nolint:contextcheck // a $disconnect outlives its request
	for _, step := range upgradeSteps() {
		err := step(u)
		if u.g.root.Err() != nil { // the gateway has been cut, whatever error a callback made of that
			err = ErrClosed
		}
		if err != nil {
			u.refuse(err)
			return
		}
	}
	g.accept(u) //nolint:contextcheck // a connection outlives its request
}

// findClient finds out who the client is, if a trusted proxy has passed the request on.
func (u *upgrade) findClient() error {
	if u.g.proxies == nil {
		return nil
	}
	r, err := u.g.proxies.Request(u.r)
	if err != nil {
		return fmt.Errorf("%w: %w", errProxies, err)
	}
	u.r, u.sourceIP, u.host = r, sourceIPOf(r), cmp.Or(domain.Name(r.Context()), r.Host)
	return nil
}

func sourceIPOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// checkFrontEnd checks what the service's front end checks: the sizes of the URL and of the
// headers, and that headers with a single meaning are not repeated.
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

// checkQuery refuses a query that is malformed. In any other query it replaces each ";" by
// "&", so that every reader finds the same parameters: for the service both separate
// parameters, but [net/url.URL.Query] drops a parameter that has a ";". The query as the
// client sent it stays in RequestURI.
func (u *upgrade) checkQuery() error {
	raw := u.r.URL.RawQuery
	if _, err := query.Parse(raw); err != nil {
		return fmt.Errorf("%w: %w", errQuery, err)
	}
	if strings.Contains(raw, ";") {
		target := *u.r.URL
		target.RawQuery = strings.ReplaceAll(raw, ";", "&")
		u.r = u.r.WithContext(u.r.Context()) // a copy, because the request belongs to the server
		u.r.URL = &target
	}
	return nil
}

// headerBytes returns the size of the header fields of a request on the wire, with their
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

// checkHandshake checks the request by RFC 6455, and its origin.
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

// originError says which origin is refused, shortened, and how to allow it.
func (u *upgrade) originError() error {
	return fmt.Errorf("%w: %+.128q: if its pages may connect, pass WithOriginPatterns with this origin to New", errOrigin, u.r.Header.Get("Origin"))
}

// checkHijack refuses an upgrade that cannot become a connection, before $connect runs.
func (u *upgrade) checkHijack() error {
	if !canHijack(u.w) {
		return errHijack
	}
	return nil
}

// canHijack reports whether [http.ResponseController.Hijack] will find a Hijacker.
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
	req, start := u.request(), time.Now()
	u.connectCall = req.ownRecord()
	out := u.g.invokeWithin(u.ctx, r, req, u)
	resp := out.resp
	if u.lent = out.gaveUp; u.lent { // the integration may be changing req
		u.connectCall = new(record)
		u.connectCall.settle(out, time.Since(start))
	}
	switch {
	case out.err != nil:
		u.logged = true
		return out.err
	case out.accepts():
		u.connected = true
		if resp != nil {
			u.subprotocol = u.chosenSubprotocol(resp.Header)
		}
		u.commands = out.commands
		if u.commands != nil && len(u.commands.Post) > 0 {
			u.greeting = u.g.toSend(out.resp)
		} else {
			u.bodyDropped = len(out.body()) > 0
		}
		return nil
	case resp.StatusCode < 200 || resp.StatusCode > 599:
		return integrationError(RouteKeyConnect, errBadStatus, false)
	}
	return &refusal{answer: errorAnswer{status: resp.StatusCode}, resp: resp}
}

// chosenSubprotocol returns the subprotocol that the $connect integration chose in its
// header, whatever the case of the header's name. As in the service, it need not be one
// that the client offered; but the client will refuse any other, so that is logged.
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

// accept takes the socket over and starts the connection. A post may come before the
// client has its 101: it waits in the outbox.
func (g *Gateway) accept(u *upgrade) {
	ws, err := u.handshake.Hijack(u.w, u.frameLimits())
	if err != nil {
		u.refuse(&classified{errInternal, fmt.Errorf("taking the socket over: %w", err)})
		return
	}
	c := u.newConnection(ws)
	_ = ws.Poll(&g.sockets, c.ready, c.hungUp) // if it cannot be polled, it has a reader all the time
	asked := u.commands
	if asked != nil && asked.Close != nil {
		u.closing = c.closeBefore(u, asked)
	}
	if !g.connections.Add(c.id, c) { // the ID is in use: with 56 random bits this does not happen
		ws.Close()
		return
	}
	if u.closing == nil {
		g.open.Add(1)
	}
	c.enroll()
	u.accepted = true
	g.running.Add(1)   // until the teardown of the connection ends; running cannot be zero here: serveUpgrade is still counted
	defer c.welcome(u) // in a defer: an observer may end this goroutine
	switch {
	case u.closing != nil:
		g.running.Go(func() { c.teardown(u.closing) })
	case asked != nil:
		c.change(asked)
	}
	if asked != nil {
		defer c.greet(u, asked) // in a defer, for the same reason
	}
	g.observers.connectionOpened(&c.ctx, c.snapshot())
	c.logOpened()
	if u.bodyDropped {
		g.logBodyDropped(&c.ctx, u.table.connect)
	}
}

// frameLimits returns what the client may send, and chooses the client's offer of
// compression, if the gateway compresses.
func (u *upgrade) frameLimits() *wsconn.Limits {
	if u.g.windows != nil {
		if bits, ok := u.handshake.Deflate(u.r); ok {
			return &u.g.windows[bits]
		}
	}
	return &u.g.frameLimits
}

// newConnection returns the connection that the upgrade becomes.
func (u *upgrade) newConnection(ws *wsconn.Conn) *connection {
	c := &connection{
		g: u.g, id: u.connectionID, tail: connid.TailOf(u.connectionID), ws: ws, ctx: u.parent,
		sourceIP: u.sourceIP, userAgent: u.userAgent, caller: u.admission.caller, authorizer: u.admission.authorizer, keyUse: u.admission.keyUse,
		domainName: u.domainName(), connectedAt: u.now.UnixNano(), connected: u.g.clock.At(u.now),
	}
	c.out.Open((*clientWriter)(c))
	c.lastActive.Advance(c.connected)
	c.lastHeard.Advance(c.connected)
	return c
}

// closeBefore begins the end of a connection that the answer of $connect closes, before
// anybody can find the connection: so it is in no audience, and no message of it is served.
// What the answer posts comes first. What the client itself gets waits in the outbox for the
// 101.
func (c *connection) closeBefore(u *upgrade, asked *command.Commands) *closing {
	c.change(asked)
	u.greeted = c.g.sendAnswer(&c.ctx, u.connectEvent(), asked, u.greeting, c)
	cl := c.begin(cause{code: asked.Close.Code, reason: asked.Close.Reason})
	c.g.open.Add(1) // begin has taken it off, but nobody has counted it
	return cl
}

// greet posts the body of the answer of $connect, if its commands say who gets it. What the
// client itself gets waits in the outbox for the 101.
func (c *connection) greet(u *upgrade, asked *command.Commands) {
	e := u.connectEvent()
	if u.closing == nil { // otherwise it is posted already
		u.greeted = c.g.sendAnswer(&c.ctx, e, asked, u.greeting, nil)
	}
	c.g.tellAnswer(&c.ctx, e, &u.greeted)
}

func (u *upgrade) connectEvent() *commandedEvent {
	return &commandedEvent{eventType: EventConnect, routeKey: RouteKeyConnect, connectionID: u.connectionID, requestID: u.requestID}
}

// welcome writes the 101 and opens the connection.
func (c *connection) welcome(u *upgrade) {
	if c.g.root.Err() != nil { // the gateway was cut, perhaps before it knew of the connection
		c.cut(goingAway(byShutdown))
	}
	c.start(c.ws.WriteHandshake(u.handshake, u.w.Header(), u.subprotocol, c.g.quotas.WriteTimeout))
	if c.g.draining() {
		c.end(goingAway(byShutdown))
	}
}

// start opens the connection after its 101 has been written. handshake is the error of
// writing it.
func (c *connection) start(handshake error) {
	if handshake != nil {
		c.end(writeFailed(handshake))
	}
	c.out.Release()
	now := c.g.clock.Now()
	c.opened.Advance(now)
	c.lastHeard.Advance(now)
	c.mu.Lock()
	if c.moveLocked(stateOpen) {
		c.setTimerLocked(now)
	}
	c.mu.Unlock()
	if !c.ws.Park() {
		c.g.running.Go(c.read)
	}
}

// apigwID is the header with the request ID, spelled as the service spells it.
const apigwID = "x-amz-apigw-id"

// refuse answers the upgrade request with an error, and tells the log and the observers.
func (u *upgrade) refuse(err error) {
	answer := answerOf(err)
	own, _ := as[*refusal](err)
	u.writeRefusal(answer, own)
	if own != nil && own.resp != nil { // the $connect integration has chosen the answer
		err = nil
	}
	u.tellRefused(answer, err)
}

// writeRefusal writes an answer. own is the refusal that it comes from, if there is one.
func (u *upgrade) writeRefusal(answer errorAnswer, own *refusal) {
	header := u.w.Header()
	header.Del("Content-Type") // a handler around this one may have set it for another body
	var body []byte
	switch {
	case own != nil && own.resp != nil:
		u.g.copyHeader(header, own.resp.Header)
		body = own.resp.Body
	case own != nil && own.html:
		header.Set("Content-Type", "text/html")
		body = fmt.Appendf(nil, "<html>\r\n<head><title>%d %[2]s</title></head>\r\n<body><h1>%[1]d %[2]s</h1></body>\r\n</html>\r\n", answer.status, http.StatusText(answer.status))
	default:
		body = appendErrorJSON(nil, answer, nil, u.connectionID, u.requestID)
	}
	if own != nil {
		for name, values := range own.header {
			header[name] = values
		}
	}
	if answer == answerOf(ErrClosed) {
		header.Set("Retry-After", retryAfter)
	}
	if header.Get("Content-Type") == "" {
		header.Set("Content-Type", "application/json")
	}
	header[apigwID] = []string{u.requestID}
	u.w.WriteHeader(answer.status)
	_, _ = u.w.Write(body)
}

// tellRefused tells the log and the observers of an upgrade that was refused with answer.
// err is nil if the $connect integration has chosen the answer.
func (u *upgrade) tellRefused(answer errorAnswer, err error) {
	returned := false
	defer func() {
		if !returned { // the log handler or an observer ends this goroutine, so the server will not send the answer
			_ = http.NewResponseController(u.w).Flush()
		}
	}()
	u.logAndObserveRefused(answer, err)
	returned = true
}

func (u *upgrade) logAndObserveRefused(answer errorAnswer, err error) {
	if u.g.observers.any() { // in a defer: the log handler may end this goroutine
		defer u.g.observers.upgradeRejected(u.ctx, u.refused(answer, err), answer.status, err)
	}
	if err != nil {
		u.logRejected(answer, err)
	}
}

// copyHeader adds the headers that an integration returned, but for those that it may not
// set.
func (g *Gateway) copyHeader(dst, src http.Header) {
	for name, values := range src {
		if g.answerCommands && command.Named(name) {
			continue
		}
		if !forward.HopByHop(name) && !forward.NamedInConnection(src, name) && !strings.EqualFold(name, apigwID) {
			dst[http.CanonicalHeaderKey(name)] = values
		}
	}
}

// release releases what the steps have taken, unless the upgrade has become a connection.
// If $connect has accepted, $disconnect runs.
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

// returnedLate is called if a $connect integration returned after it was given up. If it
// accepted the connection, but the gateway was closed meanwhile, $disconnect runs. After a
// timeout it does not run: as in the service, there never was a connection.
func (u *upgrade) returnedLate(out invocation) {
	if out.accepts() && u.g.root.Err() != nil {
		u.disconnect(goingAway(byShutdown))
	}
}

// disconnect runs $disconnect for a connection that $connect has accepted but that could
// not begin.
func (u *upgrade) disconnect(cs cause) {
	t := u.g.routes.Load()
	if t.disconnect == nil {
		return
	}
	req := u.disconnectRequest(t, cs.code, cs.reason)
	u.g.invokeDisconnect(&u.parent, t.disconnect, req)
}

// tapped is the Gateway as package gatewaytest sees it: a [tap.Gateway].
type tapped struct{ *Gateway }

func (t tapped) Observe(o *Observer) { t.observers.add(*o) }

func (t tapped) HasDisconnect() bool { return t.routes.Load().disconnect != nil }

func (t tapped) Made() time.Time { return t.clock.Start() }

func (t tapped) Dropped(connectionID string) {
	if c, ok := t.connections.Get(connectionID); ok {
		c.end(brokenOff(errDropped))
	}
}
