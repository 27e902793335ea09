// Package usageplan has usage plans with their API keys, in memory: how much the
// holder of each key may do.
//
//	plans, err := usageplan.New(usageplan.Plan{
//		ID:       "free",
//		Throttle: gateway.Throttle{RateLimit: 10, BurstLimit: 20},
//		Quota:    usageplan.Quota{Limit: 10_000, Period: usageplan.Day},
//		APIKeys:  map[string]string{"ann": annsSecretKey},
//	})
//	gw, err := gateway.New(gateway.WithUsageStore(plans))
//	gw.Handle(gateway.RouteKeyConnect, integration, gateway.WithAPIKeyRequired())
//
// If several nodes have to count together, write a [gateway.UsageStore] that uses the
// database they share; [Quota.Begin] says when a period began. (API Gateway: "Usage plans
// and API keys for REST APIs"; "Working with routes for WebSocket APIs".)
package usageplan

import (
	"fmt"
	"strings"
	"time"

	"example.com/gateway"
	"example.com/gateway/internal/limit"
)

// Plan says how much the holders of some API keys may do. Every key has its own share;
// requests are connects and the messages of a connection.
type Plan struct {
	ID string
	// Throttle limits the requests of one key. The zero value is no limit.
	Throttle gateway.Throttle
	// RouteThrottles limits the requests of one key to one route, by route key.
	RouteThrottles map[string]gateway.Throttle
	// Quota limits the requests of one key in a period. The zero value is no quota.
	Quota Quota
	// APIKeys are the keys of the plan. The map's key is the ID of an API key, which is
	// not secret; the map's value is the value of the API key, a secret of 20 to 128
	// characters.
	APIKeys map[string]string
}

// Quota is a number of requests in a period. The zero value is no quota.
type Quota struct {
	// Limit is the number of requests, 1 or more.
	Limit int
	// Period is the period in which they are counted.
	Period Period
	// Offset is the day on which a week or a month begins: 0 to 6 for a week, where 0 is
	// Sunday; 0 to 27 for a month, where 0 is its first day.
	Offset int
}

// Period is the time over which a [Quota] counts requests, in UTC.
type Period string

// The three periods.
const (
	Day   Period = "DAY"
	Week  Period = "WEEK"
	Month Period = "MONTH"
)

// days returns how many days can be the first of a period; 0 for one that is none.
func (p Period) days() int {
	switch p {
	case Day:
		return 1
	case Week:
		return 7
	case Month:
		return 28
	}
	return 0
}

// Begin returns the beginning of the period that contains now, in UTC.
func (q Quota) Begin(now time.Time) time.Time {
	year, month, day := now.UTC().Date()
	switch q.Period {
	case Day:
	case Week:
		day -= (int(now.UTC().Weekday()) - q.Offset + 7) % 7
	case Month:
		if day < 1+q.Offset {
			month--
		}
		day = 1 + q.Offset
	}
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}

// check returns what is wrong with the plan, its keys aside.
func (p *Plan) check() error {
	if p.ID == "" {
		return fmt.Errorf("%w: a usage plan has no ID: set Plan.ID", gateway.ErrInvalidOption)
	}
	if err := rate(p.Throttle).Check(); err != nil {
		return p.wrong("Throttle: %w", err)
	}
	for routeKey, t := range p.RouteThrottles {
		switch err := rate(t).Check(); {
		case err != nil:
			return p.wrong("RouteThrottles: route %q: %w", routeKey, err)
		case routeKey == "":
			return p.wrong("RouteThrottles: a route key is empty: name the route, or set Throttle for all")
		case strings.HasPrefix(routeKey, "$") && !reserved(routeKey):
			return p.wrong("RouteThrottles: there is no route %q: the keys that begin with $ are $connect, $disconnect and $default", routeKey)
		}
	}
	return p.checkQuota()
}

func (p *Plan) checkQuota() error {
	q := p.Quota
	switch days := q.Period.days(); {
	case q == Quota{}:
	case q.Limit <= 0:
		return p.wrong("Quota.Limit is %d: set it to 1 or more, or leave Quota empty for no quota", q.Limit)
	case days == 0:
		return p.wrong("Quota.Period is %q: set it to DAY, WEEK or MONTH", q.Period)
	case q.Offset < 0 || q.Offset >= days:
		return p.wrong("Quota.Offset %d is not a day on which a %s can begin: set it to 0 to %d", q.Offset, q.Period, days-1)
	}
	return nil
}

// wrong returns an error about the plan.
func (p *Plan) wrong(format string, args ...any) error {
	return fmt.Errorf("%w: usage plan %q: %w", gateway.ErrInvalidOption, p.ID, fmt.Errorf(format, args...))
}

func reserved(routeKey string) bool {
	return routeKey == gateway.RouteKeyConnect || routeKey == gateway.RouteKeyDisconnect || routeKey == gateway.RouteKeyDefault
}

func rate(t gateway.Throttle) limit.Rate {
	return limit.Rate{PerSecond: t.RateLimit, Burst: t.BurstLimit}
}
