package event_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"net/textproto"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/event"
)

func TestDecodeResponse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, answer string
		want         event.Response
	}{
		{"nothing at all", ``, event.Response{None: true}},
		{"blanks", " \r\n\t", event.Response{None: true}},
		{"null", ` null `, event.Response{None: true}},
		{"an empty object", `{}`, event.Response{}},
		{"a status code", ` { "statusCode" : 200 } `, event.Response{HasStatusCode: true, StatusCode: 200}},
		{"a status code as other languages write it", `{"statusCode":2.01e2}`, event.Response{HasStatusCode: true, StatusCode: 201}},
		{"a status code in quotes, as Lambda's own sample writes it", `{"statusCode":"200"}`, event.Response{HasStatusCode: true, StatusCode: 200}},
		{"a status code in quotes, escaped", `{"statusCode":"\u0034\u0030\u0030"}`, event.Response{HasStatusCode: true, StatusCode: 400}},
		{"a status code in quotes with a leading zero", `{"statusCode":"0200"}`, event.Response{HasStatusCode: true, StatusCode: 200}},
		{"a status code that is null", `{"statusCode":null}`, event.Response{}},
		{"a status code of 0", `{"statusCode":0}`, event.Response{HasStatusCode: true}},
		{"a body", `{"statusCode":503,"body":"{\"a\":\"ü\"}"}`, event.Response{HasStatusCode: true, StatusCode: 503, Body: []byte(`{"a":"ü"}`)}},
		{"a plain body", `{"body":"hello"}`, event.Response{Body: []byte("hello")}},
		{"an empty body", `{"body":""}`, event.Response{Body: []byte{}}},
		{"nulls everywhere, as Go's Lambda types write them", `{"statusCode":200,"headers":null,"multiValueHeaders":null,"body":null,"isBase64Encoded":null}`, event.Response{HasStatusCode: true, StatusCode: 200}},
		{"base64", `{"body":"aGVsbG8=","isBase64Encoded":true}`, event.Response{Body: []byte("hello"), Binary: true}},
		{"not base64", `{"isBase64Encoded":false,"body":"aGVsbG8="}`, event.Response{Body: []byte("aGVsbG8=")}},
		{"base64 without a body", `{"isBase64Encoded":true}`, event.Response{Binary: true}},
		{
			"headers", `{"headers":{"Sec-WebSocket-Protocol":"chat.v1","x-a":"b"}}`,
			event.Response{Header: map[string][]string{"Sec-Websocket-Protocol": {"chat.v1"}, "X-A": {"b"}}},
		},
		{
			"the multi-value entry wins, whatever its case", `{"multiValueHeaders":{"X-A":["1","2"],"X-C":[]},"headers":{"x-a":"0","x-b":"3","x-c":"4"}}`,
			event.Response{Header: map[string][]string{"X-A": {"1", "2"}, "X-B": {"3"}, "X-C": {"4"}}},
		},
		{
			"the spellings of other headers: the last counts", `{"headers":{"X-A":"1","x-a":"0"}}`,
			event.Response{Header: map[string][]string{"X-A": {"0"}}},
		},
		{
			"the spellings of a command: all count", `{"headers":{"gateway-join":"b","Gateway-Join":"a","gateway-join":"c","GATEWAY-LEAVE":"d"}}`,
			event.Response{Header: map[string][]string{"Gateway-Join": {"a", "c"}, "Gateway-Leave": {"d"}}},
		},
		{
			"the multi-value command wins, whatever its case", `{"multiValueHeaders":{"GATEWAY-join":["1","2"],"gateway-join":["3"],"gateway-leave":[]},"headers":{"gateway-join":"0","gateway-leave":"4"}}`,
			event.Response{Header: map[string][]string{"Gateway-Join": {"1", "2", "3"}, "Gateway-Leave": {"4"}}},
		},
		{
			"header values that are no strings, as many write them", `{"headers":{"a":true,"b":12,"c":null},"multiValueHeaders":{"d":[false,null,1.50],"e":null}}`,
			event.Response{Header: map[string][]string{"A": {"true"}, "B": {"12"}, "D": {"false", "1.50"}}},
		},
		{"of duplicate keys the last one counts", `{"body":"a","statusCode":1,"body":"b","statusCode":2}`, event.Response{HasStatusCode: true, StatusCode: 2, Body: []byte("b")}},
		{"an escaped key", `{"b\u006fdy":"a"}`, event.Response{Body: []byte("a")}},
		{"every escape", `{"body":"\"\\\/\b\f\n\r\t\u00e9\u20AC\ud83d\ude00"}`, event.Response{Body: []byte("\"\\/\b\f\n\r\té€😀")}},
		{"halves of surrogate pairs", `{"body":"\ud83d \ude00\ud83d\ud83d\ude00\ud83d\n"}`, event.Response{Body: []byte("\uFFFD \uFFFD\uFFFD😀\uFFFD\n")}},
		{"a body that is not UTF-8", "{\"body\":\"\xff\"}", event.Response{Body: []byte("\uFFFD")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := event.DecodeResponse([]byte(tt.answer))
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}
}

func TestDecodeResponse_Malformed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, answer, says string }{
		{"no JSON", `{"statusCode":200`, "not JSON"},
		{"two values", `{} {}`, "not JSON"},
		{"a string", `"hello"`, "no JSON object"},
		{"a number", `200`, "no JSON object"},
		{"an array", `[{"statusCode":200}]`, "no JSON object"},
		{"an unknown key", `{"ConnectionId":"x","Data":"y","statusCode":200}`, `unknown key "ConnectionId"`},
		{"the cookies of HTTP APIs", `{"statusCode":200,"cookies":null}`, `unknown key "cookies"`},
		{"a known key in another case", `{"StatusCode":200}`, `unknown key "StatusCode"`},
		{"a status code in quotes that is empty", `{"statusCode":""}`, "statusCode is no number"},
		{"a status code in quotes with a blank", `{"statusCode":" 200"}`, "statusCode is no number"},
		{"a status code in quotes with a sign", `{"statusCode":"+200"}`, "statusCode is no number"},
		{"a negative status code in quotes", `{"statusCode":"-1"}`, "statusCode is no number"},
		{"a status code in quotes with an exponent", `{"statusCode":"2e2"}`, "statusCode is no number"},
		{"a status code in quotes with a fraction", `{"statusCode":"200.0"}`, "statusCode is no number"},
		{"a status code in other digits", `{"statusCode":"２００"}`, "statusCode is no number"},
		{"a status code in words", `{"statusCode":"OK"}`, "statusCode is no number"},
		{"a status code in quotes out of range", `{"statusCode":"99999999999999999999"}`, "statusCode is no integer"},
		{"a status code that is a boolean", `{"statusCode":true}`, "statusCode is no number"},
		{"a status code with a fraction", `{"statusCode":200.5}`, "statusCode is no integer"},
		{"a status code out of range", `{"statusCode":1e400}`, "statusCode is no integer"},
		{"a body that is an object", `{"body":{"a":1}}`, "body is no string"},
		{"a body that is a number", `{"body":1}`, "body is no string"},
		{"base64 that is none", `{"body":"%","isBase64Encoded":true}`, "body is no base64"},
		{"isBase64Encoded in quotes", `{"isBase64Encoded":"true"}`, "isBase64Encoded is no boolean"},
		{"headers that are an array", `{"headers":[]}`, "headers is no object"},
		{"a header that is an object", `{"headers":{"a":{}}}`, `headers["a"] is no string`},
		{"multi-value headers that are an array", `{"multiValueHeaders":[]}`, "multiValueHeaders is no object"},
		{"a multi-value header that is a string", `{"multiValueHeaders":{"a":"b"}}`, `multiValueHeaders["a"] is no array`},
		{"a multi-value header of arrays", `{"multiValueHeaders":{"a":[["b"]]}}`, `multiValueHeaders["a"] holds more than strings`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := event.DecodeResponse([]byte(tt.answer))
			require.ErrorIs(t, err, event.ErrMalformed)
			require.ErrorContains(t, err, tt.says)
			require.Zero(t, got)
		})
	}
}

