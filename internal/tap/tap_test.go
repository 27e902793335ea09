package tap_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/tap"
)

type gateway[O any] struct{ name string }

func (gateway[O]) Observe(O)           {}
func (gateway[O]) HasDisconnect() bool { return false }
func (gateway[O]) Dropped(string)      {}
func (gateway[O]) Made() time.Time     { return time.Time{} }
func (gateway[O]) Close() error        { return nil }

// Offer passes a gateway to a tap for the same type of observer, each time it is
// called. Without such a tap it does nothing.
func TestOffer(t *testing.T) {
	t.Parallel()
	var offered []tap.Gateway[string]
	ctx := tap.NewContext(t.Context(), func(g tap.Gateway[string]) { offered = append(offered, g) })
	tap.Offer[string](ctx, gateway[string]{"a"})
	tap.Offer[string](ctx, gateway[string]{"a"})
	tap.Offer[int](ctx, gateway[int]{"b"})
	tap.Offer[string](context.WithoutCancel(ctx), gateway[string]{"c"})
	tap.Offer[string](t.Context(), gateway[string]{"d"})
	require.Equal(t, []tap.Gateway[string]{gateway[string]{"a"}, gateway[string]{"a"}, gateway[string]{"c"}}, offered)
}
