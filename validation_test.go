package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

// modelFunc is a model for tests that need only its result.
type modelFunc func(body []byte) error

func (f modelFunc) Validate(body []byte) error { return f(body) }

// wants is a model that accepts messages that contain text.
func wants(text string) gateway.Model {
	return modelFunc(func(body []byte) error {
		if !bytes.Contains(body, []byte(text)) {
			return errors.New("no " + text)
		}
		return nil
	})
}

func TestValidation_ModelOfAMessage(t *testing.T) {
	t.Parallel()
	models := map[string]gateway.Model{"a": wants("apple"), "b": wants("berry"), "$default": wants("default")}
	noDefault := map[string]gateway.Model{"a": wants("apple")}
	for _, tt := range []struct {
		name       string
		expression string
		models     map[string]gateway.Model
		message    string
		fits       bool
	}{
		{"the model that is selected", "$request.body.kind", models, `{"action":"m","kind":"a","x":"apple"}`, true},
		{"it is not another", "$request.body.kind", models, `{"action":"m","kind":"b","x":"apple"}`, false},
		{"$default for what selects none", "$request.body.kind", models, `{"action":"m","kind":"c","x":"default"}`, true},
		{"$default for what has no value", "$request.body.kind", models, `{"action":"m","x":"apple"}`, false},
		{"no model is a failure", "$request.body.kind", noDefault, `{"action":"m","kind":"c","x":"apple"}`, false},
		{"no models at all", "$request.body.kind", nil, `{"action":"m","kind":"a"}`, false},
		{"a literal", `\$default`, models, `{"action":"m","kind":"a","x":"default"}`, true},
		{"without an expression nothing is asked", "", nil, `{"action":"m"}`, true},
		{"text that is not JSON has no kind", "$request.body.kind", models, `default`, true},
		{"text that is not JSON may not fit", "$request.body.kind", models, `kind`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := gatewaytest.New(t)
			for _, key := range []string{"m", gateway.RouteKeyDefault} {
				srv.HandleFunc(key, func(context.Context, *gateway.Request) (*gateway.Response, error) {
					return &gateway.Response{Body: []byte("served")}, nil
				}, gateway.WithRouteResponse(), gateway.WithRequestModels(tt.expression, tt.models))
			}
			c := srv.Dial(t)
			c.Send(tt.message)
			got := c.Receive()
			if tt.fits {
				require.Equal(t, "served", got)
				return
			}
			require.Regexp(t, `^\{"message": "Invalid request body", "connectionId":"`+c.ConnectionID()+`", "requestId":"[\w-]{15}="\}$`, got)
			require.Len(t, srv.Events(), 1)
			require.Equal(t, 400, srv.Events()[0].Rejected, "the integration is not asked")
			c.Send(`{"action":"m","kind":"a","x":"apple"}`) // the connection stays open
			c.Receive()
		})
	}
}

// The details of a validation error go to the observer and the log, not to the
// client.
func TestValidation_Detail(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	rejected := make(chan error, 1)
	srv := gatewaytest.New(t,
		gateway.WithLogger(slog.New(slog.NewTextHandler(&log, nil))),
		gateway.WithObserver(&gateway.Observer{MessageRejected: func(_ context.Context, req *gateway.Request, status int, err error) {
			if req.RouteKey == "m" && status == 400 && string(req.Body) == `{"action":"m","password":"hidden"}` {
				rejected <- err
			}
		}}))
	srv.Handle("m", &gateway.MockIntegration{}, gateway.WithRequestModel(wants("apple")))
	c := srv.Dial(t)
	c.Send(`{"action":"m","password":"hidden"}`)
	require.NotContains(t, c.Receive(), "apple")
	var invalid *gateway.ValidationError
	require.ErrorAs(t, <-rejected, &invalid)
	require.Equal(t, "m", invalid.RouteKey)
	require.Equal(t, "$default", invalid.Model)
	require.EqualError(t, invalid.Err, "no apple")
	require.Contains(t, log.String(), "no apple")
	require.NotContains(t, log.String(), "hidden")
}

func TestValidation_PanicOfAModel(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	srv.Handle("m", &gateway.MockIntegration{}, gateway.WithRequestModels(`\$default`, map[string]gateway.Model{
		"$default": modelFunc(func([]byte) error { panic("x") }),
	}))
	c := srv.Dial(t)
	c.Send(`{"action":"m"}`)
	require.True(t, strings.HasPrefix(c.Receive(), `{"message": "Internal server error"`))
}

func TestValidation_RequiredRequestParameters(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	srv.Handle(gateway.RouteKeyConnect, &gateway.MockIntegration{}, gateway.WithRequestParameters(map[string]bool{
		"route.request.header.X-Token": true, "route.request.querystring.room": true, "route.request.querystring.name": false,
	}))
	header, query := gatewaytest.Header("x-token", "abc"), gatewaytest.Query("room", "42")
	srv.Dial(t, header, query)
	requireRefused(t, srv, 400, `"Missing required request parameters: [X-Token]"`, query)
	requireRefused(t, srv, 400, `"Missing required request parameters: [room]"`, header)
	requireRefused(t, srv, 400, `"Missing required request parameters: [X-Token, room]"`)
	require.Len(t, srv.Events(), 1, "the integration is not asked")
	for name, blank := range map[string][]gatewaytest.DialOption{
		"empty":                      {header, gatewaytest.Query("room", "")},
		"a blank":                    {header, gatewaytest.Query("room", " ")},
		"blanks":                     {header, gatewaytest.Query("room", " \t\n ")},
		"of two values the last one": {header, query, gatewaytest.Query("room", " ")},
	} {
		t.Run(name, func(t *testing.T) {
			requireRefused(t, srv, 400, `"Missing required request parameters: [room]"`, blank...)
		})
	}
	requireRefused(t, srv, 400, `"Missing required request parameters: [X-Token]"`, query, gatewaytest.Header("X-Token", " "))
	srv.Dial(t, header, query, gatewaytest.Query("room", "0"))
	srv.Dial(t, header, gatewaytest.Query("room", ""), query, gatewaytest.Query("name", ""))
}

// The observer also sees the rejection of a message that matches no route.
func TestValidation_NoRouteIsRejected(t *testing.T) {
	t.Parallel()
	rejected := make(chan string, 1)
	srv := gatewaytest.New(t, gateway.WithObserver(&gateway.Observer{MessageRejected: func(_ context.Context, req *gateway.Request, status int, _ error) {
		rejected <- req.RouteKey + "|" + req.RequestID
		require.Equal(t, 403, status)
	}}))
	c := srv.Dial(t)
	c.Send(`{}`)
	got := c.Receive()
	require.Contains(t, got, `{"message": "Forbidden"`)
	require.Contains(t, got, `"requestId":"`+strings.TrimPrefix(<-rejected, "|")+`"`)
}
