//go:build !linux && !darwin

package process_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/lambda/process"
)

func TestNew_Unsupported(t *testing.T) {
	t.Parallel()
	_, err := process.New(process.Config{Dir: t.TempDir(), Runtime: "nodejs20.x", Handler: "index.handler"})
	require.ErrorIs(t, err, process.ErrConfig)
	require.ErrorContains(t, err, "on Linux and macOS only")
}
