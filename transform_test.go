package gateway_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/testutil"
)

// twoWay dials a server whose $default route has the integration i. It returns a func
// that sends a message and returns the answer.
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

// echoBackend answers with the request's body.
func echoBackend(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Kind", "echo")
	_, _ = io.Copy(w, r.Body)
}

// echoing is a custom integration whose backend answers with the payload.
func echoing(tr gateway.Transform) *gateway.CustomIntegration {
	return &gateway.CustomIntegration{Transform: &tr, Backend: func(_ context.Context, _ *gateway.Request, payload []byte) (*gateway.Response, error) {
		return &gateway.Response{Body: payload, Header: http.Header{"X-Kind": {"echo"}}}, nil
	}}
}

// catchAll are the integration responses of a two-way route that passes everything
// on.
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

// In a template for $connect, the parameters have the header and query of the upgrade
// request, and the body is empty.
func TestTransform_ConnectParams(t *testing.T) {
	t.Parallel()
	e := testutil.NewBackend(t, testutil.OK)
	srv := gatewaytest.New(t)
	srv.Handle("$connect", &gateway.HTTPIntegration{URI: e.URL, Transform: &gateway.Transform{
		RequestTemplates: map[string]string{"$default": `$input.params().querystring.token $input.params('X-Custom') [$input.body]`},
	}})
	srv.Dial(t, gatewaytest.Query("token", "t"), gatewaytest.Header("X-Custom", "h"))
	r := e.Last(t)
	require.Equal(t, "t h []", r.Text)
	require.Empty(t, r.URL.RawQuery, "a non-proxy integration passes on what is mapped")
	require.Empty(t, r.Header.Get("X-Custom"))
}

func TestTransform_IntegrationResponses(t *testing.T) {
	t.Parallel()
	e := testutil.NewBackend(t, func(w http.ResponseWriter, r *http.Request) {
		status := map[string]int{"200": 200, "201": 201, "404": 404, "503": 503}[r.Header.Get("X-Status")]
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
			"/201/": {},
		}},
	}
	ask, _ := twoWay(t, i)
	require.Equal(t, "not found, 404: 1", ask(`{"status":404}`))
	require.Equal(t, "selected", ask(`{"status":200,"action":"say"}`))
	require.Equal(t, `{"n":1}`, ask(`{"status":201}`), "without templates the body passes")
	require.Contains(t, ask(`{"status":200}`), `{"message": "Internal server error"`, "without the template that was to be there it does not")
	require.Contains(t, ask(`{"status":503}`), `{"message": "Internal server error"`)
}

// Templates whose keys are content types, as CDK and Terraform write them, are used
// if no expression selects other templates, in both directions.
func TestTransform_KeyedByContentType(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{"", `\$default`} {
		t.Run(expression, func(t *testing.T) {
			t.Parallel()
			ask, _ := twoWay(t, echoing(gateway.Transform{
				RequestTemplates:            map[string]string{"application/json": `{"name":$input.json('$.name'),"hash":"x"}`},
				TemplateSelectionExpression: expression,
				PassthroughBehavior:         gateway.PassthroughNever,
				Responses: map[string]gateway.IntegrationResponse{"$default": {
					ResponseTemplates:           map[string]string{"application/json": `{"name":$input.json('$.name')}`},
					TemplateSelectionExpression: expression,
				}},
			}))
			require.Equal(t, `{"name":"ann"}`, ask(`{"name":"ann","admin":true}`))
			require.Equal(t, `{"name":""}`, ask(`no JSON`))

			ask, _ = twoWay(t, &gateway.MockIntegration{Transform: &gateway.Transform{ // the sample of CDK
				RequestTemplates:            map[string]string{"application/json": `{ "statusCode": 200 }`},
				TemplateSelectionExpression: expression,
				Responses:                   map[string]gateway.IntegrationResponse{"/200/": {ResponseTemplates: map[string]string{"application/json": "fine"}}},
			}})
			require.Equal(t, "fine", ask(`{}`))
		})
	}
}

