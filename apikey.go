package gateway

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"example.com/gateway/internal/limit"
)

// APIKey is an API key that a [UsageStore] has found, and what its usage plan allows.
// Every key has its own share. Connects and messages are its requests.
// (API Gateway: "Usage plans and API keys for REST APIs"; "Working with routes for
// WebSocket APIs".)
type APIKey struct {
	// ID names the key. It is not secret: integrations and logs see it. It is required:
	// the upgrade with a key without an ID is refused with 500.
	ID string
	// UsagePlanID names the usage plan that gives the key access to this stage. It is
	// required: a key without a plan is refused with 403.
	UsagePlanID string
	// Throttle limits the requests of the key. The zero value is no limit.
	Throttle Throttle
	// RouteThrottles limits the requests of the key to one route, by route key. The
	// gateway only reads it, and may keep it.
	RouteThrottles map[string]Throttle
	// CountRequest counts one request, made at now, against the quota of the plan. If the
	// quota is used up, it counts nothing and returns false: the client gets 429, or the
	// error frame "Limit Exceeded". An error refuses the request with 500. A nil func
	// means that the plan has no quota.
	//
	// The client waits for CountRequest, which may run concurrently. ctx has the values of
	// the upgrade request, and ends at Quotas.IntegrationTimeout.
	CountRequest func(ctx context.Context, now time.Time) (bool, error)
}

// check returns what is wrong with a key that a UsageStore has found. Without an ID, all
// keys of a plan would be one.
func (key *APIKey) check() error {
	if key.ID == "" {
		return fmt.Errorf("an API key of usage plan %q has no ID: set APIKey.ID to its name", key.UsagePlanID)
	}
	if err := key.Throttle.check(fmt.Sprintf("usage plan %q", key.UsagePlanID)); err != nil {
		return err
	}
	for routeKey, t := range key.RouteThrottles {
		if err := t.check(fmt.Sprintf("usage plan %q, route %q", key.UsagePlanID, routeKey)); err != nil {
			return err
		}
	}
	return nil
}

// UsageStore finds API keys. Package usageplan has one in memory; write another one if
// several nodes have to share keys and quotas.
type UsageStore interface {
	// FindAPIKey returns the key that has this value. It returns [ErrForbidden], which
	// refuses the upgrade with 403, if there is no such key, if the key is disabled, or if
	// no usage plan gives it this stage. Any other error refuses the upgrade with 500. The
	// value is a secret: compare it in constant time or by its hash, and never log it.
	//
	// value has 20 to 128 characters, as in the service. The gateway refuses a shorter or
	// longer one with 403, and does not call FindAPIKey.
	//
	// The client waits for FindAPIKey, which may run concurrently. ctx has the values of
	// the upgrade request, and ends at Quotas.IntegrationTimeout.
	FindAPIKey(ctx context.Context, value string) (APIKey, error)
}

// The service's limits for the length of an API key's value, in characters.
const (
	minKeyValue = 20
	maxKeyValue = 128
)

// keyUse is the use of one API key, with its throttles. All connections with that key
// share it. A nil keyUse is that of a client without a key.
type keyUse struct {
	id string

	mu     sync.Mutex // guards the fields below
	value  string     // $context.identity.apiKey
	key    APIKey     // as it was found last
	all    *limit.Bucket
	routes map[string]*limit.Bucket // by route key; made once, then only replaced
	users  int                      // connections and upgrades
}

func (k *keyUse) keyID() string {
	if k == nil {
		return ""
	}
	return k.id
}

// apiKey returns the key's value.
func (k *keyUse) apiKey() string {
	if k == nil {
		return ""
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.value
}

// use is called for every upgrade with the key. The plan may have changed since the last
// time.
func (k *keyUse) use(value string, key *APIKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.users++
	k.value, k.key = value, *key
	k.all = k.all.Keep(key.Throttle.rate())
	routes := make(map[string]*limit.Bucket, len(key.RouteThrottles))
	for routeKey, t := range key.RouteThrottles {
		routes[routeKey] = k.routes[routeKey].Keep(t.rate())
	}
	k.routes = routes
}

// throttle takes a token from the throttles of the plan.
func (k *keyUse) throttle(routeKey string, now time.Time) error {
	k.mu.Lock()
	all, route := k.all, k.routes[routeKey]
	k.mu.Unlock()
	switch {
	case !route.Allow(now):
		return errPlanRouteThrottle
	case !all.Allow(now):
		return errPlanThrottle
	}
	return nil
}

// count counts a request against the plan's quota, if it has one.
func (k *keyUse) count(ctx context.Context, now time.Time) error {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	count := k.key.CountRequest
	k.mu.Unlock()
	if count == nil {
		return nil
	}
	ok, err := count(ctx, now)
	switch {
	case err != nil:
		return &classified{errUsageStore, fmt.Errorf("%w: counting a request of API key %q: %w", errUsageStore, k.id, err)}
	case !ok:
		return errQuota
	}
	return nil
}

// release is called when an upgrade was refused, and when a connection ends.
func (k *keyUse) release() {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.users--
}

// idle reports whether k can be forgotten: a new keyUse would be the same.
func (k *keyUse) idle(now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	idle := k.users == 0 && k.all.Full(now)
	for _, l := range k.routes {
		idle = idle && l.Full(now)
	}
	return idle
}

// keyUses are the API keys in use. A key that no connection uses any more is kept until
// its buckets are full again, so that a client gains nothing by connecting again.
type keyUses struct {
	mu    sync.Mutex // guards the fields below, not what the map holds
	byID  map[keyUseID]*keyUse
	sweep int // at this size, idle ones are removed
}

type keyUseID struct{ plan, key string }

// use returns the keyUse of a key and counts one more user of it.
func (us *keyUses) use(key *APIKey, value string, now time.Time) *keyUse {
	us.mu.Lock()
	defer us.mu.Unlock()
	id := keyUseID{key.UsagePlanID, key.ID}
	k := us.byID[id]
	if k == nil {
		if len(us.byID) >= us.sweep {
			maps.DeleteFunc(us.byID, func(_ keyUseID, k *keyUse) bool { return k.idle(now) })
			us.sweep = max(64, 2*len(us.byID))
		}
		if us.byID == nil {
			us.byID = map[keyUseID]*keyUse{}
		}
		k = &keyUse{id: key.ID}
		us.byID[id] = k
	}
	k.use(value, key) // before a sweep can find it idle
	return k
}
