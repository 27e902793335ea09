package faults_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"example.com/gateway/internal/testutil"
)

// parallel is how many tests run at once. They mostly wait, so it does not depend on
// the number of processors.
const parallel = "16"

func TestMain(m *testing.M) {
	if name := os.Getenv(programEnv); name != "" {
		if err := runProgram(name); err != nil {
			fmt.Fprintln(os.Stderr, name+":", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if err := flag.Set("test.parallel", parallel); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(testutil.RunWithLeakCheck(m))
}
