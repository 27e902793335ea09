package controlplane

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/testutil"
	"example.com/gateway/lambda"
)

// AWS_PROXY: a function is found by every form of its name, and gets the service's event.
func TestBuild_FunctionProxy(t *testing.T) {
	t.Parallel()
	const full = "arn:aws:lambda:us-east-1:123456789012:function:"
	const uri = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/" + full
	functions := Functions{
		"chat":      answering("chat got %v on %v", "body", "requestContext.stage"),
		"chat:live": answering("live got %v on %v", "body", "requestContext.stage"),
	}
	for uri, want := range map[string]string{
		full + "chat":                 "chat",
		full + "chat:live":            "live",
		full + "chat:7":               "chat",
		uri + "chat/invocations":      "chat",
		uri + "chat:live/invocations": "live",
		uri + "chat:${stageVariables.alias}/invocations": "live",
		"chat":                          "chat",
		full + "${stageVariables.name}": "chat",
		uri + "${stageVariables.name}:$LATEST/invocations":            "chat",
		"123456789012:function:chat:${stageVariables.alias}":          "live",
		full + "${stageVariables.name}:${stageVariables.alias}":       "live",
		"arn:aws-cn:lambda:cn-north-1:1:function:chat":                "chat",
		uri + "${stageVariables.name}${stageVariables.x}/invocations": "chat",
	} {
		t.Run(uri, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, &Config{Functions: functions})
			path := l.serve(twoWay(t, `"integrationType":"AWS_PROXY","integrationUri":"`+uri+`"`), `"stageVariables":{"name":"chat","alias":"live"}`)
			require.Equal(t, want+" got hello on prod", l.ask(path, "hello"))
		})
	}
}

// AWS: a function gets what templates make, and its error selects the response.
func TestBuild_FunctionWithTemplates(t *testing.T) {
	t.Parallel()
	l := newLab(t, &Config{Functions: Functions{"sum": lambda.NewInvoker(func(in struct{ A, B int }) (int, error) {
		if in.A < 0 {
			return 0, errors.New("negative")
		}
		return in.A + in.B, nil
	})}})
	path := l.serve(twoWay(t,
		`"integrationType":"AWS","integrationUri":"arn:aws:lambda:us-east-1:123456789012:function:sum","templateSelectionExpression":"\\$default",
		 "requestTemplates":{"$default":"{\"A\":$input.json('$.a'),\"B\":$stageVariables.b}"}`,
		`{"integrationResponseKey":"$default","responseTemplates":{"$default":"sum $input.json('$')"},"templateSelectionExpression":"\\$default"}`,
		`{"integrationResponseKey":"/neg.*/","responseTemplates":{"$default":"refused: $input.path('$.errorMessage')"}}`,
	), `"stageVariables":{"b":"40"}`)
	c := l.Dial(t, gatewaytest.Path(path))
	for message, want := range map[string]string{`{"a":2}`: "sum 42", `{"a":-1}`: "refused: negative"} {
		c.Send(message)
		require.Equal(t, want, c.Receive())
	}
}

