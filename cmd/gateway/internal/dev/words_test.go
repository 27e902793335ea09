package dev

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each advice is still in the source of a package.
func TestWords_known(t *testing.T) {
	t.Parallel()
	var source strings.Builder
	for _, dir := range []string{".", "controlplane", "lambda/process"} {
		files, err := filepath.Glob(filepath.Join("../../../..", dir, "*.go"))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				text, err := os.ReadFile(file)
				require.NoError(t, err)
				source.Write(text)
			}
		}
	}
	for pair := range slices.Chunk(words(), 2) {
		require.Contains(t, source.String(), pair[0])
	}
}

// Lines of the log, errors and refusals have the words of a user.
func TestWords(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	p := newPrinter(&b, false)
	log := slog.New(&handler{print: p})
	log.Warn("the integration returned a body", "fix", "pass WithRouteResponse() to Handle or HandleFunc, or set Route.RouteResponse; or return no body")
	log.Warn("accessLogSettings have no effect yet: Config.Logger gets the log")
	log.Warn("the answer has a command", "fix", "pass WithAnswerCommands to New; or leave the header out")
	log.Warn("management call rejected", "error", "to open the calls that only this package has, pass WithManagementExtensions to New")
	p.close()
	require.Contains(t, b.String(), "the answer has a command: start gateway dev with --answer-commands; or")
	require.Contains(t, b.String(), "only this package has, start gateway dev with --management-extensions\n")
	require.Contains(t, b.String(), "the integration returned a body: give the route a RouteResponseSelectionExpression of $default and ")
	require.Contains(t, b.String(), "have no effect yet: the lines of this program tell what happens\n")
	require.Equal(t, "x: install it", reason(&FileError{"x: install it, or set Command"}))
}
