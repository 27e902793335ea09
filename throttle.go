package gateway

import (
	"errors"
	"fmt"
	"time"

	"example.com/gateway/internal/limit"
)

// Throttle is a token bucket, which limits requests. Each request takes one token; if
// there is none, the request is refused. It is never delayed. The zero value is no limit.
// (API Gateway: "Throttle requests to your REST APIs for better throughput".)
type Throttle struct {
	// RateLimit is how many tokens are added each second. 0.5 is one in two seconds.
	RateLimit float64
	// BurstLimit is how many tokens the bucket holds: as many requests may come at once.
	// Zero means the tokens of one second, at least one. The largest is 2147483647.
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

// AccountThrottle is one throttle for several Gateways, as an AWS account in a region has
// one throttle for all its APIs. It is safe for concurrent use.
type AccountThrottle struct{ bucket *limit.Bucket }

// NewAccountThrottle returns an AccountThrottle for [WithAccountThrottle]. The service's
// default is 10,000 requests a second with a burst of 5,000. NewAccountThrottle panics if
// rateLimit or burstLimit makes no sense, with an error that says what to change.
func NewAccountThrottle(rateLimit float64, burstLimit int) *AccountThrottle {
	t := Throttle{rateLimit, burstLimit}
	if err := t.check("NewAccountThrottle"); err != nil {
		panic(err)
	}
	return &AccountThrottle{limit.NewBucket(t.rate())}
}

// throttles are the throttles of a Gateway that do not belong to a deployment.
type throttles struct {
	newConnections *limit.Bucket
	account        *limit.Bucket
	warnings       *limit.Bucket // lines in the log about what clients did wrong
	failures       *limit.Bucket // lines about what the program's own code did wrong
}

// throttle takes a token for a connect or a message from each throttle, in the service's
// order, from the narrowest to the widest. If one refuses the request, the tokens of the
// earlier ones are spent. A route has its own throttle or shares the stage's. (API
// Gateway: "Throttle requests to your REST APIs for better throughput".)
func (g *Gateway) throttle(t *routeTable, r *route, k *keyUse, now time.Time) error {
	if k != nil {
		if err := k.throttle(r.RouteKey, now); err != nil {
			return err
		}
	}
	switch {
	case r.bucket == nil && !t.bucket.Allow(now):
		return errStageThrottle
	case !r.bucket.Allow(now):
		return errRouteThrottle
	case !g.throttles.account.Allow(now):
		return errAccountThrottle
	}
	return nil
}

// Which throttle has refused a request, for the log and the observers. They are made once,
// because a client can cause any number of them.
var (
	errRouteThrottle     = fmt.Errorf("%w: above the throttle of the route, Route.Throttle", errThrottled)
	errStageThrottle     = fmt.Errorf("%w: above the default throttle of the stage, WithDefaultThrottle or Deployment.DefaultThrottle", errThrottled)
	errAccountThrottle   = fmt.Errorf("%w: above the throttle of the account, WithAccountThrottle", errThrottled)
	errPlanThrottle      = fmt.Errorf("%w: above the throttle of the API key's usage plan, APIKey.Throttle", errThrottled)
	errPlanRouteThrottle = fmt.Errorf("%w: above the throttle for this route of the API key's usage plan, APIKey.RouteThrottles", errThrottled)
)

// throttleManagement is throttle for a call of @connections, which has no route. It has
// the limits of the stage's throttle, but a bucket of its own: clients that send many
// messages must not stop the backend, and a busy backend must not stop the clients.
func (g *Gateway) throttleManagement(now time.Time) error {
	switch {
	case !g.routes.Load().management.Allow(now):
		return errStageThrottle
	case !g.throttles.account.Allow(now):
		return errAccountThrottle
	}
	return nil
}

// throttle is the step of an upgrade. Without a $connect route, the stage's throttle
// applies.
func (u *upgrade) throttle() error {
	r := u.table.connect
	if r == nil {
		r = &route{Route: Route{RouteKey: RouteKeyConnect}}
	}
	return u.g.throttle(u.table, r, u.admission.keyUse, u.now)
}

// Why an upgrade is refused before the authorizer is asked.
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
