package lifecycle_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"example.com/gateway/internal/testutil"
)

// parallel is how many tests run at the same time. Some of them wait most of their
// time, so the number of processors is not a useful limit.
const parallel = "8"

func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", parallel); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(testutil.RunWithLeakCheck(m))
}
