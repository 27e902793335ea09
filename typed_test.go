package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/models"
)

type typedOrder struct {
	Item  string      `json:"item"`
	Count int         `json:"count"`
	Lines []typedLine `json:"lines,omitempty"`
}

type typedLine struct {
	SKU string `json:"sku"`
}

// Validate implements what gateway.JSON looks for.
func (o *typedOrder) Validate() error {
	var errs []error
	if o.Count < 0 {
		errs = append(errs, &gateway.FieldError{Field: "/count", Message: "want at least 0"})
	}
	if o.Item == "none" {
		errs = append(errs, errors.New("there is no such item"))
	}
	return errors.Join(errs...)
}

type typedReceipt struct {
	Item string `json:"item"`
	N    int    `json:"n"`
}

// stockError is a PublicError.
type stockError struct{ text string }

func (e stockError) Error() string { return "stock table: row 7" }

func (e stockError) PublicError() (code, message string) { return "OutOfStock", e.text }

func takeOrder(_ context.Context, req *gateway.Request, in typedOrder) (typedReceipt, error) {
	switch in.Item {
	case "secret":
		return typedReceipt{}, errors.New("password of the database")
	case "public":
		return typedReceipt{}, fmt.Errorf("placing: %w", stockError{`out of "stock"`})
	case "long":
		return typedReceipt{}, stockError{strings.Repeat("é", 10_000)}
	case "unknown user":
		return typedReceipt{}, fmt.Errorf("%w: %w", gateway.ErrUnauthorized, stockError{"log in"})
	case "conflict":
		return typedReceipt{}, &gateway.IntegrationError{StatusCode: 409, Err: stockError{"changed"}}
	case "fields":
		return typedReceipt{}, fmt.Errorf("placing: %w", errors.Join(&gateway.FieldError{Field: "/item", Message: "not sold here"},
			errors.New("password of the database"), fmt.Errorf("secret: %w", &gateway.FieldError{Message: "sorry"})))
	case "field":
		return typedReceipt{}, fmt.Errorf("placing: %w", &gateway.FieldError{Field: "/item", Message: "not sold here"})
	case "panic":
		panic("secret")
	}
	return typedReceipt{in.Item, in.Count}, nil
}

// frame is what a client gets.
func typedFrame(t *testing.T, text, connectionID string) (message, errs string) {
	t.Helper()
	require.True(t, utf8.ValidString(text))
	var frame struct {
		Message, ConnectionID, RequestID string
		Errors                           json.RawMessage
	}
	require.NoError(t, json.Unmarshal([]byte(text), &frame))
	require.Equal(t, connectionID, frame.ConnectionID)
	require.NotEmpty(t, frame.RequestID)
	return frame.Message, string(frame.Errors)
}

