package presence_test

import (
	"os"
	"testing"

	"example.com/gateway/internal/testutil"
)

func TestMain(m *testing.M) { os.Exit(testutil.RunWithLeakCheck(m)) }
