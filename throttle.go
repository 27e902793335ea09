package gateway

import (
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Throttle is a token bucket: RateLimit tokens a second, BurstLimit at once.
// Each request takes one; when there is none it is refused, not delayed. The zero
// value is no limit. A BurstLimit that is zero is as many as a second brings, at
// least one.
type Throttle struct {
	RateLimit  float64
	BurstLimit int
}

// check says what is wrong with t. where is named in the error.
func (t Throttle) check(where string) error {
	switch {
	case math.IsNaN(t.RateLimit) || t.RateLimit < 0 || t.BurstLimit < 0:
		return fmt.Errorf("%w: %s: the rate %v and the burst %d must not be negative; zero is no limit", ErrInvalidOption, where, t.RateLimit, t.BurstLimit)
	case t.RateLimit == 0 && t.BurstLimit > 0:
		return fmt.Errorf("%w: %s: a burst of %d without a rate: set RateLimit", ErrInvalidOption, where, t.BurstLimit)
	}
	return nil
}

// limiter is a Throttle at work. nil is no limit.
type limiter struct {
	throttle Throttle
	bucket   *rate.Limiter

	mu     sync.Mutex // guards the field below
	latest time.Time  // of all requests so far
}

func newLimiter(t Throttle) *limiter {
	if t.RateLimit <= 0 || math.IsInf(t.RateLimit, 1) {
		return nil
	}
	return &limiter{throttle: t, bucket: rate.NewLimiter(rate.Limit(t.RateLimit), t.burst())}
}

func (t Throttle) burst() int {
	if t.BurstLimit > 0 {
		return t.BurstLimit
	}
	return int(min(max(1, math.Ceil(t.RateLimit)), math.MaxInt32))
}

// allow takes a token, if there is one. A request may ask late, since an authorizer
// or a slow body kept it: it counts at the time of the latest. Package rate would set
// its clock back, and fill the bucket again with what the time since then brings.
func (l *limiter) allow(now time.Time) bool {
	if l == nil {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Before(l.latest) {
		now = l.latest
	}
	l.latest = now
	return l.bucket.AllowN(now, 1)
}

// full says whether no token is missing.
func (l *limiter) full(now time.Time) bool {
	return l == nil || l.bucket.TokensAt(now) >= float64(l.bucket.Burst())
}

// keep returns l, its tokens as they are, when it is of throttle t, and else a
// new one: a deployment that leaves a throttle alone does not fill its bucket.
func (l *limiter) keep(t Throttle) *limiter {
	if l != nil && l.throttle == t {
		return l
	}
	return newLimiter(t)
}

// AccountThrottle is the throttle of all requests to the Gateways that share it,
// as an AWS account in a region has one for all its APIs.
type AccountThrottle struct{ limiter *limiter }

// NewAccountThrottle returns an AccountThrottle for [WithAccountThrottle]. The
// service's is 10,000 requests a second with a burst of 5,000. Like
// [WithThrottle] it panics on a negative rate or burst.
func NewAccountThrottle(rateLimit float64, burstLimit int) *AccountThrottle {
	t := Throttle{rateLimit, burstLimit}
	if err := t.check("the account's throttle"); err != nil {
		panic(err)
	}
	return &AccountThrottle{newLimiter(t)}
}

// throttles are those of a Gateway, besides the routes'.
type throttles struct {
	newConnections *limiter
	account        *limiter
	warnings       *limiter // lines in the log about what clients did wrong
}

// warnings bounds the lines that clients and callers can cause at level WARN: in all,
// since one of them can open many connections.
func warnings() Throttle { return Throttle{RateLimit: 1, BurstLimit: 100} }

// refusalLevel returns the level at which a refusal is logged: the given one, or
// DEBUG. A client can cause as many refusals as it sends messages, so most of them must
// not reach the log of a server in production: those above a throttle or a quota are
// many by their nature, and of the others a few are enough to notice.
func (g *Gateway) refusalLevel(level slog.Level, status int, now time.Time) slog.Level {
	if status == http.StatusTooManyRequests || !g.log.Enabled(g.root, level) || !g.throttles.warnings.allow(now) {
		return slog.LevelDebug
	}
	return level
}

func newSources(q *Quotas) sources {
	return sources{limit: q.Connections, limitPerSource: q.ConnectionsPerSourceIP, bySource: map[netip.Prefix]int{}}
}

// throttle decides whether a request may go on: a connect or a message. The
// throttles are asked in the service's order, from the narrowest; the request has
// spent what the earlier ones gave when a later one refuses it. A route has its
// own throttle or shares the stage's. (API Gateway: "Throttle requests to your
// REST APIs for better throughput".)
func (g *Gateway) throttle(t *routeTable, r *route, c *client, now time.Time) error {
	if c != nil {
		if err := c.throttle(r.RouteKey, now); err != nil {
			return err
		}
	}
	stage := r.limiter
	if stage == nil {
		stage = t.limiter
	}
	switch {
	case !stage.allow(now):
		return errThrottled
	case !g.throttles.account.allow(now):
		return errThrottled
	}
	return nil
}

// throttleManagement is throttle for a call of @connections, which has no route. The
// stage's throttle holds for it, but with a bucket of its own: a client that sends
// much must not silence the backend, and a busy backend must not silence clients.
func (g *Gateway) throttleManagement(now time.Time) error {
	if !g.routes.Load().management.allow(now) || !g.throttles.account.allow(now) {
		return errThrottled
	}
	return nil
}

// throttle is the step of an upgrade. A stage without a $connect route has the
// stage's throttle.
func (u *upgrade) throttle() error {
	r := u.table.connect
	if r == nil {
		r = &route{Route: Route{RouteKey: RouteKeyConnect}}
	}
	return u.g.throttle(u.table, r, u.admission.client, u.now)
}

// Why an upgrade is refused before anybody is asked.
var (
	errNewConnections = fmt.Errorf("%w: new connections are above Quotas.NewConnections", errThrottled)
	errConnections    = fmt.Errorf("%w: connections are at Quotas.Connections", errThrottled)
	errSource         = fmt.Errorf("%w: connections of the source IP are at Quotas.ConnectionsPerSourceIP", errThrottled)
)

func (u *upgrade) checkNewConnections() error {
	if !u.g.throttles.newConnections.allow(u.now) {
		return errNewConnections
	}
	err := u.g.sources.add(u.sourceIP())
	u.counted = err == nil
	return err
}

// sources counts connections and upgrades under way, in all and for each source
// IP: one client shall not take the node. An IPv6 source is its /64 network,
// since a host has all of that to choose from.
type sources struct {
	limit          int // of all; zero is no limit
	limitPerSource int

	mu       sync.Mutex // guards the fields below
	all      int
	bySource map[netip.Prefix]int
}

func (s *sources) limited() bool { return s.limit > 0 || s.limitPerSource > 0 }

// add counts one more, unless that is above a limit.
func (s *sources) add(sourceIP string) error {
	if !s.limited() {
		return nil
	}
	source := sourceOf(sourceIP)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.limit > 0 && s.all >= s.limit:
		return errConnections
	case s.limitPerSource > 0 && s.bySource[source] >= s.limitPerSource:
		return errSource
	}
	s.all++
	s.bySource[source]++
	return nil
}

// remove undoes add.
func (s *sources) remove(sourceIP string) {
	if !s.limited() {
		return
	}
	source := sourceOf(sourceIP)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.bySource[source]--; s.bySource[source] == 0 {
		delete(s.bySource, source)
	}
}

// sourceOf returns the network that an address counts for. Text that is no IP
// address, which a server over another transport may have, counts together.
func sourceOf(sourceIP string) netip.Prefix {
	addr, err := netip.ParseAddr(sourceIP)
	if err != nil {
		return netip.Prefix{}
	}
	addr = addr.Unmap()
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	prefix, _ := addr.WithZone("").Prefix(bits) // fits
	return prefix
}
