package origin_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/origin"
)

// request is an upgrade request to a host from a page of an origin.
func request(host, from string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://x/", nil)
	r.Host = host
	r.Header.Set("Origin", from)
	return r
}

func TestParse_Refuses(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"":                           "it is empty",
		" ":                          "remove the blank",
		"\t*":                        "remove the blank",
		" app.example.com":           "remove the blank",
		"app.example.com ":           "remove the blank",
		"a.example b.example":        "' '",
		"a.example,b.example":        "','",
		"https://app.example.com/":   "remove everything but scheme, host and port",
		"https://app.example.com/a":  "remove everything but scheme, host and port",
		"https://app.example.com/:1": "remove everything but scheme, host and port",
		"app.example.com/a":          "remove everything but scheme, host and port",
		"app.example.com?a":          "remove everything but scheme, host and port",
		"app.example.com#a":          "remove everything but scheme, host and port",
		"user@app.example.com":       "remove everything but scheme, host and port",
		"http://localhost:3000/":     `"http://localhost:3000/" is more than an origin: remove everything but scheme, host and port`,
		"localhost:3000?a":           "remove everything but scheme, host and port",
		"http://user:pw@localhost":   "remove everything but scheme, host and port",
		"http://[::1]:3000/a":        "remove everything but scheme, host and port",
		"https://":                   "has no host",
		"file:///":                   "remove everything but scheme, host and port",
		"://app.example.com":         "is not a scheme",
		"*://app.example.com":        "is not a scheme",
		"1a://app.example.com":       "is not a scheme",
		"ws://app.example.com":       "write http or https",
		"wss://app.example.com":      "write http or https",
		"null:":                      "is not a port",
		"data:":                      "is not a port",
		":3000":                      "has no host",
		"app.example.com:":           "is not a port",
		"app.example.com:0":          "is not a port",
		"app.example.com:65536":      "is not a port",
		"app.example.com:-1":         "is not a port",
		"app.example.com:30*":        "is not a port",
		"app.example.com:http":       "is not a port",
		"::1":                        "write an IPv6 address in brackets",
		"a:1:2":                      "write an IPv6 address in brackets",
		"[":                          "is not an IPv6 address",
		"[a":                         "more than one colon|is not an IPv6 address",
		"[::1":                       "write an IPv6 address in brackets",
		"[]":                         "is not an IPv6 address",
		"[::1]3000":                  "want a colon",
		"[::1]:":                     "is not a port",
		"[127.0.0.1]":                "is not an IPv6 address",
		"[fe80::1%eth0]":             "is not an IPv6 address",
		"[a-z].example.com":          "want a colon|is not an IPv6 address",
		"app-[0-9].example.com":      "'['",
		"app-?.example.com":          "remove everything but scheme, host and port",
		`app\.example.com`:           `'\\'`,
		"100%.example.com":           "'%'",
		"https://..":                 `write "*.example.com"`,
		".example.com":               `write "*.example.com"`,
		"app..example.com":           `write "*.example.com"`,
		"bücher.example":             "Punycode",
	} {
		_, err := origin.Parse(text)
		require.Error(t, err, "%q", text)
		require.Regexp(t, strings.NewReplacer("*", `\*`, ".", `\.`, "[", `\[`, `\`, `\\`).Replace(says), err.Error(), "%q", text)
	}
}

func TestPatterns_Allowed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern string // "": none
		yes, no []string
	}{
		{
			"",
			[]string{"https://api.example.com", "http://api.example.com", "https://API.example.com", "https://api.example.com:443", "http://api.example.com:80", "app://api.example.com"},
			[]string{"https://app.example.com", "https://api.example.com:8443", "https://api.example.com:80", "https://api.example.com.", "https://api.example.com@evil.example", "https://evil.example/api.example.com", "null", "file://", "file:///", "data:", "blob:", "about:blank", "https://", "https:", "api.example.com", "//", "http://[", "https://api.example.com, https://evil.example"},
		},
		{
			"app.example.com",
			[]string{"https://app.example.com", "http://app.example.com", "https://app.example.com:8443", "https://APP.EXAMPLE.COM", "capacitor://app.example.com"},
			[]string{"https://xapp.example.com", "https://app.example.com.evil.example", "https://a.app.example.com", "https://app.example.com@evil.example", "null", "file://", "data:"},
		},
		{
			"localhost",
			[]string{"http://localhost", "http://localhost:3000", "https://localhost:8443", "capacitor://localhost", "http://LOCALHOST:1"},
			[]string{"http://localhost.evil.example", "http://evil.example:3000", "http://127.0.0.1:3000"},
		},
		{"localhost:3000", []string{"http://localhost:3000", "https://localhost:3000"}, []string{"http://localhost", "http://localhost:3001", "http://localhost:30000"}},
		{"localhost:*", []string{"http://localhost", "http://localhost:3000"}, []string{"http://localhost.evil.example:3000"}},
		{"app.example.com:443", []string{"https://app.example.com", "https://app.example.com:443", "http://app.example.com:443"}, []string{"http://app.example.com", "https://app.example.com:8443"}},
		{"https://app.example.com", []string{"https://app.example.com", "https://app.example.com:443", "HTTPS://App.Example.com"}, []string{"http://app.example.com", "https://app.example.com:8443", "http://app.example.com:443", "null"}},
		{"HTTPS://App.Example.com:443", []string{"https://app.example.com"}, []string{"http://app.example.com"}},
		{"http://localhost", []string{"http://localhost", "http://localhost:80"}, []string{"http://localhost:3000", "https://localhost"}},
		{"http://localhost:03000", []string{"http://localhost:3000"}, []string{"http://localhost:3001"}},
		{"http://localhost:*", []string{"http://localhost", "http://localhost:3000"}, []string{"https://localhost:3000"}},
		{"chrome-extension://abcdef", []string{"chrome-extension://abcdef"}, []string{"moz-extension://abcdef", "https://abcdef"}},
		{"app://.", []string{"app://.", "APP://."}, []string{"app://", "app://x", "https://.", "null", "file://"}},
		{"*.example.com", []string{"https://a.example.com", "https://a.b.example.com:8443", "https://A.Example.Com"}, []string{"https://example.com", "https://evilexample.com", "https://a.example.com.evil.example", "null"}},
		{"https://*.example.com", []string{"https://a.example.com"}, []string{"http://a.example.com", "https://a.example.com:8443", "https://evil.example?.example.com", "https://evil.example/.example.com", "https://evil.example#.example.com"}},
		{"preview-*.example.com", []string{"https://preview-7.example.com"}, []string{"https://preview.example.com", "https://example.com"}},
		{"*:3000", []string{"http://anything:3000", "http://[::1]:3000"}, []string{"http://anything", "null", "file://", "data:"}},
		{"https://*", []string{"https://anything", "https://[::1]"}, []string{"https://anything:8443", "http://anything", "null", "https://"}},
		{"[::1]", []string{"http://[::1]", "http://[::1]:3000", "http://[0:0:0:0:0:0:0:1]"}, []string{"http://[::2]", "http://1", "http://localhost"}},
		{"[0:0::1]:3000", []string{"http://[::1]:3000"}, []string{"http://[::1]", "http://[::1]:3001"}},
		{"https://[2001:DB8::1]", []string{"https://[2001:db8::1]", "https://[2001:db8:0::1]:443"}, []string{"http://[2001:db8::1]"}},
		{"127.0.0.1", []string{"http://127.0.0.1:5173"}, []string{"http://[::ffff:127.0.0.1]", "http://127.0.0.10"}},
		{"null", []string{"null"}, []string{"file://", "data:", "https://null.example", "http://[", "nullx"}},
		{"Null", []string{"null"}, nil},
		{"http://null", []string{"http://null"}, []string{"null"}},
		{"file://", []string{"file://"}, []string{"null", "file:///etc", "file://host", "file:"}},
		{"*", []string{"https://anything:1", "null", "file://", "data:"}, []string{"http://[", "https://%zz"}},
	} {
		t.Run(tt.pattern, func(t *testing.T) {
			t.Parallel()
			var patterns origin.Patterns
			if tt.pattern != "" {
				p, err := origin.Parse(tt.pattern)
				require.NoError(t, err)
				patterns = append(patterns, p)
			}
			for _, from := range tt.yes {
				require.True(t, patterns.Allowed(request("api.example.com", from)), from)
			}
			for _, from := range tt.no {
				require.False(t, patterns.Allowed(request("api.example.com", from)), from)
			}
		})
	}
}

func TestPatterns_Allowed_sameHost(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		host, from string
		want       bool
	}{
		{"api.example.com", "", true},
		{"api.example.com:443", "https://api.example.com", true},
		{"api.example.com:80", "http://api.example.com", true},
		{"api.example.com:443", "http://api.example.com", false},
		{"api.example.com:8080", "http://api.example.com:8080", true},
		{"api.example.com:8080", "http://api.example.com", false},
		{"[::1]:8080", "http://[::1]:8080", true},
		{"[::1]", "http://[::1]", true},
		{"[0::1]", "http://[::1]", true},
		{"api.example.com.", "https://api.example.com.", true},
		{"", "null", false},
		{"", "file://", false},
		{"", "https://", false},
		{"", "http://:80", false},
		{"null", "null", false},
		{":80", "http://:80", false},
		{"api.example.com:x", "http://api.example.com:x", false},
	} {
		require.Equal(t, tt.want, origin.Patterns(nil).Allowed(request(tt.host, tt.from)), "%+v", tt)
	}
}

// No pattern allows a page without a host, unless the pattern names it, and no pattern
// allows a host that it does not name.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"", "*", "null", "file://", "localhost", "localhost:*", "https://*.example.com", "[::1]:3000", "[a-z]", "a:1:2", "ä.example", "https://a/b", "**", "*.*"} {
		f.Add(text, "https://app.example.com:8443")
	}
	f.Add("example.com", "https://example.com.evil.example")
	f.Fuzz(func(t *testing.T, text, from string) {
		p, err := origin.Parse(text)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		patterns, lower := origin.Patterns{p}, strings.ToLower(text)
		for _, hostless := range []string{"null", "file://", "data:", "about:blank", "https://", "http://:80"} {
			require.Equal(t, lower == "*" || lower == hostless && (hostless == "null" || hostless == "file://"),
				patterns.Allowed(request("gateway.test", hostless)), "%q", hostless)
		}
		if strings.Contains(lower, "://") && !strings.Contains(lower, "*") && lower != "file://" {
			require.True(t, patterns.Allowed(request("gateway.test", lower)), "a full origin allows itself")
		}
		u, err := url.Parse(from)
		if err != nil || from == "" || strings.EqualFold(u.Hostname(), "gateway.test") || strings.Contains(text, "*") || strings.Contains(text, "[") {
			return
		}
		if patterns.Allowed(request("gateway.test", from)) && u.Hostname() != "" {
			require.Contains(t, lower, strings.ToLower(u.Hostname()))
		}
	})
}