// Templates that nothing selects are an error. Otherwise nobody would notice the
// mistake: messages would pass unchanged.
func TestTransform_TemplatesThatNothingSelects(t *testing.T) {
	t.Parallel()
	const both = "${request.body.a}-${request.body.b}"
	for _, tt := range []struct {
		name, expression string
		keys             []string
		says             string // "": no error
	}{
		{"none", "", nil, ""},
		{"none, and an expression", both, nil, ""},
		{"a content type", "", []string{"application/json"}, ""},
		{"the default", "", []string{"$default"}, ""},
		{"the default, by its expression", `\$default`, []string{"$default"}, ""},
		{"both of these", "", []string{"$default", "application/json"}, `templates ["$default" "application/json"]: one of them is never used`},
		{"another content type", "", []string{"application/json", "text/plain"}, `template "text/plain": no TemplateSelectionExpression selects it`},
		{"a key without an expression", "", []string{"$default", "join"}, `template "join": no TemplateSelectionExpression selects it`},
		{"an empty key without an expression", "", []string{""}, `template "": no TemplateSelectionExpression selects it`},
		{"a key of the default expression", `\$default`, []string{"join"}, `template "join": no TemplateSelectionExpression selects it`},
		{"a variable can be any key", "$request.body.action", []string{"join", "", "application/json", "$default", "a\nb"}, ""},
		{"a variable and the default only", "$request.body.action", []string{"$default"}, ""},
		{"a fixed value that is a key", "join", []string{"join"}, ""},
		{"a fixed value that is a key, with a default", "join", []string{"join", "$default"}, `templates ["$default" "join"]: one of them is never used`},
		{"a fixed value that is no key", "join", []string{"leave"}, `template "leave": the TemplateSelectionExpression "join" never has this value`},
		{"a fixed value beside the default", "join", []string{"$default"}, `"join" selects none of the templates ["$default"]`},
		{"several variables", both, []string{"a-b", "-", "a-b-c"}, ""},
		{"several variables, and a key that they cannot be", both, []string{"a-b", "ab"}, `template "ab"`},
		{"a value with a special character", "a.b${request.body.a}", []string{"a.bc"}, ""},
		{"a value with a special character, read as such", "a.b${request.body.a}", []string{"axbc"}, `template "axbc"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			texts := map[string]string{}
			for _, key := range tt.keys {
				texts[key] = "{}"
			}
			for _, tr := range []gateway.Transform{
				{RequestTemplates: texts, TemplateSelectionExpression: tt.expression},
				{Responses: map[string]gateway.IntegrationResponse{"/2../": {ResponseTemplates: texts, TemplateSelectionExpression: tt.expression}}},
			} {
				err := newGateway(t).Deploy(gateway.Deployment{Routes: []gateway.Route{{RouteKey: "$default", Integration: echoing(tr)}}})
				if tt.says == "" {
					require.NoError(t, err)
					continue
				}
				require.ErrorIs(t, err, gateway.ErrInvalidOption)
				require.ErrorContains(t, err, tt.says)

				log := &testutil.LockedBuffer{}
				tr.AllowUnusedTemplates = true
				g := newGateway(t, gateway.WithLogger(slog.New(slog.NewJSONHandler(log, nil))))
				require.NoError(t, g.Deploy(gateway.Deployment{Routes: []gateway.Route{{RouteKey: "$default", Integration: echoing(tr)}}}))
				require.Contains(t, strings.ReplaceAll(log.String(), `\"`, `"`), tt.says)
			}
		})
	}
}

// Only a refused $connect has an answer, and so may need a template for it.
func TestTransform_TemplatesOfConnect(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	srv.Handle("$connect", &gateway.CustomIntegration{
		Backend: func(_ context.Context, req *gateway.Request, _ []byte) (*gateway.Response, error) {
			status, err := strconv.Atoi(req.Upgrade.URL.Query().Get("status"))
			return &gateway.Response{StatusCode: status, Body: []byte(`{"passwordHash":"x"}`)}, err
		},
		Transform: &gateway.Transform{Responses: map[string]gateway.IntegrationResponse{"$default": {
			ResponseTemplates:           map[string]string{"401": `{"why":"token"}`},
			TemplateSelectionExpression: "$integration.response.statuscode",
			ResponseParameters:          map[string]string{"method.response.header.Sec-WebSocket-Protocol": "'chat.v1'"},
		}}},
	})
	for status, want := range map[string]string{"401": `{"why":"token"}`, "403": "", "302": "", "500": ""} {
		_, refused := srv.TryDial(t, gatewaytest.Query("status", status))
		if want == "" {
			require.Equal(t, http.StatusInternalServerError, refused.StatusCode, status)
			require.Contains(t, refused.Body, "Internal server error")
			continue
		}
		require.Equal(t, want, refused.Body, status)
	}
	require.Equal(t, "chat.v1", srv.Dial(t, gatewaytest.Query("status", "200"), gatewaytest.Subprotocols("chat.v1")).Subprotocol())
	srv.Dial(t, gatewaytest.Query("status", "204"), gatewaytest.Subprotocols("chat.v1"))
}

// A key for a status code is a number, so it cannot be meant for anything else.
func TestTransform_TemplatesByStatusCode(t *testing.T) {
	t.Parallel()
	deploy := func(key string) error {
		return newGateway(t).Deploy(gateway.Deployment{Routes: []gateway.Route{{RouteKey: "$default", Integration: echoing(gateway.Transform{
			Responses: map[string]gateway.IntegrationResponse{"$default": {
				ResponseTemplates: map[string]string{key: "{}"}, TemplateSelectionExpression: "$integration.response.statuscode",
			}},
		})}}})
	}
	require.NoError(t, deploy("200"))
	require.ErrorContains(t, deploy("2.."), `template "2.."`)
	require.ErrorContains(t, deploy("application/json"), `template "application/json"`)
}

// In a template, times and status codes are numbers.
func TestTransform_ContextNumbers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // its clock begins on 2000-01-01
		srv := gatewaytest.New(t)
		srv.Handle("$default", echoing(gateway.Transform{
			RequestTemplates: map[string]string{"$default": `#set($ttl = ($context.requestTimeEpoch / 1000) + 9000)$ttl ` +
				`#set($age = $context.requestTimeEpoch - $context.connectedAt)$age #if($context.connectedAt > 946684799999)new#end ` +
				`$context.requestTimeEpoch $context["connectedAt"] [$context.disconnectStatusCode]`},
			Responses: map[string]gateway.IntegrationResponse{"$default": {ResponseTemplates: map[string]string{
				"$default": `$input.body #set($next = $context.status + 1)$next#if($context.status >= 200 && $context.status == "200") ok#end`,
			}}},
		}), gateway.WithRouteResponse())
		left := make(chan string, 1)
		srv.Handle("$disconnect", &gateway.CustomIntegration{
			Backend: func(_ context.Context, _ *gateway.Request, payload []byte) (*gateway.Response, error) {
				left <- string(payload)
				return nil, nil
			},
			Transform: &gateway.Transform{RequestTemplates: map[string]string{"$default": `#if($context.disconnectStatusCode < 2000)$context.disconnectStatusCode#end`}},
		})
		c := srv.Dial(t)
		time.Sleep(1500 * time.Millisecond) //nolint:forbidigo // virtual time
		c.Send("x")
		require.Equal(t, `9466938011500 new 946684801500 946684800000 []201 ok`, c.Receive())
		c.Close(1000, "")
		require.Equal(t, "1000", <-left)
	})
}

