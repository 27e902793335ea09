package gateway

import (
	"errors"
	"fmt"
	"time"

	"example.com/gateway/internal/limit"
)

// Throttle is a token bucket: RateLimit tokens a second, BurstLimit at once.
// Each request takes one; when there is none it is refused, not delayed. The zero
// value is no limit. A BurstLimit that is zero is as many as a second brings, at
// least one.
type Throttle struct {
	RateLimit  float64
	BurstLimit int
}

// check returns what is wrong with t. The error names where it was set.
func (t Throttle) check(where string) error {
	if err := t.rate().Check(); err != nil {
		return invalid(where, err)
	}
	return nil
}

func (t Throttle) rate() limit.Rate { return limit.Rate{PerSecond: t.RateLimit, Burst: t.BurstLimit} }

// AccountThrottle is the throttle of all requests to the Gateways that share it,
// as an AWS account in a region has one for all its APIs.
type AccountThrottle struct{ bucket *limit.Bucket }

// NewAccountThrottle returns an AccountThrottle for [WithAccountThrottle]. The
// service's is 10,000 requests a second with a burst of 5,000. Like
// [WithThrottle] it panics on a negative rate or burst.
func NewAccountThrottle(rateLimit float64, burstLimit int) *AccountThrottle {
	t := Throttle{rateLimit, burstLimit}
	if err := t.check("NewAccountThrottle"); err != nil {
		panic(err)
	}
	return &AccountThrottle{limit.NewBucket(t.rate())}
}

// throttles are those of a Gateway, besides the routes'.
type throttles struct {
	newConnections *limit.Bucket
	account        *limit.Bucket
	warnings       *limit.Bucket // lines in the log about what clients did wrong
	failures       *limit.Bucket // lines about what the program's own code did wrong
}

// throttle decides whether a request may go on: a connect or a message. The
// throttles are asked in the service's order, from the narrowest; the request has
// spent what the earlier ones gave when a later one refuses it. A route has its
// own throttle or shares the stage's. (API Gateway: "Throttle requests to your
// REST APIs for better throughput".)
func (g *Gateway) throttle(t *routeTable, r *route, k *keyUse, now time.Time) error {
	if k != nil {
		if err := k.throttle(r.RouteKey, now); err != nil {
			return err
		}
	}
	stage := r.bucket
	if stage == nil {
		stage = t.bucket
	}
	switch {
	case !stage.Allow(now):
		return errThrottled
	case !g.throttles.account.Allow(now):
		return errThrottled
	}
	return nil
}

// throttleManagement is throttle for a call of @connections, which has no route. The
// stage's throttle holds for it, but with a bucket of its own: a client that sends
// much must not silence the backend, and a busy backend must not silence clients.
func (g *Gateway) throttleManagement(now time.Time) error {
	if !g.routes.Load().management.Allow(now) || !g.throttles.account.Allow(now) {
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
	return u.g.throttle(u.table, r, u.admission.keyUse, u.now)
}

// Why an upgrade is refused before anybody is asked.
var (
	errNewConnections = fmt.Errorf("%w: new connections are above Quotas.NewConnections", errThrottled)
	errConnections    = fmt.Errorf("%w: connections are at Quotas.Connections", errThrottled)
	errSource         = fmt.Errorf("%w: connections of the source IP are at Quotas.ConnectionsPerSourceIP", errThrottled)
)

func (u *upgrade) checkNewConnections() error {
	if !u.g.throttles.newConnections.Allow(u.now) {
		return errNewConnections
	}
	err := u.g.sources.Add(u.sourceIP)
	u.counted = err == nil
	switch {
	case errors.Is(err, limit.ErrAll):
		return errConnections
	case err != nil:
		return errSource
	}
	return nil
}
