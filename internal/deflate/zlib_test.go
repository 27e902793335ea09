package deflate_test

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/deflate"
)

// zlibMessages are what zlib and Chromium's zlib have made, with all levels and strategies,
// and with flushes in the middle: testdata/zlib.py and zlib.mjs tell how.
//
//go:embed testdata/zlib.txt
var zlibMessages string

// TestInflate_zlib inflates what the usual compressors make, within the default bounds.
func TestInflate_zlib(t *testing.T) {
	t.Parallel()
	bounds := deflate.Bounds{Bytes: deflate.FreeBytes, Ratio: 200}
	n := 0
	for line := range strings.Lines(zlibMessages) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		require.Len(t, fields, 3)
		in, err := base64.StdEncoding.DecodeString(fields[2])
		require.NoError(t, err)
		got, err := deflate.Inflate(in, bounds)
		require.NoError(t, err, fields[0])
		sum := sha256.Sum256(got)
		require.Equal(t, fields[1], hex.EncodeToString(sum[:]), fields[0])
		bounds := deflate.Bounds{Bytes: len(got)}
		_, err = deflate.Inflate(in, bounds)
		require.NoError(t, err, "%s: at the bound", fields[0])
		bounds.Bytes--
		_, err = deflate.Inflate(in, bounds)
		require.ErrorIs(t, err, deflate.ErrTooBig, "%s: above the bound", fields[0])
		n++
	}
	require.Greater(t, n, 90)
}