// AWS with the header X-Amz-Invocation-Type: nobody waits for the function.
func TestBuild_AsynchronousFunction(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := make(chan string, 1)
		l := newLab(t, &Config{Functions: Functions{"slow": invokerFunc(func(ctx context.Context, event []byte) ([]byte, error) {
			select {
			case <-time.After(time.Minute):
				got <- string(event)
				return nil, errors.New("after a minute")
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		})}})
		const integration = `"integrationType":"AWS","requestParameters":{"integration.request.header.X-Amz-Invocation-Type":"'Event'","integration.request.header.a":"'b'"},"integrationUri":`
		response := `{"integrationResponseKey":"$default","responseTemplates":{"$default":"accepted"}}`
		path := l.serve(twoWay(t, integration+`"slow"`, response))
		c := l.Dial(t, gatewaytest.Path(path))
		start := time.Now()
		c.Send("one")
		require.Equal(t, "accepted", c.Receive())
		require.Zero(t, time.Since(start))
		require.Equal(t, "one", <-got)
		synctest.Wait()
		require.Contains(t, l.log.String(), "after a minute")
		require.Contains(t, l.log.String(), "header.a")
		require.NotContains(t, l.log.String(), "Invocation-Type")

		c.Send("two")
		require.Equal(t, "accepted", c.Receive())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, l.shutdown(ctx), context.DeadlineExceeded, "it does not wait for the minute")
		require.Less(t, time.Since(start), 65*time.Second)
		require.Contains(t, l.log.String(), context.Canceled.Error())
		require.True(t, l.background(t.Context(), func(context.Context) error { panic("it starts after the shutdown") }))
	})
	l := newLab(t, &Config{})
	require.Equal(t, internalServerError, frame(t, l.ask(l.serve(twoWay(t,
		`"integrationType":"AWS","integrationUri":"gone","requestParameters":{"integration.request.header.X-Amz-Invocation-Type":"'Event'"}`)), "x")))
}

// endpoint serves an HTTP backend that answers with what it got.
func endpoint(t *testing.T) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if status := r.URL.Query().Get("status"); status == "404" {
			w.WriteHeader(http.StatusNotFound)
		}
		if r.URL.Path == "/hang" {
			<-r.Context().Done()
			return
		}
		_, _ = io.WriteString(w, r.Method+" "+r.URL.RequestURI()+" "+r.Header.Get("X-Conn")+" "+string(body))
	}))
	t.Cleanup(srv.Close)
	return srv
}

// HTTP_PROXY and HTTP: methods, parameters, templates, and responses by status.
func TestBuild_HTTP(t *testing.T) {
	t.Parallel()
	srv := endpoint(t)
	address := strings.TrimPrefix(srv.URL, "http://")
	for name, tt := range map[string]struct {
		integration string
		responses   []string
		message     string
		want        string
	}{
		"proxy": {
			`"integrationType":"HTTP_PROXY","integrationMethod":"PUT","integrationUri":"http://${stageVariables.backend}/echo",
			 "requestParameters":{"integration.request.header.X-Conn":"'static'","integration.request.querystring.to":"route.request.body.to"}`,
			nil, `{"to":"ann"}`, `PUT /echo?to=ann static {"to":"ann"}`,
		},
		"proxy, POST by default": {`"integrationType":"HTTP_PROXY","integrationUri":"` + srv.URL + `"`, nil, "x", "POST /  x"},
		"placeholders": {
			`"integrationType":"HTTP_PROXY","integrationUri":"` + srv.URL + `/rooms/{room}",
			 "requestParameters":{"integration.request.path.room":"route.request.body.room","integration.request.path.gone":"'x'"}`,
			nil, `{"room":"a b"}`, `POST /rooms/a%20b  {"room":"a b"}`,
		},
		"templates": {
			`"integrationType":"HTTP","integrationMethod":"POST","integrationUri":"` + srv.URL + `/t","requestTemplates":{"$default":"<$input.body>"}`,
			[]string{`{"integrationResponseKey":"$default","responseTemplates":{"$default":"[$input.body]"}}`},
			"x", "[POST /t  <x>]",
		},
		"responses by status": {
			`"integrationType":"HTTP","integrationMethod":"GET","integrationUri":"` + srv.URL + `/t?status=404"`,
			[]string{`{"integrationResponseKey":"$default"}`, `{"integrationResponseKey":"/4\\d\\d/","responseTemplates":{"$default":"not there"}}`},
			"x", "not there",
		},
		"base64 to the backend": {
			`"integrationType":"HTTP","integrationMethod":"POST","integrationUri":"` + srv.URL + `/t","contentHandlingStrategy":"CONVERT_TO_BINARY"`,
			[]string{`{"integrationResponseKey":"$default","contentHandlingStrategy":"CONVERT_TO_TEXT"}`},
			"aGk=", "UE9TVCAvdCAgaGk=", // "POST /t  hi"
		},
		"VPC link": {
			`"integrationType":"HTTP_PROXY","integrationMethod":"POST","connectionType":"VPC_LINK","connectionId":"${stageVariables.link}",
			 "integrationUri":"https://nlb-1.example.com:8443/inside?a=1"`,
			nil, "x", "POST /base/inside?a=1  x",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, &Config{VPCLinks: map[string]string{"abc123": srv.URL + "/base/"}})
			path := l.serve(twoWay(t, tt.integration, tt.responses...), `"stageVariables":{"backend":"`+address+`","link":"abc123"}`)
			require.Equal(t, tt.want, l.ask(path, tt.message))
		})
	}
}

