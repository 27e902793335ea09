package controlplane_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane"
	"example.com/gateway/internal/wsconn"
)

// many returns an object with n entries of one value.
func many(n int, name string, value any) document {
	d := make(document, n)
	for i := range n {
		d[fmt.Sprintf("%s%d", name, i)] = value
	}
	return d
}

// What a client sends is bounded: each is refused, and nothing of it is stored.
func TestHostile_Bodies(t *testing.T) {
	t.Parallel()
	c := newClient(t, controlplane.Config{})
	api := c.api()
	c.must(201, "POST", api+"/stages", document{"stageName": "prod"})
	integration := api + "/integrations/" + c.mock(api)
	authorizer := api + "/authorizers/" + textOf(c.must(201, "POST", api+"/authorizers", authorizerBody()), "authorizerId")
	c.must(201, "POST", "/domainnames", document{"domainName": "ws.example.com"})
	long := strings.Repeat("x", 1<<20-100)
	for _, test := range []struct {
		name, path string
		body       any
		status     int
	}{
		{"deep", api, `{"tags":` + strings.Repeat(`{"a":`, 100_000) + strings.Repeat("}", 100_001), 400},
		{"deep and not closed", api, strings.Repeat("[", 1<<20), 400},
		{"deep in a text", api, `{"description":"` + strings.Repeat("[", 1000) + `"}`, 200},
		{"one byte too long", api, `{"x":"` + strings.Repeat("x", 1<<20-7) + `"}`, 413},
		{"as long as it may be, in a member that is not known", api, `{"x":"` + strings.Repeat("x", 1<<20-8) + `"}`, 200},
		{"a long name", api, document{"name": long}, 400},
		{"a long number", api + "/stages/prod", `{"defaultRouteSettings":{"throttlingRateLimit":` + strings.Repeat("9", 1<<19) + `}}`, 400},
		{"a number with a long exponent", api + "/stages/prod", `{"defaultRouteSettings":{"throttlingRateLimit":1e` + strings.Repeat("9", 1000) + `}}`, 400},
		{"many members", api, many(50_000, "m", 1), 200},
		{"a member many times", api, "{" + strings.Repeat(`"name":"a",`, 50_000) + `"name":"b"}`, 200},
		{"many tags", "/tags/arn:aws:apigateway:us-east-1::" + api, document{"tags": many(5000, "t", "v")}, 400},
		{"many variables", api + "/stages/prod", document{"stageVariables": many(101, "v", "x")}, 400},
		{"many parameters", integration, document{"requestParameters": many(401, "integration.request.header.h", "'x'")}, 400},
		{"a long key", integration, document{"requestParameters": document{"integration.request.header." + strings.Repeat("h", 2000): "'x'"}}, 400},
		{"many templates", integration, document{"requestTemplates": many(401, "t", "x")}, 400},
		{"many sources", authorizer, document{"identitySource": strings.Split(strings.Repeat("route.request.header.a,", 51)+"context.stage", ",")}, 400},
		{"a long source", authorizer, document{"identitySource": []any{"route.request.header." + strings.Repeat("a", 2000)}}, 400},
		{"a deep expression", authorizer, document{"identityValidationExpression": strings.Repeat("((((", 200)}, 400},
		{"an expression that repeats itself", authorizer, document{"identityValidationExpression": "((a{1000}){1000}){1000}"}, 400},
		{"many configurations", "/domainnames/ws.example.com", document{"domainNameConfigurations": make([]document, 3)}, 400},
	} {
		method := "PATCH"
		if strings.HasPrefix(test.path, "/tags") {
			method = "POST"
		}
		a := c.do(method, test.path, test.body)
		require.Equal(t, test.status, a.status, "%s: %.200s", test.name, a.text)
		require.Less(t, len(a.text), 2000, "%s: the answer does not repeat what was sent", test.name)
	}
	// Updates that merge do not add up.
	for _, test := range []struct {
		path, member, name string
		value              any
		most               int
	}{
		{api + "/stages/prod", "stageVariables", "v", "x", 100},
		{integration, "requestParameters", "integration.request.header.h", "'x'", 400},
	} {
		c.must(200, "PATCH", test.path, document{test.member: many(test.most, test.name, test.value)})
		a := c.do("PATCH", test.path, document{test.member: document{test.name + "more": test.value}})
		require.Equal(t, 400, a.status)
		require.Contains(t, a.text, fmt.Sprintf("it has %d entries. Must have at most %d", test.most+1, test.most))
		require.Len(t, c.must(200, "GET", test.path, nil)[test.member], test.most)
	}
	require.NotContains(t, c.must(200, "GET", authorizer, nil), "identitySource")
}

// A list of big documents has pages although nobody asked for them, and no document is
// lost between two of them.
func TestHostile_BigList(t *testing.T) {
	t.Parallel()
	c := newClient(t, controlplane.Config{})
	api := c.api()
	var want, got []string
	for range 12 {
		made := c.must(201, "POST", api+"/integrations", document{"integrationType": "MOCK", "requestTemplates": many(30, "t", strings.Repeat("x", 32_000))})
		want = append(want, textOf(made, "integrationId"))
	}
	for query := ""; ; {
		page := c.must(200, "GET", api+"/integrations"+query, nil)
		for _, item := range page["items"].([]any) {
			got = append(got, textOf(item.(document), "integrationId"))
		}
		if page["nextToken"] == nil {
			break
		}
		query = "?nextToken=" + textOf(page, "nextToken")
	}
	require.Equal(t, want, got)
	require.Less(t, len(c.do("GET", api+"/integrations", nil).text), 10<<20)
}