func TestJSON(t *testing.T) {
	t.Parallel()
	const invalid = "Invalid request body"
	for _, tt := range []struct {
		name, message string
		answer        string // else an error frame:
		text, errs    string
		status        int
	}{
		{name: "it fits", message: `{"action":"order","item":"apple","count":2}`, answer: `{"item":"apple","n":2}`},
		{name: "what is missing is zero", message: `{"action":"order"}`, answer: `{"item":"","n":0}`},
		{name: "the last of two", message: `{"action":"no","item":"a","action":"order","item":"b"}`, answer: `{"item":"b","n":0}`},
		{
			name: "a wrong type", message: `{"action":"order","count":"two"}`, text: invalid, status: 400,
			errs: `[{"field":"/count","message":"want integer, got string"}]`,
		},
		{
			name: "several", message: `{"action":"order","lines":[{"skuu":1}],"itme":1}`, text: invalid, status: 400,
			errs: `[{"field":"/lines/0/skuu","message":"unknown field"},{"field":"/itme","message":"unknown field"}]`,
		},
		{
			name: "a name that needs quotes", message: `{"action":"order","\"\u0000<é":1}`, text: invalid, status: 400,
			errs: `[{"field":"/\\\"\\x00<é","message":"unknown field"}]`,
		},
		{
			name: "Validate", message: `{"action":"order","count":-1,"item":"none"}`, text: invalid, status: 400,
			errs: `[{"field":"/count","message":"want at least 0"},{"field":"","message":"there is no such item"}]`,
		},
		{
			name: "a FieldError of the func", message: `{"action":"order","item":"field"}`, text: invalid, status: 400,
			errs: `[{"field":"/item","message":"not sold here"}]`,
		},
		{
			name: "several, without the text around", message: `{"action":"order","item":"fields"}`, text: invalid, status: 400,
			errs: `[{"field":"/item","message":"not sold here"},{"field":"","message":"sorry"}]`,
		},
		{name: "a public error", message: `{"action":"order","item":"public"}`, text: `out of "stock"`, status: 403},
		{name: "a long one", message: `{"action":"order","item":"long"}`, text: strings.Repeat("é", 512) + "…", status: 403},
		{name: "401", message: `{"action":"order","item":"unknown user"}`, text: "log in", status: 401},
		{name: "a status of its own", message: `{"action":"order","item":"conflict"}`, text: "changed", status: 409},
		{name: "any other error", message: `{"action":"order","item":"secret"}`, text: "Internal server error", status: 502},
		{name: "a panic", message: `{"action":"order","item":"panic"}`, text: "Internal server error", status: 502},
		{name: "no JSON", message: `hello`, text: invalid, status: 400, errs: `[{"field":"","message":"not valid JSON"}]`},
		{name: "no object", message: `[1]`, text: invalid, status: 400, errs: `[{"field":"","message":"want object, got array"}]`},
		{name: "null", message: `null`, text: invalid, status: 400, errs: `[{"field":"","message":"want object, got null"}]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			failures := make(chan error, 2)
			srv := gatewaytest.New(t, gateway.WithObserver(&gateway.Observer{
				IntegrationDone: func(_ context.Context, _ *gateway.Request, _ *gateway.Response, _ time.Duration, err error) {
					failures <- err
				},
			}))
			srv.Handle("order", gateway.JSON(takeOrder), gateway.WithRouteResponse())
			srv.Handle(gateway.RouteKeyDefault, gateway.JSON(takeOrder), gateway.WithRouteResponse())
			c := srv.Dial(t)
			c.Send(tt.message)
			got := c.Receive()
			if tt.answer != "" {
				require.Equal(t, tt.answer, got)
				return
			}
			text, errs := typedFrame(t, got, c.ConnectionID())
			require.Equal(t, tt.text, text)
			require.Equal(t, tt.errs, errs)
			var failed *gateway.IntegrationError
			require.ErrorAs(t, <-failures, &failed)
			require.Equal(t, tt.status, failed.StatusCode)
			c.Send(`{"action":"order","item":"next"}`) // the connection stays open
			require.Equal(t, `{"item":"next","n":0}`, c.Receive())
		})
	}
}

func TestJSON_Forms(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		i    gateway.Integration
		want string // "": no answer
	}{
		{"a pointer", gateway.JSON(func(_ context.Context, _ *gateway.Request, in *typedOrder) (*typedReceipt, error) {
			return &typedReceipt{in.Item, 1}, nil
		}), `{"item":"x","n":1}`},
		{"a nil pointer", gateway.JSON(func(context.Context, *gateway.Request, typedOrder) (*typedReceipt, error) { return nil, nil }), ""},
		{"a nil interface", gateway.JSON(func(context.Context, *gateway.Request, typedOrder) (any, error) { return nil, nil }), ""},
		{"an interface", gateway.JSON(func(context.Context, *gateway.Request, typedOrder) (any, error) { return []int{1}, nil }), "[1]"},
		{"struct{}", gateway.JSON(func(context.Context, *gateway.Request, typedOrder) (struct{}, error) { return struct{}{}, nil }), ""},
		{"no output", gateway.JSONOneWay(func(context.Context, *gateway.Request, typedOrder) error { return nil }), ""},
		{"a list", gateway.JSON(func(context.Context, *gateway.Request, typedOrder) ([]string, error) { return []string{"<a>"}, nil }), `["\u003ca\u003e"]`},
		{"a string", gateway.JSON(func(context.Context, *gateway.Request, typedOrder) (string, error) { return "a", nil }), `"a"`},
		{"an empty string", gateway.JSON(func(context.Context, *gateway.Request, typedOrder) (string, error) { return "", nil }), `""`},
		{"raw", gateway.JSON(func(_ context.Context, _ *gateway.Request, in json.RawMessage) (json.RawMessage, error) {
			return in, nil
		}), `{"action":"m","item":"x"}`},
		{"any", gateway.JSON(func(_ context.Context, _ *gateway.Request, in any) (any, error) { return in, nil }), `{"action":"m","item":"x"}`},
		{"a map", gateway.JSON(func(_ context.Context, _ *gateway.Request, in map[string]string) (string, error) {
			return in["item"], nil
		}), `"x"`},
		{"an answer that cannot be encoded", gateway.JSON(func(context.Context, *gateway.Request, typedOrder) (any, error) { return func() {}, nil }), "Internal server error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := gatewaytest.New(t)
			srv.Handle("m", tt.i, gateway.WithRouteResponse())
			srv.HandleFunc("after", func(context.Context, *gateway.Request) (*gateway.Response, error) {
				return &gateway.Response{Body: []byte("after")}, nil
			}, gateway.WithRouteResponse())
			c := srv.Dial(t)
			c.Send(`{"action":"m","item":"x"}`)
			c.Send(`{"action":"after"}`)
			if tt.want != "" {
				require.Contains(t, c.Receive(), tt.want)
			}
			require.Equal(t, "after", c.Receive())
		})
	}
}

// The members that the route selection expression reads are allowed, whoever calls the
// integration.
func TestJSON_Selection(t *testing.T) {
	t.Parallel()
	wrapped := func(i gateway.Integration) gateway.Integration {
		return gateway.IntegrationFunc(func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
			copied := *req
			return i.Invoke(ctx, &copied)
		})
	}
	for _, tt := range []struct {
		expression, message, want string
	}{
		{"$request.body.type", `{"type":"m","item":"a"}`, `{"item":"a","n":0}`},
		{"$request.body.type", `{"type":"m","action":"x"}`, `"/action","message":"unknown field"`},
		{"${request.body.service}/${request.body.op}", `{"service":"m","op":"","item":"a"}`, `{"item":"a","n":0}`},
		{"$request.body.head.type", `{"head":{"type":"m","id":7},"item":"a"}`, `{"item":"a","n":0}`},
		{"$request.body['type']", `{"type":"m","item":"a"}`, `{"item":"a","n":0}`},
		{"$request.body.item", `{"item":"m"}`, `{"item":"m","n":0}`},
		{"$request.body.list[0]", `{"list":["m"],"item":"a"}`, `{"item":"a","n":0}`},
	} {
		t.Run(tt.expression, func(t *testing.T) {
			t.Parallel()
			srv := gatewaytest.New(t, gateway.WithRouteSelectionExpression(tt.expression), gateway.WithMiddleware(wrapped))
			srv.Handle("m", wrapped(gateway.JSON(takeOrder)), gateway.WithRouteResponse())
			srv.Handle("m/", gateway.JSON(takeOrder), gateway.WithRouteResponse())
			c := srv.Dial(t)
			c.Send(tt.message)
			require.Contains(t, c.Receive(), tt.want)
		})
	}
}

func TestJSON_Deploy(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	srv.Handle("order", gateway.JSON(takeOrder), gateway.WithRouteResponse(),
		gateway.WithRequestModel(models.MustCompile(`{"required":["item"]}`)))
	d := srv.Deployment()
	d.RouteSelectionExpression = "$request.body.do"
	require.NoError(t, srv.Deploy(d))
	c := srv.Dial(t)
	c.Send(`{"do":"order","item":"apple"}`)
	require.Equal(t, `{"item":"apple","n":0}`, c.Receive())
	c.Send(`{"do":"order"}`) // the model comes first, and its client learns no more than from the service
	text, errs := typedFrame(t, c.Receive(), c.ConnectionID())
	require.Equal(t, "Invalid request body", text)
	require.Empty(t, errs)
}

func TestJSON_Misuse(t *testing.T) {
	t.Parallel()
	type in struct {
		F chan int `json:"f"`
	}
	for _, tt := range []struct {
		name, key string
		i         gateway.Integration
		want      string
	}{
		{"a nil func", "m", gateway.JSON[typedOrder, typedReceipt](nil), `route "m": the func of gateway.JSON is nil: set it`},
		{"a nil func without an answer", "m", gateway.JSONOneWay[typedOrder](nil), `the func of gateway.JSON is nil: set it`},
		{"an input without JSON", "m", gateway.JSONOneWay(func(context.Context, *gateway.Request, in) error { return nil }), "gateway.JSON: the input: field \"f\" of"},
		{"an output without JSON", "m", gateway.JSON(func(context.Context, *gateway.Request, typedOrder) (in, error) { return in{}, nil }), "gateway.JSON: the answer: field \"f\" of"},
		{"$connect", "$connect", gateway.JSON(takeOrder), `route "$connect": its events have no body that gateway.JSON could decode: use HandleFunc`},
		{"$disconnect", "$disconnect", gateway.JSON(takeOrder), `use HandleFunc`},
		{"$join", "$join", gateway.JSON(takeOrder), `route "$join": its events have no body that gateway.JSON could decode: use HandleFunc`},
		{"$leave", "$leave", gateway.JSON(takeOrder), `use HandleFunc`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			gw, err := gateway.New()
			require.NoError(t, err)
			defer func() { _ = gw.Close() }()
			err = gw.Deploy(gateway.Deployment{Routes: []gateway.Route{{RouteKey: tt.key, Integration: tt.i}}})
			require.ErrorIs(t, err, gateway.ErrInvalidOption)
			require.ErrorContains(t, err, tt.want)
			require.Panics(t, func() { gw.Handle(tt.key, tt.i) })
		})
	}
	_, err := gateway.JSON(takeOrder).Invoke(t.Context(), &gateway.Request{EventType: gateway.EventConnect})
	require.ErrorContains(t, err, "needs a message")
	_, err = gateway.JSON[typedOrder, typedReceipt](nil).Invoke(t.Context(), &gateway.Request{})
	require.ErrorContains(t, err, "is nil")
}

// around is an error around another one. It counts how often it is opened.
type around struct {
	inner  error
	opened *int
}

func (e *around) Error() string { return "around" }

func (e *around) Unwrap() error {
	*e.opened++
	return e.inner
}

// What a client is told of an error costs no more than the error has parts, however they are
// put into each other.
func TestJSON_ErrorsInErrors(t *testing.T) {
	t.Parallel()
	const depth = 1000
	field, plain := &gateway.FieldError{Field: "/a", Message: "b"}, errors.New("plain")
	for name, row := range map[string]struct {
		inner error
		want  []gateway.FieldError
	}{
		"a FieldError":            {field, []gateway.FieldError{*field}},
		"none":                    {plain, []gateway.FieldError{{Message: "around"}}},
		"several":                 {errors.Join(plain, field), []gateway.FieldError{{Message: "plain"}, *field}},
		"several, no FieldError":  {errors.Join(plain, plain), []gateway.FieldError{{Message: "around"}}},
		"around nothing":          {nil, []gateway.FieldError{{Message: "around"}}},
		"more than a client gets": {errors.Join(slices.Repeat([]error{field}, 30)...), slices.Repeat([]gateway.FieldError{*field}, 10)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opened, err := new(int), row.inner
			for n := range depth {
				if err = (&around{err, opened}); n == depth/2 {
					err = errors.Join(err)
				}
			}
			require.Equal(t, row.want, gateway.FieldErrorsOf(err))
			require.LessOrEqual(t, *opened, depth)
		})
	}
}

// A handler can be tested without a gateway, and its error says what does not fit.
func TestJSON_Invoke(t *testing.T) {
	t.Parallel()
	i := gateway.JSON(takeOrder)
	resp, err := i.Invoke(t.Context(), &gateway.Request{Body: []byte(`{"action":"order","item":"a"}`)})
	require.NoError(t, err)
	require.Equal(t, `{"item":"a","n":0}`, string(resp.Body))
	_, err = i.Invoke(t.Context(), &gateway.Request{RouteKey: "order", Body: []byte(`{"item":1,"x":1}`)})
	var invalid *gateway.ValidationError
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, []gateway.FieldError{{Field: "/item", Message: "want string, got number"}, {Field: "/x", Message: "unknown field"}}, invalid.Fields)
	require.Equal(t, `gateway: message for route "order" does not fit the type of its handler: /item: want string, got number; /x: unknown field`, err.Error())
}

// What the log says of a message that a handler refuses is a warning, and has no value of the
// message.
func TestJSON_Log(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	srv := gatewaytest.New(t, gateway.WithLogger(slog.New(slog.NewJSONHandler(&log, nil))))
	srv.Handle("order", gateway.JSON(takeOrder))
	c := srv.Dial(t)
	c.Send(`{"action":"order","count":"private"}`)
	c.Receive()
	c.Send(`{"action":"order","item":"public"}`)
	c.Receive()
	c.Send(`{"action":"order","item":"secret"}`)
	c.Receive()
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	require.Len(t, lines, 3)
	for n, want := range []string{
		`"level":"WARN","msg":"handler refused the message"`, `"level":"WARN","msg":"handler refused the message"`, `"level":"ERROR","msg":"integration failed"`,
	} {
		require.Contains(t, lines[n], want)
	}
	require.Contains(t, lines[0], "/count: want integer, got string")
	require.NotContains(t, log.String(), "private")
}

// A handler that comes too late is a timeout, whatever its error.
func TestJSON_Timeout(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{IntegrationTimeout: 10 * time.Millisecond}))
	srv.Handle("m", gateway.JSONOneWay(func(ctx context.Context, _ *gateway.Request, _ struct{}) error {
		<-ctx.Done()
		return stockError{"late"}
	}))
	c := srv.Dial(t)
	c.Send(`{"action":"m"}`)
	require.Contains(t, c.Receive(), "Endpoint request timed out")
}

// BenchmarkJSON compares a typed handler with one that is written by hand, and is not strict.
func BenchmarkJSON(b *testing.B) {
	byHand := gateway.IntegrationFunc(func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		var in typedOrder
		if err := json.Unmarshal(req.Body, &in); err != nil {
			return nil, err
		}
		if err := in.Validate(); err != nil {
			return nil, err
		}
		out, err := takeOrder(ctx, req, in)
		if err != nil {
			return nil, err
		}
		body, err := json.Marshal(out)
		return &gateway.Response{Body: body}, err
	})
	const line = `{"sku":"ABC-123456"}`
	for _, lines := range []int{1, 100} {
		body := []byte(`{"action":"order","item":"apple","count":2,"lines":[` + strings.Repeat(line+",", lines-1) + line + `]}`)
		for _, tt := range []struct {
			name string
			i    gateway.Integration
		}{{"hand", byHand}, {"typed", gateway.JSON(takeOrder)}} {
			b.Run(fmt.Sprintf("lines=%d/%s", lines, tt.name), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(body)))
				req := &gateway.Request{EventType: gateway.EventMessage, Body: body}
				for b.Loop() {
					if _, err := tt.i.Invoke(b.Context(), req); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// Whatever a client sends to a typed handler, it gets an answer that is JSON, once.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{`{"item":"a"}`, `{"item":"secret"}`, `{"\"":1}`, `[`, `{"count":1e400}`, `{"item":"panic"}`, `{"lines":[{"sku":"x","sku":1}]}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ToValidUTF8(text, "?")
		srv := gatewaytest.New(t, gateway.WithLogger(slog.New(slog.DiscardHandler)))
		srv.Handle("$default", gateway.JSON(takeOrder), gateway.WithRouteResponse())
		c := srv.Dial(t)
		c.Send(text)
		got := c.Receive()
		require.True(t, json.Valid([]byte(got)), "%q: %q", text, got)
	})
}
