package server

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/cmd/gateway/internal/config"
)

// Each advice is still in the source of the package that gives it.
func TestWords_known(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../../../*.go")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var source strings.Builder
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			source.Write(text)
		}
	}
	for pair := range slices.Chunk(words(), 2) {
		require.Contains(t, source.String(), pair[0])
	}
}

// Each quota that the log may name has the name of its key.
func TestWords_quotas(t *testing.T) {
	t.Parallel()
	var keys []string
	for _, field := range reflect.VisibleFields(reflect.TypeFor[config.Quotas]()) {
		keys = append(keys, "quotas."+field.Tag.Get("yaml"))
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[gateway.Quotas]()) {
		require.Contains(t, keys, userWords("Quotas."+field.Name))
	}
}

// The log of a server names keys of the configuration, whatever its format, and options of a Go
// program nowhere.
func TestLogger_Words(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		log := new(server).logger(config.Log{Format: format}, slog.LevelInfo, &out)
		log.Warn("x", "error", errors.New("the reply is above Quotas.MessageBytes"), "fix", "pass WithAnswerCommands to New; or leave the header out", "stage", "Quotas.Stage")
		require.Contains(t, out.String(), "the reply is above quotas.messageBytes")
		require.Contains(t, out.String(), "write answerCommands: true; or leave the header out")
		require.Contains(t, out.String(), "Quotas.Stage", "no advice")
	}
}
