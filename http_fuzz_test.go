package gateway_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
)

// FuzzHTTPIntegration checks that an HTTP integration calls the endpoint of its
// URI, whatever a client sends: the host, the path but for the client's own
// segment, the method, and the names of headers and parameters are not the
// client's to choose.
func FuzzHTTPIntegration(f *testing.F) {
	for _, value := range []string{
		"http://evil.example", "//evil.example", "@evil.example", `\\evil\x`, "..", ".", "../..", "%2e%2e/", "..;/", "${stageVariables.host}", "{x}", "?q=2#", "x&own=2",
		"x HTTP/1.1", "\u2028", "é", "", " x\t", "x\r\nX-Evil: 1", "x\r\n\r\nGET /evil HTTP/1.1\r\nHost: x\r\n\r\n", "x\nX-Evil: 1", "x\x00", "\x7f",
	} {
		f.Add(value, "own=2&q=forged&absent=forged&host="+url.QueryEscape(value)+"&stageVariables.host=evil", value)
	}
	e := newEndpoint(f, says("served"))
	host := strings.TrimPrefix(e.URL, "http://")
	i := &gateway.HTTPIntegration{URI: "http://${stageVariables.host}/a/{x}/b?own=1", RequestParameters: map[string]string{
		"integration.request.path.x": "route.request.body.x", "integration.request.querystring.q": "route.request.body.x", "integration.request.header.X-Mapped": "route.request.body.x",
		"integration.request.querystring.absent": "stageVariables.none", "integration.request.header.X-Absent": "stageVariables.none",
	}}
	var controls []string // each, and what it becomes in a header
	for c := range byte(' ') {
		if c != '\t' {
			controls = append(controls, string(rune(c)), " ")
		}
	}
	blanked := strings.NewReplacer(append(controls, "\x7f", " ")...)
	var compiled gateway.Integration
	gw := newGateway(f, gateway.WithMiddleware(func(next gateway.Integration) gateway.Integration { compiled = next; return next }))
	gw.Handle(gateway.RouteKeyConnect, i)
	f.Fuzz(func(t *testing.T, value, query, header string) {
		value = strings.ToValidUTF8(value, "\uFFFD")
		body, err := json.Marshal(map[string]string{"x": value})
		require.NoError(t, err)
		req := &gateway.Request{
			RouteKey: gateway.RouteKeyConnect, EventType: gateway.EventConnect, Body: body, StageVariables: map[string]string{"host": host},
			Upgrade: &http.Request{Method: http.MethodGet, Host: "evil.example", URL: &url.URL{Path: "/" + value, RawQuery: query}, Header: http.Header{
				"X-Mapped": {"forged"}, "X-Absent": {"forged"}, "X-Forwarded-For": {header}, "X-Client": {header}, "X-Http-Method-Override": {"DELETE"},
			}},
		}
		before := e.count()
		_, err = compiled.Invoke(t.Context(), req)
		dots, _, _ := strings.Cut(value, ";")
		dots = strings.TrimSpace(dots)
		leaves := value == "" || dots == "." || dots == ".." || strings.ContainsAny(value, "/\\\x00\r\n")
		if err != nil { // it would leave its segment, or a header cannot hold it: nothing is sent
			require.True(t, leaves || strings.ContainsFunc(header, unicode.IsControl), "%q %q: %v", value, header, err)
			require.Equal(t, before, e.count())
			return
		}
		require.False(t, leaves, "%q", value)
		require.Equal(t, before+1, e.count())
		r := e.last(t)
		require.Equal(t, host, r.Host)
		require.Equal(t, http.MethodPost, r.Method)
		require.Equal(t, string(body), r.body)
		escaped := r.URL.EscapedPath()
		require.Regexp(t, `^/a/[^/?#\\]*/b$`, escaped, "one segment")
		require.Equal(t, "/a/"+value+"/b", r.URL.Path)
		require.Equal(t, []string{"1"}, r.URL.Query()["own"], "what the URI says")
		require.Equal(t, []string{value}, r.URL.Query()["q"], "what is mapped")
		require.NotContains(t, r.URL.Query(), "absent", "a mapping without a value lets no client fill it")
		require.Equal(t, []string{strings.Trim(blanked.Replace(value), " \t")}, r.Header["X-Mapped"])
		for name := range r.Header {
			require.Contains(t, []string{
				"X-Mapped", "X-Client", "X-Http-Method-Override", "X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto",
				"User-Agent", "X-Amzn-Apigateway-Api-Id", "X-Amzn-Trace-Id", "Content-Length", "Accept-Encoding",
			}, name)
		}
	})
}

func (e *endpoint) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.requests)
}

// FuzzTransform checks that text of a message is text to a mapping template and a
// selection expression, whatever it looks like: it comes out as it went in.
func FuzzTransform(f *testing.F) {
	for _, text := range []string{
		"$stageVariables.secret", "${stageVariables.secret}", "$!{stageVariables.secret}", `\$stageVariables.secret`, "#if(true)LEAKED#end", "#set($v = 'LEAKED')$v",
		"#evaluate('LEAKED')", "#foreach($i in [1..9])LEAKED#end", "$input.path('$.x')", "$util.base64Decode('TEVBS0VE')", "${request.body.x}", "$v", "#v", "##", "#[[x]]#", "LEAKED", "\"",
	} {
		f.Add(text)
	}
	var compiled gateway.Integration
	gw := newGateway(f, gateway.WithMiddleware(func(next gateway.Integration) gateway.Integration { compiled = next; return next }))
	gw.Handle("key", echoing(gateway.Transform{
		TemplateSelectionExpression: "${request.body.x}",
		RequestTemplates: map[string]string{
			"LEAKED":   "chosen",
			"$default": `#set($v = $input.path('$.x'))$v|$input.path('$.x')|$input.json('$.x')`,
		},
		Responses: catchAll(),
	}), gateway.WithRouteResponse())
	f.Fuzz(func(t *testing.T, text string) {
		body, err := json.Marshal(text)
		require.NoError(t, err)
		text = string([]rune(text)) // as JSON has it
		require.True(t, utf8.ValidString(text))
		resp, err := compiled.Invoke(t.Context(), &gateway.Request{
			RouteKey: "key", EventType: gateway.EventMessage, Body: []byte(`{"x":` + string(body) + `}`), StageVariables: map[string]string{"secret": "LEAKED"},
		})
		require.NoError(t, err)
		if text == "LEAKED" {
			require.Equal(t, "chosen", string(resp.Body))
			return
		}
		quoted, ok := strings.CutPrefix(string(resp.Body), text+"|"+text+"|")
		require.True(t, ok, "%q of %q", resp.Body, text)
		var again string
		require.NoError(t, json.Unmarshal([]byte(quoted), &again))
		require.Equal(t, text, again)
	})
}
