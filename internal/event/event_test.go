package event_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/event"
)

const domain = "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com"

// example returns the data from which the events in testdata were made. They have the form
// of recordings of the service, with invented values. Only headers and query are sorted,
// as in our events.
func example() *event.Event {
	return &event.Event{
		ConnectionID: "R1kmxc2VNjMCFIA=", APIID: "a1b2c3d4e5", Stage: "prod", DomainName: domain,
		SourceIP: "203.0.113.7", UserAgent: "Mozilla/5.0",
		ConnectedAt: time.UnixMilli(1705751697419),
		Authorizer:  map[string]any{"principalId": "user-17", "tenant": "acme", "level": "3", "admin": "true"},
	}
}

func exampleConnect() *event.Event {
	e := example()
	e.RouteKey, e.RequestID = "$connect", "R1kmwHZ3NjMFcTg="
	e.Authorizer["integrationLatency"] = int64(23)
	e.RequestTime = time.UnixMilli(1705751697421).In(time.FixedZone("", 3600))
	e.StageVariables = map[string]string{"tableName": "connections-prod"}
	e.Upgrade = event.Upgrade{
		Host: domain, Proto: "https", Port: "443",
		TraceID: "Root=1-65abb3f1-0123456789abcdef01234567",
		Header: map[string][]string{
			"Connection": {"keep-alive, Upgrade"}, "Upgrade": {"WebSocket"}, "Content-Length": {"0"},
			"Origin":                   {"https://app.example.test"},
			"Sec-Websocket-Extensions": {"permessage-deflate; client_max_window_bits"},
			"Sec-Websocket-Key":        {"x3JJHMbDL1EzLkh9GBhXDw=="},
			"Sec-Websocket-Protocol":   {"chat.v1, chat.v2"},
			"Sec-Websocket-Version":    {"13"},
			"User-Agent":               {"Mozilla/5.0"},
			"X-Forwarded-Proto":        {"gopher"}, "X-Forwarded-Port": {"70"},
		},
		Query: map[string][]string{"token": {"first", "second"}, "room": {"42"}},
	}
	return e
}

func exampleMessage() *event.Event {
	e := example()
	e.RouteKey, e.RequestID, e.MessageID = "sendmessage", "R1knPH17NjMFftw=", "R1knPc2ntjMCFIA="
	e.RequestTime = time.UnixMilli(1705751700453)
	e.Body = []byte(`{"action":"sendmessage","data":"hello"}`)
	return e
}

func exampleDisconnect() *event.Event {
	e := example()
	e.RouteKey, e.RequestID = "$disconnect", "R1koeHsUtjMFbRw="
	e.RequestTime = time.UnixMilli(1705751708326)
	e.DisconnectStatusCode, e.DisconnectReason = 1001, "Going away"
	return e
}

func exampleAuthorizer() *event.Event {
	e := exampleConnect()
	e.RequestTime, e.MethodARN = time.UnixMilli(1705751697420), "arn:aws:execute-api:us-east-1:111122223333:a1b2c3d4e5/prod/$connect"
	e.UserAgent, e.StageVariables = "", nil
	e.Upgrade.Query = map[string][]string{"room": {"42"}}
	for _, name := range []string{"Origin", "Sec-Websocket-Protocol", "User-Agent"} {
		delete(e.Upgrade.Header, name)
	}
	e.Upgrade.Header["X-Token"] = []string{"abc"}
	return e
}

func TestAppend_Golden(t *testing.T) {
	t.Parallel()
	for name, got := range map[string][]byte{
		"connect":    event.AppendConnect(nil, exampleConnect()),
		"message":    event.AppendMessage(nil, exampleMessage()),
		"disconnect": event.AppendDisconnect(nil, exampleDisconnect()),
		"authorizer": event.AppendAuthorizer(nil, exampleAuthorizer()),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			golden, err := os.ReadFile("testdata/" + name + ".json")
			require.NoError(t, err)
			require.JSONEq(t, string(golden), string(got))
			var compact bytes.Buffer
			require.NoError(t, json.Compact(&compact, golden))
			require.Equal(t, compact.String(), string(got), "the order of keys, too")
		})
	}
}

