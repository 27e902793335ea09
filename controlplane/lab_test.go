package controlplane

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/testutil"
	"example.com/gateway/lambda"
)

// lab serves stages in memory, as the Server does, without the control plane before them.
type lab struct {
	*gatewaytest.Service
	*stages
	t   testing.TB
	log *testutil.LockedBuffer
}

const apiID = "a1b2c3d4e5"

// newLab serves no stage yet. The host of its clients is one of its own.
func newLab(t testing.TB, cfg *Config) *lab {
	t.Helper()
	cfg.Hosts = append(cfg.Hosts, "gateway.test")
	l := &lab{t: t, log: &testutil.LockedBuffer{}}
	l.stages = newStages(cfg, slog.New(slog.NewTextHandler(l.log, nil)))
	l.Service = gatewaytest.ServeHandler(t, l.stages)
	t.Cleanup(func() { require.NoError(t, l.shutdown(context.Background())) })
	return l
}

// serve deploys a snapshot on the stage prod, whose settings are JSON without the braces,
// and returns the path of the stage.
func (l *lab) serve(s *snapshot, settings ...string) string {
	l.t.Helper()
	require.NoError(l.t, l.deploy(s, settings...))
	return "/" + textOf(s.API, "apiId") + "/prod"
}

func (l *lab) deploy(s *snapshot, settings ...string) error {
	return l.sync(s.API, parse[document](l.t, "{"+strings.Join(append([]string{`"stageName":"prod"`}, settings...), ",")+"}"), s)
}

// ask connects to a stage, sends a message and returns the answer.
func (l *lab) ask(path, message string) string {
	l.t.Helper()
	c := l.Dial(l.t, gatewaytest.Path(path))
	c.Send(message)
	return c.Receive()
}

// parse decodes a document as the control plane does.
func parse[T any](t testing.TB, text string) (v T) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	require.NoError(t, d.Decode(&v), text)
	return v
}

// snap returns the snapshot of an API: its members are JSON without the braces.
func snap(t testing.TB, members ...string) *snapshot {
	t.Helper()
	s := parse[*snapshot](t, "{"+strings.Join(members, ",")+"}")
	if s.API == nil {
		s.API = document{}
	}
	for name, value := range map[string]string{"apiId": apiID, "routeSelectionExpression": "$request.body.action"} {
		if s.API[name] == nil {
			s.API[name] = value
		}
	}
	return s
}

// twoWay returns the snapshot of an API with one integration, which answers every message.
func twoWay(t testing.TB, integration string, responses ...string) *snapshot {
	t.Helper()
	return snap(t,
		`"routes":[{"routeId":"r1","routeKey":"$default","target":"integrations/i1"}]`,
		`"routeResponses":{"r1":[{"routeResponseId":"rr1","routeResponseKey":"$default"}]}`,
		`"integrations":[{"integrationId":"i1",`+integration+`}]`,
		`"integrationResponses":{"i1":[`+strings.Join(responses, ",")+`]}`,
	)
}

// answering returns a function that answers with a text made from its event.
func answering(format string, names ...string) lambda.Invoker {
	return lambda.NewInvoker(func(event map[string]any) (lambda.Response, error) {
		values := make([]any, len(names))
		for n, name := range names {
			at := any(event)
			for part := range strings.SplitSeq(name, ".") {
				object, _ := at.(map[string]any)
				at = object[part]
			}
			values[n] = at
		}
		return lambda.Response{StatusCode: 200, Body: fmt.Sprintf(format, values...)}, nil
	})
}

// frame returns the message of an error frame.
func frame(t *testing.T, text string) string {
	t.Helper()
	return textOf(parse[document](t, text), "message")
}

const internalServerError = "Internal server error"

var _ gateway.Model = badModel{}
