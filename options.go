package gateway

import (
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"example.com/gateway/internal/origin"
	"example.com/gateway/internal/proxy"
	"example.com/gateway/internal/wsconn"
)

// Option configures a [Gateway]. [New] applies options in their order: if two set the
// same thing, the later one counts. Only this package can make an Option.
type Option interface{ apply(c *config) error }

type optionFunc func(c *config) error

func (f optionFunc) apply(c *config) error { return f(c) }

// WithRouteSelectionExpression sets the expression that selects the route of a
// message. The default is $request.body.action.
//
// The expression consists of variables and literal text. A variable is written
// $request.body.<JSONPath> or ${request.body.<JSONPath>}, and at least one is required here:
// only [Gateway.Deploy] takes an expression without one, and logs a warning.
// A literal dollar sign is written \$. A string has its own value, an array of a and b
// the value [a, b], any other value its JSON text, and a path that is not in the message
// the empty string. A message that is not JSON goes to $default. (API Gateway:
// "WebSocket selection expressions in API Gateway".)
func WithRouteSelectionExpression(expression string) Option {
	return optionFunc(func(c *config) error {
		c.selection = expression
		return nil
	})
}

// WithStage sets the name of the stage and its stage variables. Integrations see both,
// and the name is part of callback URLs. A name has 1 to 128 letters, digits, "-" or
// "_". The variables are copied. The default is the name "local" and no variables.
func WithStage(name string, variables map[string]string) Option {
	copied := maps.Clone(variables)
	return optionFunc(func(c *config) error {
		if !nameForm.MatchString(name) {
			return fmt.Errorf("%w: WithStage: stage name %q: use 1 to 128 letters, digits, - or _", ErrInvalidOption, name)
		}
		c.stage, c.stageVariables = name, copied
		return nil
	})
}