func TestDecodeResponse_DoesNotAllocate(t *testing.T) {
	answer := []byte(`{"statusCode":200,"body":"hello","isBase64Encoded":false}`)
	require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = event.DecodeResponse(answer) }))
}

var digits = regexp.MustCompile(`^[0-9]+$`)

// unescaped returns the text of a JSON string.
func unescaped(raw []byte) []byte {
	var text string
	_ = json.Unmarshal(raw, &text) // it is one
	return []byte(text)
}

// oracle is DecodeResponse, written with encoding/json.
func oracle(data []byte) (event.Response, bool) {
	if b := bytes.Trim(data, " \t\r\n"); len(b) == 0 || string(b) == "null" {
		return event.Response{None: true}, true
	}
	var top map[string]json.RawMessage
	if json.Unmarshal(data, &top) != nil {
		return event.Response{}, false
	}
	var r event.Response
	var encoded bool
	var body *string
	var status *json.Number
	var single map[string]json.RawMessage
	var multi map[string][]json.RawMessage
	for name, raw := range top {
		into, ok := map[string]any{
			"statusCode": &status, "body": &body, "isBase64Encoded": &encoded, "headers": &single, "multiValueHeaders": &multi,
		}[name]
		if name == "statusCode" && raw[0] == '"' {
			text := unescaped(raw)
			if !digits.Match(text) {
				return event.Response{}, false
			}
			if raw = bytes.TrimLeft(text, "0"); len(raw) == 0 { // JSON has no zeros in front
				raw = []byte("0")
			}
		}
		if !ok || json.Unmarshal(raw, into) != nil {
			return event.Response{}, false
		}
	}
	if status != nil {
		f, err := status.Float64()
		if n, intErr := status.Int64(); intErr == nil {
			r.StatusCode = int(n)
		} else if r.StatusCode = int(f); err != nil || f != math.Trunc(f) || f > math.MaxInt32 || f < math.MinInt32 {
			return event.Response{}, false
		}
		r.HasStatusCode = true
	}
	// Names that differ in case only have an order in the text, which maps lose.
	seen := map[string]int{}
	add := func(name string, values []string) {
		if r.Header == nil {
			r.Header = map[string][]string{}
		}
		r.Header[textproto.CanonicalMIMEHeaderKey(name)] = values
	}
	text := func(raw json.RawMessage) (string, bool) {
		var s string
		if raw[0] == '"' {
			return s, json.Unmarshal(raw, &s) == nil
		}
		return string(raw), raw[0] != '{' && raw[0] != '['
	}
	for name, raw := range single {
		seen[textproto.CanonicalMIMEHeaderKey(name)]++
		if string(raw) == "null" {
			continue
		}
		s, ok := text(raw)
		if !ok {
			return event.Response{}, false
		}
		add(name, []string{s})
	}
	for name, all := range multi {
		seen[textproto.CanonicalMIMEHeaderKey(name)]++
		var values []string
		for _, raw := range all {
			if string(raw) == "null" {
				continue
			}
			s, ok := text(raw)
			if !ok {
				return event.Response{}, false
			}
			values = append(values, s)
		}
		if len(values) > 0 {
			add(name, values)
		}
	}
	for name, n := range seen {
		if n > 1 {
			delete(r.Header, name)
		}
	}
	if body != nil {
		r.Body = []byte(*body)
		if encoded {
			decoded, err := base64.StdEncoding.DecodeString(*body)
			if err != nil {
				return event.Response{}, false
			}
			r.Body = decoded
		}
	}
	return r, true
}

