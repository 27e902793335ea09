package gateway_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

// twoWay dials a server whose $default route has the integration i, and returns
// a func that sends a message and returns the answer.
func twoWay(t *testing.T, i gateway.Integration) (ask func(message string) string, c *gatewaytest.Client) {
	t.Helper()
	srv := gatewaytest.New(t, gateway.WithStage("prod", map[string]string{"greeting": "hello"}))
	srv.Handle("$default", i, gateway.WithRouteResponse())
	c = srv.Dial(t, gatewaytest.SourceIP("203.0.113.7"))
	return func(message string) string {
		c.Send(message)
		return c.Receive()
	}, c
}

// echoBackend answers what it got.
func echoBackend(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Kind", "echo")
	_, _ = io.Copy(w, r.Body)
}

// echoing is a custom integration whose backend answers the payload.
func echoing(tr gateway.Transform) *gateway.CustomIntegration {
	return &gateway.CustomIntegration{Transform: tr, Backend: func(_ context.Context, _ *gateway.Request, payload []byte) (*gateway.Response, error) {
		return &gateway.Response{Body: payload, Header: http.Header{"X-Kind": {"echo"}}}, nil
	}}
}

// catchAll are the integration responses of a two-way route that passes all on.
func catchAll() map[string]gateway.IntegrationResponse {
	return map[string]gateway.IntegrationResponse{"$default": {}}
}

func TestTransform_Passthrough(t *testing.T) {
	t.Parallel()
	one := map[string]string{"join": "template of join"}
	withDefault := map[string]string{"join": "template of join", "$default": "template of default"}
	const refused = "Unsupported Media Type"
	for _, tc := range []struct {
		name      string
		behavior  gateway.PassthroughBehavior
		templates map[string]string
		message   string
		want      string
	}{
		{"WHEN_NO_MATCH, a template matches", gateway.PassthroughWhenNoMatch, one, `{"type":"join"}`, "template of join"},
		{"WHEN_NO_MATCH, none matches", gateway.PassthroughWhenNoMatch, one, `{"type":"leave"}`, `{"type":"leave"}`},
		{"WHEN_NO_MATCH, no templates", gateway.PassthroughWhenNoMatch, nil, `{"type":"join"}`, `{"type":"join"}`},
		{"the default is WHEN_NO_MATCH", "", one, `{"type":"leave"}`, `{"type":"leave"}`},
		{"WHEN_NO_TEMPLATES, a template matches", gateway.PassthroughWhenNoTemplates, one, `{"type":"join"}`, "template of join"},
		{"WHEN_NO_TEMPLATES, none matches", gateway.PassthroughWhenNoTemplates, one, `{"type":"leave"}`, refused},
		{"WHEN_NO_TEMPLATES, no templates", gateway.PassthroughWhenNoTemplates, nil, `{"type":"join"}`, `{"type":"join"}`},
		{"NEVER, a template matches", gateway.PassthroughNever, one, `{"type":"join"}`, "template of join"},
		{"NEVER, none matches", gateway.PassthroughNever, one, `{"type":"leave"}`, refused},
		{"NEVER, no templates", gateway.PassthroughNever, nil, `{"type":"join"}`, refused},
		{"$default catches all", gateway.PassthroughNever, withDefault, `{"type":"leave"}`, "template of default"},
		{"$default catches text", gateway.PassthroughNever, withDefault, `no JSON`, "template of default"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			ask, _ := twoWay(t, echoing(gateway.Transform{
				RequestTemplates:            tc.templates,
				TemplateSelectionExpression: "${request.body.type}",
				PassthroughBehavior:         tc.behavior,
				Responses:                   catchAll(),
			}))
			got := ask(tc.message)
			if tc.want == refused {
				require.Contains(t, got, `{"message": "Unsupported Media Type", "connectionId":"`)
				return
			}
			require.Equal(t, tc.want, got)
		})
	}
}

func TestTransform_Templates(t *testing.T) {
	t.Parallel()
	ask, c := twoWay(t, echoing(gateway.Transform{
		RequestTemplates: map[string]string{"$default": `{
  "id": "$context.connectionId", "stage": "$context.stage", "from": "$context.identity.sourceIp",
  "say": "$stageVariables.greeting", "room": $input.json('$.data.room'),
  "users": [#foreach($u in $input.path('$.data.users'))"$u"#if($foreach.hasNext),#end#end]
}`},
		Responses: catchAll(),
	}))
	require.JSONEq(t, `{"id":"`+c.ConnectionID()+`","stage":"prod","from":"203.0.113.7","say":"hello","room":"a \"b\"","users":["ann","ben"]}`,
		ask(`{"data":{"room":"a \"b\"","users":["ann","ben"]}}`))
}

