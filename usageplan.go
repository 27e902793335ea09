package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/gateway/internal/bounded"
	"example.com/gateway/internal/limit"
	"example.com/gateway/internal/selection"
)

// UsagePlan says how much the holders of some API keys may do. Every key has its
// own share; requests are connects and the messages of a connection. (API
// Gateway: "Usage plans and API keys for REST APIs"; "Working with routes for
// WebSocket APIs".)
type UsagePlan struct {
	ID string
	// Throttle bounds the requests of one key.
	Throttle Throttle
	// RouteThrottles bounds those of one key to a route, by route key.
	RouteThrottles map[string]Throttle
	// Quota bounds the requests of one key in a period.
	Quota UsageQuota
	// APIKeys are the keys of the plan for [NewUsagePlans]: the key's value, a
	// secret of 20 to 128 characters, by its ID.
	APIKeys map[string]string
}

// UsageQuota is a number of requests in a period. The zero value is no quota.
type UsageQuota struct {
	Limit  int
	Period UsagePeriod
	// Offset is the day on which a period begins: of a week 0 to 6, 0 being
	// Sunday; of a month 0 to 27, 0 being its first.
	Offset int
}

// UsagePeriod is what a [UsageQuota] is counted over, in UTC.
type UsagePeriod string

// The three periods.
const (
	UsagePeriodDay   UsagePeriod = "DAY"
	UsagePeriodWeek  UsagePeriod = "WEEK"
	UsagePeriodMonth UsagePeriod = "MONTH"
)

// Begin returns when the period of now began.
func (q UsageQuota) Begin(now time.Time) time.Time {
	year, month, day := now.UTC().Date()
	switch q.Period {
	case UsagePeriodDay:
	case UsagePeriodWeek:
		day -= (int(now.UTC().Weekday()) - q.Offset + 7) % 7
	case UsagePeriodMonth:
		if day < 1+q.Offset {
			month--
		}
		day = 1 + q.Offset
	}
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}

func (p *UsagePlan) check() error {
	where := fmt.Sprintf("usage plan %q", p.ID)
	if p.ID == "" {
		return fmt.Errorf("%w: a usage plan has no ID", ErrInvalidOption)
	}
	if err := p.Throttle.check(where); err != nil {
		return err
	}
	for key, t := range p.RouteThrottles {
		if err := t.check(fmt.Sprintf("%s, route %q", where, key)); err != nil {
			return err
		}
	}
	q, days := p.Quota, map[UsagePeriod]int{UsagePeriodDay: 1, UsagePeriodWeek: 7, UsagePeriodMonth: 28}
	switch {
	case q == UsageQuota{}:
	case q.Limit <= 0:
		return fmt.Errorf("%w: %s: the quota's limit is %d: want at least 1, or no quota", ErrInvalidOption, where, q.Limit)
	case days[q.Period] == 0:
		return fmt.Errorf("%w: %s: the quota's period %q is not DAY, WEEK or MONTH", ErrInvalidOption, where, q.Period)
	case q.Offset < 0 || q.Offset >= days[q.Period]:
		return fmt.Errorf("%w: %s: the quota's offset %d is not a day of a %s: want 0 to %d", ErrInvalidOption, where, q.Offset, q.Period, days[q.Period]-1)
	}
	return nil
}

// APIKey is a key that was found, with its usage plan for the stage.
type APIKey struct {
	ID   string // not secret: integrations and logs may know it
	Plan *UsagePlan
}

// UsageStore finds API keys and counts what they use: [UsagePlans] in memory, or
// what several nodes share. Both methods run while a client waits and may run
// concurrently; ctx ends at Quotas.IntegrationTimeout. An error other than
// ErrForbidden refuses the request with 500.
type UsageStore interface {
	// FindAPIKey returns the key with a value, or [ErrForbidden] when there is none,
	// when it is disabled, or when no usage plan gives it this stage. The value is
	// a secret: compare it in constant time or by its hash, and never log it.
	FindAPIKey(ctx context.Context, value string) (APIKey, error)
	// CountRequest counts one request against key.Plan.Quota in the period that
	// began at begin. It returns false, and counts nothing, when the quota is used
	// up. It is not called for a plan without a quota.
	CountRequest(ctx context.Context, key APIKey, begin time.Time) (bool, error)
}