// The endpoint gets the headers of the upgrade, as from the service. They can be mapped.
func TestBuild_UpgradeHeaders(t *testing.T) {
	t.Parallel()
	backend := testutil.NewBackend(t, testutil.OK)
	l := newLab(t, &Config{})
	s := twoWay(t, `"integrationType":"HTTP_PROXY","integrationMethod":"POST","integrationUri":"`+backend.URL+`"`)
	s.Routes[0]["routeKey"] = "$connect"
	path := l.serve(s)
	l.Dial(t, gatewaytest.Path(path))
	require.Equal(t, "13", backend.Last(t).Header.Get("Sec-Websocket-Version"))
	s.Integrations[0]["requestParameters"] = document{"integration.request.header.Sec-WebSocket-Version": "'0'"}
	l.serve(s)
	l.Dial(t, gatewaytest.Path(path))
	require.Equal(t, "0", backend.Last(t).Header.Get("Sec-Websocket-Version"))
}

// MOCK: the template decides which response the client gets; passthrough can refuse.
func TestBuild_Mock(t *testing.T) {
	t.Parallel()
	responses := []string{
		`{"integrationResponseKey":"$default","responseTemplates":{"en":"hello $context.stage","de":"hallo"},"templateSelectionExpression":"$request.body.lang"}`,
		`{"integrationResponseKey":"/4../","responseTemplates":{"$default":"no"}}`,
	}
	const integration = `"integrationType":"MOCK","templateSelectionExpression":"$request.body.kind",
		"requestTemplates":{"good":"{\"statusCode\":200}","bad":"{\"statusCode\":404}"},"passthroughBehavior":"WHEN_NO_TEMPLATES"`
	l := newLab(t, &Config{})
	c := l.Dial(t, gatewaytest.Path(l.serve(twoWay(t, integration, responses...))))
	for message, want := range map[string]string{
		`{"kind":"good","lang":"en"}`: "hello prod",
		`{"kind":"good","lang":"de"}`: "hallo",
		`{"kind":"bad"}`:              "no",
	} {
		c.Send(message)
		require.Equal(t, want, c.Receive())
	}
	c.Send(`{"kind":"other"}`)
	require.Equal(t, "Unsupported Media Type", frame(t, c.Receive()))
}

// A timeout of the integration ends the call, of a function and of an endpoint.
func TestBuild_Timeouts(t *testing.T) {
	t.Parallel()
	srv := endpoint(t)
	hang := lambda.NewInvoker(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	for name, integration := range map[string]string{
		"function": `"integrationType":"AWS_PROXY","integrationUri":"hang","timeoutInMillis":50`,
		"AWS":      `"integrationType":"AWS","integrationUri":"hang","timeoutInMillis":50`,
		"endpoint": `"integrationType":"HTTP_PROXY","integrationMethod":"POST","integrationUri":"` + srv.URL + `/hang","timeoutInMillis":50`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, &Config{Functions: Functions{"hang": invokerFunc(func(ctx context.Context, event []byte) ([]byte, error) {
				_, _ = hang.InvokeFunction(ctx, event)
				return nil, ctx.Err()
			})}})
			require.Equal(t, "Endpoint request timed out", frame(t, l.ask(l.serve(twoWay(t, integration)), "x")))
		})
	}
	require.Zero(t, timeoutOf(document{"timeoutInMillis": json.Number("29000")}), "the longest is the gateway's own")
	require.Equal(t, 28999*time.Millisecond, timeoutOf(document{"timeoutInMillis": json.Number("28999")}))
}

