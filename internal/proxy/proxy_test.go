package proxy_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/proxy"
)

// trust trusts 10.0.0.0/8, fd00::/8 and this machine.
func trust(tb testing.TB) *proxy.Trusted {
	tb.Helper()
	t, err := proxy.Trust([]netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::ffff:127.0.0.1/128"),
		netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("fe80::/10"),
	})
	require.NoError(tb, err)
	return t
}

// request returns a request from a peer with the headers "Name: value".
func request(peer string, headers ...string) *http.Request {
	r := httptest.NewRequestWithContext(context.Background(), "GET", "http://inner.test/prod", nil)
	r.RemoteAddr = peer
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header[name] = append(r.Header[name], value)
	}
	return r
}

// The address of a client is the first one from the right that no trusted proxy has.
func TestClient_Address(t *testing.T) {
	t.Parallel()
	const list, standard = "X-Forwarded-For: ", "Forwarded: "
	many := strings.Repeat("10.0.0.9, ", 200)
	for name, tt := range map[string]struct {
		peer         string
		headers      []string
		want, before string
	}{
		"a stranger":                           {"198.51.100.1:5", []string{list + "203.0.113.7", standard + "for=203.0.113.8"}, "", ""},
		"a stranger in an IPv6 network":        {"[2001:db8::1]:5", []string{list + "203.0.113.7"}, "", ""},
		"no header":                            {"10.0.0.1:5", nil, "10.0.0.1", ""},
		"one address":                          {"10.0.0.1:5", []string{list + "203.0.113.7"}, "203.0.113.7", ""},
		"a forged address":                     {"10.0.0.1:5", []string{list + "127.0.0.1, 203.0.113.7"}, "203.0.113.7", "127.0.0.1"},
		"a forged line":                        {"10.0.0.1:5", []string{list + "127.0.0.1, 10.0.0.9", list + "203.0.113.7"}, "203.0.113.7", "127.0.0.1, 10.0.0.9"},
		"two proxies":                          {"10.0.0.1:5", []string{list + "127.0.0.1, 203.0.113.7, 10.0.0.2"}, "203.0.113.7", "127.0.0.1"},
		"two proxies, a line each":             {"10.0.0.1:5", []string{list + "203.0.113.7", list + "10.0.0.2"}, "203.0.113.7", ""},
		"nobody but proxies":                   {"10.0.0.1:5", []string{list + "10.0.0.3, 10.0.0.2"}, "10.0.0.3", ""},
		"nonsense":                             {"10.0.0.1:5", []string{list + "nonsense"}, "10.0.0.1", "nonsense"},
		"nonsense left of a proxy":             {"10.0.0.1:5", []string{list + "203.0.113.7, nonsense, 10.0.0.2"}, "10.0.0.2", "203.0.113.7, nonsense"},
		"unknown":                              {"10.0.0.1:5", []string{list + "unknown, 10.0.0.2"}, "10.0.0.2", "unknown"},
		"a name":                               {"10.0.0.1:5", []string{list + "localhost"}, "10.0.0.1", "localhost"},
		"empty entries":                        {"10.0.0.1:5", []string{list + "203.0.113.7, ,,", list + "", list + ","}, "203.0.113.7", ""},
		"nothing but commas":                   {"10.0.0.1:5", []string{list + "203.0.113.7" + strings.Repeat(",", 500)}, "10.0.0.1", "203.0.113.7" + strings.Repeat(",", 500)},
		"blanks":                               {"10.0.0.1:5", []string{list + " \t203.0.113.7\t , 10.0.0.2 "}, "203.0.113.7", ""},
		"a port":                               {"10.0.0.1:5", []string{list + "203.0.113.7:4711"}, "203.0.113.7", ""},
		"a wrong port":                         {"10.0.0.1:5", []string{list + "203.0.113.7:99999"}, "10.0.0.1", "203.0.113.7:99999"},
		"IPv6":                                 {"[fd00::1]:5", []string{list + "2001:DB8::7"}, "2001:db8::7", ""},
		"IPv6 in brackets":                     {"[fd00::1]:5", []string{list + "[2001:db8::7]"}, "2001:db8::7", ""},
		"IPv6 with a port":                     {"[fd00::1]:5", []string{list + "[2001:db8::7]:80"}, "2001:db8::7", ""},
		"IPv4 in brackets":                     {"10.0.0.1:5", []string{list + "[203.0.113.7]"}, "10.0.0.1", "[203.0.113.7]"},
		"half a bracket":                       {"10.0.0.1:5", []string{list + "[2001:db8::7"}, "10.0.0.1", "[2001:db8::7"},
		"IPv4 written as IPv6":                 {"[::ffff:10.0.0.1]:5", []string{list + "::ffff:203.0.113.7, ::ffff:10.0.0.2"}, "203.0.113.7", ""},
		"a zone":                               {"10.0.0.1:5", []string{list + "fe80::7%eth0"}, "10.0.0.1", "fe80::7%eth0"},
		"a peer with a zone":                   {"[fe80::1%eth0]:5", []string{list + "203.0.113.7"}, "203.0.113.7", ""},
		"octets with zeros":                    {"10.0.0.1:5", []string{list + "203.0.113.007"}, "10.0.0.1", "203.0.113.007"},
		"a long entry":                         {"10.0.0.1:5", []string{list + strings.Repeat("1", 5000)}, "10.0.0.1", strings.Repeat("1", 5000)},
		"more entries than are read":           {"10.0.0.1:5", []string{list + "203.0.113.7, " + many + "10.0.0.2"}, "10.0.0.9", "203.0.113.7, " + strings.TrimSuffix(strings.Repeat("10.0.0.9, ", 137), ", ")},
		"Forwarded":                            {"10.0.0.1:5", []string{standard + "for=127.0.0.1, for=203.0.113.7;proto=https;by=10.0.0.2, for=10.0.0.2"}, "203.0.113.7", ""},
		"Forwarded in any case":                {"10.0.0.1:5", []string{standard + "For=203.0.113.7;Proto=HTTPS"}, "203.0.113.7", ""},
		"Forwarded with blanks":                {"10.0.0.1:5", []string{standard + `for="203.0.113.7" ; by=10.0.0.2 ,  for=10.0.0.2`}, "203.0.113.7", ""},
		"Forwarded, IPv6":                      {"10.0.0.1:5", []string{standard + `for="[2001:db8::7]:4711"`}, "2001:db8::7", ""},
		"Forwarded, a line each":               {"10.0.0.1:5", []string{standard + "for=203.0.113.7", standard + "for=10.0.0.2"}, "203.0.113.7", ""},
		"Forwarded, a port":                    {"10.0.0.1:5", []string{standard + `for="203.0.113.7:4711"`}, "203.0.113.7", ""},
		"Forwarded, a quoted comma":            {"10.0.0.1:5", []string{standard + `for=203.0.113.7;host="a, for=1.2.3.4", for=10.0.0.2;by="x\", y"`}, "203.0.113.7", ""},
		"Forwarded, an open quote":             {"10.0.0.1:5", []string{standard + `for="1.2.3.4, for=203.0.113.7`}, "203.0.113.7", ""},
		"Forwarded, an open quote and a proxy": {"10.0.0.1:5", []string{standard + `for=9.9.9.9;x=", for=203.0.113.7, for=10.0.0.2`}, "203.0.113.7", ""},
		"Forwarded, an escape":                 {"10.0.0.1:5", []string{standard + `for="203.0.113\.7"`}, "203.0.113.7", ""},
		"Forwarded, a hidden name":             {"10.0.0.1:5", []string{standard + "for=203.0.113.7, for=_gazonk, for=10.0.0.2"}, "10.0.0.2", ""},
		"Forwarded, unknown":                   {"10.0.0.1:5", []string{standard + "for=203.0.113.7, for=unknown"}, "10.0.0.1", ""},
		"Forwarded without for":                {"10.0.0.1:5", []string{standard + "for=203.0.113.7, proto=https"}, "10.0.0.1", ""},
		"Forwarded, for twice":                 {"10.0.0.1:5", []string{standard + "for=203.0.113.7;for=203.0.113.8"}, "10.0.0.1", ""},
		"Forwarded, no value":                  {"10.0.0.1:5", []string{standard + "for=203.0.113.7;proto="}, "10.0.0.1", ""},
		"Forwarded, an address alone":          {"10.0.0.1:5", []string{standard + "203.0.113.7"}, "10.0.0.1", ""},
		"both alike":                           {"10.0.0.1:5", []string{list + "203.0.113.7", standard + "for=203.0.113.7"}, "203.0.113.7", ""},
		"not an address":                       {"@", []string{list + "203.0.113.7"}, "", ""},
		"nothing":                              {"", []string{list + "203.0.113.7"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := trust(t).Client(request(tt.peer, tt.headers...))
			require.NoError(t, err)
			if tt.want == "" {
				require.Nil(t, c)
				return
			}
			require.Equal(t, tt.want, c.Address)
			require.Equal(t, tt.before, c.Before)
		})
	}
}