// nameForm is the form of a stage's name, and of an API ID.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// WithAPI sets the API ID and the domain name that integrations see. IAM policies name
// the API ID too. An ID has 1 to 128 letters, digits, "-" or "_"; the default is "local",
// and "" means that the API has none. A domain name is a host, with a port if it needs
// one: "api.example.com" or "localhost:8080". The default, and "", is the Host header of
// each upgrade request. A client can write anything into that header: set the domain
// name if integrations build URLs from it.
func WithAPI(apiID, domainName string) Option {
	return optionFunc(func(c *config) error {
		if apiID != "" && !nameForm.MatchString(apiID) {
			return fmt.Errorf("%w: WithAPI: API ID %q: use up to 128 letters, digits, - or _", ErrInvalidOption, apiID)
		}
		if domainName != "" && !isDomainName(domainName) {
			return fmt.Errorf("%w: WithAPI: domain name %q: write the host alone, without scheme, path and blanks, like api.example.com or localhost:8080", ErrInvalidOption, domainName)
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

// WithQuotas replaces all quotas. A field that is zero means the default of that quota;
// a negative number means that there is no such quota. The default is Quotas{}. If the
// option is given twice, the last one replaces all quotas of the first, also those that it
// does not set. New returns an [ErrInvalidOption] for quotas that make no sense: FrameBytes above
// MessageBytes, a time below one millisecond, a negative BurstLimit.
func WithQuotas(q Quotas) Option {
	return optionFunc(func(c *config) error {
		if err := q.check(); err != nil {
			return invalid("WithQuotas", err)
		}
		c.quotas = q.withDefaults()
		return nil
	})
}

// WithMiddleware wraps the integrations of all routes. The first middleware is the
// outermost. If the option is given again, it adds to the earlier ones.
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
// cookies along with an upgrade, whatever page asks for it. So by default only pages of
// the request's own host may connect, and clients that send no Origin header. If the
// option is given again, it adds to the earlier patterns. A pattern is one of
//
//   - a host, e.g. "app.example.com", "localhost" or "[::1]": pages of that host at
//     every scheme and port;
//   - a host and a port, e.g. "localhost:3000";
//   - a full origin, e.g. "https://app.example.com": only that scheme and port. Without
//     a port it is the default port of the scheme; ":*" means every port;
//   - "null" or "file://": pages that have this origin, for example pages in sandboxed
//     frames, or Electron programs. Any site can make a page of origin "null";
//   - "*": every page.
//
// In a name "*" stands for any text, dots included: "*.example.com" means every
// subdomain, but "*example.com" also allows "evilexample.com". Upper and lower case are
// the same. New returns an [ErrInvalidOption] for a pattern that is empty, has a blank
// or a path, or has none of these forms. (RFC 6454, "The Web Origin Concept".)
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

// WithLogger sets the logger, which gets records of every level. By default each
// line goes to [slog.Default] as it is at that time, and only warnings and errors do.
// To log nothing, pass slog.New(slog.DiscardHandler). The levels are:
//
//   - error: the program has to mend something. An integration, an authorizer, a usage
//     store or another callback failed or panicked, or a middleware hides
//     [net/http.Hijacker].
//   - warn: a client or a caller did something wrong: a refused upgrade, a rejected
//     message, a refused call of @connections, a broken rule of the protocol. Or a setting
//     may be missing: an origin was refused, or an integration returned a body that no
//     client gets, which is said once for each route of a deployment. Or a reply was lost,
//     because it was not ready when the gateway closed the connection. Or a route that was
//     just set refers to a name that does not exist: a variable or a method in a mapping
//     template, a stage variable, an identity source. Or its key is probably a mistake,
//     such as "connect" for $connect.
//   - info: the gateway was deployed or shuts down.
//   - debug: connections open and close; upgrades, messages and calls are refused because
//     of a throttle, a quota, a shutdown, or a connection that is gone.
//
// Nobody can fill the log: a Gateway logs at most 10 errors and one warning a second,
// with bursts of 100 each, and what is above that at debug. Warnings about calls of
// @connections have a limit of their own, which is the same. Of what is probably a mistake
// in the routes, each Deploy and each Handle logs at most 20 lines. An [Observer] sees
// everything. No line has a body, a query value or a header, except the Origin of an
// upgrade that is refused for it. No line has a path, except that of a call that is not
// one of @connections. Both are quoted and shortened.
//
// A record about a connection is logged with the context of its upgrade, and a record
// about an upgrade or a call of @connections with the context of that request. So a handler
// that adds values of the context, such as the ID of a trace or the name of a user, adds
// them to every line of the connection. The attributes of the gateway itself are
// connection_id, route_key, request_id, stage, status, close_code, error, fix, stack, took,
// routes, connections, more, callback and panics. If your own have such names, keep the gateway's apart:
// WithLogger(log.WithGroup("ws")).
func WithLogger(l *slog.Logger) Option {
	return optionFunc(func(c *config) error {
		if l == nil {
			return fmt.Errorf("%w: WithLogger: the logger is nil: leave WithLogger out to use slog.Default(), or pass slog.New(slog.DiscardHandler) to log nothing", ErrInvalidOption)
		}
		if isNil(l.Handler()) {
			return fmt.Errorf("%w: WithLogger: the logger has no handler: make it with slog.New", ErrInvalidOption)
		}
		c.log = l
		return nil
	})
}

// WithObserver adds an observer. If the option is given again, it adds another one;
// they are called in the order of the options. The Observer is copied.
func WithObserver(o *Observer) Option {
	return optionFunc(func(c *config) error {
		if o == nil {
			return fmt.Errorf("%w: WithObserver: the observer is nil: leave WithObserver out, or leave those of its fields nil that you do not need", ErrInvalidOption)
		}
		c.observers.add(*o)
		return nil
	})
}

// WithManagementAuth opens [Gateway.ManagementHandler] to the calls that a allows. By
// default every call is refused with 403.
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

// WithoutManagementAuth opens [Gateway.ManagementHandler] to every caller. Whoever can
// reach the handler can then post to every connection, look it up and close it. Use it
// only where all callers are trusted: on loopback, in a test, behind another check.
func WithoutManagementAuth() Option {
	return optionFunc(func(c *config) error {
		c.managementAuth = allowAll{}
		return nil
	})
}

// WithManagementExtensions opens the calls of [Gateway.ManagementHandler] that the service
// does not have: lists, posts to an audience, batches, groups, state, close codes. The
// default is closed, because whoever may post to one connection, whose ID nobody can guess,
// may not yet list all of them or post to everyone.
//
// [WithManagementAuth] or [WithoutManagementAuth] says who may make these calls, too. A
// ManagementAuth gets them with other values of ManagementCall.Action, and without a
// ConnectionID if they are about an audience: one of your own that does not look at the
// Action allows them all. With package iam they need the action gateway:ManageConnections,
// so that no policy for execute-api:ManageConnections allows them. For a GetConnection the
// ManagementAuth may be asked again, about an ActionList of that connection: only if it
// allows that, the answer has the principal, the groups and the state.
func WithManagementExtensions() Option {
	return optionFunc(func(c *config) error {
		c.managementExtensions = true
		return nil
	})
}

// WithDefaultThrottle sets the default throttle of the stage: rateLimit requests a
// second, burstLimit at once, of all clients together. All routes without a throttle of
// their own share it, for their connects and messages. To limit each client or user, see
// [WithAPIKeyRequired]. Messages that match no route count too. The calls of
// @connections share a second bucket with the same limits, so that clients and backends
// do not take tokens from each other. Above the limit an upgrade gets 429, a message the
// error frame "Too Many Requests", and a call 429 TooManyRequestsException. The default
// is no limit. (API Gateway: "Protecting your WebSocket APIs".)
func WithDefaultThrottle(rateLimit float64, burstLimit int) Option {
	return optionFunc(func(c *config) error {
		c.defaultThrottle = Throttle{rateLimit, burstLimit}
		return c.defaultThrottle.check("WithDefaultThrottle")
	})
}

// WithAccountThrottle sets a throttle for all requests: connects, messages and calls of
// @connections. All Gateways that are given the same AccountThrottle share it. The
// default is no limit.
func WithAccountThrottle(a *AccountThrottle) Option {
	return optionFunc(func(c *config) error {
		if a == nil {
			return fmt.Errorf("%w: WithAccountThrottle: the AccountThrottle is nil: make one with NewAccountThrottle, or leave WithAccountThrottle out for no limit", ErrInvalidOption)
		}
		c.account = a
		return nil
	})
}

// WithUsageStore sets where the gateway finds API keys and their usage plans. It is
// needed for a $connect route that requires an API key: see [WithAPIKeyRequired].
// Package usageplan has a [UsageStore] in memory. By default there are no API keys.
func WithUsageStore(s UsageStore) Option {
	return optionFunc(func(c *config) error {
		if isNil(s) {
			return fmt.Errorf("%w: WithUsageStore: the UsageStore is nil: make one with usageplan.New, or leave WithUsageStore out if no route requires an API key", ErrInvalidOption)
		}
		c.usageStore = s
		return nil
	})
}

// WithAPIKeySelectionExpression says where the API key of a client comes from. The
// default is $request.header.x-api-key. The other value is
// $context.authorizer.usageIdentifierKey, which is Authorization.UsageIdentifierKey: a
// browser cannot set the header. (API Gateway: "WebSocket selection expressions in API
// Gateway".)
func WithAPIKeySelectionExpression(expression string) Option {
	return optionFunc(func(c *config) error {
		c.apiKeySelection = expression
		return nil
	})
}

// WithBinaryMessages lets clients send binary messages, and integrations and posts answer
// with them. Without it, the default, a binary message closes the connection with 1003
// "Binary is not supported", as in the service, and everything that is sent is text.
//
// A binary message is never JSON, whatever its bytes are: no route key selects it, and it
// goes to $default. If there is none, its client gets the error frame "Forbidden", as for a
// text that matches no route; error frames are always text. The quotas of messages and
// frames are the same. Backends see a binary message like this:
//
//   - a func of Go: [Request].Binary is set, and Body has the bytes. [Response].Binary makes
//     the answer a binary message, and [Binary] a post.
//   - a Lambda function: body is base64 and isBase64Encoded is true, in the event and in the
//     answer, as for HTTP APIs.
//   - an [HTTPIntegration]: the bytes with the Content-Type application/octet-stream. An
//     answer with this type is a binary message, any other is text.
//   - a [Transform]: see [ContentHandling].
//   - a [Model] checks the bytes.
//
// A post over HTTP to one connection is always text, as in the service. A post
// to an audience has the parameter binary=true, and a line of a batch "binary":true.
func WithBinaryMessages() Option {
	return optionFunc(func(c *config) error {
		c.binary = true
		return nil
	})
}

// WithAutoResponse answers each message that is exactly text, byte for byte, with answer, and
// invokes no integration for it. It is for the keep-alive messages of browsers, which cannot
// send pings: WithAutoResponse("ping", "pong"). The client gets the answer at once, also
// while integrations of its earlier messages run. If answer is "", it gets none.
//
// Such a message counts as activity for Quotas.IdleTimeout. It is counted by the throttles as
// a message that matches no route, above which it gets the error frame "Too Many Requests", but
// not by the quota of a usage plan. Observers get MessageSent for the answer.
//
// If the option is given again, it adds another text; for the same text the later answer
// counts. New returns an [ErrInvalidOption] if text is empty, or if text or answer is above
// 1,024 bytes or not valid UTF-8. By default there is no such text.
func WithAutoResponse(text, answer string) Option {
	return optionFunc(func(c *config) error {
		const most = 1024
		switch {
		case text == "":
			return fmt.Errorf(`%w: WithAutoResponse: the text is empty: write what the clients send, such as "ping"`, ErrInvalidOption)
		case len(text) > most || len(answer) > most:
			return fmt.Errorf("%w: WithAutoResponse: the text has %d bytes and the answer %d: at most %d are allowed", ErrInvalidOption, len(text), len(answer), most)
		case !utf8.ValidString(text) || !utf8.ValidString(answer):
			return fmt.Errorf("%w: WithAutoResponse: text %q, answer %q: both must be valid UTF-8, as every text message is", ErrInvalidOption, text, answer)
		}
		if c.auto == nil {
			c.auto = &autoResponses{answers: map[string][]byte{}}
		}
		c.auto.answers[text] = []byte(answer)
		c.auto.longest = max(c.auto.longest, len(text))
		return nil
	})
}

// Quotas limits what a client, an integration and a connection may use. A field that is
// zero means the default: API Gateway's value, or ours where the service documents
// none. A negative field means that there is no such quota.
type Quotas struct {
	// FrameBytes and MessageBytes are the largest payload of one frame, and of one
	// message, from a client. A client that sends more is closed with 1009.
	// With [WithCompression] a frame counts as it is on the wire, and a message inflated.
	// MessageBytes is also the largest message to a client, as the client gets it: a byte
	// that is not valid UTF-8 counts as the 3 bytes of U+FFFD. FrameBytes must not be above
	// MessageBytes. Defaults: 32 KiB and 128 KiB. Without MessageBytes, a client decides
	// how much memory its message takes.
	FrameBytes, MessageBytes int
	// IdleTimeout closes a connection with 1001 when no message has gone either way for
	// this time. Pings and pongs do not count, unless PingsResetIdle or PongsResetIdle is
	// set. Integrations that run have 5 s to answer; then the client is closed, and a later
	// answer is dropped, which is logged as a warning. Default: 10 min.
	IdleTimeout time.Duration
	// PingsResetIdle makes pings of the client count as activity. The service does not
	// document whether they do; by default they do not.
	PingsResetIdle bool
	// PongsResetIdle makes pongs of the client count as activity. With PingInterval, a
	// connection then lives for as long as its client does, up to ConnectionDuration: every
	// WebSocket client answers pings by itself. By default they do not count.
	PongsResetIdle bool
	// ConnectionDuration closes a connection with 1001 when it is this old. Integrations
	// that run have 5 s to answer, as after IdleTimeout. Default: 2 h.
	ConnectionDuration time.Duration
	// IntegrationTimeout is how long the gateway waits for an integration. Then the
	// integration's context ends, and the client gets "Endpoint request timed out".
	// Without it the gateway waits for as long as the integration takes. Default: 29 s.
	IntegrationTimeout time.Duration
	// WriteTimeout limits the wait for a slow client. A client is cut when its TCP stack has
	// accepted no byte for this time. A client that reads so little that TCP does not open
	// its window counts as one that reads nothing. While a connection closes, the client has
	// at most 5 s, also without a WriteTimeout, and 30 s in all. Default, ours: 10 s.
	WriteTimeout time.Duration
	// SendBufferBytes and SendBufferMessages limit what waits to be sent to one client.
	// Above them posts get [ErrLimitExceeded]. Without both, a client that does not read
	// can fill the memory. Defaults, ours: 1 MiB and 256.
	SendBufferBytes, SendBufferMessages int
	// InFlight is how many messages of one connection may be with integrations at the
	// same time. With 1, the default, they run one after the other, in order. With more,
	// or without this quota, they have no order, as in the service. Without it a client
	// can start any number of integrations.
	InFlight int
	// PingInterval makes the gateway ping a client from which nothing has come for this
	// time. If nothing comes for the same time after the ping either, and the client has
	// read nothing of what was sent before the ping, the connection ends with 1006. The
	// default is not to ping, as in the service.
	PingInterval time.Duration
	// NewConnections limits upgrades; above the limit they get 429. A negative RateLimit
	// means no quota; a BurstLimit of zero is as many as a second brings, and it must not
	// be negative. Default: 500 a second, 500 at once.
	NewConnections Throttle
	// Connections is the largest number of open connections of the Gateway, with the
	// upgrades that are under way. ConnectionsPerSourceIP is the same for one client: an
	// IPv4 address or an IPv6 /64 network, as in Identity.SourceIP. Above them upgrades
	// get 429. Default, ours: none.
	Connections, ConnectionsPerSourceIP int
	// GroupsPerConnection is how many groups one connection may be in at a time: see
	// [Gateway.Join]. Each event has the names of all of them, and each change copies the list,
	// so that a join costs more the more groups there are: 20,000 joins of one connection take
	// seconds. Keep it at a thousand or less where clients choose what they join. Default,
	// ours: 100.
	GroupsPerConnection int
	// HeaderBytes and URLBytes are the largest headers and the largest URL of an upgrade
	// request. Above them it gets 431 or 414. Defaults: 10,240, which the service has for
	// its other APIs, and 4,096.
	HeaderBytes, URLBytes int
	// StateBytes is the largest state of a connection: see [Gateway.SetState]. Each event has
	// it, but an HTTP endpoint gets at most 4 KiB: see [HTTPIntegration]. Default, ours: 4,096.
	StateBytes int
}

// check returns what is wrong with the fields as they were set.
func (q Quotas) check() error {
	for _, field := range [...]struct {
		name string
		time time.Duration
	}{
		{"Quotas.IdleTimeout", q.IdleTimeout},
		{"Quotas.ConnectionDuration", q.ConnectionDuration},
		{"Quotas.IntegrationTimeout", q.IntegrationTimeout},
		{"Quotas.WriteTimeout", q.WriteTimeout},
		{"Quotas.PingInterval", q.PingInterval},
	} {
		if field.time > 0 && field.time < time.Millisecond {
			return fmt.Errorf("%s is %v, less than a millisecond: write the unit, as in %d * time.Second", field.name, field.time, field.time)
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
	q.GroupsPerConnection = orDefault(q.GroupsPerConnection, 100)
	q.HeaderBytes = orDefault(q.HeaderBytes, 10<<10)
	q.URLBytes = orDefault(q.URLBytes, 4<<10)
	q.StateBytes = orDefault(q.StateBytes, 4<<10)
	return q
}

// orDefault returns def for zero, and zero for a negative v: within the package zero
// means no quota.
func orDefault[T int | float64 | time.Duration](v, def T) T {
	switch {
	case v == 0:
		return def
	case v < 0:
		return 0
	}
	return v
}

// config is what the Options have set.
type config struct {
	selection            string
	stage                string
	stageVariables       map[string]string
	apiID                string
	domainName           string
	quotas               Quotas
	middleware           []Middleware
	origins              origin.Patterns
	auto                 *autoResponses // nil: there is none
	proxies              *proxy.Trusted // nil: nobody is trusted
	proxyNetworks        []netip.Prefix // of WithTrustedProxies
	log                  *slog.Logger
	observers            observers
	managementAuth       ManagementAuth
	managementExtensions bool

	defaultThrottle Throttle
	account         *AccountThrottle
	usageStore      UsageStore
	apiKeySelection string
	binary          bool            // clients may send, and get, binary messages
	compression     *wsconn.Deflate // nil: messages are never compressed

	answerCommands bool
	commanding     func(Integration) commanding // makes what does the commands of answers; nil: nobody does
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
	c.observers.guard = &guard{log: c.log, stage: c.stage}
	return c, nil
}

// isNil reports whether x, the value of an interface such as Integration, is nil, or is
// a nil func or pointer.
func isNil(x any) bool {
	switch v := reflect.ValueOf(x); v.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Func, reflect.Pointer:
		return v.IsNil()
	default:
		return false
	}
}

// validate returns what is wrong with the fields of an Integration, an Authorizer
// or a ManagementAuth, if x has a method that says so. The error begins with where.
func validate(where string, x any) error {
	v, ok := x.(interface{ Validate() error })
	if !ok {
		return nil
	}
	if err := v.Validate(); err != nil {
		return invalid(where, err)
	}
	return nil
}