func FuzzDecodeResponse(f *testing.F) {
	for _, s := range []string{
		``, `null`, `{}`, `{"statusCode":200,"body":"a\u00e9\n","isBase64Encoded":false}`, `{"body":"aGk=","isBase64Encoded":true}`,
		`{"headers":{"a":"b","A":1},"multiValueHeaders":{"c":["d",true,null]}}`, `{"statusCode":"1"}`, `{"x":[{"}":"]"}]}`, `{"body":"\\ud83d\\ude00\\/\\ud83d\\u0041"}`, `{"statusCode":1e2}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := slices.Clone(data)
		got, err := event.DecodeResponse(data)
		require.Equal(t, before, data)
		if bytes.Contains(bytes.ToLower(data), []byte(`"headers"`)) && bytes.Count(data, []byte(`eaders`)) > 2 {
			return // encoding/json merges duplicate maps
		}
		want, ok := oracle(data)
		if !ok {
			require.Error(t, err)
			require.ErrorIs(t, err, event.ErrMalformed)
			return
		}
		require.NoError(t, err)
		require.Equal(t, want.None, got.None)
		require.Equal(t, want.HasStatusCode, got.HasStatusCode)
		require.Equal(t, want.StatusCode, got.StatusCode)
		require.Equal(t, string(want.Body), string(got.Body))
		require.Equal(t, want.Body == nil, got.Body == nil)
		for name, values := range want.Header {
			require.Equal(t, values, got.Header[name])
		}
	})
}