// A response template can read the result of the call to the backend: its status and
// how long it took.
func TestTransform_ContextOfTheIntegration(t *testing.T) {
	t.Parallel()
	const outcome = `[$context.status $context.integration.status $context.integration.integrationStatus $context.integration.latency $context.integrationLatency]`
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t)
		srv.Handle("$default", &gateway.CustomIntegration{
			Backend: func(_ context.Context, _ *gateway.Request, payload []byte) (*gateway.Response, error) {
				time.Sleep(42 * time.Millisecond) //nolint:forbidigo // virtual time
				return &gateway.Response{StatusCode: 404, Body: payload}, nil
			},
			Transform: &gateway.Transform{
				RequestTemplates: map[string]string{"$default": outcome},
				Responses: map[string]gateway.IntegrationResponse{"/404/": {ResponseTemplates: map[string]string{
					"$default": `$input.body ` + outcome + ` #set($late = $context.integrationLatency + 1)$late`,
				}}},
			},
		}, gateway.WithRouteResponse())
		c := srv.Dial(t)
		c.Send("x")
		require.Equal(t, `[    ] [404 404 404 42 42] 43`, c.Receive())
	})
}

func TestTransform_ResponseKeys(t *testing.T) {
	t.Parallel()
	for key, says := range map[string]string{
		"/a|b/": "", "/(a|b)/": "", "/(?i)a/": "", "//": "", "/a/b/": "", `/\d{3}/`: "", "$default": "",
		"/a)|(b/": "unexpected )", "/a)(?:b/": "unexpected )", "/(a/": "missing closing )", "/a)/": "unexpected )", `/a\/`: "trailing backslash", "/[/": "missing closing ]",
		"a": "neither $default nor /regex/", "/": "neither $default nor /regex/", "": "neither $default nor /regex/", "/a": "neither $default nor /regex/",
	} {
		err := newGateway(t).Deploy(gateway.Deployment{Routes: []gateway.Route{{RouteKey: "$default", Integration: echoing(gateway.Transform{
			Responses: map[string]gateway.IntegrationResponse{key: {}},
		})}}})
		if says == "" {
			require.NoError(t, err, key)
			continue
		}
		require.ErrorIs(t, err, gateway.ErrInvalidOption, key)
		require.ErrorContains(t, err, says, key)
	}
}