// Nobody knows which of two headers the proxy has written, so they must not differ.
func TestClient_TwoChains(t *testing.T) {
	t.Parallel()
	for _, headers := range [][]string{
		{"X-Forwarded-For: 203.0.113.7", "Forwarded: for=203.0.113.8"},
		{"X-Forwarded-For: 203.0.113.7", "Forwarded: for=unknown"},
		{"X-Forwarded-For: nonsense", "Forwarded: for=203.0.113.8"},
	} {
		_, err := trust(t).Client(request("10.0.0.1:5", headers...))
		require.ErrorIs(t, err, proxy.ErrTwoChains)
		c, err := trust(t).Client(request("198.51.100.1:5", headers...))
		require.NoError(t, err, "a stranger may write what it likes")
		require.Nil(t, c)
	}
}

// Host and scheme are those that the client has used, as the proxy that it called says.
func TestClient_HostAndScheme(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		headers           []string
		host, proto, port string
	}{
		"all":                       {[]string{"X-Forwarded-For: 203.0.113.7", "X-Forwarded-Host: chat.example.com", "X-Forwarded-Proto: https", "X-Forwarded-Port: 8443"}, "chat.example.com", "https", "8443"},
		"without the address":       {[]string{"X-Forwarded-Host: chat.example.com:8443", "X-Forwarded-Proto: HTTPS"}, "chat.example.com:8443", "https", ""},
		"wss":                       {[]string{"X-Forwarded-Proto: wss"}, "", "https", ""},
		"ws":                        {[]string{"X-Forwarded-Proto: ws"}, "", "http", ""},
		"one of each proxy":         {[]string{"X-Forwarded-For: 9.9.9.9, 203.0.113.7, 10.0.0.2", "X-Forwarded-Host: forged.test, chat.example.com, inner.test", "X-Forwarded-Proto: ftp, https, http"}, "chat.example.com", "https", ""},
		"one of two proxies":        {[]string{"X-Forwarded-For: 203.0.113.7, 10.0.0.2", "X-Forwarded-Host: chat.example.com", "X-Forwarded-Proto: https"}, "chat.example.com", "https", ""},
		"forged, one proxy":         {[]string{"X-Forwarded-For: 9.9.9.9, 203.0.113.7", "X-Forwarded-Host: forged.test, chat.example.com"}, "chat.example.com", "", ""},
		"nonsense":                  {[]string{"X-Forwarded-Host: a b", "X-Forwarded-Proto: gopher", "X-Forwarded-Port: 0"}, "", "", ""},
		"more than a host":          {[]string{"X-Forwarded-Host: user@chat.example.com"}, "", "", ""},
		"a path":                    {[]string{"X-Forwarded-Host: chat.example.com/x"}, "", "", ""},
		"a port that is none":       {[]string{"X-Forwarded-Host: chat.example.com:0"}, "", "", ""},
		"no port":                   {[]string{"X-Forwarded-Host: chat.example.com:"}, "", "", ""},
		"not ASCII":                 {[]string{"X-Forwarded-Host: bücher.example"}, "", "", ""},
		"a long host":               {[]string{"X-Forwarded-Host: " + strings.Repeat("a", 300)}, "", "", ""},
		"IPv6":                      {[]string{"X-Forwarded-Host: [2001:db8::1]:80"}, "[2001:db8::1]:80", "", ""},
		"Forwarded":                 {[]string{`Forwarded: for=203.0.113.7;host="chat.example.com:8443";proto=https, for=10.0.0.2;host=inner.test;proto=http`}, "chat.example.com:8443", "https", ""},
		"Forwarded, and the others": {[]string{"Forwarded: for=203.0.113.7", "X-Forwarded-Host: forged.test", "X-Forwarded-Proto: https", "X-Forwarded-Port: 1"}, "", "", ""},
		"both":                      {[]string{"X-Forwarded-For: 203.0.113.7", "Forwarded: for=203.0.113.7;host=forged.test;proto=https", "X-Forwarded-Host: chat.example.com"}, "chat.example.com", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := trust(t).Client(request("10.0.0.1:5", tt.headers...))
			require.NoError(t, err)
			require.Equal(t, []string{tt.host, tt.proto, tt.port}, []string{c.Host, c.Proto, c.Port})
		})
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	r := request("10.0.0.1:5", "X-Forwarded-For: 2001:db8::7", "X-Forwarded-Host: chat.example.com")
	got, err := trust(t).Request(r)
	require.NoError(t, err)
	require.Equal(t, "[2001:db8::7]:0", got.RemoteAddr)
	require.Equal(t, "chat.example.com", got.Host)
	require.Equal(t, "10.0.0.1:5", proxy.Of(got).Peer)
	require.Equal(t, "10.0.0.1:5", r.RemoteAddr, "the request of the server is as it was")
	require.Equal(t, "inner.test", r.Host)

	r = request("10.0.0.1:5")
	got, err = trust(t).Request(r)
	require.NoError(t, err)
	require.Equal(t, "10.0.0.1:5", got.RemoteAddr, "nobody has told another address")

	r = request("198.51.100.1:5", "X-Forwarded-For: 203.0.113.7")
	got, err = trust(t).Request(r)
	require.NoError(t, err)
	require.Same(t, r, got)
	require.Nil(t, proxy.Of(got))
	got, err = (*proxy.Trusted)(nil).Request(r)
	require.NoError(t, err)
	require.Same(t, r, got)
}

