//go:build linux || darwin

package process_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/lambda/process"
)

// languages are functions that return their event.
func languages() map[string]process.Config {
	return map[string]process.Config{
		"node":   {Runtime: "nodejs", Handler: "index.handler"},
		"python": {Runtime: "python", Handler: "app.handler"},
	}
}

var echo = files{"index.js": `exports.handler = async (e) => e`, "app.py": "def handler(e, c):\n    return e\n"}

const event = `{"requestContext":{"routeKey":"sendmessage","connectionId":"R1kmxc2VNjMCFIA="},"body":"{\"action\":\"sendmessage\",\"data\":\"hello\"}","isBase64Encoded":false}`

// BenchmarkWarm calls a function whose process runs.
func BenchmarkWarm(b *testing.B) {
	for name, c := range languages() {
		b.Run("language="+name+"/calls=serial", func(b *testing.B) {
			f := start(b, c, echo)
			f.call(b, event)
			b.ReportAllocs()
			for b.Loop() {
				f.call(b, event)
			}
		})
		b.Run("language="+name+"/calls=parallel", func(b *testing.B) {
			c.Concurrency = 4
			f := start(b, c, echo)
			b.SetParallelism(4)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := f.InvokeFunction(b.Context(), []byte(event)); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// BenchmarkCold starts a process for each event.
func BenchmarkCold(b *testing.B) {
	for name, c := range languages() {
		b.Run("language="+name, func(b *testing.B) {
			f := start(b, c, echo)
			for b.Loop() {
				f.call(b, event)
				process.Reload(f.Function, b.Context())
			}
		})
	}
}

// BenchmarkFingerprint looks at a folder with many files, as the watch does.
func BenchmarkFingerprint(b *testing.B) {
	dir := b.TempDir()
	for n := range 1000 {
		require.NoError(b, os.WriteFile(filepath.Join(dir, strconv.Itoa(n)+".js"), nil, 0o600))
	}
	for b.Loop() {
		process.Fingerprint(dir, nil)
	}
}