func TestAppend_Keys(t *testing.T) {
	t.Parallel()
	plain := func(e *event.Event) *event.Event {
		e.StageVariables, e.Authorizer, e.UserAgent, e.Upgrade.Query = nil, nil, "", nil
		return e
	}
	for _, tt := range []struct {
		name           string
		got            []byte
		keys, contexts string
	}{
		{
			"CONNECT without anything optional", event.AppendConnect(nil, plain(exampleConnect())),
			"headers isBase64Encoded multiValueHeaders requestContext",
			"apiId connectedAt connectionId domainName eventType extendedRequestId identity messageDirection requestId requestTime requestTimeEpoch routeKey stage",
		},
		{
			"MESSAGE has no headers and no query", event.AppendMessage(nil, plain(exampleMessage())),
			"body isBase64Encoded requestContext",
			"apiId connectedAt connectionId domainName eventType extendedRequestId identity messageDirection messageId requestId requestTime requestTimeEpoch routeKey stage",
		},
		{
			"DISCONNECT has no body", event.AppendDisconnect(nil, plain(exampleDisconnect())),
			"headers isBase64Encoded multiValueHeaders requestContext",
			"apiId connectedAt connectionId disconnectReason disconnectStatusCode domainName eventType extendedRequestId identity messageDirection requestId requestTime requestTimeEpoch routeKey stage",
		},
		{
			"the authorizer's event has empty objects", event.AppendAuthorizer(nil, plain(exampleAuthorizer())),
			"headers methodArn multiValueHeaders multiValueQueryStringParameters queryStringParameters requestContext stageVariables type",
			"apiId connectedAt connectionId domainName eventType extendedRequestId identity messageDirection requestId requestTime requestTimeEpoch routeKey stage",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			top := decode(t, tt.got)
			require.ElementsMatch(t, strings.Fields(tt.keys), keys(top))
			context := top["requestContext"].(map[string]any)
			require.ElementsMatch(t, strings.Fields(tt.contexts), keys(context))
			require.Equal(t, map[string]any{"sourceIp": "203.0.113.7"}, context["identity"], "no userAgent unless one was sent")
			for name, value := range top {
				require.NotNil(t, value, "absent keys are absent, not null: %s", name)
			}
		})
	}
	t.Run("an empty reason is there", func(t *testing.T) {
		t.Parallel()
		e := exampleDisconnect()
		e.DisconnectReason = ""
		context := decode(t, event.AppendDisconnect(nil, e))["requestContext"].(map[string]any)
		require.Contains(t, context, "disconnectReason")
		require.Empty(t, context["disconnectReason"])
	})
	t.Run("an empty message is an empty body", func(t *testing.T) {
		t.Parallel()
		e := exampleMessage()
		e.Body = nil
		require.Contains(t, string(event.AppendMessage(nil, e)), `"body":"",`)
	})
	t.Run("stage variables are in every event", func(t *testing.T) {
		t.Parallel()
		e := exampleConnect()
		e.StageVariables = map[string]string{"b": "2", "a": "1"}
		for _, got := range [][]byte{event.AppendConnect(nil, e), event.AppendMessage(nil, e), event.AppendDisconnect(nil, e), event.AppendAuthorizer(nil, e)} {
			require.Contains(t, string(got), `"stageVariables":{"a":"1","b":"2"}`)
		}
	})
	t.Run("an authorizer that said nothing is one", func(t *testing.T) {
		t.Parallel()
		e := exampleMessage()
		e.Authorizer = map[string]any{}
		require.Contains(t, string(event.AppendMessage(nil, e)), `"authorizer":{},`)
	})
	t.Run("an IAM caller is in every identity", func(t *testing.T) {
		t.Parallel()
		e := exampleMessage()
		e.Caller = event.Caller{AccountID: "111122223333", PrincipalID: "AIDAEXAMPLE", ARN: "arn:aws:iam::111122223333:user/ann"}
		for _, got := range [][]byte{event.AppendConnect(nil, e), event.AppendMessage(nil, e), event.AppendDisconnect(nil, e)} {
			require.Contains(t, string(got), `"sourceIp":"203.0.113.7","accountId":"111122223333","caller":"AIDAEXAMPLE","user":"AIDAEXAMPLE","userArn":"arn:aws:iam::111122223333:user/ann"}`)
		}
	})
}

