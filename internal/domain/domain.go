// Package domain tells a gateway under which domain name a client has reached it. The
// control plane serves one gateway under several names, and writes the right one into the
// context of each upgrade request. Nobody outside this module can do that.
package domain

import "context"

type key struct{}

// NewContext returns a context for an upgrade request that came in under name.
func NewContext(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, key{}, name)
}

// Name returns the name in ctx, or "" if there is none.
func Name(ctx context.Context) string {
	name, _ := ctx.Value(key{}).(string)
	return name
}
