package event_test

import (
	"testing"

	"example.com/gateway/internal/event"
)

func BenchmarkEvent(b *testing.B) {
	for _, bench := range []struct {
		name   string
		append func([]byte, *event.Event) []byte
		e      *event.Event
	}{
		{"CONNECT", event.AppendConnect, exampleConnect()},
		{"MESSAGE", event.AppendMessage, exampleMessage()},
		{"DISCONNECT", event.AppendDisconnect, exampleDisconnect()},
		{"AUTHORIZER", event.AppendAuthorizer, exampleAuthorizer()},
	} {
		b.Run("type="+bench.name, func(b *testing.B) {
			dst := bench.append(nil, bench.e)
			b.ReportAllocs()
			b.SetBytes(int64(len(dst)))
			for b.Loop() {
				dst = bench.append(dst[:0], bench.e)
			}
		})
	}
}

func BenchmarkDecodeResponse(b *testing.B) {
	answer := []byte(`{"statusCode":200,"headers":null,"multiValueHeaders":null,"body":"{\"type\":\"message\",\"text\":\"hello\"}"}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(answer)))
	for b.Loop() {
		if _, err := event.DecodeResponse(answer); err != nil {
			b.Fatal(err)
		}
	}
}
