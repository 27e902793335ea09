// Package tap lets package gatewaytest observe a gateway that gatewaytest did not
// make. A [Tap] travels in the context of an upgrade request. The gateway that gets
// the request calls the Tap and so offers itself for observation. Nobody outside this
// module can make a Tap.
package tap

import (
	"context"
	"time"
)

// Tap is a func that each gateway calls when it gets an upgrade request, before it
// answers. O is the gateway's type of observer. Several requests may call a Tap at
// once.
type Tap[O any] func(g Gateway[O])

// Gateway is what a gateway offers to a Tap. Two Gateways are equal if they stand for
// the same gateway.
type Gateway[O any] interface {
	// Observe adds an observer, for as long as the gateway lives.
	Observe(o O)
	// HasDisconnect reports whether there is a $disconnect route now.
	HasDisconnect() bool
	// Made returns when the gateway was made.
	Made() time.Time
	// Dropped ends a connection whose client is known to have dropped it, as if the
	// gateway had just noticed. If the connection ends already, or the gateway has no such
	// connection, nothing happens.
	Dropped(connectionID string)
	// Close stops the gateway at once.
	Close() error
}

type key[O any] struct{}

// NewContext returns a context that carries t.
func NewContext[O any](ctx context.Context, t Tap[O]) context.Context {
	return context.WithValue(ctx, key[O]{}, t)
}

// Offer calls the Tap in ctx, if there is one, with g.
func Offer[O any](ctx context.Context, g Gateway[O]) {
	if t, ok := ctx.Value(key[O]{}).(Tap[O]); ok {
		t(g)
	}
}
