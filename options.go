package gateway

import (
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"example.com/gateway/internal/origin"
)

// Option configures a [Gateway]. Options are applied in order; of two that set
// the same thing the later counts. Only this package makes Options.
type Option interface{ apply(c *config) error }

type optionFunc func(c *config) error

func (f optionFunc) apply(c *config) error { return f(c) }

// WithRouteSelectionExpression sets the expression that picks the route of a
// message. The default is $request.body.action.
//
// It joins literals with variables of the form $request.body.<JSONPath> or
// ${request.body.<JSONPath>}; \$ is a dollar sign. A path that is missing gives
// nothing, a value that is no string its JSON text, an array [a, b]. A message
// that is not JSON goes to $default. (API Gateway: "WebSocket selection
// expressions in API Gateway".)
func WithRouteSelectionExpression(expression string) Option {
	return optionFunc(func(c *config) error {
		c.selection = expression
		return nil
	})
}

// WithStage sets the stage's name, which integrations and callback URLs see, and
// its stage variables, which are copied. The default is "local" without
// variables. A name has 1 to 128 letters, digits, "-" or "_".
func WithStage(name string, variables map[string]string) Option {
	copied := maps.Clone(variables)
	return optionFunc(func(c *config) error {
		if !stageName.MatchString(name) {
			return fmt.Errorf("%w: WithStage: stage name %q: want 1 to 128 letters, digits, - or _", ErrInvalidOption, name)
		}
		c.stage, c.stageVariables = name, copied
		return nil
	})
}

// stageName is the form of a stage's name, and of an API ID.
var stageName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// WithAPI sets the API ID and the domain name that integrations see, and policies the
// ID. An ID has 1 to 128 letters, digits, "-" or "_"; "" is no ID. A domain name is a
// host, with a port if it needs one: "api.example.com", "localhost:8080". By default
// the ID is "local". By default, and for "", the domain name is the Host of each upgrade
// request, which is whatever the client wrote there: set the name where integrations
// build URLs from it.
func WithAPI(apiID, domainName string) Option {
	return optionFunc(func(c *config) error {
		if apiID != "" && !stageName.MatchString(apiID) {
			return fmt.Errorf("%w: WithAPI: API ID %q: want letters, digits, - or _, up to 128", ErrInvalidOption, apiID)
		}
		if domainName != "" && !isDomainName(domainName) {
			return fmt.Errorf("%w: WithAPI: domain name %q: want the host alone, without scheme, path and blanks, like api.example.com or localhost:8080", ErrInvalidOption, domainName)
		}
		c.apiID, c.domainName = apiID, domainName
		return nil
	})
}

// isDomainName reports whether name is a host that may have a port.
func isDomainName(name string) bool {
	u, err := url.Parse("//" + name)
	return err == nil && u.Host == name && u.Hostname() != "" && !strings.ContainsFunc(name, unicode.IsSpace)
}

// WithQuotas replaces the quotas. A field that is zero keeps API Gateway's value; a
// negative number means no quota. The default is Quotas{}. What makes no sense is an
// [ErrInvalidOption]: a frame that is larger than a message, a time of less than a
// millisecond, NewConnections with a negative BurstLimit.
func WithQuotas(q Quotas) Option {
	return optionFunc(func(c *config) error {
		if err := q.check(); err != nil {
			return invalid("WithQuotas", err)
		}
		c.quotas = q.withDefaults()
		return nil
	})
}

// WithMiddleware wraps the integrations of all routes. The first is the
// outermost. Given again, it adds.
func WithMiddleware(mw ...Middleware) Option {
	copied := slices.Clone(mw)
	return optionFunc(func(c *config) error {
		if n := slices.IndexFunc(copied, func(m Middleware) bool { return m == nil }); n >= 0 {
			return fmt.Errorf("%w: WithMiddleware: middleware %d is nil: leave it out", ErrInvalidOption, n)
		}
		c.middleware = append(c.middleware, copied...)
		return nil
	})
}

// WithOriginPatterns allows upgrades from pages of other origins. A browser sends
// cookies along with an upgrade from any page, so by default only pages of the
// request's own host, and clients that send no Origin header, may connect. Given
// again, it adds. A pattern is one of
//
//   - a host, e.g. "app.example.com", "localhost" or "[::1]": pages of that host at
//     every scheme and port;
//   - a host and a port, e.g. "localhost:3000";
//   - a full origin, e.g. "https://app.example.com": only that scheme and port, where
//     no port means the default port of the scheme and ":*" means every port;
//   - "null" or "file://": the pages that have this origin, among them those in
//     sandboxed frames, or Electron programs. Any site can make a page of origin "null";
//   - "*": every page.
//
// In a name "*" stands for any text, dots included: "*.example.com" is every
// subdomain, but "*example.com" is "evilexample.com", too. Upper and lower case are
// the same. A pattern that is empty, has a blank or a path, or is none of these is
// an [ErrInvalidOption] of [New]. (RFC 6454, "The Web Origin Concept".)
func WithOriginPatterns(patterns ...string) Option {
	copied := slices.Clone(patterns)
	return optionFunc(func(c *config) error {
		for _, text := range copied {
			p, err := origin.Parse(text)
			if err != nil {
				return fmt.Errorf("%w: WithOriginPatterns: origin pattern %q: %w", ErrInvalidOption, text, err)
			}
			c.origins = append(c.origins, p)
		}
		return nil
	})
}

