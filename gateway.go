// Package gateway is an embeddable Go equivalent of Amazon API Gateway WebSocket
// APIs. It keeps the connections of clients, selects a route for each text message,
// invokes the integration of that route, and lets any code, or any AWS SDK, post to a
// connection by its ID.
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
// The integration of $connect runs before the upgrade is answered. If it accepts, the
// connection opens: the client gets its 101, and others can post to the connection. For
// each text message that is JSON, the route selection expression picks the route; all
// other messages go to $default. The messages of one connection are served in order, one
// at a time, unless Quotas.InFlight allows more. After the connection has closed, for
// whatever reason, $disconnect runs once, with the close code and the reason. It is the
// last event of the connection.
//
// One Gateway is one API on one stage. For several APIs or stages, mount several Gateways
// on one mux.
//
// # Where to find what
//
//   - Serve: [New], [Gateway.Handler], [Gateway.Shutdown], [Gateway.Close].
//   - Routes: [Gateway.Handle], [Gateway.HandleFunc], [Route], [RouteOption],
//     [Gateway.Deploy], [Deployment].
//   - Integrations: [Integration], [IntegrationFunc], [Request], [Response], [Middleware],
//     [MockIntegration], [HTTPIntegration], [CustomIntegration] with [Transform]; package
//     lambda.
//   - Connections: [ConnectionsAPI], [Gateway.PostToConnection],
//     [Gateway.PostToConnections], [Gateway.Connections], [Connection].
//   - The @connections API over HTTP: [Gateway.ManagementHandler], [ManagementAuth]; packages
//     sigv4 and iam.
//   - Who may connect: [Authorizer], [RequestAuthorizer], [WithOriginPatterns]; packages iam,
//     lambda and jwtauthorizer.
//   - Limits: [Quotas], [Throttle], [AccountThrottle], [UsageStore]; package usageplan.
//   - Checks of requests: [Model], [WithRequestParameters]; package models.
//   - Logs and metrics: [WithLogger], [Observer].
//   - Errors: [ErrGone] and the other variables, [IntegrationError], [ValidationError],
//     [PublicError].
//   - Tests of your own: package gatewaytest.
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

// Gateway is one WebSocket API on one stage. Make it with [New]. All its methods are safe
// for concurrent use. It starts no goroutine before the first upgrade;
// [Gateway.Shutdown] and [Gateway.Close] end all of its goroutines.
type Gateway struct {
	*config

	clock       clock.Clock // measures how long something took or waits
	tag         uint32      // names this node in every connection ID
	throttles   throttles
	keyUses     keyUses
	sources     *limit.Sources
	watch       *watch.Watch
	frameLimits wsconn.Limits // of what each client may send
	sendLimits  outbox.Limits // of what may wait for each client
	sockets     poll.Pool     // waits for the connections that can be polled
	connections *registry.Map[*connection]
	routes      atomic.Pointer[routeTable]
	deploying   sync.Mutex // held by whoever replaces routes

	root           context.Context //nolint:containedctx // parent of the contexts of integrations; cut ends it
	cutOff         context.CancelFunc
	disconnects    context.Context //nolint:containedctx // the same for $disconnect; it ends a little later
	endDisconnects context.CancelFunc

	endpoints endpoint.Client // calls the backends of all integrations

	running sync.WaitGroup // upgrades, connections and their goroutines
	mu      sync.Mutex     // guards the field below, and the start of an upgrade against it
	stopped chan struct{}  // made by the first Shutdown or Close; closed when nothing runs any more
}

// New returns a Gateway without routes. The error wraps [ErrInvalidOption] and says what
// to change.
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

// join counts one more upgrade as running and returns true, unless the gateway shuts
// down. What is counted may start more.
func (g *Gateway) join() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped != nil {
		return false
	}
	g.running.Add(1)
	return true
}

// draining reports whether a shutdown has begun.
func (g *Gateway) draining() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stopped != nil
}

