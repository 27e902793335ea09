package mapping_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/mapping"
	"example.com/gateway/internal/query"
)

func TestURI_Expand(t *testing.T) {
	t.Parallel()
	variables := map[string]string{"host": "api.test:8080", "base": "http://api.test/v1", "path": "a/b", "query": "v=1&w", "name": "n="}
	for _, tt := range []struct {
		name, uri string
		value     string // of {id}
		url       string
		query     map[string][]string
	}{
		{"nothing to fill", "https://api.test", "", "https://api.test", nil},
		{"a segment", "http://api.test/users/{id}/profile", "7", "http://api.test/users/7/profile", nil},
		{"part of a segment", "http://api.test/u-{id}.json", "7", "http://api.test/u-7.json", nil},
		{"twice", "http://api.test/{id}/{id}", "7", "http://api.test/7/7", nil},
		{"a blank and what else a path cannot hold", "http://api.test/{id}", "a b?c#d%e;é", "http://api.test/a%20b%3Fc%23d%25e%3B%C3%A9", nil},
		{"an escape stays what the client wrote", "http://api.test/{id}/x", "%2e%2e%2F", "http://api.test/%252e%252e%252F/x", nil},
		{"three dots are no dot segment", "http://api.test/{id}/x", "...", "http://api.test/.../x", nil},
		{"dots within a segment", "http://api.test/{id}/x", "a..b", "http://api.test/a..b/x", nil},
		{"dot segments that the URI has itself", "http://api.test/a/../{id}/./x", "7", "http://api.test/a/../7/./x", nil},
		{"the value of a parameter", "http://api.test/?user={id}&role=guest", "7", "http://api.test/", map[string][]string{"user": {"7"}, "role": {"guest"}}},
		{"part of the value of a parameter", "http://api.test?user=u-{id};role=guest", "7", "http://api.test", map[string][]string{"user": {"u-7"}, "role": {"guest"}}},
		{"separators in a parameter", "http://api.test/?user={id}&role=guest", "1&role=admin;x=1#y=+%41", "http://api.test/", map[string][]string{"user": {"1&role=admin;x=1#y=+%41"}, "role": {"guest"}}},
		{"path and query", "http://api.test/{id}?q={id}", "a+b&c", "http://api.test/a+b&c", map[string][]string{"q": {"a+b&c"}}},
		{"dots and slashes in a query", "http://api.test/?q={id}", `../\.`, "http://api.test/", map[string][]string{"q": {`../\.`}}},
		{"stage variables", "http://${stageVariables.host}/${stageVariables.path}/{id}?${stageVariables.query}={id}", "7", "http://api.test:8080/a/b/7", map[string][]string{"v": {"1"}, "w": {"7"}}},
		{"a parameter's name in a stage variable", "http://api.test/?a=1&${stageVariables.name}{id}", "7&a=2", "http://api.test/", map[string][]string{"a": {"1"}, "n": {"7&a=2"}}},
		{"a URI that begins with a stage variable", "${stageVariables.base}/{id}", "7", "http://api.test/v1/7", nil},
		{"an undefined stage variable", "http://api.test/${stageVariables.none}/{id}", "7", "http://api.test//7", nil},
		{"a parameter of a segment", "http://api.test/a;v={id}/b", "7", "http://api.test/a;v=7/b", nil},
		{"a fragment is not sent", "http://api.test/{id}#top", "7", "http://api.test/7", nil},
		{"pairs that net/url drops", "http://api.test/?role=user;internal", "", "http://api.test/", map[string][]string{"role": {"user"}, "internal": {""}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u, err := mapping.ParseURI(tt.uri)
			require.NoError(t, err)
			got, err := u.Expand(variables, map[string]string{"id": tt.value})
			require.NoError(t, err)
			require.Equal(t, tt.url, got.URL.String())
			require.Equal(t, tt.query, got.Query)
		})
	}
}

