// Package limit bounds how much clients may do. It has token buckets, and it counts
// connections for each source address.
package limit

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rate is how fast a [Bucket] fills and how many tokens it holds.
type Rate struct {
	PerSecond float64 // zero, negative or infinite: no limit
	Burst     int     // zero: the tokens of one second, but at least one; None: no token
}

// None is the Burst of a bucket that never has a token, whatever its rate.
const None = math.MinInt

// maxBurst is the largest burst that the service's API can express.
const maxBurst = math.MaxInt32

// Check returns what is wrong with a rate that a user has set, and how to correct it.
func (r Rate) Check() error {
	switch {
	case r.Burst == None:
		return nil
	case math.IsNaN(r.PerSecond):
		return errors.New("RateLimit is not a number: set it to requests a second, or leave it 0 for no limit")
	case r.PerSecond < 0:
		return fmt.Errorf("RateLimit %v is negative: set it to requests a second, or leave it 0 for no limit", r.PerSecond)
	case r.Burst < 0:
		return fmt.Errorf("BurstLimit %d is negative: leave it 0 for as many requests as a second brings", r.Burst)
	case r.Burst > maxBurst:
		return fmt.Errorf("BurstLimit %d is above %d: use a smaller one, or set neither limit for none", r.Burst, maxBurst)
	case r.PerSecond == 0 && r.Burst > 0:
		return fmt.Errorf("BurstLimit is %d, but RateLimit is 0: set RateLimit too", r.Burst)
	}
	return nil
}

// Bucket is a token bucket. It begins full. A nil Bucket means no limit. A Bucket is
// safe for concurrent use.
type Bucket struct {
	rate   Rate
	tokens *rate.Limiter

	mu     sync.Mutex // guards the field below
	latest time.Time  // latest time that was passed to Allow
}

// NewBucket returns a full bucket, or nil if r means no limit.
func NewBucket(r Rate) *Bucket {
	if r.Burst == None {
		return &Bucket{rate: r, tokens: rate.NewLimiter(0, 0)}
	}
	if !(r.PerSecond > 0) || math.IsInf(r.PerSecond, 1) { // written so that NaN counts as no limit
		return nil
	}
	burst := r.Burst
	if burst <= 0 {
		burst = int(min(max(1, math.Ceil(r.PerSecond)), math.MaxInt32))
	}
	return &Bucket{rate: r, tokens: rate.NewLimiter(rate.Limit(r.PerSecond), burst)}
}

// Keep returns b with its present tokens if its rate is r, else a new bucket. So a
// deployment that does not change a throttle does not refill its bucket.
func (b *Bucket) Keep(r Rate) *Bucket {
	if b != nil && b.rate == r {
		return b
	}
	return NewBucket(r)
}

// Allow takes a token if there is one. now may be earlier than in an earlier call,
// because an authorizer or a slow body delayed the request. Then Allow uses the
// latest time so far. Otherwise package rate would set its clock back, and add the
// tokens for the time since then a second time.
func (b *Bucket) Allow(now time.Time) bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Before(b.latest) {
		now = b.latest
	}
	b.latest = now
	return b.tokens.AllowN(now, 1)
}

// Full reports whether the bucket is full.
func (b *Bucket) Full(now time.Time) bool {
	return b == nil || b.tokens.TokensAt(now) >= float64(b.tokens.Burst())
}
