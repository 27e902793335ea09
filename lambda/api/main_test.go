package api_test

import (
	"os"
	"testing"

	"example.com/gateway/internal/testutil"
)

func TestMain(m *testing.M) {
	if os.Getenv(functionVariable) != "" {
		runFunction()
		return
	}
	os.Exit(testutil.RunWithLeakCheck(m))
}