// WithLogger sets the logger, which gets records of every level. By default it is
// [slog.Default] as it is when [New] is called, and it gets only warnings and errors.
// To log nothing, pass slog.New(slog.DiscardHandler). The levels are:
//
//   - error: the program has to mend something. An integration, an authorizer, a usage
//     store or another callback failed or panicked, or a middleware hides
//     [net/http.Hijacker].
//   - warn: a client or a caller did something wrong: a refused upgrade, a rejected
//     message, a refused call of @connections, a broken rule of the protocol. Or a setting
//     may be missing: an origin was refused, or an integration returned a body on a route
//     without a route response, which is said once for each route of a deployment.
//   - info: the gateway was deployed or shuts down.
//   - debug: connections open and close; upgrades, messages and calls are refused because
//     of a throttle, a quota, a shutdown, or a connection that is gone.
//
// Nobody can fill the log: a Gateway logs at most 10 errors and one warning a second,
// with bursts of 100 each, and what is above that at debug. An [Observer] sees
// everything. A body, a header or a query value is never logged, except the Origin of an
// upgrade that is refused for it.
func WithLogger(l *slog.Logger) Option {
	return optionFunc(func(c *config) error {
		if l == nil {
			return fmt.Errorf("%w: WithLogger: the logger is nil: leave WithLogger out to use slog.Default(), or pass slog.New(slog.DiscardHandler) to log nothing", ErrInvalidOption)
		}
		c.log = l
		return nil
	})
}

// WithObserver adds an observer. Given again, it adds; observers are called in
// that order.
func WithObserver(o *Observer) Option {
	return optionFunc(func(c *config) error {
		if o == nil {
			return fmt.Errorf("%w: WithObserver: the observer is nil: leave WithObserver out, or leave those of its fields nil that you do not need", ErrInvalidOption)
		}
		c.observers.add(*o)
		return nil
	})
}

// WithManagementAuth opens [Gateway.ManagementHandler] to the callers whom a
// accepts. By default every call is refused with 403.
func WithManagementAuth(a ManagementAuth) Option {
	return optionFunc(func(c *config) error {
		if isNil(a) {
			return fmt.Errorf("%w: WithManagementAuth: the ManagementAuth is nil: use WithoutManagementAuth to accept every caller", ErrInvalidOption)
		}
		if err := validate("WithManagementAuth", a); err != nil {
			return err
		}
		c.managementAuth = a
		return nil
	})
}

// WithoutManagementAuth opens [Gateway.ManagementHandler] to every caller, who
// can then write to, look up and close any connection. It is for a handler that
// only trusted callers reach: on loopback, in a test, behind another check.
func WithoutManagementAuth() Option {
	return optionFunc(func(c *config) error {
		c.managementAuth = allowAll{}
		return nil
	})
}

// WithDefaultThrottle sets the default route throttle of the stage: rateLimit a
// second, with burstLimit at once. The connects and messages of all routes that
// have no throttle of their own, and messages that match no route, share one bucket.
// The calls of @connections share another with the same numbers, so that clients and
// backends do not take from each other. Above it upgrades get 429, messages the error
// frame "Too Many Requests", calls 429 TooManyRequestsException. The default is no
// limit. (API Gateway: "Protecting your WebSocket APIs".)
func WithDefaultThrottle(rateLimit float64, burstLimit int) Option {
	return optionFunc(func(c *config) error {
		c.defaultThrottle = Throttle{rateLimit, burstLimit}
		return c.defaultThrottle.check("WithDefaultThrottle")
	})
}

// WithAccountThrottle throttles all requests: connects, messages and calls of
// @connections, together with those of other Gateways with the same
// AccountThrottle. The default is no limit.
func WithAccountThrottle(a *AccountThrottle) Option {
	return optionFunc(func(c *config) error {
		if a == nil {
			return fmt.Errorf("%w: WithAccountThrottle: the AccountThrottle is nil: make one with NewAccountThrottle, or leave WithAccountThrottle out for no limit", ErrInvalidOption)
		}
		c.account = a
		return nil
	})
}