// Only a token of this server and this list is a token, and only 1 to 100 is a size.
func TestHostile_Pages(t *testing.T) {
	t.Parallel()
	c := newClient(t, controlplane.Config{})
	api, other := c.api(), c.api()
	for n := range 3 {
		c.route(api, fmt.Sprint(n))
		c.route(other, fmt.Sprint(n))
	}
	list := api + "/routes"
	token := textOf(c.must(200, "GET", list+"?maxResults=1", nil), "nextToken")
	raw, err := base64.RawURLEncoding.DecodeString(token)
	require.NoError(t, err)
	forged := []string{"x", "%00", "%FF", "=", strings.Repeat("A", 100_000), token[1:], token + "A", "../" + token}
	for n := range raw {
		changed := append([]byte{}, raw...)
		changed[n] ^= 1
		forged = append(forged, base64.RawURLEncoding.EncodeToString(changed))
	}
	for _, text := range forged {
		c.refused(400, "BadRequestException", "Invalid nextToken specified", "GET", list+"?nextToken="+text, nil)
	}
	c.refused(400, "BadRequestException", "Invalid nextToken specified", "GET", other+"/routes?nextToken="+token, nil)
	c.refused(400, "BadRequestException", "Invalid nextToken specified", "GET", api+"/integrations?nextToken="+token, nil)
	for _, size := range []string{"0", "-1", "101", "1e1", "%2B5", "%205", "0x5", "1.0", "%D9%A5", strings.Repeat("9", 1000)} {
		require.Equal(t, 400, c.do("GET", list+"?maxResults="+size, nil).status, size)
	}
	require.Len(t, c.must(200, "GET", list+"?maxResults=2&maxResults=1&nextToken="+token, nil)["items"], 2, "the first counts")
}

// Clients that change, delete and deploy the same APIs at the same time, definitions that
// are applied, and clients that connect to stages which come and go: no answer is an
// error of the server, the definition stays whole, and every client is let go.
func TestHostile_Concurrent(t *testing.T) {
	t.Parallel()
	l := newLive(t)
	require.NoError(t, l.server.Apply(t.Context(), definition("one")))
	shared := l.api()
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for n := range 15 {
				api := "/apis/" + textOf(l.do("POST", "/apis", document{"name": "n", "protocolType": "WEBSOCKET", "routeSelectionExpression": "$request.body.action"}).body, "apiId")
				for _, on := range []string{api, shared} {
					route := l.do("POST", on+"/routes", document{"routeKey": fmt.Sprint(n % 3)}).body
					for _, step := range []struct {
						method, path string
						body         any
					}{
						{"POST", on + "/stages", document{"stageName": "prod", "autoDeploy": n%2 == 0}},
						{"POST", on + "/deployments", document{"stageName": "prod"}},
						{"PATCH", on + "/routes/" + textOf(route, "routeId"), document{"operationName": "x"}},
						{"PATCH", on + "/stages/prod", document{"stageVariables": document{"v": fmt.Sprint(worker)}}},
						{"GET", on + "/routes", nil},
						{"PATCH", "/apis/chat", document{"description": "changed"}},
						{"DELETE", on + "/routes/" + textOf(route, "routeId"), nil},
						{"DELETE", on + "/stages/prod", nil},
					} {
						a := l.do(step.method, step.path, step.body)
						if a.status >= 500 { // require is for the goroutine of the test only
							t.Errorf("%s %s: %s", step.method, step.path, a.text)
						}
					}
				}
				if a := l.do("DELETE", api, nil); a.status != 204 {
					t.Errorf("DELETE %s: %s", api, a.text)
				}
			}
		})
	}
	group.Go(func() {
		for n := range 30 {
			if err := l.server.Apply(t.Context(), definition(fmt.Sprint(n))); err != nil {
				t.Error(err)
			}
		}
	})
	for range 3 {
		group.Go(func() {
			for range 40 {
				ws, _, err := wsconn.Dial(t.Context(), l.url+strings.TrimPrefix(shared, "/apis")+"/prod", wsconn.DialOptions{}) //nolint:bodyclose // Dial says that it needs no closing
				if err != nil {
					continue // the stage is not there just now
				}
				_ = ws.Write(t.Context(), []byte("{}"), true)
				_, _, _ = ws.Read(t.Context())
				ws.CloseNow()
			}
		})
	}
	group.Wait()
	ws := l.dial("/chat/prod")
	require.Equal(t, "29", l.ask(ws))
	ws.CloseNow()
	require.Len(t, l.must(200, "GET", "/apis", nil)["items"], 2)
	l.must(204, "DELETE", shared, nil)
	require.NoError(t, l.server.Shutdown(context.Background()))
}

// Every client of a stage that is deleted while they connect is let go with 1001, or has
// not got in.
func TestHostile_DeletedWhileClientsConnect(t *testing.T) {
	t.Parallel()
	l := newLive(t)
	api := l.api()
	l.twoWay(api, "one")
	deployment := l.deployment(api)
	for range 5 {
		l.must(201, "POST", api+"/stages", document{"stageName": "prod", "deploymentId": deployment})
		var group sync.WaitGroup
		start := make(chan struct{})
		for range 8 {
			group.Go(func() {
				<-start
				ws, _, err := wsconn.Dial(t.Context(), l.url+strings.TrimPrefix(api, "/apis")+"/prod", wsconn.DialOptions{}) //nolint:bodyclose // Dial says that it needs no closing
				if err != nil {
					if !strings.Contains(err.Error(), "403") && !strings.Contains(err.Error(), "503") {
						t.Error(err)
					}
					return
				}
				defer ws.CloseNow()
				if _, _, err = ws.Read(t.Context()); err == nil || !strings.Contains(err.Error(), "StatusGoingAway") {
					t.Errorf("the client is let go with %v", err)
				}
			})
		}
		close(start)
		l.must(204, "DELETE", api+"/stages/prod", nil)
		group.Wait()
	}
}