func TestAppendConnect_Headers(t *testing.T) {
	t.Parallel()
	e := exampleConnect()
	e.Upgrade.Host = ""
	e.Upgrade.Header = map[string][]string{
		"X-Forwarded-For": {"198.51.100.1", "198.51.100.2"}, "X-Amzn-Trace-Id": {"Root=1-1-2;Self=x"},
		"X-Custom": {"first", "last"}, "Cookie": {"a=b"}, "Host": {"forged"}, "X-None": {},
	}
	e.Upgrade.Query = map[string][]string{"a&b": {"ü", ""}, "none": {}}
	var got struct {
		Headers                         map[string]string
		MultiValueHeaders               map[string][]string
		QueryStringParameters           map[string]string
		MultiValueQueryStringParameters map[string][]string
	}
	require.NoError(t, json.Unmarshal(event.AppendConnect(nil, e), &got))
	require.Equal(t, map[string]string{
		"Host": domain, "Cookie": "a=b", "X-Custom": "last", "X-Amzn-Trace-Id": "Root=1-1-2;Self=x",
		"X-Forwarded-For": "198.51.100.1, 198.51.100.2, 203.0.113.7", "X-Forwarded-Port": "443", "X-Forwarded-Proto": "https",
	}, got.Headers, "the peer is appended, the last value wins, a trace goes on")
	require.Len(t, got.MultiValueHeaders, len(got.Headers))
	require.Equal(t, []string{"first", "last"}, got.MultiValueHeaders["X-Custom"])
	require.Equal(t, map[string]string{"a&b": ""}, got.QueryStringParameters, "the last value wins, an empty one too")
	require.Equal(t, map[string][]string{"a&b": {"ü", ""}}, got.MultiValueQueryStringParameters)
}

func TestEvent_Headers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		header map[string][]string
		want   map[string]string
	}{
		"none": {nil, map[string]string{"X-Forwarded-For": "203.0.113.7", "X-Amzn-Trace-Id": exampleConnect().Upgrade.TraceID, "Host": domain}},
		"forged": {
			map[string][]string{"X-Forwarded-For": {"198.51.100.1", "a, b"}, "X-Forwarded-Port": {"1"}, "X-Forwarded-Proto": {"gopher"}},
			map[string]string{"X-Forwarded-For": "198.51.100.1, a, b, 203.0.113.7", "X-Forwarded-Port": "443", "X-Forwarded-Proto": "https"},
		},
		"forged under names that are not net/http's": {
			map[string][]string{"x-forwarded-for": {"198.51.100.1"}, "x-FORWARDED-port": {"1"}, "host": {"evil"}, "x-amzn-trace-id": {"x"}},
			map[string]string{"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Port": "443", "Host": domain, "X-Amzn-Trace-Id": exampleConnect().Upgrade.TraceID},
		},
		"an empty trace":  {map[string][]string{"X-Amzn-Trace-Id": {""}}, map[string]string{"X-Amzn-Trace-Id": exampleConnect().Upgrade.TraceID}},
		"the last trace":  {map[string][]string{"X-Amzn-Trace-Id": {"a", "b"}}, map[string]string{"X-Amzn-Trace-Id": "b"}},
		"about the wire":  {map[string][]string{"Connection": {"x"}, "Upgrade": {"x"}, "Content-Length": {"0"}}, map[string]string{"Connection": "", "Upgrade": "", "Content-Length": ""}},
		"without a value": {map[string][]string{"X-None": {}}, map[string]string{"X-None": ""}},
		"the spelling":    {map[string][]string{"Sec-Websocket-Key": {"k"}}, map[string]string{"Sec-WebSocket-Key": "k"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := exampleConnect()
			e.Upgrade.Header = tt.header
			names := map[string]bool{}
			for _, h := range e.Headers() {
				require.False(t, names[strings.ToLower(h.Name)], "%s is there once", h.Name)
				names[strings.ToLower(h.Name)] = true
				require.NotEmpty(t, h.Values)
				require.Equal(t, h.Values, e.Headers().Values(strings.ToUpper(h.Name)))
			}
			for name, want := range tt.want {
				require.Equal(t, want, strings.Join(e.Headers().Values(name), "|"), name)
			}
			require.Equal(t, []string{"websocket"}, e.AuthorizerHeaders().Values("upgrade"))
			require.Equal(t, []string{"0"}, e.AuthorizerHeaders().Values("Content-Length"))
		})
	}
}