// A process at the other end of a Unix socket is on this machine.
func TestClient_UnixSocket(t *testing.T) {
	t.Parallel()
	for _, peer := range []string{"@", "", "/run/proxy.sock"} {
		r := request(peer, "X-Forwarded-For: 203.0.113.7")
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.UnixAddr{Name: "/run/gateway.sock", Net: "unix"}))
		c, err := trust(t).Client(r)
		require.NoError(t, err)
		require.Equal(t, "203.0.113.7", c.Address)

		others, err := proxy.Trust([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
		require.NoError(t, err)
		c, err = others.Client(r)
		require.NoError(t, err)
		require.Nil(t, c, "this machine is not trusted")
	}
}

func TestTrust_Misuse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		network netip.Prefix
		want    string
	}{
		{netip.Prefix{}, "network 1 is not valid"},
		{netip.MustParsePrefix("0.0.0.0/0"), "network 0.0.0.0/0 is everybody"},
		{netip.MustParsePrefix("::/0"), "network ::/0 is everybody"},
		{netip.MustParsePrefix("::ffff:0.0.0.0/96"), "is everybody"},
		{netip.MustParsePrefix("::ffff:0.0.0.0/90"), "write an IPv4 network, such as 10.0.0.0/8"},
	} {
		_, err := proxy.Trust([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), tt.network})
		require.ErrorContains(t, err, tt.want)
	}
}