func TestURI_Expand_Refuses(t *testing.T) {
	t.Parallel()
	const another, missing = "would lead to another path", "has no value for {id}"
	for _, tt := range []struct{ uri, value, want string }{
		{"http://api.test/users/{id}/x", "..", another},
		{"http://api.test/users/{id}/x", ".", another},
		{"http://api.test/users/{id}", "..", another},
		{"http://api.test/users/{id}/x", "../admin", another},
		{"http://api.test/users/{id}/x", "a/b", another},
		{"http://api.test/users/{id}/x", "/", another},
		{"http://api.test/users/{id}/x", `..\admin`, another},
		{"http://api.test/users/{id}/x", `a\b`, another},
		{"http://api.test/users/{id}/x", "..;", another},
		{"http://api.test/users/{id}/x", ".. ", another},
		{"http://api.test/users/{id}/x", "\t.\n", another},
		{"http://api.test/users/{id}/x", "..\x00", another},
		{"http://api.test/users/{id}/x", "7\x00", another},
		{"http://api.test/users/{id}/x", "7 HTTP/1.1\r\nX-User-Id: admin\r\nY:", another},
		{"http://api.test/users/{id}/x", "7\rX:", another},
		{"http://api.test/users/{id}/x", "7\nX:", another},
		{"http://api.test/users/7%0A{id}/x", "\n", another},
		{"http://api.test/users/{id}/x", ".;a", another},
		{"http://api.test/users/{id}{id}/x", ".", another},
		{"http://api.test/users/.{id}/x", ".", another},
		{"http://api.test/users/{id}./x", ".", another},
		{"http://api.test/users/%2e{id}/x", ".", another},
		{"http://api.test/users/{id}%2E/x", ".", another},
		{"http://api.test/a;v={id}/x", "1;w=2", another},
		{"http://api.test/users/{id}/x", "", missing},
		{"http://api.test/?q={id}", "", missing},
		{"http://${stageVariables.none}/{id}", "7", "no http or https host"},
		{"${stageVariables.file}/{id}", "7", "no http or https host"},
		{"${stageVariables.slash}/{id}/x", "evil.test", "{id} stands before the path"},
		{"http://${stageVariables.name}/x{id}", "role", "{id} stands in the name of a query parameter"},
		{"http://${stageVariables.top}/{id}", "7", "{id} stands behind #"},
		{"http://api.test/${stageVariables.percent}{id}", "2e", "is no URL"},
		{"http://api.test/?q=${stageVariables.percent}{id}", "41", "followed by two hexadecimal digits"},
	} {
		t.Run(tt.uri+" "+tt.value, func(t *testing.T) {
			t.Parallel()
			u, err := mapping.ParseURI(tt.uri)
			require.NoError(t, err)
			got, err := u.Expand(map[string]string{
				"file": "file:///etc", "slash": "http:/", "name": "api.test/?a", "top": "api.test/#", "percent": "%",
			}, map[string]string{"id": tt.value})
			require.ErrorContains(t, err, tt.want)
			require.Nil(t, got)
			if len(tt.value) > 2 {
				require.NotContains(t, err.Error(), tt.value, "a client's value is not quoted")
			}
		})
	}
}

func TestParseURI_Refuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, uri, want string }{
		{"nothing", "", "neither http:// nor https://"},
		{"another scheme", "ftp://x/{id}", "neither http:// nor https://"},
		{"no host", "http:///{id}", "no http or https host"},
		{"no host, nothing to fill", "http://", "no http or https host"},
		{"a host of the client's", "http://{id}/", "{id} stands before the path"},
		{"userinfo of the client's", "http://{id}@api.test/", "{id} stands before the path"},
		{"a port of the client's", "http://api.test:{id}/", "{id} stands before the path"},
		{"a host behind a backslash", `http://api.test\{id}/`, "{id} stands before the path"},
		{"a host behind a variable", "http://${stageVariables.h}.{id}/y", "{id} stands before the path"},
		{"a host behind a scheme", "${stageVariables.s}://{id}/y", "{id} stands before the path"},
		{"the name of a parameter", "http://api.test/?{id}=1", "{id} stands in the name of a query parameter"},
		{"part of the name of a parameter", "http://api.test/?a=1&b{id}=1", "{id} stands in the name of a query parameter"},
		{"behind a semicolon", "http://api.test/?a=1;{id}", "{id} stands in the name of a query parameter"},
		{"a fragment", "http://api.test/#{id}", "{id} stands behind #"},
		{"a query that does not parse", "http://api.test/?rate=100%", "followed by two hexadecimal digits"},
		{"a query that does not parse, with a variable", "http://${stageVariables.h}/?rate=100%&x=1", "followed by two hexadecimal digits"},
		{"an escape that a client would complete", "http://api.test/?a=%{id}", "followed by two hexadecimal digits"},
		{"half an escape that a client would complete", "http://api.test/%2{id}", "is no URL"},
		{"a brace", "http://api.test/{id", "a brace"},
		{"above the bound", "http://api.test/" + strings.Repeat("x", 2048-15), "2049 characters"},
		{"far above the bound", "http://api.test/" + strings.Repeat("{id}", 1<<16), "characters, the most is 2048"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := mapping.ParseURI(tt.uri)
			require.ErrorContains(t, err, tt.want)
		})
	}
	_, err := mapping.ParseURI("http://api.test/" + strings.Repeat("x", 2048-16))
	require.NoError(t, err, "at the bound")
	_, err = mapping.ParseURI("https://service:sec@ret@api.test/{id")
	require.ErrorContains(t, err, `"https://api.test/{id"`, "a password is not quoted")
}

