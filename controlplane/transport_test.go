package controlplane_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane"
)

// How bodies are read.
func TestBodies(t *testing.T) {
	t.Parallel()
	c := newClient(t, controlplane.Config{})
	nested := func(depth int) string {
		return `{"name":"n","protocolType":"WEBSOCKET","routeSelectionExpression":"$request.body.action","x":` +
			strings.Repeat("[", depth) + strings.Repeat("]", depth) + "}"
	}
	for _, test := range []struct {
		name, body string
		status     int
		message    string
	}{
		{"no JSON", "name=n", 400, "The body must be a JSON object"},
		{"a list", "[]", 400, "The body must be a JSON object"},
		{"two objects", "{} {}", 400, "The body must be one JSON object, and nothing after it"},
		{"null", "null", 400, "ProtocolType is required to create an Api"},
		{"nothing", "", 400, "ProtocolType is required to create an Api"},
		{"64 deep", nested(63), 201, ""},
		{"65 deep", nested(64), 400, "The body has more than 64 nested objects and lists"},
		{"very deep", strings.Repeat("[", 1<<19), 400, "The body has more than 64 nested objects and lists"},
		{"brackets in a text", nested(0)[:len(nested(0))-1] + `"` + strings.Repeat(`[\"`, 100) + `"}`, 201, ""},
		{"too long", `{"name":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "The body has more than 1048576 bytes"},
	} {
		a := c.do("POST", "/apis", test.body)
		require.Equal(t, test.status, a.status, test.name)
		require.Equal(t, test.message, textOf(a.body, "message"), test.name)
	}
}

// Paths are split before they are unescaped, and no path leads to another document.
func TestPaths(t *testing.T) {
	t.Parallel()
	c := newClient(t, controlplane.Config{})
	api := c.api()
	id := strings.TrimPrefix(api, "/apis/")
	route := c.route(api, "a")
	for _, test := range []struct {
		path   string
		status int
	}{
		{"/apis", 200},
		{"/apis/", 200},
		{api, 200},
		{api + "/", 200},
		{"/apis/%" + fmt.Sprintf("%x", id[0]) + id[1:], 200},
		{api + "/routes/" + route, 200},
		{"/apis/" + id + "%2Froutes%2F" + route, 404},
		{"/apis/" + id + "%2Froutes/" + route, 404},
		{api + "/routes/..%2F..%2F" + id, 404},
		{api + "/stages/%24default", 404},
		{"/snapshots/" + id, 404},
		{"/applied", 404},
		{"/apis/%FF", 404},
		{"/apis/%00", 404},
		{"//apis", 404},
	} {
		require.Equal(t, test.status, c.do("GET", test.path, nil).status, test.path)
	}
	for _, method := range []string{"PATCH", "DELETE"} {
		c.refused(404, "NotFoundException", "Invalid API identifier specified 123456789012:"+id+"/routes/"+route, method, "/apis/"+id+"%2Froutes%2F"+route, nil)
	}
	c.refused(404, "NotFoundException", "Invalid API identifier specified 123456789012:"+id+"/routes", "PATCH", "/apis/"+id+"%2Froutes/routes/"+route, nil)
	c.refused(404, "NotFoundException", "Invalid route identifier specified", "DELETE", api+"/routes/..%2F..%2F"+id, nil)
	c.must(200, "GET", api+"/routes/"+route, nil)
}

// No path is answered with 500, and a GET never changes anything.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{
		"apis", "apis/", "apis/%2F", "apis/x/routes", "apis/x/routes/y/routeresponses/z", "tags/arn%3Aaws%3Aapigateway%3Aus-east-1%3A%3A%2Fapis%2Fx",
		"tags/arn:aws:apigateway:us-east-1::/apis/x/stages/y", "domainnames/a/apimappings/b?nextToken=x&maxResults=1", "apis?maxResults=101", "apis?%zz",
		"apis/x/stages/y/routesettings/%24connect", "apis/x/models/y/template", "..", "apis/../apis", "vpclinks", "apis/x/exports/OAS30", "//", "%2e%2e/apis",
	} {
		f.Add("GET", seed)
		f.Add("DELETE", seed)
		f.Add("POST", seed)
	}
	c := newClient(f, controlplane.Config{})
	api := c.api()
	route := c.route(api, "a")
	f.Fuzz(func(t *testing.T, method, path string) {
		if _, err := url.ParseRequestURI("/v2/" + path); err != nil || strings.ContainsAny(path, " \r\n\t#") || method == "" || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			return
		}
		c := &client{t, c.server}
		a := c.do(method, "/"+strings.ReplaceAll(strings.ReplaceAll(path, "{api}", strings.TrimPrefix(api, "/apis/")), "{route}", route), nil)
		require.Less(t, a.status, http.StatusInternalServerError, "%s", a.text)
		c.must(200, "GET", api+"/routes/"+route, nil)
	})
}

// Pages are in the order of creation, have what maxResults says, and stay right when
// documents come and go between them.
func TestPages(t *testing.T) {
	t.Parallel()
	c := newClient(t, controlplane.Config{})
	api := c.api()
	var ids []string
	for n := range 5 {
		ids = append(ids, c.route(api, fmt.Sprint(n)))
	}
	c.must(201, "POST", api+"/routes/"+ids[0]+"/routeresponses", document{"routeResponseKey": "$default"}) // no route
	page := func(query string) (got []string, next string) {
		a := c.must(200, "GET", api+"/routes"+query, nil)
		for _, item := range a["items"].([]any) {
			got = append(got, textOf(item.(document), "routeId"))
		}
		return got, textOf(a, "nextToken")
	}
	all, next := page("")
	require.Equal(t, ids, all)
	require.Empty(t, next)
	first, next := page("?maxResults=2")
	require.Equal(t, ids[:2], first)
	c.must(204, "DELETE", api+"/routes/"+ids[1], nil) // the last one of that page
	second, next2 := page("?maxResults=2&nextToken=" + next)
	require.Equal(t, ids[2:4], second)
	ids = append(ids, c.route(api, "later"))
	third, end := page("?maxResults=2&nextToken=" + next2)
	require.Equal(t, ids[4:], third)
	require.Empty(t, end)
	rest, _ := page("?nextToken=" + next2)
	require.Equal(t, ids[4:], rest)
	exact, end := page("?maxResults=5")
	require.Len(t, exact, 5)
	require.Empty(t, end)

	require.Equal(t, document{"items": []any{}}, c.must(200, "GET", api+"/authorizers", nil))
	for _, most := range []string{"0", "101", "-1", "%2B1", "x", "1.0"} {
		require.Equal(t, 400, c.do("GET", api+"/routes?maxResults="+most, nil).status, most)
	}
	c.refused(400, "BadRequestException", "Invalid maxResults specified: 101. Must be between 1 and 100", "GET", api+"/routes?maxResults=101", nil)
	for _, query := range []string{api + "/routes?nextToken=2", api + "/routes?nextToken=" + next[1:], api + "/routes?nextToken=!", api + "/integrations?nextToken=" + next} {
		c.refused(400, "BadRequestException", "Invalid nextToken specified", "GET", query, nil)
	}
}

// Tags of APIs, stages and domain names, by ARNs that are escaped and not.
func TestTags(t *testing.T) {
	t.Parallel()
	c := newClient(t, controlplane.Config{})
	api := c.api()
	c.must(201, "POST", api+"/stages", document{"stageName": "prod", "tags": document{"old": "1"}})
	c.must(201, "POST", "/domainnames", document{"domainName": "ws.example.com"})
	for _, path := range []string{api, api + "/stages/prod", "/domainnames/ws.example.com"} {
		arn := "arn:aws:apigateway:us-east-1::" + path
		for _, written := range []string{url.PathEscape(arn), strings.ReplaceAll(url.PathEscape(arn), ":", "%3A"), arn} {
			resource := "/tags/" + written
			require.Equal(t, document{}, c.must(201, "POST", resource, document{"tags": document{"a": "1", "b": "2"}}))
			c.must(201, "POST", resource, document{"tags": document{"b": "3", "c": ""}})
			c.must(204, "DELETE", resource+"?tagKeys=a&tagKeys=old&tagKeys=nope", nil)
			want := document{"b": "3", "c": ""}
			require.Equal(t, document{"tags": want}, c.must(200, "GET", resource, nil))
			require.Equal(t, want, c.must(200, "GET", path, nil)["tags"])
			c.must(204, "DELETE", resource+"?tagKeys=b&tagKeys=c", nil)
			require.Equal(t, document{"tags": document{}}, c.must(200, "GET", resource, nil))
		}
	}
	route := c.route(api, "a")
	for _, arn := range []string{"x", "arn:aws:apigateway:us-east-1::" + api + "/routes/" + route, "arn:aws:apigateway:us-east-1:1:" + api, "arn:aws:lambda:us-east-1::" + api, "arn:aws:apigateway:us-east-1::/apis"} {
		c.refused(400, "BadRequestException", "Invalid resource ARN specified: "+arn, "GET", "/tags/"+url.PathEscape(arn), nil)
	}
	c.refused(404, "NotFoundException", "Invalid API identifier specified 123456789012:nope", "GET", "/tags/arn:aws:apigateway:us-east-1::/apis/nope", nil)
	many := document{}
	for n := range 51 {
		many[fmt.Sprint(n)] = ""
	}
	require.Equal(t, 400, c.do("POST", "/tags/arn:aws:apigateway:us-east-1::"+api, document{"tags": many}).status)
	delete(many, "0")
	c.must(201, "POST", "/tags/arn:aws:apigateway:us-east-1::"+api, document{"tags": many})
	c.refused(400, "BadRequestException", "Invalid Tags specified: the resource would have 51 tags. Must have at most 50", "POST", "/tags/arn:aws:apigateway:us-east-1::"+api, document{"tags": document{"0": ""}})
}

// The sample template has the form of the model.
func TestModelTemplate(t *testing.T) {
	t.Parallel()
	c := newClient(t, controlplane.Config{})
	api := c.api()
	for n, test := range []struct{ schema, want string }{
		{`{"type":"object","properties":{"b":{"type":"array","items":{"type":"integer"}},"a":{"type":"string"},"c":{"type":"object","properties":{"d":{"type":"boolean"}}}}}`, "{\n  \"a\" : \"foo\",\n  \"b\" : [ 42 ],\n  \"c\" : {\n    \"d\" : true\n  }\n}"},
		{`{"type":"number"}`, "42.0"},
		{`{}`, "{ }"},
		{`no JSON`, "{ }"},
	} {
		id := textOf(c.must(201, "POST", api+"/models", document{"name": fmt.Sprintf("m%d", n), "schema": test.schema}), "modelId")
		require.Equal(t, document{"value": "#set($inputRoot = $input.path('$'))\n" + test.want}, c.must(200, "GET", api+"/models/"+id+"/template", nil))
	}
}