// For $connect a template sees the header and query of the upgrade request, and
// an empty body.
func TestTransform_ConnectParams(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, ok)
	srv := gatewaytest.New(t)
	srv.Handle("$connect", &gateway.HTTPIntegration{URI: e.URL, Transform: &gateway.Transform{
		RequestTemplates: map[string]string{"$default": `$input.params().querystring.token $input.params('X-Custom') [$input.body]`},
	}})
	srv.Dial(t, gatewaytest.Query("token", "t"), gatewaytest.Header("X-Custom", "h"))
	r := e.last(t)
	require.Equal(t, "t h []", r.body)
	require.Empty(t, r.URL.RawQuery, "a non-proxy integration passes on what is mapped")
	require.Empty(t, r.Header.Get("X-Custom"))
}

func TestTransform_IntegrationResponses(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, func(w http.ResponseWriter, r *http.Request) {
		status := map[string]int{"200": 200, "404": 404, "503": 503}[r.Header.Get("X-Status")]
		w.Header().Set("X-Kind", "k")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"n":1}`)
	})
	i := &gateway.HTTPIntegration{
		URI:               e.URL,
		RequestParameters: map[string]string{"integration.request.header.X-Status": "route.request.body.status"},
		Transform: &gateway.Transform{Responses: map[string]gateway.IntegrationResponse{
			`/4\d\d/`: {ResponseTemplates: map[string]string{"$default": `not found, $context.status: $input.json('$.n')`}},
			`/50/`:    {ResponseTemplates: map[string]string{"$default": `a key has to match the whole value`}},
			"$default": {
				TemplateSelectionExpression: "${integration.response.statuscode}-${integration.response.header.X-Kind}-${request.body.action}",
				ResponseTemplates:           map[string]string{"200-k-say": "selected"},
			},
		}},
	}
	ask, _ := twoWay(t, i)
	require.Equal(t, "not found, 404: 1", ask(`{"status":404}`))
	require.Equal(t, "selected", ask(`{"status":200,"action":"say"}`))
	require.Equal(t, `{"n":1}`, ask(`{"status":200}`), "without a template that matches the body passes")
	require.Equal(t, `{"n":1}`, ask(`{"status":503}`))
}

func TestTransform_NoIntegrationResponse(t *testing.T) {
	t.Parallel()
	ask, _ := twoWay(t, echoing(gateway.Transform{}))
	require.Contains(t, ask(`{}`), `{"message": "Internal server error"`)
	ask, _ = twoWay(t, echoing(gateway.Transform{Responses: map[string]gateway.IntegrationResponse{"/5../": {}}}))
	require.Contains(t, ask(`{}`), `{"message": "Internal server error"`)

	srv := gatewaytest.New(t)
	srv.Handle("$default", echoing(gateway.Transform{})) // one-way: nobody needs a response
	srv.HandleFunc("end", answer("end"), gateway.WithRouteResponse())
	c := srv.Dial(t)
	c.Send(`{}`)
	c.Send(`{"action":"end"}`)
	require.Equal(t, "end", c.Receive())
}

func TestTransform_SelectsByErrorMessage(t *testing.T) {
	t.Parallel()
	i := &gateway.CustomIntegration{
		SelectByErrorMessage: true,
		Backend: func(_ context.Context, _ *gateway.Request, payload []byte) (*gateway.Response, error) {
			return &gateway.Response{Body: payload}, nil
		},
		Transform: gateway.Transform{Responses: map[string]gateway.IntegrationResponse{
			"/.*not allowed.*/": {ResponseTemplates: map[string]string{"$default": "no"}},
			"$default":          {ResponseTemplates: map[string]string{"$default": "yes"}},
		}},
	}
	ask, _ := twoWay(t, i)
	require.Equal(t, "no", ask(`{"errorMessage":"you are\nnot allowed to"}`))
	require.Equal(t, "yes", ask(`{"message":"not allowed"}`))
	require.Equal(t, "yes", ask(`no JSON`))
}

func TestTransform_ContentHandling(t *testing.T) {
	t.Parallel()
	payload := make(chan string, 1)
	i := &gateway.CustomIntegration{
		Backend: func(_ context.Context, _ *gateway.Request, p []byte) (*gateway.Response, error) {
			payload <- string(p)
			return &gateway.Response{Body: []byte{0xff, 0x00}}, nil
		},
		Transform: gateway.Transform{
			ContentHandling: gateway.ConvertToBinary,
			Responses:       map[string]gateway.IntegrationResponse{"$default": {ContentHandling: gateway.ConvertToText}},
		},
	}
	ask, _ := twoWay(t, i)
	require.Equal(t, "/wA=", ask("aGVsbG8="))
	require.Equal(t, "hello", <-payload)
	require.Contains(t, ask("not base64!"), `{"message": "Internal server error"`)
}

func TestTransform_Mock(t *testing.T) {
	t.Parallel()
	mock := gateway.MockIntegration{Transform: &gateway.Transform{
		RequestTemplates:            map[string]string{"$default": `#if($input.path('$.ok') == true){"statusCode": 200}#else{"statusCode": 500}#end`, "bad": "{}"},
		TemplateSelectionExpression: "$request.body.kind",
		Responses: map[string]gateway.IntegrationResponse{
			"/2../": {ResponseTemplates: map[string]string{"$default": "fine, $context.routeKey"}},
			"/5../": {ResponseTemplates: map[string]string{"$default": "broken"}},
		},
	}}
	ask, _ := twoWay(t, mock)
	require.Equal(t, "fine, $default", ask(`{"ok":true}`))
	require.Equal(t, "broken", ask(`{"ok":false}`))
	require.Contains(t, ask(`{"kind":"bad"}`), `{"message": "Internal server error"`, "no statusCode")

	srv := gatewaytest.New(t)
	srv.Handle("$connect", gateway.MockIntegration{Transform: &gateway.Transform{
		RequestTemplates: map[string]string{"$default": `{"statusCode": #if("$input.params('token')" == "good")200#{else}401#end}`},
		Responses: map[string]gateway.IntegrationResponse{
			"/2../": {ResponseParameters: map[string]string{"method.response.header.Sec-WebSocket-Protocol": "'chat.v1'"}},
			"$default": {
				ResponseTemplates:  map[string]string{"$default": `{"why":"token"}`},
				ResponseParameters: map[string]string{"method.response.header.X-Why": "'token'"},
			},
		},
	}})
	c := srv.Dial(t, gatewaytest.Query("token", "good"), gatewaytest.Subprotocols("chat.v1"))
	require.Equal(t, "chat.v1", c.Subprotocol())
	_, refused := srv.TryDial(t)
	require.Equal(t, http.StatusUnauthorized, refused.StatusCode)
	require.Equal(t, `{"why":"token"}`, refused.Body)
	require.Equal(t, "token", refused.Header.Get("X-Why"))
}

func TestTransform_TemplateThatCannotRun(t *testing.T) {
	t.Parallel()
	ask, _ := twoWay(t, echoing(gateway.Transform{
		RequestTemplates: map[string]string{"$default": strings.Repeat(`#foreach($i in [1..1000])`, 4) + "x" + strings.Repeat("#end", 4)},
		Responses:        catchAll(),
	}))
	require.Contains(t, ask(`{}`), `{"message": "Internal server error"`)
}

func TestTransform_HTTPBackend(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, echoBackend)
	ask, _ := twoWay(t, &gateway.HTTPIntegration{URI: e.URL, Transform: &gateway.Transform{
		RequestTemplates: map[string]string{"$default": `{"text":$input.json('$.text')}`},
		Responses:        catchAll(),
	}})
	require.Equal(t, `{"text":"hi"}`, ask(`{"text":"hi","secret":1}`))
	require.Equal(t, "application/json", e.last(t).Header.Get("Content-Type"))
}

