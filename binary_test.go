package gateway_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/lambda"
)

const someBytes = "\x00\xff\xfe\x80{\"action\":\"m\"}"

// echoKind returns what it gets, as it gets it.
func echoKind(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
	return &gateway.Response{Body: req.Body, Binary: req.Binary}, nil
}

func TestBinary_Messages(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]gateway.Option{
		"plain": nil, "compressed": {gateway.WithCompression(gateway.Compression{Threshold: 1})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := gatewaytest.New(t, append(opts, gateway.WithBinaryMessages())...)
			srv.HandleFunc("m", func(context.Context, *gateway.Request) (*gateway.Response, error) {
				return &gateway.Response{Body: []byte("m")}, nil
			}, gateway.WithRouteResponse())
			srv.HandleFunc(gateway.RouteKeyDefault, echoKind, gateway.WithRouteResponse())
			var dial []gatewaytest.DialOption
			if opts != nil {
				dial = append(dial, gatewaytest.Compression())
			}
			c := srv.Dial(t, dial...)
			for _, data := range []string{someBytes, `{"action":"m"}`, strings.Repeat("\xff", 20_000), "text"} {
				c.SendBinary([]byte(data)) // no route key selects it
				require.Equal(t, data, string(c.ReceiveBinary()))
			}
			c.Send("text")
			require.Equal(t, "text", c.Receive())
			c.Send(`{"action":"m"}`)
			require.Equal(t, "m", c.Receive())
			c.SendBinary(nil)
			c.Send("next") // nothing comes back for an empty message
			require.Equal(t, "next", c.Receive())
			require.True(t, srv.Events()[0].Binary)
			require.Equal(t, gateway.RouteKeyDefault, srv.Events()[0].RouteKey)
		})
	}
}

// Messages that wait, and replies that are held back, keep their kind and their order.
func TestBinary_Order(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t, gateway.WithBinaryMessages())
	go1 := make(chan struct{})
	srv.HandleFunc(gateway.RouteKeyDefault, func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		<-go1
		return echoKind(ctx, req)
	}, gateway.WithRouteResponse())
	c := srv.Dial(t)
	for range 7 {
		c.SendBinary([]byte("b"))
		c.Send("t")
	}
	close(go1)
	for range 7 {
		require.Equal(t, "b", string(c.ReceiveBinary()))
		require.Equal(t, "t", c.Receive())
	}
}

func TestBinary_Unroutable(t *testing.T) {
	t.Parallel()
	rejected := make(chan *gateway.Request, 1)
	srv := gatewaytest.New(t, gateway.WithBinaryMessages(), gateway.WithObserver(&gateway.Observer{
		MessageRejected: func(_ context.Context, req *gateway.Request, _ int, _ error) { rejected <- req },
	}))
	srv.HandleFunc("m", echoKind)
	c := srv.Dial(t)
	c.SendBinary([]byte(`{"action":"m"}`))
	require.Contains(t, c.Receive(), `{"message": "Forbidden"`)
	_, ok := (<-rejected).SelectionValue()
	require.False(t, ok)
}

func TestBinary_Post(t *testing.T) {
	t.Parallel()
	sent := make(chan int, 8)
	srv := gatewaytest.New(t, gateway.WithBinaryMessages(), gateway.WithObserver(&gateway.Observer{
		MessageSent: func(_ context.Context, _ string, n int) { sent <- n },
	}))
	a, b := srv.Dial(t), srv.Dial(t)
	d, err := srv.PostTo(t.Context(), gateway.Everyone(), []byte(someBytes), gateway.Binary())
	require.NoError(t, err)
	require.Equal(t, 2, d.Accepted)
	require.Equal(t, someBytes, string(a.ReceiveBinary()))
	require.Equal(t, someBytes, string(b.ReceiveBinary()))
	require.Equal(t, len(someBytes), <-sent, "each byte counts once")
	_, err = srv.PostTo(t.Context(), gateway.Everyone(), make([]byte, 128<<10+1), gateway.Binary())
	require.ErrorIs(t, err, gateway.ErrPayloadTooLarge)
	_, err = srv.PostTo(t.Context(), gateway.Everyone(), bytes.Repeat([]byte{0xff}, 128<<10), gateway.Binary())
	require.NoError(t, err)
	require.Len(t, a.ReceiveBinary(), 128<<10)
	_, err = gatewaytest.New(t).PostTo(t.Context(), gateway.Everyone(), []byte("x"), gateway.Binary())
	require.ErrorIs(t, err, gateway.ErrInvalidArgument)
	require.ErrorContains(t, err, "pass WithBinaryMessages to New")
}