type invokerFunc func(ctx context.Context, event []byte) ([]byte, error)

func (f invokerFunc) InvokeFunction(ctx context.Context, event []byte) ([]byte, error) {
	return f(ctx, event)
}

// A route is two-way if it has the route response $default, and not otherwise.
func TestBuild_RouteResponse(t *testing.T) {
	t.Parallel()
	l := newLab(t, &Config{Functions: Functions{"echo": answering("%v", "body")}})
	s := twoWay(t, `"integrationType":"AWS_PROXY","integrationUri":"echo"`)
	s.Routes = append(s.Routes, parse[document](t, `{"routeId":"r2","routeKey":"quiet","target":"integrations/i1","routeResponseSelectionExpression":"$default"}`))
	c := l.Dial(t, gatewaytest.Path(l.serve(s)))
	c.Send(`{"action":"quiet"}`)
	c.Send("loud")
	require.Equal(t, "loud", c.Receive())
}

// What cannot run here is built all the same: it fails as the service's, and the log says
// what to configure.
func TestBuild_WhatCannotRun(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ integration, log string }{
		"unknown function":       {`"integrationType":"AWS_PROXY","integrationUri":"arn:aws:lambda:us-east-1:123456789012:function:gone"`, "make the function"},
		"no function's name":     {`"integrationType":"AWS_PROXY","integrationUri":"arn:aws:lambda:us-east-1"`, "write its ARN"},
		"empty stage variable":   {`"integrationType":"AWS","integrationUri":"arn:aws:lambda:us-east-1:123456789012:function:${stageVariables.gone}"`, "write its ARN"},
		"another service":        {`"integrationType":"AWS","integrationUri":"arn:aws:apigateway:us-east-1:sqs:path/123456789012/queue"`, "sqs does not run here"},
		"a proxy of another one": {`"integrationType":"AWS_PROXY","integrationUri":"arn:aws:apigateway:us-east-1:dynamodb:action/PutItem"`, "AWS_PROXY calls functions only"},
		"unknown VPC link":       {`"integrationType":"HTTP_PROXY","integrationUri":"http://nlb/","connectionType":"VPC_LINK","connectionId":"v1"`, "Config.VPCLinks"},
		"no URI":                 {`"integrationType":"HTTP_PROXY"`, "set it to the URL"},
		"unknown type":           {`"integrationType":"FTP"`, "use AWS, AWS_PROXY"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, &Config{Functions: Functions{}})
			s := twoWay(t, tt.integration)
			require.NoError(t, checkSnapshot(l.cfg, s, false))
			path := l.serve(s)
			require.Equal(t, 1, strings.Count(l.log.String(), "does not work here"), l.log)
			require.Contains(t, l.log.String(), tt.log)
			l.serve(s)
			require.Equal(t, 1, strings.Count(l.log.String(), "does not work here"), "once")
			require.Equal(t, internalServerError, frame(t, l.ask(path, "x")))

			s.Routes[0]["routeKey"] = "$connect"
			l.serve(s)
			_, refused := l.TryDial(t, gatewaytest.Path(path))
			require.NotNil(t, refused)
			require.Equal(t, http.StatusInternalServerError, refused.StatusCode)
		})
	}
}

// A function may be made after the deployment.
func TestBuild_FunctionThatComesLater(t *testing.T) {
	t.Parallel()
	l := newLab(t, &Config{})
	s := twoWay(t, `"integrationType":"AWS_PROXY","integrationUri":"late"`)
	functions := Functions{}
	l.cfg.Functions = functions
	path := l.serve(s)
	require.Equal(t, internalServerError, frame(t, l.ask(path, "x")))
	functions["late"] = answering("here")
	require.Equal(t, "here", l.ask(path, "x"))
}

