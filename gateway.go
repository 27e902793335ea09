// Package gateway is an embeddable Go equivalent of Amazon API Gateway WebSocket
// APIs. It keeps client connections, picks a route for each text message with a
// route selection expression, invokes an integration, and lets any code, or any
// AWS SDK, write back by connection ID.
//
//	gw, err := gateway.New(gateway.WithStage("prod", nil))
//	if err != nil {
//		log.Fatal(err)
//	}
//	gw.HandleFunc("sendmessage", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
//		for c := range gw.Connections() {
//			_ = gw.PostToConnection(ctx, c.ID, req.Body) // gateway.ErrGone: it has left
//		}
//		return nil, nil
//	})
//	gw.HandleFunc(gateway.RouteKeyDefault, func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
//		return &gateway.Response{Body: []byte("unknown action")}, nil
//	}, gateway.WithRouteResponse())
//	mux := http.NewServeMux()
//	mux.Handle("/prod", gw.Handler())                         // ws://host/prod
//	mux.Handle("/prod/@connections/", gw.ManagementHandler()) // closed until WithManagementAuth opens it
//
// # Life of a connection
//
// The $connect route runs before the upgrade is answered; only if it accepts
// does the client get its 101 and the connection its place among those that can
// be posted to. Each text message is JSON or not: the route selection expression
// picks the route of one that is, $default takes all others. The messages of one
// connection run in order, one at a time unless Quotas.InFlight says otherwise.
// When the connection has closed, for whatever reason, $disconnect runs once, as
// the last event, with the close code and reason.
//
// One Gateway is one API on one stage. Several APIs or stages are several
// Gateways on one mux.
package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"example.com/gateway/internal/connid"
	"example.com/gateway/internal/registry"
	"example.com/gateway/internal/wsconn"
)

// Gateway is one WebSocket API on one stage. It is made by [New]; all its methods
// are safe for concurrent use. It starts no goroutine before the first
// connection; [Gateway.Shutdown] or [Gateway.Close] ends those of the
// connections.
type Gateway struct {
	*config

	tag         uint32 // of this node, in every connection ID
	newConns    *rate.Limiter
	connections *registry.Map[*connection]
	routes      atomic.Pointer[routeTable]
	deploying   sync.Mutex // serialises writers of routes

	root   context.Context //nolint:containedctx // parent of every integration's context, ended by cut
	cutOff context.CancelFunc

	running sync.WaitGroup // upgrades, connections, and the goroutines of both
	mu      sync.Mutex     // guards the field below, and joining the running ones by it
	stopped chan struct{}  // made by the first Shutdown or Close; closed when nothing runs
}

// New returns a Gateway without routes. An error wraps [ErrInvalidOption] and
// says what to change.
func New(opts ...Option) (*Gateway, error) {
	c, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	table, err := newRouteTable(c.selection, c.stageVariables)
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		config:      c,
		tag:         connid.NewTag(),
		connections: registry.New[*connection](),
	}
	if t := c.quotas.NewConnections; t.RateLimit > 0 && t.BurstLimit > 0 {
		g.newConns = rate.NewLimiter(rate.Limit(t.RateLimit), t.BurstLimit)
	}
	g.routes.Store(table)
	g.root, g.cutOff = context.WithCancel(context.Background()) //nolint:forbidigo // the one root
	return g, nil
}

// Handler returns the handler of WebSocket upgrades. It serves whatever path it
// is mounted at, over HTTP/1.1 with or without TLS; requests that are no upgrade
// get 426. Its answers to refused upgrades are those of the service: JSON with
// message, connectionId and requestId, and the header x-amz-apigw-id.
func (g *Gateway) Handler() http.Handler { return http.HandlerFunc(g.serveUpgrade) }

// retryAfter is the Retry-After of upgrades refused during a shutdown, in
// seconds: time for a load balancer to look elsewhere.
const retryAfter = "1"