// Whatever stands left of what the proxies have written, it changes neither the address nor
// what the proxies have said.
func FuzzClient(f *testing.F) {
	for _, forged := range []string{"", "1.2.3.4", `for="`, `for=1.2.3.4;x="\`, ",,", `"`, `\"`, "for=1.2.3.4, for=10.0.0.2", "unknown", "10.0.0.2"} {
		f.Add(forged, true)
		f.Add(forged, false)
	}
	f.Fuzz(func(t *testing.T, forged string, sameLine bool) {
		trusted := trust(t)
		for header, written := range map[string]string{
			"X-Forwarded-For": "203.0.113.7, 10.0.0.2",
			"Forwarded":       `for=203.0.113.7;host=chat.example.com;proto=https;by="a, \"b", for="10.0.0.2"`,
		} {
			r := request("10.0.0.1:5")
			r.Header[header] = []string{forged, written}
			if sameLine {
				r.Header[header] = []string{forged + ", " + written}
			}
			c, err := trusted.Client(r)
			require.NoError(t, err)
			require.Equal(t, "203.0.113.7", c.Address)
			if header == "Forwarded" {
				require.Equal(t, []string{"chat.example.com", "https"}, []string{c.Host, c.Proto})
			}
			// Alone, the forged text leads to an address, or to that of the peer.
			r.Header[header] = []string{forged}
			c, err = trusted.Client(r)
			require.NoError(t, err)
			address, err := netip.ParseAddr(c.Address)
			require.NoError(t, err)
			require.False(t, address.Is4In6())
			require.True(t, c.Host == "" || !slices.Contains([]byte(c.Host), ' '))
		}
	})
}