// Routes without a target: a connection is accepted, a message fails.
func TestBuild_NoTarget(t *testing.T) {
	t.Parallel()
	l := newLab(t, &Config{})
	path := l.serve(snap(t, `"routes":[{"routeId":"1","routeKey":"$connect"},{"routeId":"2","routeKey":"$disconnect"},{"routeId":"3","routeKey":"send"}]`))
	c := l.Dial(t, gatewaytest.Path(path))
	c.Send(`{"action":"send"}`)
	require.Equal(t, internalServerError, frame(t, c.Receive()))
	c.Send(`{"action":"other"}`)
	require.Equal(t, "Forbidden", frame(t, c.Receive()))
}

// Models: a message that does not fit is refused before the integration.
func TestBuild_Models(t *testing.T) {
	t.Parallel()
	l := newLab(t, &Config{Functions: Functions{"echo": answering("%v", "body")}})
	s := twoWay(t, `"integrationType":"AWS_PROXY","integrationUri":"echo"`)
	s.Models = parse[[]document](t, `[
		{"modelId":"m1","name":"Order","schema":"{\"type\":\"object\",\"required\":[\"item\"],\"properties\":{\"item\":{\"$ref\":\"https://apigateway.amazonaws.com/restapis/x/models/Item\"}}}"},
		{"modelId":"m2","name":"Item","schema":"{\"type\":\"string\"}"}]`)
	s.Routes[0]["modelSelectionExpression"] = `$request.body.kind`
	s.Routes[0]["requestModels"] = document{"order": "Order"}
	c := l.Dial(t, gatewaytest.Path(l.serve(s)))
	c.Send(`{"kind":"order","item":"tea"}`)
	require.JSONEq(t, `{"kind":"order","item":"tea"}`, c.Receive())
	for _, message := range []string{`{"kind":"order"}`, `{"kind":"order","item":1}`, `{"kind":"other"}`} {
		c.Send(message)
		require.Equal(t, "Invalid request body", frame(t, c.Receive()), message)
	}
}

