package testutil_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/testutil"
)

func TestNeedsLong(t *testing.T) {
	for value, long := range map[string]bool{"1": true, "": false, "0": false, "yes": false} {
		t.Setenv("GATEWAY_LONG", value)
		require.Equal(t, long, testutil.Long(), value)
		skipped := true
		t.Run("of "+value, func(t *testing.T) {
			defer func() { skipped = t.Skipped() }()
			testutil.NeedsLong(t)
		})
		require.Equal(t, !long, skipped, value)
	}
}
