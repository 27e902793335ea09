package clip_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/clip"
)

func TestTo(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		most int
		want string
	}{
		{"", 3, ""},
		{"abc", 3, "abc"},
		{"abcd", 3, "abc…"},
		{"abcd", 0, "…"},
		{"aéb", 2, "a…"},
		{"aéb", 3, "aé…"},
		{"aéb", 4, "aéb"},
		{"a😀b", 2, "a…"},
		{"a😀b", 4, "a…"},
		{"a😀b", 5, "a😀…"},
		{"😀", 3, "…"},
		{"a\x80\x80\x80\x80\x80b", 5, "a\x80\x80\x80\x80…"},
	} {
		require.Equal(t, tt.want, clip.To(tt.text, tt.most), "%q %d", tt.text, tt.most)
	}
}
