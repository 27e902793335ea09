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
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"example.com/gateway/internal/clock"
	"example.com/gateway/internal/connid"
	"example.com/gateway/internal/endpoint"
	"example.com/gateway/internal/limit"
	"example.com/gateway/internal/outbox"
	"example.com/gateway/internal/poll"
	"example.com/gateway/internal/registry"
	"example.com/gateway/internal/watch"
	"example.com/gateway/internal/wsconn"
)

// Gateway is one WebSocket API on one stage. It is made by [New]; all its methods
// are safe for concurrent use. It starts no goroutine before the first
// connection; [Gateway.Shutdown] or [Gateway.Close] ends them all.
type Gateway struct {
	*config

	clock       clock.Clock // measures how long something took or waits
	tag         uint32      // of this node, in every connection ID
	throttles   throttles
	keyUses     keyUses
	sources     *limit.Sources
	watch       *watch.Watch
	frameLimits wsconn.Limits // of every connection
	sendLimits  outbox.Limits // likewise
	sockets     poll.Pool     // of the connections that can be polled
	connections *registry.Map[*connection]
	routes      atomic.Pointer[routeTable]
	deploying   sync.Mutex // serialises writers of routes

	root           context.Context //nolint:containedctx // parent of the integrations' contexts, ended by cut
	cutOff         context.CancelFunc
	disconnects    context.Context //nolint:containedctx // parent of those of $disconnect, which end later
	endDisconnects context.CancelFunc

	endpoints endpoint.Client // calls the backends of all integrations

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
	g := &Gateway{
		config:      c,
		clock:       clock.New(),
		tag:         connid.NewTag(),
		connections: registry.New[*connection](),
		sources:     limit.NewSources(c.quotas.Connections, c.quotas.ConnectionsPerSourceIP),
		frameLimits: wsconn.Limits{FrameBytes: c.quotas.FrameBytes, MessageBytes: c.quotas.MessageBytes},
		sendLimits:  outbox.Limits{Bytes: c.quotas.SendBufferBytes, Messages: c.quotas.SendBufferMessages},
	}
	g.watch = watch.New(g.clock)
	table, err := g.newRouteTable(Deployment{
		RouteSelectionExpression: c.selection, APIKeySelectionExpression: c.apiKeySelection,
		StageVariables: c.stageVariables, DefaultThrottle: c.defaultThrottle,
	})
	if err != nil {
		return nil, err
	}
	g.throttles.newConnections = limit.NewBucket(c.quotas.NewConnections.rate())
	g.throttles.warnings, g.throttles.failures = limit.NewBucket(warnings()), limit.NewBucket(failures())
	if c.account != nil {
		g.throttles.account = c.account.bucket
	}
	g.routes.Store(table)
	root := endpoint.NewContext(context.Background(), &g.endpoints) //nolint:forbidigo // the one root
	g.root, g.cutOff = context.WithCancel(root)
	g.disconnects, g.endDisconnects = context.WithCancel(root)
	return g, nil
}

// Handler returns the handler of WebSocket upgrades. It serves whatever path it
// is mounted at, over HTTP/1.1 with or without TLS; requests that are no upgrade
// get 426. Its answers to refused upgrades are those of the service: JSON with
// message, connectionId and requestId, and the header x-amz-apigw-id.
//
// An accepted upgrade is taken over from the server. On Linux the [net.Conn] that an
// [http.Server.ConnContext] may have seen is closed then; its socket lives on.
func (g *Gateway) Handler() http.Handler { return http.HandlerFunc(g.serveUpgrade) }

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
	// cutGrace is how long Close waits for the $disconnects of connections that were
	// cut.
	cutGrace = time.Second
	// disconnectGrace is how long such a $disconnect has: a little less, so that one
	// that returns when its context ends is in time.
	disconnectGrace = cutGrace - cutGrace/10
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
// second, and returns an error when something still runs after that.
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
		stopped := make(chan struct{})
		g.stopped = stopped
		g.running.Add(1)
		go func() { // ends with its loop; waited for by the next one
			defer g.running.Done()
			defer g.closeAll() // in a defer: the log handler may end this goroutine
			g.log.Info("shutting down", "stage", g.stage, "connections", g.connections.Len())
		}()
		go func() { // ends when all else has; Shutdown and Close wait for it
			g.running.Wait()
			g.cutOff()
			g.endDisconnects()
			g.sockets.Close()
			g.endpoints.Close()
			g.watch.Close()
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
	time.AfterFunc(disconnectGrace, g.endDisconnects)
	n := 0
	for c := range g.connections.All() {
		c.cut(goingAway())
		n++
	}
	return n
}
