package deflate_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/deflate"
)

const accepted = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

// offers are values of Sec-WebSocket-Extensions, with the answer; "" is none.
func offers() map[string]string {
	return map[string]string{
		"":                         "",
		" ,, ":                     "",
		"permessage-deflate":       accepted,
		"Permessage-Deflate":       accepted,
		", permessage-deflate ,\t": accepted,
		"permessage-deflate; client_max_window_bits":                       accepted, // browsers
		"permessage-deflate;client_max_window_bits=8":                      accepted,
		"permessage-deflate ; client_max_window_bits = \"15\"":             accepted,
		"permessage-deflate; client_max_window_bits=\"1\\0\"":              accepted,
		"permessage-deflate; SERVER_NO_CONTEXT_TAKEOVER":                   accepted,
		"permessage-deflate; client_no_context_takeover":                   accepted,
		"permessage-deflate; server_max_window_bits=15":                    accepted + "; server_max_window_bits=15",
		"permessage-deflate; server_max_window_bits=8":                     accepted + "; server_max_window_bits=8",
		"x-other; a=b; c=\"d\", permessage-deflate":                        accepted,
		"permessage-deflate; x, permessage-deflate":                        accepted,
		"permessage-deflate; server_max_window_bits=9, permessage-deflate": accepted + "; server_max_window_bits=9", // the first acceptable one

		"x-webkit-deflate-frame":                                                     "",
		"permessage-deflate2":                                                        "",
		"permessage-deflate; x":                                                      "",
		"permessage-deflate; server_max_window_bits":                                 "",
		"permessage-deflate; server_max_window_bits=7":                               "",
		"permessage-deflate; server_max_window_bits=16":                              "",
		"permessage-deflate; server_max_window_bits=09":                              "",
		"permessage-deflate; server_max_window_bits=+9":                              "",
		"permessage-deflate; client_max_window_bits=0":                               "",
		"permessage-deflate; client_max_window_bits=115":                             "",
		"permessage-deflate; server_no_context_takeover=1":                           "",
		"permessage-deflate; client_no_context_takeover=\"x\"":                       "",
		"permessage-deflate; client_no_context_takeover; client_no_context_takeover": "",
		"permessage-deflate; server_max_window_bits=9; server_max_window_bits=9":     "",
		"permessage-deflate; client_max_window_bits; client_max_window_bits=9":       "",

		// The grammar is broken, so nothing in the value counts.
		"permessage-deflate;":                                  "",
		"permessage-deflate; ; client_max_window_bits":         "",
		"permessage-deflate client_max_window_bits":            "",
		"permessage-deflate; client_max_window_bits=":          "",
		"permessage-deflate; client_max_window_bits=\"\"":      "",
		"permessage-deflate; client_max_window_bits=\"15":      "",
		"permessage-deflate; client_max_window_bits=\"1 5\"":   "",
		"permessage-deflate; client_max_window_bits=\"15\"x":   "",
		"permessage-deflate; client_max_window_bits=\"15\\":    "",
		"permessage-deflate, =":                                "",
		"permessage-deflate, ;":                                "",
		"permessage-deflate, x=y":                              "",
		"\"permessage-deflate\"":                               "",
		"permessage-deflate; =9":                               "",
		"permessage-deflate; \x00":                             "",
		"permessage-deflate\u00e4":                             "",
		"permessage-deflate; client_max_window_bits=15 server": "",
	}
}

func TestNegotiate(t *testing.T) {
	t.Parallel()
	for offer, want := range offers() {
		agreed, ok := deflate.Negotiate([]string{offer})
		require.Equal(t, want != "", ok, "%q", offer)
		if ok {
			require.Equal(t, want, agreed.String(), "%q", offer)
		}
	}
	t.Run("several headers are one list", func(t *testing.T) {
		t.Parallel()
		agreed, ok := deflate.Negotiate([]string{"x-other", "", "permessage-deflate; server_max_window_bits=10", "permessage-deflate"})
		require.True(t, ok)
		require.Equal(t, 10, agreed.WindowBits)
		_, ok = deflate.Negotiate([]string{"permessage-deflate", "=broken"})
		require.False(t, ok)
	})
	t.Run("without a limit the window is the largest", func(t *testing.T) {
		t.Parallel()
		agreed, ok := deflate.Negotiate([]string{"permessage-deflate; client_max_window_bits=9"})
		require.True(t, ok)
		require.Equal(t, 15, agreed.WindowBits)
	})
	t.Run("nothing", func(t *testing.T) {
		t.Parallel()
		_, ok := deflate.Negotiate(nil)
		require.False(t, ok)
	})
}

// FuzzNegotiate requires that an answer is one that RFC 7692 allows for what was offered.
func FuzzNegotiate(f *testing.F) {
	for offer := range offers() {
		f.Add(offer)
	}
	f.Fuzz(func(t *testing.T, offer string) {
		agreed, ok := deflate.Negotiate([]string{offer})
		if !ok {
			return
		}
		require.Contains(t, strings.ToLower(offer), "permessage-deflate")
		require.GreaterOrEqual(t, agreed.WindowBits, 8)
		require.LessOrEqual(t, agreed.WindowBits, 15)
		if strings.Contains(agreed.String(), "server_max_window_bits") {
			require.Contains(t, strings.ToLower(offer), "server_max_window_bits")
		}
		again, ok := deflate.Negotiate([]string{agreed.String()})
		require.True(t, ok, "the answer is a valid offer")
		require.Equal(t, agreed, again)
		two, ok := deflate.Negotiate([]string{"x-other", offer, "permessage-deflate"})
		require.True(t, ok)
		require.Equal(t, agreed, two, "the first acceptable offer counts")
	})
}
