package testutil_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/testutil"
)

func TestMain(m *testing.M) { os.Exit(testutil.RunWithLeakCheck(m)) } //nolint:forbidigo // as in every main_test.go

// This test is not parallel, because it would find the goroutines of other tests.
func TestRemaining(t *testing.T) {
	require.Empty(t, testutil.Remaining(time.Second))

	release := make(chan struct{})
	go func() { <-release }()
	left := testutil.Remaining(20 * time.Millisecond)
	require.Len(t, left, 1)
	require.Contains(t, left[0], "TestRemaining", "the stack says who started it")

	go func() { close(release) }()
	require.Empty(t, testutil.Remaining(time.Minute), "it waits for goroutines that are about to end")
}