// UsagePlans is a [UsageStore] in memory. It is safe for concurrent use.
type UsagePlans struct {
	mu   sync.Mutex // guards the fields below
	keys map[[sha256.Size]byte]storedKey
	used map[keyUseID]usage
}

var _ UsageStore = (*UsagePlans)(nil)

// storedKey is found by the hash of its value, so that how long that takes says
// nothing about the value.
type storedKey struct {
	key  APIKey
	hash [sha256.Size]byte
}

// usage is how much of its quota a key has used, in the latest period of which a
// request came.
type usage struct {
	begin    time.Time
	requests int
}

// NewUsagePlans returns the plans with their keys. They are copied. An error,
// which wraps [ErrInvalidOption], says what to change; it never holds a key.
func NewUsagePlans(plans ...UsagePlan) (*UsagePlans, error) {
	s := &UsagePlans{}
	if err := s.Replace(plans...); err != nil {
		return nil, err
	}
	return s, nil
}

// Replace puts other plans in the place of all there are, for new connections.
// What keys have used of their quota stays. An error changes nothing.
func (s *UsagePlans) Replace(plans ...UsagePlan) error {
	keys, ids := map[[sha256.Size]byte]storedKey{}, map[string]string{}
	for n := range plans {
		plan := plans[n]
		plan.RouteThrottles, plan.APIKeys = maps.Clone(plan.RouteThrottles), nil
		if err := plan.check(); err != nil {
			return err
		}
		if slices.ContainsFunc(plans[:n], func(p UsagePlan) bool { return p.ID == plan.ID }) {
			return fmt.Errorf("%w: usage plan %q: another plan has this ID", ErrInvalidOption, plan.ID)
		}
		for id, value := range plans[n].APIKeys {
			hash := sha256.Sum256([]byte(value))
			switch _, taken := keys[hash]; {
			case id == "":
				return fmt.Errorf("%w: usage plan %q: an API key has no ID", ErrInvalidOption, plan.ID)
			case ids[id] != "":
				return fmt.Errorf("%w: API key %q is in usage plans %q and %q: a key has one plan for a stage", ErrInvalidOption, id, ids[id], plan.ID)
			case strings.TrimFunc(value, func(r rune) bool { return r <= ' ' }) != value:
				return fmt.Errorf("%w: API key %q: its value begins or ends with a blank or a line break, which no header can have: remove it", ErrInvalidOption, id)
			case !validKeyValue(value):
				return fmt.Errorf("%w: API key %q: its value has %d characters: want %d to %d", ErrInvalidOption, id, len(value), minKeyValue, maxKeyValue)
			case taken:
				return fmt.Errorf("%w: API key %q has the value of another", ErrInvalidOption, id)
			}
			ids[id] = plan.ID
			keys[hash] = storedKey{APIKey{ID: id, Plan: &plan}, hash}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = keys
	longAgo := time.Now().Add(-longestPeriod)
	maps.DeleteFunc(s.used, func(_ keyUseID, u usage) bool { return u.begin.Before(longAgo) })
	return nil
}

// longestPeriod is longer than any period of a quota: what was counted before that
// bounds nothing any more.
const longestPeriod = 32 * 24 * time.Hour

// The service's bounds on the value of an API key, in characters.
const (
	minKeyValue = 20
	maxKeyValue = 128
)

func validKeyValue(value string) bool { return len(value) >= minKeyValue && len(value) <= maxKeyValue }

// FindAPIKey implements [UsageStore].
func (s *UsagePlans) FindAPIKey(_ context.Context, value string) (APIKey, error) {
	hash := sha256.Sum256([]byte(value))
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.keys[hash]
	if !ok || subtle.ConstantTimeCompare(found.hash[:], hash[:]) != 1 {
		return APIKey{}, ErrForbidden
	}
	return found.key, nil
}

// CountRequest implements [UsageStore]. A request whose period is over, since it came
// at the turn of the period or the clock was set back, counts against the latest.
func (s *UsagePlans) CountRequest(_ context.Context, key APIKey, begin time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := keyUseID{key.Plan.ID, key.ID}
	u := s.used[id]
	switch {
	case begin.After(u.begin):
		u = usage{begin: begin}
	case u.begin.After(begin) && u.begin.After(time.Now()): // counted while the clock was ahead
		u.begin = begin
	}
	if u.requests >= key.Plan.Quota.Limit {
		return false, nil
	}
	u.requests++
	if s.used == nil {
		s.used = map[keyUseID]usage{}
	}
	s.used[id] = u
	return true, nil
}

// Used returns how many requests of a key have been counted in the period that
// began at begin: see [UsageQuota.Begin]. Only the latest period of a key is kept:
// of any other Used returns 0.
func (s *UsagePlans) Used(planID, keyID string, begin time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.used[keyUseID{planID, keyID}]
	if !u.begin.Equal(begin) {
		return 0
	}
	return u.requests
}

// keyUse is the use of one API key, with its throttles. All connections with that key
// share it. A nil keyUse is that of a client without a key.
type keyUse struct {
	id string

	mu     sync.Mutex // guards the fields below
	value  string     // $context.identity.apiKey
	plan   *UsagePlan
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

// use is called for every upgrade: the plan may be another than last time.
func (k *keyUse) use(value string, plan *UsagePlan) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.users++
	k.value = value
	if k.plan == plan {
		return
	}
	routes := make(map[string]*limit.Bucket, len(plan.RouteThrottles))
	for routeKey, t := range plan.RouteThrottles {
		routes[routeKey] = k.routes[routeKey].Keep(t.rate())
	}
	k.plan, k.all, k.routes = plan, k.all.Keep(plan.Throttle.rate()), routes
}

// throttle asks the plan's throttles.
func (k *keyUse) throttle(routeKey string, now time.Time) error {
	k.mu.Lock()
	all, route := k.all, k.routes[routeKey]
	k.mu.Unlock()
	if !route.Allow(now) || !all.Allow(now) {
		return errThrottled
	}
	return nil
}

// count counts a request against the plan's quota, if it has one.
func (k *keyUse) count(ctx context.Context, store UsageStore, now time.Time) error {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	plan := k.plan
	k.mu.Unlock()
	if plan.Quota.Limit == 0 {
		return nil
	}
	ok, err := store.CountRequest(ctx, APIKey{k.id, plan}, plan.Quota.Begin(now))
	switch {
	case err != nil:
		return fmt.Errorf("%w: counting a request of API key %q: %w", errUsageStore, k.id, err)
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

// idle says whether k can be forgotten: it would be the same if it came anew.
func (k *keyUse) idle(now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	idle := k.users == 0 && k.all.Full(now)
	for _, l := range k.routes {
		idle = idle && l.Full(now)
	}
	return idle
}

// keyUses are the API keys in use. One that no connection has any more is kept
// until its buckets are full again: connecting anew must not fill them.
type keyUses struct {
	mu    sync.Mutex // guards the fields below, not what the map holds
	byID  map[keyUseID]*keyUse
	sweep int // look for idle ones at this size
}

type keyUseID struct{ plan, key string }

// use returns the keyUse of a key, which has one more user then.
func (us *keyUses) use(key APIKey, value string, now time.Time) *keyUse {
	us.mu.Lock()
	defer us.mu.Unlock()
	id := keyUseID{key.Plan.ID, key.ID}
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
	k.use(value, key.Plan) // before a sweep can find it idle
	return k
}

var (
	errNoKey      = fmt.Errorf("%w: the upgrade request has no API key", ErrForbidden)
	errTwoKeys    = fmt.Errorf("%w: the upgrade request has more than one x-api-key header", ErrForbidden)
	errInvalidKey = fmt.Errorf("%w: the API key is not valid for this stage", ErrForbidden)
	errUsageStore = errors.New("usage store")
)

// checkAPIKey finds the client's API key, where $connect requires one.
func (u *upgrade) checkAPIKey() error {
	if r := u.table.connect; r == nil || !r.APIKeyRequired {
		return nil
	}
	value := string(u.g.apiKeySelection.Append(nil, &selection.Input{
		RequestHeader: u.r.Header, UsageIdentifierKey: u.admission.usageKey,
	}))
	switch {
	case !u.g.apiKeySelection.UsesAuthorizerKey() && len(u.r.Header.Values("X-Api-Key")) > 1:
		return invalidKey(errTwoKeys) // the gateway and its backends could take different ones
	case value == "":
		return invalidKey(errNoKey)
	case !validKeyValue(value):
		return invalidKey(errInvalidKey)
	}
	var key APIKey
	err := u.askStore(func(ctx context.Context) (then func(), err error) {
		found, err := u.g.usagePlans.FindAPIKey(ctx, value)
		switch {
		case errors.Is(err, ErrForbidden), err == nil && found.Plan == nil:
			return nil, invalidKey(errInvalidKey)
		case err == nil:
			err = found.Plan.check()
		}
		if err != nil {
			return nil, storeFailed(fmt.Errorf("%w: finding an API key: %w", errUsageStore, err))
		}
		return func() { key = found }, nil
	})
	if err != nil {
		return err
	}
	u.admission.keyUse = u.g.keyUses.use(key, value, u.now)
	return nil
}

// countRequest counts the upgrade against the quota of the client's usage plan.
func (u *upgrade) countRequest() error {
	if u.admission.keyUse == nil {
		return nil
	}
	return u.askStore(func(ctx context.Context) (func(), error) {
		err := u.admission.keyUse.count(ctx, u.g.usagePlans, u.now)
		if err != nil && err != errQuota { //nolint:errorlint // that is never wrapped, and err may be the store's
			err = storeFailed(err)
		}
		return nil, err
	})
}

// askStore asks the usage store in a time that is bounded. ask looks at what the
// store returned, too: the methods of its error are its own code. What ask then wants
// done is done only if it was in time.
func (u *upgrade) askStore(ask func(ctx context.Context) (then func(), err error)) error {
	a, err := bounded.Run(u.ctx, &u.g.running, u.g.quotas.IntegrationTimeout, &storeCall{u, ask})
	if err != nil {
		a.err = storeFailed(fmt.Errorf("%w: %w", errUsageStore, err))
	}
	var refused *refusal
	if errors.As(a.err, &refused) && refused.answer.level == slog.LevelError {
		u.logged = true
		u.g.logFailure(u.ctx, "usage store failed", u.told(), refused.err)
	}
	if a.then != nil {
		a.then()
	}
	return a.err
}

// storeCall is the attempt to ask a usage store.
type storeCall struct {
	u   *upgrade
	ask func(ctx context.Context) (then func(), err error)
}

// storeAnswer is what became of it: what to do, and the answer to the upgrade.
type storeAnswer struct {
	then func()
	err  error
}

func (c *storeCall) Do(ctx context.Context) (a storeAnswer) {
	defer func() {
		if p := recover(); p != nil {
			a = storeAnswer{err: storeFailed(fmt.Errorf("%w: %w", errUsageStore, &panicError{p, debug.Stack()}))}
		}
	}()
	a.then, a.err = c.ask(ctx)
	return a
}

func (c *storeCall) Ended() storeAnswer {
	return storeAnswer{err: storeFailed(fmt.Errorf("%w: %w", errUsageStore, errGoexit))}
}

func (c *storeCall) Done(storeAnswer) {}

func (c *storeCall) Late(a storeAnswer) { c.u.g.cameLate(c.u.ctx, c.u.told(), a.err) }

func storeFailed(err error) *refusal {
	return &refusal{answer: answerOf(errUsageStore), err: err}
}

func invalidKey(err error) error {
	return &refusal{answer: answerOf(errAPIKey), err: err}
}