// WithUsagePlans sets where API keys and their usage plans come from, for a
// $connect route that requires a key: see [WithAPIKeyRequired]. Package usageplan has a
// [UsageStore] in memory. By default there are no API keys.
func WithUsagePlans(s UsageStore) Option {
	return optionFunc(func(c *config) error {
		if isNil(s) {
			return fmt.Errorf("%w: WithUsagePlans: the UsageStore is nil: make one with usageplan.New, or leave WithUsagePlans out if no route requires an API key", ErrInvalidOption)
		}
		c.usagePlans = s
		return nil
	})
}

// WithAPIKeySelectionExpression says where the API key of a client comes from:
// $request.header.x-api-key, the default, or
// $context.authorizer.usageIdentifierKey, since a browser cannot set the header.
// (API Gateway: "WebSocket selection expressions in API Gateway".)
func WithAPIKeySelectionExpression(expression string) Option {
	return optionFunc(func(c *config) error {
		c.apiKeySelection = expression
		return nil
	})
}

// Quotas bounds what a client, an integration and a connection may take. A field
// that is zero has API Gateway's value, or ours where the service names none; a
// negative one means no quota.
type Quotas struct {
	// FrameBytes and MessageBytes bound the payload of a frame and of a message
	// from a client, which is closed with 1009 above them. MessageBytes also
	// bounds what is sent to a client. Defaults: 32 KiB and 128 KiB.
	FrameBytes, MessageBytes int
	// IdleTimeout closes a connection with 1001 when for so long no message went
	// either way. Default: 10 min.
	//
	// To keep a quiet connection open, send a message before that time has passed, in
	// either direction: any message of the client that reaches the gateway counts, even
	// if no route takes it, and so does every post and reply. Pings do not count, neither
	// those of PingInterval nor their answers. Those that the client sends count if
	// PingsResetIdle is set, but a browser cannot send any.
	IdleTimeout time.Duration
	// PingsResetIdle lets the pings that the client sends count as activity for
	// IdleTimeout. The service does not document what it does; by default they do not
	// count.
	PingsResetIdle bool
	// ConnectionDuration closes a connection with 1001 at that age. Default: 2 h.
	ConnectionDuration time.Duration
	// IntegrationTimeout ends the wait for an integration: its context ends, the
	// client gets "Endpoint request timed out". Default: 29 s.
	IntegrationTimeout time.Duration
	// WriteTimeout is how long a client may take nothing of what waits for it. After
	// that the connection is cut: $disconnect gets 1006 "Client did not read in time". A
	// client that takes a little at a time is not cut. Once a connection closes, the
	// client has at most 5 s, also without a WriteTimeout, and 30 s in all. Default: 10 s;
	// the service documents none.
	WriteTimeout time.Duration
	// SendBufferBytes and SendBufferMessages bound what waits to be sent to one
	// client. Above them posts get [ErrLimitExceeded]. Defaults, ours: 1 MiB and 256.
	SendBufferBytes, SendBufferMessages int
	// InFlight is how many messages of one connection may be with integrations
	// at a time. At 1, the default, they run one after the other in order; the
	// service gives no order, more is nearer to it.
	InFlight int
	// PingInterval sends the client a ping when nothing came from it for so long. If
	// then nothing comes for as long again, and the client has taken nothing of what was
	// sent before the ping, the connection ends with 1006. So a client that has vanished
	// is noticed after twice this time. It keeps proxies on the way from dropping a quiet
	// connection, but does not keep the gateway from it: see IdleTimeout. The default is
	// none, because the service never pings.
	PingInterval time.Duration
	// NewConnections bounds upgrades; above it they get 429. Default: 500 a
	// second, 500 at once.
	NewConnections Throttle
	// Connections bounds the open connections of the Gateway, upgrades under way
	// included, and ConnectionsPerSourceIP those of a client: of an IPv4 address or
	// of an IPv6 /64 network, as Identity.SourceIP has it. Above them upgrades get
	// 429. Default, ours: none.
	Connections, ConnectionsPerSourceIP int
	// HeaderBytes and URLBytes bound an upgrade request, which gets 431 or 414
	// above them. Defaults: 10,240, which the service has for its other APIs, and
	// 4,096.
	HeaderBytes, URLBytes int
}