// FuzzURI checks, with a parser of its own, that a client's value never changes
// which segment or parameter it is in, and reaches the server as it was.
func FuzzURI(f *testing.F) {
	for _, uri := range []string{
		"http://api.test/users/{a}/{b}/x", "http://api.test/{a}{b}", "http://api.test/.{a}/%2e{b}", "http://api.test/?role=user&a={a}&b={b}", "http://api.test/{a}?x=1;y={b}#z",
		"http://api.test/a/../{a}/./b;v={b}", "http://${stageVariables.v}/{a}?${stageVariables.v}={b}", "${stageVariables.v}/{a}/{b}", "http://api.test/{a}?%26={b}",
	} {
		for _, value := range []string{"7", ".", "..", "../admin", `..\admin`, "%2e%2e", "%2F", "a/b", "1&role=admin", "1;role=admin", "#", "?", "a+b c", "..;", "\x00", "\xff", "é", "x", "{a}"} {
			f.Add(uri, "api.test/v", value, "admin")
			f.Add(uri, "http://api.test/?q=", "..", value)
		}
	}
	f.Fuzz(func(t *testing.T, text, variable, a, b string) {
		u, err := mapping.ParseURI(text)
		if err != nil {
			return
		}
		variables := map[string]string{"v": variable}
		got, err := u.Expand(variables, map[string]string{"a": a, "b": b})
		if err != nil {
			return
		}
		// The same URI with two harmless values. Every other difference between the two
		// results comes from the client.
		const markA, markB = "zAAz", "zBBz"
		plain, err := u.Expand(variables, map[string]string{"a": markA, "b": markB})
		if strings.Contains(text+variable, "zz") || err != nil {
			return
		}
		fill := strings.NewReplacer(markA, a, markB, b)
		require.Equal(t, plain.URL.Host, got.URL.Host)
		require.Equal(t, plain.URL.User, got.URL.User)
		require.Equal(t, plain.URL.Scheme, got.URL.Scheme)
		want := strings.Split(plain.URL.EscapedPath(), "/")
		segments := strings.Split(got.URL.EscapedPath(), "/")
		require.Len(t, segments, len(want))
		for n, segment := range segments {
			decoded, err := url.PathUnescape(segment)
			require.NoError(t, err)
			own, err := url.PathUnescape(want[n])
			require.NoError(t, err)
			require.Equal(t, fill.Replace(own), decoded)
			if decoded != own {
				require.NotContains(t, []string{".", ".."}, decoded)
				require.Equal(t, strings.Count(own, "/")+strings.Count(own, `\`), strings.Count(decoded, "/")+strings.Count(decoded, `\`))
				require.Equal(t, strings.Count(own, "\r")+strings.Count(own, "\n"), strings.Count(decoded, "\r")+strings.Count(decoded, "\n"))
			}
		}
		sent, err := query.Parse(url.Values(got.Query).Encode()) // as it goes over the wire
		require.NoError(t, err)
		require.Len(t, sent, len(plain.Query))
		for name, values := range plain.Query {
			require.Len(t, sent[name], len(values), name)
			for n, value := range values {
				require.Equal(t, fill.Replace(value), sent[name][n])
			}
		}
	})
}