const (
	// closersAtOnce is how many connections a shutdown closes at the same time. With
	// more, the backend would get every $disconnect at once, and the clients would all
	// reconnect at once.
	closersAtOnce = 128
	// cutGrace is how long Close waits for $disconnect after it has cut the connections.
	cutGrace = time.Second
	// disconnectGrace is how long $disconnect may take then. It is a little less than
	// cutGrace, so that an integration that returns when its context ends is in time.
	disconnectGrace = cutGrace - cutGrace/10
)

// Shutdown stops the gateway gracefully: it refuses new upgrades with 503 and
// Retry-After, and closes every connection with 1001, up to 128 at a time. Messages that
// have arrived are still served, what is queued for a client is sent before its Close
// frame, and every $disconnect runs. Then Shutdown returns nil.
//
// Integrations that run have 5 s to answer. Then the client is closed with 1001, and a
// later answer is dropped, which is logged as a warning. Shutdown still waits for these
// integrations until ctx ends.
//
// If ctx ends first, the remaining connections are cut: the contexts of their integrations
// end, their sockets close, and $disconnect has one second. The error then wraps that of
// ctx and says how many connections were cut. Shutdown may be called more than once, also
// at the same time; each call waits.
//
// Call it before [http.Server.Shutdown], which does not know of the connections.
func (g *Gateway) Shutdown(ctx context.Context) error {
	stopped := g.stop() //nolint:contextcheck // ctx bounds the wait, not each $disconnect
	select {
	case <-stopped:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-stopped: // at the same moment, or before Shutdown was called
		return nil
	default:
	}
	n, _ := g.cut(stopped)
	return fmt.Errorf("gateway: shutdown cut %d connections: %w", n, ctx.Err())
}

// Close stops the gateway at once, as [Gateway.Shutdown] does when its context ends. The
// clients see that their connections break off. Close waits up to one second for
// $disconnect. It returns an error if code of the program still runs after that: an
// integration, an authorizer, a usage store, an observer, or the handler of the logger.
func (g *Gateway) Close() error {
	if _, ended := g.cut(g.stop()); !ended {
		return fmt.Errorf("gateway: close: code of the program (an integration, an authorizer, an observer, …) still runs after %v", cutGrace)
	}
	return nil
}

// stop begins a shutdown, unless one has begun. The returned channel is closed at the end
// of the shutdown.
func (g *Gateway) stop() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped == nil {
		stopped := make(chan struct{})
		g.stopped = stopped
		g.running.Add(1)
		go func() { // ends with its loop; the next one waits for it
			defer g.running.Done()
			defer g.closeAll() // in a defer: the log handler may end this goroutine
			g.logShutdown()
		}()
		go func() { // ends when everything else has ended; Shutdown and Close wait for it
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

// closeAll closes all connections politely. It returns early if the gateway is cut.
func (g *Gateway) closeAll() {
	slots := make(chan struct{}, closersAtOnce)
	for c := range g.connections.All() {
		select {
		case slots <- struct{}{}:
		case <-g.root.Done():
			return
		}
		done := c.end(goingAway(byShutdown))
		g.running.Go(func() {
			<-done
			<-slots
		})
	}
}

// cut ends the contexts of all integrations, cuts all connections, and waits up to cutGrace
// for the end of everything, when stopped is closed. It returns how many connections it has
// cut, and whether everything has ended.
func (g *Gateway) cut(stopped <-chan struct{}) (connections int, ended bool) {
	g.cutOff()
	disconnects := time.AfterFunc(disconnectGrace, g.endDisconnects)
	defer disconnects.Stop()
	for c := range g.connections.All() {
		c.cut(goingAway(byShutdown))
		connections++
	}
	grace := time.NewTimer(cutGrace)
	defer grace.Stop()
	select {
	case <-stopped:
		return connections, true
	case <-grace.C:
		return connections, false
	}
}