func TestTransform_NoIntegrationResponse(t *testing.T) {
	t.Parallel()
	ask, _ := twoWay(t, echoing(gateway.Transform{}))
	require.Contains(t, ask(`{}`), `{"message": "Internal server error"`)
	ask, _ = twoWay(t, echoing(gateway.Transform{Responses: map[string]gateway.IntegrationResponse{"/5../": {}}}))
	require.Contains(t, ask(`{}`), `{"message": "Internal server error"`)

	srv := gatewaytest.New(t)
	srv.Handle("$default", echoing(gateway.Transform{})) // one-way, so it needs no response
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
		Transform: &gateway.Transform{Responses: map[string]gateway.IntegrationResponse{
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
		Transform: &gateway.Transform{
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
	mock := &gateway.MockIntegration{Transform: &gateway.Transform{
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
	srv.Handle("$connect", &gateway.MockIntegration{Transform: &gateway.Transform{
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
	e := testutil.NewBackend(t, echoBackend)
	ask, _ := twoWay(t, &gateway.HTTPIntegration{URI: e.URL, Transform: &gateway.Transform{
		RequestTemplates: map[string]string{"$default": `{"text":$input.json('$.text')}`},
		Responses:        catchAll(),
	}})
	require.Equal(t, `{"text":"hi"}`, ask(`{"text":"hi","secret":1}`))
	require.Equal(t, "application/json", e.Last(t).Header.Get("Content-Type"))
}

// A JSONPath means the same in three places: the selection of a route, a mapping, and
// a template.
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
			e := testutil.NewBackend(t, func(w http.ResponseWriter, r *http.Request) {
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

// FuzzTransform checks that a mapping template and a selection expression treat a
// message's text as text, whatever it looks like: it comes out as it went in.
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
		text = string([]rune(text)) // as encoding/json does
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

// A custom integration without a Transform is one with an empty Transform.
func TestTransform_None(t *testing.T) {
	t.Parallel()
	for name, tr := range map[string]*gateway.Transform{"nil": nil, "empty": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			payloads := make(chan string, 2)
			i := &gateway.CustomIntegration{Transform: tr, Backend: func(_ context.Context, _ *gateway.Request, payload []byte) (*gateway.Response, error) {
				payloads <- string(payload)
				return &gateway.Response{Body: []byte("dropped")}, nil
			}}
			srv := gatewaytest.New(t)
			srv.Handle("$default", i)
			srv.Handle("two-way", i, gateway.WithRouteResponse())
			c := srv.Dial(t)
			c.Send("as it is")
			require.Equal(t, "as it is", <-payloads)
			c.Send(`{"action":"two-way"}`)
			require.JSONEq(t, `{"action":"two-way"}`, <-payloads)
			require.Contains(t, c.Receive(), "Internal server error")
		})
	}
}
