package flood_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"example.com/gateway/internal/testutil"
)

// parallel is how many tests run at once. They mostly wait.
const parallel = "16"

func TestMain(m *testing.M) {
	if addr := os.Getenv(clientEnv); addr != "" {
		if err := runClients(addr); err != nil {
			fmt.Println("error:", err) //nolint:forbidigo // the protocol between the two processes
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
