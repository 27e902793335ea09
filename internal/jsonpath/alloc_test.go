package jsonpath_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/jsonpath"
)

// Not parallel: testing.AllocsPerRun counts the allocations of all goroutines.
func TestPath_Lookup_doesNotAllocate(t *testing.T) {
	text := []byte(`{"text":"line\n\"two\"","n":1e999,"k\u0065y":{"items":["a",["b\n"],{"c": 1}]},"action":"join"}`)
	buf := make([]byte, 0, 256)
	tests := []struct{ name, path, want string }{
		{"a string without escapes beside strings with escapes", "action", "join"},
		{"a string behind a key with escapes", "key.items[0]", "a"},
		{"a number", "n", "1e999"},
		{"a string with escapes, given a buffer", "text", "line\n\"two\""},
		{"an array, given a buffer", "key.items", "[a, [b\n], {\"c\":1}]"},
		{"a missing path", "key.items[7].x", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := compile(t, tt.path)
			require.True(t, path.Definite())
			require.Equal(t, tt.want, string(path.Lookup(text).Text(buf)))
			require.Zero(t, testing.AllocsPerRun(100, func() { path.Lookup(text).Text(buf) }))
			if tt.path == "action" {
				require.Zero(t, testing.AllocsPerRun(100, func() { path.Lookup(text).Text(nil) }))
				yield := func(jsonpath.Value) bool { return true }
				require.Zero(t, testing.AllocsPerRun(100, func() { _ = path.Each(text, yield) }))
			}
		})
	}
}