// One JSONPath, three places: the selection of a route, a mapping, a template.
func TestJSONPath_SameEverywhere(t *testing.T) {
	t.Parallel()
	const body = `{"users":[{"name":"ann","age":17},{"name":"ben","age":18},{"name":"cleo","age":19}],"n":1.50}`
	for path, want := range map[string]string{
		"users[0].name":              "ann",
		"users[-1].name":             "cleo",
		"users[*].name":              "[ann, ben, cleo]",
		"users[0:2].name":            "[ann, ben]",
		"users[?(@.age >= 18)].name": "[ben, cleo]",
		"users[?(@.age > 99)].name":  "[]",
		".age":                       "[17, 18, 19]",
		"n":                          "1.50",
		"missing":                    "",
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			mapped := make(chan string, 1)
			e := newEndpoint(t, func(w http.ResponseWriter, r *http.Request) {
				mapped <- r.Header.Get("X-Mapped")
				echoBackend(w, r)
			})
			srv := gatewaytest.New(t, gateway.WithRouteSelectionExpression("is ${request.body."+path+"}"))
			srv.Handle("is "+want, &gateway.HTTPIntegration{
				URI:               e.URL,
				RequestParameters: map[string]string{"integration.request.header.X-Mapped": "route.request.body." + path},
				Transform: &gateway.Transform{
					RequestTemplates: map[string]string{"$default": "$input.json('$." + path + "')"},
					Responses:        catchAll(),
				},
			}, gateway.WithRouteResponse())
			c := srv.Dial(t)
			c.Send(body)
			got := c.Receive()
			require.NotContains(t, got, "Forbidden", "the route was selected")
			require.Equal(t, want, <-mapped)
			for _, name := range []string{"ann", "ben", "cleo"} {
				require.Equal(t, strings.Contains(want, name), strings.Contains(got, name), "%s in %s", name, got)
			}
		})
	}
}
