package lambda_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/lambda"
)

const benchMessage = `{"action":"sendmessage","data":"hello hello hello hello hello hello hello hello"}`

// BenchmarkWrap measures a message to a handler and its answer.
func BenchmarkWrap(b *testing.B) {
	answer := []byte(`{"statusCode":200,"body":"{\"ok\":true}"}`)
	for _, bench := range []struct {
		name    string
		handler any
	}{
		{"struct", func(context.Context, lambda.WebsocketRequest) (lambda.Response, error) {
			return lambda.Response{StatusCode: 200, Body: `{"ok":true}`}, nil
		}},
		{"map", func(context.Context, map[string]any) (map[string]any, error) {
			return map[string]any{"statusCode": 200, "body": `{"ok":true}`}, nil
		}},
		{"RawMessage", func(context.Context, json.RawMessage) (json.RawMessage, error) { return answer, nil }},
		{"bytes", func(context.Context, []byte) ([]byte, error) { return answer, nil }},
		{"object", invokeFunc(func(context.Context, []byte) ([]byte, error) { return answer, nil })},
	} {
		b.Run("handler="+bench.name, func(b *testing.B) {
			benchInvoke(b, lambda.Wrap(bench.handler))
		})
	}
}

// BenchmarkFunction measures a message to an endpoint on loopback and its answer,
// including the work of the endpoint.
func BenchmarkFunction(b *testing.B) {
	f := &lambda.Function{Name: "chat", URL: endpoint(b, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, `{"statusCode":200,"body":"{\"ok\":true}"}`)
	})}
	b.Run("calls=serial", func(b *testing.B) { benchInvoke(b, f) })
	b.Run("calls=parallel", func(b *testing.B) {
		req := message(benchMessage)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := f.Invoke(b.Context(), req); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

func benchInvoke(b *testing.B, i gateway.Integration) {
	b.Helper()
	req := message(benchMessage)
	resp, err := i.Invoke(b.Context(), req)
	require.NoError(b, err)
	require.JSONEq(b, `{"ok":true}`, string(resp.Body))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := i.Invoke(b.Context(), req); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecide measures the evaluation of a usual authorizer's result.
func BenchmarkDecide(b *testing.B) {
	result := []byte(`{"principalId":"user-17","policyDocument":{"Version":"2012-10-17","Statement":[{"Action":"execute-api:Invoke","Effect":"Allow","Resource":"` + methodARN + `"}]},"context":{"tenant":"acme","level":3}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := lambda.Decide(result, methodARN); err != nil {
			b.Fatal(err)
		}
	}
}