func TestAppendMessage_Binary(t *testing.T) {
	t.Parallel()
	e := exampleMessage()
	e.Binary = true
	for body, want := range map[string]string{"": "", "\xff\x00\x01": "/wAB", `{"action":"x"}`: "eyJhY3Rpb24iOiJ4In0="} {
		e.Body = []byte(body)
		got := event.AppendMessage(nil, e)
		require.True(t, json.Valid(got))
		require.Contains(t, string(got), `"body":"`+want+`","isBase64Encoded":true}`)
	}
}

func TestAppendMessage_DoesNotAllocate(t *testing.T) {
	e := exampleMessage()
	e.StageVariables = map[string]string{"b": "2", "a": "1", "c": "\u2028"}
	e.Body = []byte("{\"text\":\"\u00fc \xff <b> \\\\ \n\"}")
	dst := make([]byte, 0, 4096)
	require.Zero(t, testing.AllocsPerRun(100, func() { dst = event.AppendMessage(dst[:0], e) }))
}

func TestAppend_Strings(t *testing.T) {
	t.Parallel()
	for name, s := range seeds() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkString(t, s)
		})
	}
	t.Run("HTML is not escaped", func(t *testing.T) {
		t.Parallel()
		e := exampleMessage()
		e.Body = []byte("<a href='x'>&</a>\u2028")
		require.Contains(t, string(event.AppendMessage(nil, e)), "\"<a href='x'>&</a>\u2028\"")
	})
	t.Run("what is there already stays", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, "x{", string(event.AppendMessage([]byte("x"), exampleMessage()))[:2])
	})
}

func seeds() map[string]string {
	return map[string]string{
		"plain": `{"a":1}`, "empty": "", "control characters": "\x00\x01\b\f\n\r\t\x1f\x7f", "quotes": `"\"\\/`,
		"beyond the first plane": "😀", "a lone surrogate": "\xed\xa0\x80", "cut short": "\xf0\x9f\x98",
		"not UTF-8": "\xff\xfea\x80b", "overlong": "\xc0\xaf", "U+FFFD itself": "\uFFFD", "separators": "\u2028\u2029",
	}
}

// checkString compares s in each kind of field with the result of encoding/json.
func checkString(t *testing.T, s string) {
	encoded, err := json.Marshal(s)
	require.NoError(t, err)
	var want string
	require.NoError(t, json.Unmarshal(encoded, &want))

	e := exampleMessage()
	e.Body, e.RouteKey, e.DisconnectReason = []byte(s), s, s
	e.StageVariables = map[string]string{"x" + s: s}
	e.Authorizer = map[string]any{"x" + s: s}
	e.Upgrade.Query = map[string][]string{"x" + s: {s}}
	e.Upgrade.Header = map[string][]string{"Cookie": {s}}
	var got struct {
		Body                  string
		RequestContext        struct{ RouteKey, DisconnectReason, EventType string }
		StageVariables        map[string]string
		QueryStringParameters map[string]string
		MultiValueHeaders     map[string][]string
	}
	message := event.AppendMessage(nil, e)
	require.True(t, utf8.Valid(message))
	require.NoError(t, json.Unmarshal(message, &got))
	require.Equal(t, want, got.Body)
	require.Equal(t, want, got.RequestContext.RouteKey)
	require.Equal(t, map[string]string{"x" + want: want}, got.StageVariables)
	require.NoError(t, json.Unmarshal(event.AppendDisconnect(nil, e), &got))
	require.Equal(t, want, got.RequestContext.DisconnectReason)
	for _, b := range [][]byte{event.AppendConnect(nil, e), event.AppendAuthorizer(nil, e)} {
		require.NoError(t, json.Unmarshal(b, &got))
		require.Equal(t, []string{want}, got.MultiValueHeaders["Cookie"])
		require.Equal(t, map[string]string{"x" + want: want}, got.QueryStringParameters)
	}
}

func FuzzAppend(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s)
	}
	f.Fuzz(checkString)
}

func decode(t *testing.T, b []byte) map[string]any {
	t.Helper()
	var v map[string]any
	require.NoError(t, json.Unmarshal(b, &v), string(b))
	return v
}

func keys(m map[string]any) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	return names
}
