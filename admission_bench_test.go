package gateway

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/inbox"
)

// BenchmarkAdmit measures all checks between a message and its integration.
func BenchmarkAdmit(b *testing.B) {
	const plenty = 1e9
	full := Throttle{plenty, plenty}
	counted := func(context.Context, time.Time) (bool, error) { return true, nil } // package usageplan cannot be used here: it imports this package
	account := NewAccountThrottle(plenty, plenty)
	for _, bench := range []struct {
		name  string
		opts  []Option
		route Route
		key   *APIKey
	}{
		{"levels=none", nil, Route{}, nil},
		{"levels=route", nil, Route{Throttle: full}, nil},
		{"levels=stage,account", []Option{WithDefaultThrottle(plenty, plenty), WithAccountThrottle(account)}, Route{}, nil},
		{"levels=all", []Option{WithAccountThrottle(account)}, Route{Throttle: full}, &APIKey{
			ID: "ann", UsagePlanID: "p", Throttle: full, RouteThrottles: map[string]Throttle{"m": full}, CountRequest: counted,
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			g, err := New(bench.opts...)
			require.NoError(b, err)
			bench.route.RouteKey, bench.route.Integration = "m", &MockIntegration{}
			require.NoError(b, g.Deploy(Deployment{Routes: []Route{bench.route}}))
			c := &connection{g: g}
			now := time.Now()
			if bench.key != nil {
				c.keyUse = g.keyUses.use(bench.key, "", now)
			}
			t := g.routes.Load()
			call := c.callOf(t, t.messages["m"], inbox.Message{Data: []byte(`{"action":"m"}`)}, now)
			b.ReportAllocs()
			for b.Loop() {
				if out := c.admit(t, call); out.err != nil {
					b.Fatal(out.err)
				}
			}
		})
	}
}
