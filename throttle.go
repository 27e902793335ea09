package gateway

import (
	"fmt"

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

// RefuseAll returns a Throttle that refuses every request.
func RefuseAll() Throttle { return Throttle{BurstLimit: limit.None} }

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
	callWarnings   *limit.Bucket // lines about what callers of @connections did wrong
	failures       *limit.Bucket // lines about what the program's own code did wrong
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