// A post over HTTP to an audience may be binary, too.
func TestBinary_PostOverHTTP(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t, gateway.WithBinaryMessages(), gateway.WithManagementExtensions())
	c := srv.Dial(t)
	d, err := srv.Management().PostTo(t.Context(), gateway.Connections(c.ConnectionID()), []byte(someBytes), gateway.Binary())
	require.NoError(t, err)
	require.Equal(t, 1, d.Accepted)
	require.Equal(t, someBytes, string(c.ReceiveBinary()))
	require.NoError(t, srv.Management().PostToConnection(t.Context(), c.ConnectionID(), []byte("text")))
	require.Equal(t, "text", c.Receive())
	without := gatewaytest.New(t, gateway.WithManagementExtensions())
	_, err = without.Management().PostTo(t.Context(), gateway.Everyone(), []byte("x"), gateway.Binary())
	require.ErrorIs(t, err, gateway.ErrInvalidArgument)
	require.ErrorContains(t, err, "WithBinaryMessages")
}

// Without the option nothing is different from the service.
func TestBinary_Off(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	srv.HandleFunc(gateway.RouteKeyDefault, func(context.Context, *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Body: []byte("a\xff"), Binary: true}, nil
	}, gateway.WithRouteResponse())
	c := srv.Dial(t)
	c.Send("text")
	require.Equal(t, "a\uFFFD", c.Receive())
	c.SendBinary([]byte("x"))
	code, reason := c.ReceiveClose()
	require.Equal(t, 1003, code)
	require.Equal(t, "Binary is not supported", reason)
}

func TestBinary_TooLarge(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t, gateway.WithBinaryMessages(), gateway.WithQuotas(gateway.Quotas{FrameBytes: 100, MessageBytes: 100}))
	srv.HandleFunc(gateway.RouteKeyDefault, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Body: bytes.Repeat([]byte{0xff}, 1+len(req.Body)), Binary: true}, nil
	}, gateway.WithRouteResponse())
	c := srv.Dial(t)
	c.SendBinary(make([]byte, 99))
	require.Len(t, c.ReceiveBinary(), 100)
	c.SendBinary(make([]byte, 100))
	require.Contains(t, c.Receive(), "Internal server error", "the answer is too large")
	c.SendBinary(make([]byte, 101))
	code, _ := c.ReceiveClose()
	require.Equal(t, 1009, code)
}

func TestBinary_Model(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t, gateway.WithBinaryMessages())
	srv.HandleFunc(gateway.RouteKeyDefault, echoKind, gateway.WithRouteResponse(),
		gateway.WithRequestModels("$request.body.kind", map[string]gateway.Model{"a": wants("never"), "$default": wants("good")}))
	c := srv.Dial(t)
	c.SendBinary([]byte(`{"kind":"a","x":"good"}`)) // it has no kind, because it is not JSON
	c.ReceiveBinary()
	c.SendBinary([]byte("\xff"))
	require.Contains(t, c.Receive(), "Invalid request body")
}

func TestBinary_TypedHandler(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t, gateway.WithBinaryMessages())
	srv.Handle(gateway.RouteKeyDefault, gateway.JSON(takeOrder), gateway.WithRouteResponse())
	c := srv.Dial(t)
	c.SendBinary([]byte(`{"item":"x"}`))
	require.Contains(t, c.Receive(), `"errors":[{"field":"","message":"want a text message, got a binary one"}]`)
}

func TestBinary_Lambda(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t, gateway.WithBinaryMessages())
	srv.Handle(gateway.RouteKeyDefault, lambda.Wrap(func(_ context.Context, event lambda.WebsocketRequest) (lambda.Response, error) {
		return lambda.Response{StatusCode: 200, Body: event.Body, IsBase64Encoded: event.IsBase64Encoded}, nil
	}), gateway.WithRouteResponse())
	c := srv.Dial(t)
	c.SendBinary([]byte(someBytes))
	require.Equal(t, someBytes, string(c.ReceiveBinary()))
	c.Send("text")
	require.Equal(t, "text", c.Receive())
}

