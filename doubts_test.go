package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
)

// warned returns the errors of the warnings that deploy makes a gateway log.
func warned(t *testing.T, deploy func(gw *gateway.Gateway), opts ...gateway.Option) (routes, errs []string) {
	t.Helper()
	var log bytes.Buffer
	handler := slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})
	gw, err := gateway.New(append(opts, gateway.WithLogger(slog.New(handler)))...)
	require.NoError(t, err)
	deploy(gw)
	for line := range strings.Lines(log.String()) {
		var record map[string]string
		require.NoError(t, json.Unmarshal([]byte(line), &record))
		require.Contains(t, []string{"a part of the route is probably a mistake", "the route key is probably a mistake"}, record["msg"])
		require.Equal(t, "prod", record["stage"])
		routes, errs = append(routes, record["route_key"]), append(errs, record["error"])
	}
	return routes, errs
}

// inProd is a stage with a variable.
func inProd() gateway.Option { return gateway.WithStage("prod", map[string]string{"table": "t"}) }

// A name that leads nowhere is no error, as in the service, but a warning of Handle.
func TestDoubts(t *testing.T) {
	t.Parallel()
	template := func(text string) *gateway.Transform {
		return &gateway.Transform{RequestTemplates: map[string]string{"$default": text}}
	}
	for _, tt := range []struct {
		name string
		i    gateway.Integration
		want []string // one for each line
	}{
		{"a template", &gateway.MockIntegration{Transform: template(`{"x": $inptu.json('$.x')}`)}, []string{`request template "$default": line 1, column 7: nothing is called $inptu, so that its own text is printed: did you mean "$input"?`}},
		{"a context variable", &gateway.MockIntegration{Transform: template("{\n\"id\": \"$context.connectionID\"}")}, []string{`request template "$default": line 2, column 8: there is no $context.connectionID, so that it is empty: did you mean "connectionId"?`}},
		{"two in one template", &gateway.CustomIntegration{Backend: noBackend, Transform: template("$stageVariables.tabel $util.urlEncod('x')")}, []string{
			`request template "$default": line 1, column 1: the stage variable "tabel" is not defined, so that it is empty: did you mean "table"?; line 1, column 23: $util has no "urlEncod", so that its own text is printed: did you mean "urlEncode"?`,
		}},
		{"many in one template", &gateway.MockIntegration{Transform: template("$a.x() $b.x() $c.x() $d.x() $e.x() $f.x() $g.x()")}, []string{"column 29: nothing is called $e, so that its own text is printed: set it with #set, or write #[[$e]]# if you want this text; and 2 more"}},
		{"the template for JSON", &gateway.MockIntegration{Transform: &gateway.Transform{RequestTemplates: map[string]string{"application/json": "$x.y()"}}}, []string{`request template "application/json": line 1`}},
		{"templates of answers", &gateway.HTTPIntegration{URI: "http://x", Transform: &gateway.Transform{Responses: map[string]gateway.IntegrationResponse{
			"/2../": {ResponseTemplates: map[string]string{"$default": "$x.y()"}}, "$default": {ResponseTemplates: map[string]string{"$default": "$y.z()"}},
		}}}, []string{`integration response "/2../": template "$default": line 1, column 1: nothing is called $x`, `integration response "$default": template "$default": line 1, column 1: nothing is called $y`}},
		{"the URI", &gateway.HTTPIntegration{URI: "http://${stageVariables.host}/${stageVariables.tables}/${stageVariables.table}/${stageVariables.host}"}, []string{
			`HTTPIntegration.URI: the stage variable "host" is not defined, so that it is empty`, `HTTPIntegration.URI: the stage variable "tables" is not defined, so that it is empty: did you mean "table"?`,
		}},
		{"the URI, written as in a template", &gateway.HTTPIntegration{URI: "http://x/$stageVariables.table/y"}, []string{
			`HTTPIntegration.URI: "$stageVariables.table" is taken as it stands: did you mean "${stageVariables.table}"?`,
		}},
		{"a parameter", &gateway.HTTPIntegration{URI: "http://x", Transform: &gateway.Transform{}, RequestParameters: map[string]string{
			"integration.request.header.X": "stageVariables.tabel", "integration.request.header.Y": "stageVariables.table",
		}}, []string{`RequestParameters["integration.request.header.X"]: the stage variable "tabel" is not defined, so that it is empty: did you mean "table"?`}},
		{"nothing", &gateway.HTTPIntegration{URI: "http://${stageVariables.table}", Transform: template(`#set($a = $input.body)$a $context.authorizer.any $stageVariables.table`)}, nil},
		{"an integration without names", &gateway.MockIntegration{}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			routes, errs := warned(t, func(gw *gateway.Gateway) { gw.Handle("join", tt.i) }, inProd())
			require.Len(t, errs, len(tt.want), "%q", errs)
			for n, want := range tt.want {
				require.Contains(t, errs[n], want)
				require.Equal(t, "join", routes[n])
			}
		})
	}
}