// A deployment fails for what concerns the API as a whole, and the error says where.
func TestCheckSnapshot(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(s *snapshot)
		want   string
	}{
		"selection expression": {func(s *snapshot) { s.API["routeSelectionExpression"] = "$request.body." }, "RouteSelectionExpression"},
		"schema":               {func(s *snapshot) { s.Models = []document{{"name": "M", "schema": "{"}} }, "models"},
		"unknown model": {func(s *snapshot) {
			s.Routes[0]["modelSelectionExpression"], s.Routes[0]["requestModels"] = `\$default`, document{"$default": "M"}
		}, `there is no model "M"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := twoWay(t, `"integrationType":"MOCK"`)
			require.NoError(t, checkSnapshot(&Config{}, s, true))
			tt.change(s)
			for _, whole := range []bool{false, true} {
				require.ErrorContains(t, checkSnapshot(&Config{}, s, whole), tt.want)
			}
		})
	}
}

// A route that cannot work fails alone, as in the service: the other routes of its
// deployment work, and the log says why it does not. A definition is refused instead.
func TestBuild_RouteThatCannotWork(t *testing.T) {
	t.Parallel()
	const mock = `"integrationType":"MOCK","requestTemplates":{"$default":"{\"statusCode\":200}"}`
	for name, tt := range map[string]struct {
		change   func(t *testing.T, s *snapshot)
		want     string
		accepted bool // by a definition
	}{
		"template": {func(_ *testing.T, s *snapshot) { s.Integrations[0]["requestTemplates"] = document{"$default": "#if("} }, "$default", false},
		"response template": {func(t *testing.T, s *snapshot) {
			s.IntegrationResponses["i1"] = parse[[]document](t, `[{"integrationResponseKey":"$default","responseTemplates":{"$default":"#end"}}]`)
		}, "$default", false},
		"response key": {func(_ *testing.T, s *snapshot) {
			s.IntegrationResponses["i1"] = []document{{"integrationResponseKey": "200"}}
		}, "200", false},
		"template selection": {func(_ *testing.T, s *snapshot) {
			s.Integrations[0]["templateSelectionExpression"] = "$request.header.x"
		}, "TemplateSelectionExpression", false},
		"model selection": {func(_ *testing.T, s *snapshot) { s.Routes[0]["modelSelectionExpression"] = "$request.body." }, "ModelSelectionExpression", false},
		"URI": {func(_ *testing.T, s *snapshot) {
			s.Integrations[0] = document{"integrationId": "i1", "integrationType": "HTTP_PROXY", "integrationUri": "https://example.com/{gone}"}
		}, "nothing fills {gone}", false},
		"parameter": {func(_ *testing.T, s *snapshot) {
			s.Integrations[0] = document{"integrationId": "i1", "integrationType": "HTTP_PROXY", "integrationUri": "https://example.com/", "requestParameters": document{"integration.request.header.a": "x"}}
		}, "integration.request.header.a", false},
		"target":           {func(_ *testing.T, s *snapshot) { s.Routes[0]["target"] = "integrations/gone" }, "there is no such integration", true},
		"form of a target": {func(_ *testing.T, s *snapshot) { s.Routes[0]["target"] = "i1" }, "write integrations/", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, &Config{Functions: Functions{"echo": answering("ok")}})
			s := twoWay(t, mock)
			s.Routes = append(s.Routes, document{"routeId": "r1", "routeKey": "good", "target": "integrations/i2"})
			s.Integrations = append(s.Integrations, document{"integrationId": "i2", "integrationType": "AWS_PROXY", "integrationUri": "echo"})
			tt.change(t, s)
			require.NoError(t, checkSnapshot(l.cfg, s, false))
			if err := checkSnapshot(l.cfg, s, true); !tt.accepted {
				require.ErrorContains(t, err, tt.want)
			}
			path := l.serve(s)
			require.Equal(t, 1, strings.Count(l.log.String(), "does not work here"), l.log)
			require.Contains(t, strings.ReplaceAll(l.log.String(), `\"`, `"`), tt.want)
			require.Equal(t, internalServerError, frame(t, l.ask(path, "x")))
			require.Equal(t, "ok", l.ask(path, `{"action":"good"}`))
			require.Contains(t, l.log.String(), "every event fails with Internal server error")

			if name == "model selection" {
				return // $connect has no model
			}
			s.Routes[0]["routeKey"] = "$connect"
			l.serve(s)
			_, refused := l.TryDial(t, gatewaytest.Path(path))
			require.NotNil(t, refused)
			require.Equal(t, http.StatusInternalServerError, refused.StatusCode)
		})
	}
}

// An API whose route selection expression has no variable works: all messages have the
// same route.
func TestBuild_ConstantSelection(t *testing.T) {
	t.Parallel()
	l := newLab(t, &Config{Functions: Functions{"echo": answering("%v", "requestContext.routeKey")}})
	s := twoWay(t, `"integrationType":"AWS_PROXY","integrationUri":"echo"`)
	s.API["routeSelectionExpression"], s.Routes[0]["routeKey"] = "all", "all"
	require.Equal(t, "all", l.ask(l.serve(s), `{"action":"x"}`))
}

// disableSchemaValidation lets a deployment with a bad model through. No message fits it.
func TestBuild_SchemaValidationDisabled(t *testing.T) {
	t.Parallel()
	l := newLab(t, &Config{Functions: Functions{"echo": answering("%v", "body")}})
	s := twoWay(t, `"integrationType":"AWS_PROXY","integrationUri":"echo"`)
	s.API["disableSchemaValidation"] = true
	s.Models = []document{{"name": "Bad", "schema": "{"}, {"name": "Good", "schema": "{}"}}
	s.Routes[0]["modelSelectionExpression"] = "$request.body.kind"
	s.Routes[0]["requestModels"] = document{"bad": "Bad", "gone": "Gone", "good": "Good"}
	c := l.Dial(t, gatewaytest.Path(l.serve(s)))
	for message, want := range map[string]string{`{"kind":"bad"}`: "Invalid request body", `{"kind":"gone"}`: "Invalid request body", `{"kind":"good"}`: ""} {
		c.Send(message)
		require.Equal(t, want, frame(t, c.Receive()), message)
	}
}

// A template that nothing selects is accepted, as in the service, with a warning: the other
// routes work, and so does the integration as long as nobody waits for the answer.
func TestBuild_UnusedTemplate(t *testing.T) {
	t.Parallel()
	for name, response := range map[string]struct{ texts, want string }{
		"beside the default": {`{"200":"{}","$default":"answer"}`, "answer"},
		"alone":              {`{"200":"{}"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, &Config{})
			s := twoWay(t, `"integrationType":"MOCK","requestTemplates":{"$default":"{\"statusCode\":200}","application/json":"x"}`,
				`{"integrationResponseKey":"$default","responseTemplates":`+response.texts+`}`)
			require.NoError(t, checkSnapshot(l.cfg, s, true))
			answer := l.ask(l.serve(s), "x")
			if response.want == "" { // never the backend's own body
				require.Equal(t, internalServerError, frame(t, answer))
			} else {
				require.Equal(t, response.want, answer)
			}
			require.Contains(t, l.log.String(), "200")
			require.Contains(t, l.log.String(), "that is never used")
			require.NotContains(t, l.log.String(), "every event fails")
		})
	}
}