func (g *Gateway) serveUpgrade(w http.ResponseWriter, r *http.Request) {
	u := &upgrade{
		g: g, w: w, r: r,
		connectionID: connid.New(g.tag),
		requestID:    connid.NewRequest(),
		ctx:          newConnectionContext(g.root, r.Context()),
	}
	if !g.join() {
		w.Header().Set("Retry-After", retryAfter)
		u.refuse(http.StatusServiceUnavailable, ErrClosed)
		return
	}
	defer g.running.Done()
	handshake, refusal := wsconn.CheckHandshake(r, g.originPatterns)
	if refusal != nil {
		maps.Copy(w.Header(), refusal.Header)
		u.refuse(refusal.StatusCode, refusal.Err)
		return
	}
	if g.newConns != nil && !g.newConns.Allow() {
		u.refuse(http.StatusTooManyRequests, errTooMany)
		return
	}
	now := time.Now()
	subprotocol, ok := u.connect(now)
	if !ok {
		return
	}
	g.accept(u, handshake, subprotocol, now) //nolint:contextcheck // a connection outlives its request
}

// upgrade is an upgrade request under way.
type upgrade struct {
	g            *Gateway
	w            http.ResponseWriter
	r            *http.Request
	ctx          context.Context //nolint:containedctx // becomes the connection's
	connectionID string
	requestID    string
}

// connect runs the $connect route, if there is one. Unless it is ok, the request
// has been answered.
func (u *upgrade) connect(now time.Time) (subprotocol string, ok bool) {
	t := u.g.routes.Load()
	if t.connect == nil {
		return "", true
	}
	req := &Request{
		RouteKey: RouteKeyConnect, EventType: EventConnect,
		ConnectionID: u.connectionID, RequestID: u.requestID,
		Upgrade: u.r, Identity: u.identity(),
		APIID: u.g.apiID, Stage: u.g.stage, DomainName: u.domainName(), StageVariables: t.stageVariables,
		ConnectedAt: now, RequestTime: now,
	}
	out := u.g.invokeWithin(u.ctx, t.connect, req)
	if out.err != nil {
		u.refuse(wireErrorOf(out.err).status, out.err)
		return "", false
	}
	resp := out.resp
	switch {
	case resp == nil:
		return "", true
	case resp.StatusCode == 0 || resp.StatusCode >= 200 && resp.StatusCode <= 299:
		return u.subprotocol(resp.Header), true
	case resp.StatusCode < 200 || resp.StatusCode > 599:
		u.refuse(http.StatusBadGateway, integrationError(RouteKeyConnect, errBadStatus, false))
	default:
		u.refuseWith(resp)
	}
	return "", false
}

// subprotocol passes on what the $connect integration chose, however it spelled
// the header. The service does not check that the client offered it, the client
// will.
func (u *upgrade) subprotocol(header http.Header) string {
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
	u.g.log.Warn("$connect returned a subprotocol that the client did not offer", "connection_id", u.connectionID)
	return chosen
}

func (u *upgrade) identity() Identity {
	host, _, err := net.SplitHostPort(u.r.RemoteAddr)
	if err != nil {
		host = u.r.RemoteAddr
	}
	return Identity{SourceIP: host, UserAgent: u.r.UserAgent()}
}

func (u *upgrade) domainName() string {
	if u.g.domainName != "" {
		return u.g.domainName
	}
	return u.r.Host
}

// refuse answers with an error of our own.
func (u *upgrade) refuse(status int, err error) {
	text := wireErrorOf(err).text
	if text == "" || status != wireErrorOf(err).status {
		text = http.StatusText(status)
	}
	u.write(status, appendErrorJSON(nil, text, u.connectionID, u.requestID), err)
}

// refuseWith answers with what the $connect integration returned.
func (u *upgrade) refuseWith(resp *Response) {
	header := u.w.Header()
	for name, values := range resp.Header {
		if !hopByHop(name) && !strings.EqualFold(name, apigwID) {
			header[http.CanonicalHeaderKey(name)] = values
		}
	}
	u.write(resp.StatusCode, resp.Body, nil)
}

// apigwID is the header with the request ID, in the service's spelling.
const apigwID = "x-amz-apigw-id"

func (u *upgrade) write(status int, body []byte, err error) {
	header := u.w.Header()
	if header.Get("Content-Type") == "" {
		header.Set("Content-Type", "application/json")
	}
	header[apigwID] = []string{u.requestID}
	u.w.WriteHeader(status)
	_, _ = u.w.Write(body)
	if err != nil {
		u.g.log.LogAttrs(u.ctx, slog.LevelWarn, "upgrade refused",
			slog.String("connection_id", u.connectionID), slog.String("request_id", u.requestID),
			slog.Int("status", status), slog.Any("error", err))
	}
	u.g.observers.upgradeRejected(u.ctx, status, err)
}

// hopByHop says whether a header of an integration's response is about its own
// connection, or one that the server writes itself.
func hopByHop(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length":
		return true
	}
	return false
}