// An identity source without a value refuses every client.
func TestDoubts_IdentitySources(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"context.identity.sourceIP": `RequestAuthorizer.IdentitySource: there is no $context variable "identity.sourceIP", so that every client is refused with 401: did you mean "identity.sourceIp"?`,
		"context.eventType":         `RequestAuthorizer.IdentitySource: "context.eventType" has no value yet when the authorizer is asked, so that every client is refused with 401`,
		"context.authorizer.tenant": `"context.authorizer.tenant" has no value yet`,
		"stageVariables.tabel":      `the stage variable "tabel" is not defined, so that every client is refused with 401: did you mean "table"?`,
		"stageVariables.table":      "",
		"context.identity.sourceIp": "",
		"route.request.header.X":    "",
	} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			_, errs := warned(t, func(gw *gateway.Gateway) {
				gw.Handle("$connect", &gateway.MockIntegration{}, gateway.WithAuthorizer(&gateway.RequestAuthorizer{
					Authorizer: &strict{"ok"}, IdentitySource: []string{source},
				}))
			}, inProd())
			if want == "" {
				require.Empty(t, errs)
				return
			}
			require.Len(t, errs, 1)
			require.Contains(t, errs[0], want)
		})
	}
}

// A deployment tells of all its routes, with its own stage variables; one that is refused
// tells nothing.
func TestDoubts_Deploy(t *testing.T) {
	t.Parallel()
	uri := &gateway.HTTPIntegration{URI: "http://${stageVariables.host}"}
	routes, errs := warned(t, func(gw *gateway.Gateway) {
		d := gateway.Deployment{
			Routes:         []gateway.Route{{RouteKey: "b", Integration: uri}, {RouteKey: "$default", Integration: uri}},
			StageVariables: map[string]string{"hots": "x"},
		}
		require.NoError(t, gw.Deploy(d))
		d.StageVariables = map[string]string{"host": "x"}
		require.NoError(t, gw.Deploy(d))
		d.StageVariables = map[string]string{}
		d.Routes = append(d.Routes, d.Routes[0])
		require.Error(t, gw.Deploy(d))
	}, inProd())
	require.Equal(t, []string{"$default", "b"}, routes)
	for _, err := range errs {
		require.Equal(t, `HTTPIntegration.URI: the stage variable "host" is not defined, so that it is empty: did you mean "hots"?`, err)
	}
}

// A model that is selected and not there refuses every message.
func TestDoubts_NoModel(t *testing.T) {
	t.Parallel()
	_, errs := warned(t, func(gw *gateway.Gateway) {
		gw.Handle("join", &gateway.MockIntegration{}, gateway.WithRequestModels(`\$default`, nil))
	}, inProd())
	require.Equal(t, []string{"the ModelSelectionExpression selects a model, and RequestModels has none, so that every message is refused"}, errs)
}

// A key that is nearly a reserved one makes a route for messages, so that the code that was
// to check the clients never runs.
func TestDoubts_RouteKeys(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"connect":     `route key "connect" is a route for messages: did you mean "$connect"?`,
		"Connect":     `route key "Connect" is a route for messages: did you mean "$connect"?`,
		" $connect":   `route key " $connect" is a route for messages: did you mean "$connect"?`,
		"disconnect ": `route key "disconnect " is a route for messages: did you mean "$disconnect"?`,
		"DEFAULT":     `route key "DEFAULT" is a route for messages: did you mean "$default"?`,
		"join\n":      `route key "join\n" has a blank at its beginning or end: did you mean "join"?`,
		"\tjoin":      `route key "\tjoin" has a blank at its beginning or end: did you mean "join"?`,
		"join us":     "",
		"connected":   "",
		"$connect":    "",
	} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			mock := &gateway.MockIntegration{}
			for name, deploy := range map[string]func(gw *gateway.Gateway){
				"Handle": func(gw *gateway.Gateway) { gw.Handle(key, mock) },
				"Deploy": func(gw *gateway.Gateway) {
					require.NoError(t, gw.Deploy(gateway.Deployment{Routes: []gateway.Route{{RouteKey: key, Integration: mock}}}))
				},
			} {
				routes, errs := warned(t, deploy, inProd())
				if want == "" {
					require.Empty(t, errs, name)
					continue
				}
				require.Equal(t, []string{want}, errs, name)
				require.Equal(t, []string{key}, routes, name)
			}
		})
	}
	t.Run("beside the reserved one it is meant", func(t *testing.T) {
		t.Parallel()
		_, errs := warned(t, func(gw *gateway.Gateway) {
			require.NoError(t, gw.Deploy(gateway.Deployment{Routes: []gateway.Route{
				{RouteKey: "connect", Integration: &gateway.MockIntegration{}}, {RouteKey: "$connect", Integration: &gateway.MockIntegration{}},
			}}))
		}, inProd())
		require.Empty(t, errs)
	})
}

// Each Deploy logs at most 20 doubts, and how many more there are.
func TestDoubts_AreBounded(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ doubts, lines, more int }{
		"few": {20, 20, 0}, "many": {1000, 20, 980},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			option, log := newLogged()
			gw := newGateway(t, option)
			var routes []gateway.Route
			for n := range tt.doubts {
				routes = append(routes, gateway.Route{RouteKey: fmt.Sprint(n), Integration: &gateway.HTTPIntegration{URI: "http://x/${stageVariables.none}"}})
			}
			require.NoError(t, gw.Deploy(gateway.Deployment{Routes: routes}))
			require.Equal(t, tt.lines, strings.Count(log.String(), `level=WARN msg="a part of the route is probably a mistake"`))
			more := fmt.Sprintf(`level=WARN msg="more parts of the routes are probably mistakes" stage=local more=%d`, tt.more)
			require.Equal(t, tt.more > 0, strings.Contains(log.String(), more), "%s", log)
		})
	}
}
