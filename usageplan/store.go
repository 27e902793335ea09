package usageplan

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"example.com/gateway"
)

// Store is a [gateway.UsageStore] in memory, for one process. It is safe for
// concurrent use.
type Store struct {
	mu   sync.Mutex // guards the fields below
	keys map[[sha256.Size]byte]storedKey
	used map[planKey]usage
}

var _ gateway.UsageStore = (*Store)(nil)

// planKey names a key in a plan.
type planKey struct{ plan, key string }

// storedKey is found by the hash of its value, so that the time this takes reveals nothing
// about the value.
type storedKey struct {
	key  gateway.APIKey
	hash [sha256.Size]byte
}

// usage is how much of its quota a key has used in the latest period that had a request.
type usage struct {
	begin    time.Time
	requests int
}

// New returns a Store with plans and their keys, which it copies. An error wraps
// [gateway.ErrInvalidOption] and says what to change. It never contains the value of a
// key.
func New(plans ...Plan) (*Store, error) {
	s := &Store{}
	if err := s.Replace(plans...); err != nil {
		return nil, err
	}
	return s, nil
}

// Replace replaces all plans. New connections get the new plans at once. The open
// connections of a key get them with the next upgrade that uses the key, if its plan has
// the same ID as before. What a key has used of its quota stays counted. If Replace
// returns an error, which is like that of New, nothing has changed.
func (s *Store) Replace(plans ...Plan) error {
	keys, planOf := map[[sha256.Size]byte]storedKey{}, map[string]string{}
	for n := range plans {
		plan := &plans[n]
		if err := plan.check(); err != nil {
			return err
		}
		if slices.ContainsFunc(plans[:n], func(p Plan) bool { return p.ID == plan.ID }) {
			return plan.wrong("another plan has this ID: give each plan its own")
		}
		routeThrottles := maps.Clone(plan.RouteThrottles)
		for id, value := range plan.APIKeys {
			hash := sha256.Sum256([]byte(value))
			if planOf[id] != "" {
				return fmt.Errorf("%w: API key %q is in usage plans %q and %q: a key has one plan for a stage", gateway.ErrInvalidOption, id, planOf[id], plan.ID)
			}
			if err := plan.checkKey(id, value); err != nil {
				return err
			}
			if _, taken := keys[hash]; taken {
				return fmt.Errorf("%w: API key %q has the value of another: give each key its own", gateway.ErrInvalidOption, id)
			}
			planOf[id] = plan.ID
			keys[hash] = storedKey{gateway.APIKey{
				ID: id, UsagePlanID: plan.ID, Throttle: plan.Throttle, RouteThrottles: routeThrottles,
				CountRequest: s.counter(planKey{plan.ID, id}, plan.Quota),
			}, hash}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = keys
	longAgo := time.Now().Add(-longestPeriod)
	maps.DeleteFunc(s.used, func(_ planKey, u usage) bool { return u.begin.Before(longAgo) })
	return nil
}

// longestPeriod is longer than any period of a quota: what was counted before that time
// no longer matters.
const longestPeriod = 32 * 24 * time.Hour

// The service's bounds on the value of an API key, in characters.
const (
	minKeyValue = 20
	maxKeyValue = 128
)

// checkKey returns what is wrong with an API key. The error does not have the value.
func (p *Plan) checkKey(id, value string) error {
	length := utf8.RuneCountInString(value)
	switch {
	case id == "":
		return p.wrong("an API key has no ID: APIKeys has the value of each key by its ID")
	case strings.TrimFunc(value, func(r rune) bool { return r <= ' ' }) != value:
		return fmt.Errorf("%w: API key %q: its value begins or ends with a blank or a line break, which no header can have: remove it", gateway.ErrInvalidOption, id)
	case strings.ContainsFunc(value, unicode.IsControl):
		return fmt.Errorf("%w: API key %q: its value has a line break or another control character, which no header can have: remove it", gateway.ErrInvalidOption, id)
	case length < minKeyValue || length > maxKeyValue:
		return fmt.Errorf("%w: API key %q: its value has %d characters: want %d to %d", gateway.ErrInvalidOption, id, length, minKeyValue, maxKeyValue)
	}
	return nil
}

// FindAPIKey implements [gateway.UsageStore].
func (s *Store) FindAPIKey(_ context.Context, value string) (gateway.APIKey, error) {
	hash := sha256.Sum256([]byte(value))
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.keys[hash]
	if !ok || subtle.ConstantTimeCompare(found.hash[:], hash[:]) != 1 {
		return gateway.APIKey{}, gateway.ErrForbidden
	}
	return found.key, nil
}

// counter returns the CountRequest of a key: nil for a plan without a quota.
func (s *Store) counter(id planKey, q Quota) func(context.Context, time.Time) (bool, error) {
	if q.Limit == 0 {
		return nil
	}
	return func(_ context.Context, now time.Time) (bool, error) {
		return s.count(id, q.Limit, q.Begin(now)), nil
	}
}

// count counts a request in the period that began at begin. A request whose period is
// over, because it came at the turn of the period or the clock was set back, counts in
// the latest.
func (s *Store) count(id planKey, limit int, begin time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.used[id]
	switch {
	case begin.After(u.begin):
		u = usage{begin: begin}
	case u.begin.After(begin) && u.begin.After(time.Now()): // counted while the clock was ahead
		u.begin = begin
	}
	if u.requests >= limit {
		return false
	}
	u.requests++
	if s.used == nil {
		s.used = map[planKey]usage{}
	}
	s.used[id] = u
	return true
}

// Used returns how many requests of a key have been counted in the period that began at
// begin: see [Quota.Begin]. Only the latest period of each key is kept; for any other
// period Used returns 0.
func (s *Store) Used(planID, keyID string, begin time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.used[planKey{planID, keyID}]
	if !u.begin.Equal(begin) {
		return 0
	}
	return u.requests
}
