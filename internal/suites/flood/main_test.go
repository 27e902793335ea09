package flood_test

import (
	"fmt"
	"os"
	"testing"

	"example.com/gateway/internal/testutil"
)

func TestMain(m *testing.M) {
	if addr := os.Getenv(clientEnv); addr != "" {
		if err := runClients(addr); err != nil {
			fmt.Println("error:", err) //nolint:forbidigo // the protocol between the two processes
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(testutil.RunWithLeakCheck(m))
}