// accept takes the socket over and starts the connection. The connection can be
// posted to before the client has its 101: a post that comes so early waits in
// the send queue.
func (g *Gateway) accept(u *upgrade, handshake *wsconn.Handshake, subprotocol string, now time.Time) {
	ws, err := handshake.Hijack(u.w, wsconn.Limits{FrameBytes: g.quotas.FrameBytes, MessageBytes: g.quotas.MessageBytes})
	if err != nil {
		u.refuse(http.StatusInternalServerError, fmt.Errorf("taking the socket over: %w", err))
		return
	}
	c := newConnection(u, ws, now)
	if !g.connections.Add(c.id, c) { // the ID is taken: 56 random bits, so not in our lifetime
		ws.Close()
		return
	}
	g.running.Add(1) // until the connection's teardown ends; this upgrade still counts
	g.observers.connectionOpened(c.ctx, c.snapshot())
	g.log.Debug("connection opened", "connection_id", c.id)
	err = ws.WriteHandshake(handshake, u.w.Header(), subprotocol, g.quotas.WriteTimeout)
	c.start(err)
	if g.draining() {
		c.end(goingAway())
	}
}

// join counts one more running thing, unless the gateway shuts down. Whatever
// joined can start others.
func (g *Gateway) join() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped != nil {
		return false
	}
	g.running.Add(1)
	return true
}

func (g *Gateway) draining() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stopped != nil
}

const (
	// closersAtOnce is how many connections a shutdown closes at a time, so that
	// neither the backend nor the place where the clients reconnect meets all of
	// them in one moment.
	closersAtOnce = 128
	// cutGrace is how long cut connections have for their $disconnect.
	cutGrace = time.Second
)

// Shutdown ends the gateway as a deploy wants it: upgrades are refused with 503
// and Retry-After, every connection is closed with 1001, up to 128 at a time,
// after what was queued for it has been sent; messages that were received are
// still processed; every $disconnect runs. Then it returns nil.
//
// When ctx ends first, the remaining connections are cut: contexts of
// integrations end, sockets close, $disconnect gets one second. The error then
// wraps that of ctx and says how many were cut. Shutdown may be called again and
// at the same time; each call waits.
func (g *Gateway) Shutdown(ctx context.Context) error {
	stopped := g.stop() //nolint:contextcheck // ctx bounds the wait, not each $disconnect
	select {
	case <-stopped:
		return nil
	case <-ctx.Done():
	}
	n := g.cut()
	grace := time.NewTimer(cutGrace)
	defer grace.Stop()
	select {
	case <-stopped:
	case <-grace.C:
	}
	return fmt.Errorf("gateway: shutdown cut %d connections: %w", n, ctx.Err())
}

// Close ends the gateway at once, as an expired [Gateway.Shutdown] does. The
// clients see their connections break off. It waits for $disconnect up to one
// second and returns an error when something still runs after that.
func (g *Gateway) Close() error {
	stopped := g.stop()
	g.cut()
	grace := time.NewTimer(cutGrace)
	defer grace.Stop()
	select {
	case <-stopped:
		return nil
	case <-grace.C:
		return fmt.Errorf("gateway: close: integrations still run after %v", cutGrace)
	}
}

// stop begins a shutdown, unless one has begun, and returns what is closed at
// its end.
func (g *Gateway) stop() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped == nil {
		g.log.Info("shutting down", "stage", g.stage, "connections", g.connections.Len())
		stopped := make(chan struct{})
		g.stopped = stopped
		g.running.Add(1)
		go func() { // ends with its loop; waited for by the next one
			defer g.running.Done()
			g.closeAll()
		}()
		go func() { // ends when all else has; Shutdown and Close wait for it
			g.running.Wait()
			g.cutOff()
			close(stopped)
		}()
	}
	return g.stopped
}

func (g *Gateway) closeAll() {
	slots := make(chan struct{}, closersAtOnce)
	for c := range g.connections.All() {
		select {
		case slots <- struct{}{}:
		case <-g.root.Done():
			return
		}
		done := c.end(goingAway())
		g.running.Go(func() {
			<-done
			<-slots
		})
	}
}

// cut ends everything that still runs, as far as we can, and returns the number
// of connections it cut.
func (g *Gateway) cut() int {
	g.cutOff()
	n := 0
	for c := range g.connections.All() {
		c.cut(goingAway())
		n++
	}
	return n
}