func TestBinary_HTTP(t *testing.T) {
	t.Parallel()
	type seen struct{ kind, body string }
	requests := make(chan seen, 1)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- seen{r.Header.Get("Content-Type"), string(body)}
		w.Header().Set("Content-Type", r.URL.Query().Get("answer"))
		_, _ = w.Write([]byte("\x00ok"))
	}))
	defer backend.Close()
	template := map[string]string{"$default": `{"is": "$context.routeKey"}`}
	passes := map[string]gateway.IntegrationResponse{"$default": {}}
	for _, tt := range []struct {
		name, answer string
		transform    *gateway.Transform
		want         seen
		binary       bool
		body         string
	}{
		{"it goes through", "application/octet-stream", nil, seen{"application/octet-stream", someBytes}, true, "\x00ok"},
		{"with parameters of the type", "Application/Octet-Stream; x=y", nil, seen{"application/octet-stream", someBytes}, true, "\x00ok"},
		{"any other type is text", "text/plain", nil, seen{"application/octet-stream", someBytes}, false, "\x00ok"},
		{"no template", "application/octet-stream", &gateway.Transform{Responses: passes}, seen{"application/octet-stream", someBytes}, true, "\x00ok"},
		{
			"a template makes JSON", "application/octet-stream", &gateway.Transform{RequestTemplates: template, Responses: passes},
			seen{"application/json", `{"is": "$default"}`},
			true, "\x00ok",
		},
		{
			"base64 for the backend", "text/plain", &gateway.Transform{ContentHandling: gateway.ConvertToText, Responses: passes},
			seen{"application/json", "AP/+gHsiYWN0aW9uIjoibSJ9"},
			false, "\x00ok",
		},
		{
			"base64 for the client", "application/octet-stream", &gateway.Transform{Responses: map[string]gateway.IntegrationResponse{"$default": {ContentHandling: gateway.ConvertToText}}},
			seen{"application/octet-stream", someBytes},
			false, "AG9r",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := gatewaytest.NewTCP(t, gateway.WithBinaryMessages())
			srv.Handle(gateway.RouteKeyDefault, &gateway.HTTPIntegration{
				URI: backend.URL + "/?answer=" + strings.ReplaceAll(strings.ReplaceAll(tt.answer, "; ", "%3B%20"), "/", "%2F"), Transform: tt.transform,
			}, gateway.WithRouteResponse())
			c := srv.Dial(t)
			c.SendBinary([]byte(someBytes))
			require.Equal(t, tt.want, <-requests)
			if tt.binary {
				require.Equal(t, tt.body, string(c.ReceiveBinary()))
			} else {
				require.Equal(t, tt.body, c.Receive())
			}
		})
	}
}

// What a template makes for the client is text, and ConvertToBinary makes it binary.
func TestBinary_Transform(t *testing.T) {
	t.Parallel()
	payloads := make(chan string, 1)
	srv := gatewaytest.New(t, gateway.WithBinaryMessages())
	srv.Handle(gateway.RouteKeyDefault, &gateway.CustomIntegration{
		Transform: &gateway.Transform{
			RequestTemplates: map[string]string{"$default": "got $input.body"},
			Responses:        map[string]gateway.IntegrationResponse{"$default": {ContentHandling: gateway.ConvertToBinary}},
		},
		Backend: func(_ context.Context, _ *gateway.Request, payload []byte) (*gateway.Response, error) {
			payloads <- string(payload)
			return &gateway.Response{Body: []byte("AP8=")}, nil
		},
	}, gateway.WithRouteResponse())
	c := srv.Dial(t)
	c.SendBinary([]byte("abc"))
	require.Equal(t, "got abc", <-payloads)
	require.Equal(t, "\x00\xff", string(c.ReceiveBinary()))
}

// BenchmarkBinary measures a binary message of 128 bytes and its reply, beside a text.
func BenchmarkBinary(b *testing.B) {
	for _, opcode := range []byte{0x81, 0x82} {
		b.Run(map[byte]string{0x81: "text", 0x82: "binary"}[opcode], func(b *testing.B) {
			gw, addr := newBench(b, gateway.WithBinaryMessages())
			gw.HandleFunc(gateway.RouteKeyDefault, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
				return &gateway.Response{Body: []byte(benchReply), Binary: req.Binary}, nil
			}, gateway.WithRouteResponse())
			nc := dialBench(b, addr)
			frame := benchFrame(strings.Repeat("x", 128))
			frame[0] = opcode
			reply := make([]byte, 2+len(benchReply))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := nc.Write(frame); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(nc, reply); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
