package event_test

import (
	"crypto/tls"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/event"
)

// The port is always a number, whatever a client writes after the host.
func TestUpgradeOf_Port(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"": "80", "h": "80", "h:8080": "8080", "h:65535": "65535", "[::1]": "80", "[::1]:5": "5", ":7": "7",
		"h:": "80", "h:0": "80", "h:65536": "80", "h:abc": "80", "h:1;drop": "80", "h:'x": "80", "h:-1": "80", "h:+1": "80", "h:80:90": "80",
	} {
		require.Equal(t, want, event.UpgradeOf(&http.Request{Host: host}, "").Port, "%q", host)
	}
	require.Equal(t, "443", event.UpgradeOf(&http.Request{Host: "h:x", TLS: &tls.ConnectionState{}}, "").Port)
}

// X-Forwarded-For begins with an address, even if the client sent a blank one.
func TestEvent_BlankForwardedFor(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		sent []string
		want string
	}{
		{nil, "203.0.113.7"},
		{[]string{""}, "203.0.113.7"},
		{[]string{"", " "}, "203.0.113.7"},
		{[]string{" , ,"}, "203.0.113.7"},
		{[]string{"198.51.100.1"}, "198.51.100.1, 203.0.113.7"},
		{[]string{"198.51.100.1", "a, b"}, "198.51.100.1, a, b, 203.0.113.7"},
	} {
		e := event.Event{SourceIP: "203.0.113.7", Upgrade: event.UpgradeOf(&http.Request{Header: http.Header{"X-Forwarded-For": tt.sent}}, "")}
		require.Equal(t, []string{tt.want}, e.Headers().Values("X-Forwarded-For"), "%q", tt.sent)
	}
}
