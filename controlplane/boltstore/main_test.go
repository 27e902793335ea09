package boltstore

import (
	"fmt"
	"os"
	"testing"

	"example.com/gateway/internal/testutil"
)

// actEnv asks the test program to act as another process.
const actEnv = "BOLTSTORE_TEST_ACT"

func TestMain(m *testing.M) {
	act := acts[os.Getenv(actEnv)]
	if act == nil {
		os.Exit(testutil.RunWithLeakCheck(m))
	}
	if err := act(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
