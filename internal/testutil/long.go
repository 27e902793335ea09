package testutil

import (
	"os"
	"testing"
)

// longEnv is set where tests run in their long forms: in CI.
const longEnv = "GATEWAY_LONG"

// Long says whether tests that have a short and a long form run in the long one.
func Long() bool { return os.Getenv(longEnv) == "1" }

// NeedsLong skips a test that has no short form, unless long forms are asked for.
func NeedsLong(tb testing.TB) {
	tb.Helper()
	if !Long() {
		tb.Skip("takes its time: set " + longEnv + "=1")
	}
}