// Settings without an effect are ignored, as in the service, with a warning.
func TestBuild_IgnoredSettings(t *testing.T) {
	t.Parallel()
	s := snap(t, `"routes":[
		{"routeId":"1","routeKey":"send","target":"integrations/i1","apiKeyRequired":true,"requestModels":{"$default":"M"}},
		{"routeId":"2","routeKey":"$connect","target":"integrations/i1","modelSelectionExpression":"\\$default"}]`,
		`"integrations":[{"integrationId":"i1","integrationType":"AWS_PROXY","integrationUri":"f","requestParameters":{"integration.request.header.a":"'b'"}}]`)
	s.IntegrationResponses = map[string][]document{"i1": {{"integrationResponseKey": "$default"}}}
	require.NoError(t, checkSnapshot(&Config{}, s, true))
	_, warnings, err := build(&Config{Functions: Functions{"f": answering("")}}, s, document{}, nil)
	require.NoError(t, err)
	require.Len(t, warnings, 5, "%q", warnings)
	for n, name := range []string{"integration responses", "requestParameters", "modelSelectionExpression", "apiKeyRequired", "requestModels"} {
		require.Contains(t, warnings[n], name)
	}
}

// Settings of a stage without an effect here are told once.
func TestBuild_IgnoredStageSettings(t *testing.T) {
	t.Parallel()
	const none = `"defaultRouteSettings":{"dataTraceEnabled":false,"detailedMetricsEnabled":false,"loggingLevel":"OFF"}`
	for settings, want := range map[string]string{
		`"clientCertificateId":"c"`: "clientCertificateId has no effect",
		`"accessLogSettings":{"destinationArn":"arn:l","format":"$context.stage"}`: "have no effect yet",
		`"defaultRouteSettings":{"loggingLevel":"INFO"}`:                           "have no effect yet",
		`"routeSettings":{"a":{"dataTraceEnabled":true}}`:                          "have no effect yet",
		`"routeSettings":{"a":{"detailedMetricsEnabled":true}}`:                    "have no effect yet",
	} {
		l := newLab(t, &Config{})
		s := twoWay(t, `"integrationType":"MOCK"`)
		l.serve(s, none)
		require.NotContains(t, l.log.String(), "no effect")
		l.serve(s, settings)
		l.serve(s, settings)
		require.Equal(t, 1, strings.Count(l.log.String(), want), settings)
	}
}

var _ gateway.Integration = (*failing)(nil)
