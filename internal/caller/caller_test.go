package caller_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/caller"
	"example.com/gateway/internal/proxy"
)

func TestHostname(t *testing.T) {
	t.Parallel()
	for hostport, want := range map[string]struct {
		name  string
		local bool
	}{
		"localhost:4567":      {"localhost", true},
		"LOCALHOST.":          {"localhost", true},
		"127.0.0.1:80":        {"127.0.0.1", true},
		"[::1]:80":            {"::1", true},
		"[::ffff:127.0.0.1]":  {"::ffff:127.0.0.1", true},
		"192.0.2.1:80":        {"192.0.2.1", false},
		"evil.example:4567":   {"evil.example", false},
		"localhost.evil.test": {"localhost.evil.test", false},
		"":                    {"", false},
	} {
		name := caller.Hostname(hostport)
		require.Equal(t, want.name, name)
		require.Equal(t, want.local, caller.IsLocalName(name), name)
	}
}

func TestIsHere(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{"127.0.0.1:1": true, "[::1]:1": true, "[::ffff:127.0.0.1]:1": true, "192.0.2.1:1": false, "": false, "@": false} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.RemoteAddr = address
		require.Equal(t, want, caller.IsHere(r), address)
	}
}

// A proxy on this machine does not make others look as if they were here.
func TestIsHere_BehindAProxy(t *testing.T) {
	t.Parallel()
	everywhere, err := proxy.Trust([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("127.0.0.0/8")})
	require.NoError(t, err)
	for _, tt := range []struct {
		peer, name, value string
		want              bool
	}{
		{"127.0.0.1:1", "X-Forwarded-For", "127.0.0.1", true},
		{"127.0.0.1:1", "X-Forwarded-For", "::1, 127.0.0.1", true},
		{"127.0.0.1:1", "X-Forwarded-For", "198.51.100.7", false},
		{"127.0.0.1:1", "X-Forwarded-For", "127.0.0.1, 198.51.100.7", false},
		{"127.0.0.1:1", "X-Forwarded-For", "198.51.100.7, 127.0.0.1", false},
		{"127.0.0.1:1", "X-Forwarded-For", "unknown", false},
		{"127.0.0.1:1", "X-Forwarded-For", "", false},
		{"127.0.0.1:1", "X-Real-Ip", "198.51.100.7", false},
		{"127.0.0.1:1", "X-Real-Ip", "127.0.0.1", true},
		{"127.0.0.1:1", "Forwarded", "for=198.51.100.7", false},
		{"192.0.2.1:1", "X-Forwarded-For", "127.0.0.1", false},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.RemoteAddr = tt.peer
		r.Header.Set(tt.name, tt.value)
		require.Equal(t, tt.want, caller.IsHere(r), "%+v", tt)
		r, err := everywhere.Request(r)
		require.NoError(t, err)
		require.Equal(t, tt.want, caller.IsHere(r), "as a trusted proxy tells it: %+v", tt)
	}
}

func TestSameOrigin(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		origins []string
		site    string
		want    bool
	}{
		{nil, "", true},
		{nil, "none", true},
		{nil, "same-site", false},
		{[]string{"http://localhost:4567"}, "same-origin", true},
		{[]string{"http://localhost:3000"}, "", false},
		{[]string{"http://localhost:4567", "null"}, "", false},
		{[]string{""}, "", false},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "http://localhost:4567/", nil)
		if tt.origins != nil {
			r.Header["Origin"] = tt.origins
		}
		if tt.site != "" {
			r.Header.Set("Sec-Fetch-Site", tt.site)
		}
		require.Equal(t, tt.want, caller.SameOrigin(r), "%+v", tt)
	}
}

type publicError struct{ error }

func (publicError) PublicError() (code, message string) { return "ExpiredToken", "It has expired" }
func (e publicError) Unwrap() error                     { return e.error }

func TestRefusal(t *testing.T) {
	t.Parallel()
	unauthorized := errors.New("unauthorized")
	for _, tt := range []struct {
		err           error
		status        int
		name, message string
	}{
		{errors.New("secret"), http.StatusForbidden, "AccessDeniedException", "User is not authorized to perform this action"},
		{unauthorized, http.StatusForbidden, "AccessDeniedException", "User is not authorized to perform this action"},
		{fmt.Errorf("x: %w", publicError{errors.New("secret")}), http.StatusForbidden, "ExpiredToken", "It has expired"},
		{publicError{unauthorized}, http.StatusUnauthorized, "ExpiredToken", "It has expired"},
	} {
		status, name, message := caller.Refusal(tt.err, unauthorized)
		require.Equal(t, tt.status, status)
		require.Equal(t, tt.name, name)
		require.Equal(t, tt.message, message)
	}
}
