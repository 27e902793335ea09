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
//		_, err := gw.PostTo(ctx, gateway.Everyone(), req.Body)
//		return nil, err
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
// each text message that is JSON, the route selection expression picks the route. If it
// picks none, or the message is not JSON, the message goes to $default. A binary message
// closes the connection with 1003, unless there is [WithBinaryMessages]. The messages of one
// connection are served in order, one at a time, unless Quotas.InFlight allows more. After
// the connection has closed, for whatever reason, $disconnect runs once, with the close code
// and the reason. It is the last event of the connection.
//
// One Gateway is one API on one stage. For several APIs or stages, mount several Gateways
// on one mux.
//
// # Where to find what
//
//   - Serve: [New], [WithStage], [WithAPI], [Gateway.Handler], [Gateway.Shutdown],
//     [Gateway.Close].
//   - Routes: [Gateway.Handle], [Gateway.HandleFunc], [Route], [RouteOption],
//     [Gateway.Deploy], [Gateway.Deployment], [Deployment].
//   - Integrations: [Integration], [IntegrationFunc], [JSON], [PublishIntegration], [Request],
//     [Response], [Middleware], [MockIntegration], [HTTPIntegration], [CustomIntegration] with
//     [Transform]; package lambda.
//   - What clients and proxies may do: [WithBinaryMessages], [WithCompression],
//     [WithAutoResponse], [WithTrustedProxies].
//   - Connections: [ConnectionsAPI], [Gateway.PostToConnection],
//     [Gateway.PostToConnections], [Gateway.SetState], [Gateway.Connections], [Gateway.Len],
//     [Connection].
//   - Many connections at once, groups and users: [Audience], [Gateway.Join], [Gateway.PostTo],
//     [Gateway.CloseAll], [Gateway.Count], [Gateway.List]; presence: [RouteKeyJoin].
//   - Backends without a table of connections: [Gateway.SetState], [WithAnswerCommands].
//   - The @connections API over HTTP: [Gateway.ManagementHandler], [ManagementAuth],
//     [WithoutManagementAuth], [WithManagementExtensions]; packages sigv4, iam and
//     managementclient.
//   - Who may connect: [Authorizer], [RequestAuthorizer], [WithOriginPatterns]; packages iam,
//     lambda and jwtauthorizer.
//   - Limits: [Quotas], [Throttle], [AccountThrottle], [UsageStore]; package usageplan.
//   - Checks of requests: [Model], [WithRequestModel], [WithRequestParameters]; package
//     models.
//   - Logs and metrics: [WithLogger], [Observer].
//   - Errors: [ErrGone] and the other variables, [IntegrationError], [ValidationError],
//     [FieldError], [SelectionExpressionError], [PublicError].
//   - Tests of your own: package gatewaytest.
package gateway

import (
	"context"
	"sync"
	"sync/atomic"

	"example.com/gateway/internal/clock"
	"example.com/gateway/internal/connid"
	"example.com/gateway/internal/endpoint"
	"example.com/gateway/internal/groups"
	"example.com/gateway/internal/limit"
	"example.com/gateway/internal/outbox"
	"example.com/gateway/internal/poll"
	"example.com/gateway/internal/presence"
	"example.com/gateway/internal/registry"
	"example.com/gateway/internal/watch"
	"example.com/gateway/internal/wsconn"
)

// Gateway is one WebSocket API on one stage. Make it with [New]. All its methods are safe
// for concurrent use. It starts no goroutine before the first upgrade, or the first call of
// [Gateway.Shutdown] or [Gateway.Close], which end all of its goroutines.
type Gateway struct {
	*config

	clock       clock.Clock // measures how long something took or waits
	tag         uint32      // names this node in every connection ID
	throttles   throttles
	keyUses     keyUses
	sources     *limit.Sources
	watch       *watch.Watch
	frameLimits wsconn.Limits   // of what each client may send
	windows     *wsconn.Windows // frameLimits of clients that compress; nil: none may
	sendLimits  outbox.Limits   // of what may wait for each client
	sockets     poll.Pool       // waits for the connections that can be polled
	connections *registry.Map[*connection]
	open        atomic.Int64 // connections that accept messages
	groups      *groups.Index[*connection]
	users       atomic.Pointer[groups.Index[*connection]] // by principal ID; nil until usersMade: see userIndex
	usersMade   sync.Once
	routes      atomic.Pointer[routeTable]
	deploying   sync.Mutex // held by whoever replaces routes

	root           context.Context //nolint:containedctx // parent of the contexts of integrations; cut ends it
	cutOff         context.CancelFunc
	disconnects    context.Context //nolint:containedctx // the same for $disconnect; it ends a little later
	endDisconnects context.CancelFunc
	tellings       context.Context //nolint:containedctx // the same for $join and $leave; it ends between the two
	endTellings    context.CancelFunc

	endpoints endpoint.Client // calls the backends of all integrations

	presence *presence.Queues[*connection] // tells $join and $leave

	slashTold atomic.Bool // the log has said that a call for an audience had a slash at its end

	running sync.WaitGroup // upgrades, connections and their goroutines

	mu      sync.Mutex    // guards the field below, and the start of an upgrade against it
	stopped chan struct{} // made by the first Shutdown or Close; closed when nothing runs any more
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
		groups:      groups.New[*connection](),
		sources:     limit.NewSources(c.quotas.Connections, c.quotas.ConnectionsPerSourceIP),
		frameLimits: wsconn.Limits{FrameBytes: c.quotas.FrameBytes, MessageBytes: c.quotas.MessageBytes, Binary: c.binary},
		sendLimits:  outbox.Limits{Bytes: c.quotas.SendBufferBytes, Messages: c.quotas.SendBufferMessages},
	}
	if c.compression != nil {
		g.windows = wsconn.NewWindows(g.frameLimits, *c.compression)
	}
	if c.answerCommands {
		c.commanding = func(next Integration) commanding { return &commanded{g, next} }
	}
	g.watch, g.presence = watch.New(g.clock), g.newPresence()
	table, err := g.newRouteTable(Deployment{
		RouteSelectionExpression: c.selection, APIKeySelectionExpression: c.apiKeySelection,
		StageVariables: c.stageVariables, DefaultThrottle: c.defaultThrottle,
	})
	if err != nil {
		return nil, err
	}
	if err := checkNotConstant(c.selection, table.selection); err != nil {
		return nil, err
	}
	g.throttles.newConnections = limit.NewBucket(c.quotas.NewConnections.rate())
	g.throttles.warnings, g.throttles.callWarnings = limit.NewBucket(warnings()), limit.NewBucket(warnings())
	g.throttles.failures = limit.NewBucket(failures())
	if c.account != nil {
		g.throttles.account = c.account.bucket
	}
	g.routes.Store(table)
	root := endpoint.NewContext(context.Background(), &g.endpoints) //nolint:forbidigo // the one root
	root = context.WithValue(root, gatewayKey{}, g)
	g.root, g.cutOff = context.WithCancel(root)
	g.disconnects, g.endDisconnects = context.WithCancel(root)
	g.tellings, g.endTellings = context.WithCancel(g.disconnects)
	return g, nil
}
