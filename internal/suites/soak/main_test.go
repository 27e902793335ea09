package soak_test

import (
	"fmt"
	"os"
	"testing"

	"example.com/gateway/internal/testutil"
)

func TestMain(m *testing.M) {
	if text := os.Getenv(planEnv); text != "" {
		if err := runProgram(text); err != nil {
			fmt.Fprintln(os.Stderr, "clients:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(testutil.RunWithLeakCheck(m))
}