// check returns what is wrong with the fields as they were set.
func (q Quotas) check() error {
	for _, field := range [...]struct {
		name string
		time time.Duration
	}{
		{"IdleTimeout", q.IdleTimeout}, {"ConnectionDuration", q.ConnectionDuration}, {"IntegrationTimeout", q.IntegrationTimeout},
		{"WriteTimeout", q.WriteTimeout}, {"PingInterval", q.PingInterval},
	} {
		if field.time > 0 && field.time < time.Millisecond {
			return fmt.Errorf("Quotas.%s is %v, less than a millisecond: write the unit, as in %d * time.Second", field.name, field.time, field.time)
		}
	}
	full := q.withDefaults()
	if full.MessageBytes > 0 && full.FrameBytes > full.MessageBytes {
		return fmt.Errorf("Quotas.FrameBytes %d is above MessageBytes %d: lower the first, or raise the second", full.FrameBytes, full.MessageBytes)
	}
	return q.checkNewConnections()
}

func (q Quotas) checkNewConnections() error {
	t := q.NewConnections
	switch {
	case t.RateLimit < 0 && t.BurstLimit != 0:
		return fmt.Errorf("Quotas.NewConnections: BurstLimit is %d, but the negative RateLimit means no quota: leave BurstLimit 0", t.BurstLimit)
	case t.RateLimit < 0:
		return nil
	}
	t.RateLimit = orDefault(t.RateLimit, defaultNewConnections)
	if err := t.rate().Check(); err != nil {
		return fmt.Errorf("Quotas.NewConnections: %w", err)
	}
	return nil
}

// defaultNewConnections is the service's quota of new connections a second.
const defaultNewConnections = 500

func (q Quotas) withDefaults() Quotas {
	q.MessageBytes = orDefault(q.MessageBytes, 128<<10)
	if q.FrameBytes == 0 && q.MessageBytes > 0 {
		q.FrameBytes = min(32<<10, q.MessageBytes)
	}
	q.FrameBytes = orDefault(q.FrameBytes, 32<<10)
	q.IdleTimeout = orDefault(q.IdleTimeout, 10*time.Minute)
	q.ConnectionDuration = orDefault(q.ConnectionDuration, 2*time.Hour)
	q.IntegrationTimeout = orDefault(q.IntegrationTimeout, 29*time.Second)
	q.WriteTimeout = orDefault(q.WriteTimeout, 10*time.Second)
	q.SendBufferBytes = orDefault(q.SendBufferBytes, 1<<20)
	q.SendBufferMessages = orDefault(q.SendBufferMessages, 256)
	q.InFlight = orDefault(q.InFlight, 1)
	q.PingInterval = orDefault(q.PingInterval, 0)
	q.NewConnections.RateLimit = orDefault(q.NewConnections.RateLimit, defaultNewConnections)
	q.Connections = orDefault(q.Connections, 0)
	q.ConnectionsPerSourceIP = orDefault(q.ConnectionsPerSourceIP, 0)
	q.HeaderBytes = orDefault(q.HeaderBytes, 10<<10)
	q.URLBytes = orDefault(q.URLBytes, 4<<10)
	return q
}

// orDefault gives def for zero and zero, which is none within the package, for a
// negative v.
func orDefault[T int | float64 | time.Duration](v, def T) T {
	switch {
	case v == 0:
		return def
	case v < 0:
		return 0
	}
	return v
}

// optionError is an [ErrInvalidOption] that says where the mistake is.
type optionError struct {
	where string
	err   error
}

// invalid returns err as an [ErrInvalidOption] that begins with where.
func invalid(where string, err error) error { return &optionError{where, err} }

// Error implements error. The text has the prefix of an ErrInvalidOption once, also
// when it wraps others.
func (e *optionError) Error() string {
	prefix := ErrInvalidOption.Error() + ": "
	return prefix + e.where + ": " + strings.ReplaceAll(e.err.Error(), prefix, "")
}

// Unwrap returns ErrInvalidOption and what was wrong.
func (e *optionError) Unwrap() []error { return []error{ErrInvalidOption, e.err} }

// config is what the Options make.
type config struct {
	selection      string
	stage          string
	stageVariables map[string]string
	apiID          string
	domainName     string
	quotas         Quotas
	middleware     []Middleware
	origins        origin.Patterns
	log            *slog.Logger
	observers      observers
	managementAuth ManagementAuth

	defaultThrottle Throttle
	account         *AccountThrottle
	usagePlans      UsageStore
	apiKeySelection string
}

func newConfig(opts []Option) (*config, error) {
	c := &config{
		selection: "$request.body.action", apiKeySelection: "$request.header.x-api-key",
		stage:  "local",
		apiID:  "local",
		quotas: Quotas{}.withDefaults(),
	}
	for n, o := range opts {
		if isNil(o) {
			return nil, fmt.Errorf("%w: New: Option %d is nil: leave it out", ErrInvalidOption, n)
		}
		if err := o.apply(c); err != nil {
			return nil, err
		}
	}
	c.log = newLog(c.log)
	c.observers.guard = &guard{log: c.log}
	return c, nil
}
