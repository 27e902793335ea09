package flood_test

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/internal/suites/wiretest"
	"example.com/gateway/models"
)

// bombs returns texts of about this many bytes, JSON or almost JSON, that are hard to
// read. The first is easy to read, for comparison.
func bombs(bytes int) [][2]string {
	fill := func(unit, begin, end string) string {
		return begin + strings.Repeat(unit, (bytes-len(begin)-len(end))/len(unit)) + end
	}
	nest := func(open, closed string) string {
		n := bytes / (len(open) + len(closed))
		return strings.Repeat(open, n) + "1" + strings.Repeat(closed, n)
	}
	var names strings.Builder
	for n := range bytes / 10 {
		fmt.Fprintf(&names, `,"%05x":0`, n)
	}
	return [][2]string{
		{"plain text", fill("x", `"`, `"`)},
		{"arrays that never end", fill("[", "", "")},
		{"objects that never end", fill(`{"a":`, "", "")},
		{"nested arrays", nest("[", "]")},
		{"nested objects", nest(`{"a":`, "}")},
		{"nested arrays, not closed well", nest("[", "}")},
		{"both, nested", nest(`[{"a":`, "}]")},
		{"nested as deep as is read", strings.Repeat("[", 9000) + strings.Repeat("]", 9000)},
		{"many members", "{" + names.String()[1:] + "}"},
		{"many of one name", fill(`"action":1,`, "{", `"b":1}`)},
		{"many elements", fill("0,", "[", "0]")},
		{"many objects", fill("{},", "[", "{}]")},
		{"backslashes", fill(`\\`, `"`, `"`)},
		{"a string that never ends", fill(`\"`, `"`, "")},
		{"escaped letters", fill(`\u0061`, `"`, `"`)},
		{"half surrogates", fill(`\ud800`, `"`, `"`)},
		{"a number with many digits", fill("9", "", "")},
		{"a number with a great exponent", fill("9", "1e", "")},
		{"a name of many letters", fill("a", `{"`, `":1}`)},
		{"white space", fill(" ", "", "1")},
	}
}

// bombed returns a server with a route for each way to read a message, and the
// messages for these routes. Each message has a place for a bomb.
func bombed(t *testing.T) (s *server, around []string) {
	t.Helper()
	ok := func(context.Context, *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Body: []byte("ok")}, nil
	}
	template := &gateway.CustomIntegration{
		Transform: &gateway.Transform{RequestTemplates: map[string]string{
			"$default": `$input.json('$.x') $input.path('$.x.a.b') $input.json('$..a') #foreach($v in $input.path('$.x'))$v#end`,
		}},
		Backend: func(context.Context, *gateway.Request, []byte) (*gateway.Response, error) {
			return &gateway.Response{Body: []byte("ok")}, nil
		},
	}
	recursive := models.MustCompile(`{
		"definitions": {"deep": {
			"additionalProperties": {"$ref": "#/definitions/deep"}, "items": {"$ref": "#/definitions/deep"}, "uniqueItems": true}},
		"$ref": "#/definitions/deep"}`)
	s = start(t, gateway.Quotas{})
	for _, key := range []string{"route", gateway.RouteKeyDefault} {
		s.HandleFunc(key, ok, gateway.WithRouteResponse())
	}
	s.HandleFunc("model", ok, gateway.WithRouteResponse(),
		gateway.WithRequestModel(recursive))
	s.Handle("template", template, gateway.WithRouteResponse())
	return s, []string{
		`%s`, `{"action":"route","x":%s}`, `{"x":%s,"action":"route"}`, `{"action":%s}`,
		`{"action":"model","x":%s}`, `{"action":"template","x":%s}`,
	}
}

// Messages that are made to be hard to read are routed, checked against a model and
// mapped. That needs a bounded stack, and about as much time as other messages need.
func TestJSON_Bombs(t *testing.T) {
	// If one stack needs much more, the process dies. The deepest text that package
	// jsonpath reads needs 1 MiB, and a stack grows by doubling.
	const stack = 16 << 20
	defer debug.SetMaxStack(debug.SetMaxStack(stack))
	s, around := bombed(t)
	var plain time.Duration
	for n, bomb := range bombs(32<<10 - 100) { // fits into a frame
		large := bombs(128<<10 - 100)[n][1] // fits into a message
		t.Run(bomb[0], func(t *testing.T) {
			p := s.connect("bomber")
			before := memory()
			var took, tookLarge time.Duration
			var stacks uint64
			for _, format := range around {
				took += p.bomb(t, fmt.Sprintf(format, bomb[1]))
				tookLarge += p.bomb(t, fmt.Sprintf(format, large))
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				stacks = max(stacks, m.StackInuse)
			}
			if plain == 0 {
				plain = tookLarge
			}
			t.Logf("32 KiB %v, 128 KiB %v: ratio %.1f, to plain text %.1f; %d KiB of stacks",
				took.Round(time.Microsecond), tookLarge.Round(time.Microsecond), tookLarge.Seconds()/took.Seconds(), tookLarge.Seconds()/plain.Seconds(), stacks>>10)
			// This does not test the speed. But an algorithm with quadratic time
			// would take minutes.
			require.Less(t, tookLarge, 20*time.Second)
			require.Less(t, memory()-before, 2*stack, "only the stacks may stay as large as they were")
			require.NoError(t, p.Close())
		})
	}
}

// bomb sends a message in frames of 32 KiB. It returns how long the answer took,
// whatever the answer is.
func (p *peer) bomb(t *testing.T, message string) time.Duration {
	t.Helper()
	const size = 32 << 10
	var b []byte
	for first := byte(wiretest.TextBegin); ; first = wiretest.Next {
		if len(message) <= size {
			b = append(b, wiretest.Frame(first|wiretest.Fin, message)...)
			break
		}
		b = append(b, wiretest.Frame(first, message[:size])...)
		message = message[size:]
	}
	begin := time.Now()
	_, err := p.Write(b)
	require.NoError(t, err)
	first, reply, err := p.ReadFrame()
	require.NoError(t, err)
	require.Equal(t, byte(wiretest.Text), first)
	require.NotContains(t, string(reply), "timed out")
	return time.Since(begin)
}

// The stacks that deep messages need are released while the connections stay open.
func TestJSON_DeepStacks(t *testing.T) {
	clients := 200 / tenth
	s, around := bombed(t)
	deep := strings.Repeat("[", 9000) + strings.Repeat("]", 9000)
	before := memory()
	var peak, stacks runtime.MemStats
	runtime.ReadMemStats(&stacks)
	for range clients {
		p := s.connect("bomber")
		for _, format := range around {
			p.bomb(t, fmt.Sprintf(format, deep))
		}
		var m runtime.MemStats
		if runtime.ReadMemStats(&m); m.StackInuse > peak.StackInuse {
			peak = m
		}
	}
	collected := memory() - before
	grown := collected
	const idle = 24 << 10 // what a connection and its client cost, both in this process
	for deadline := time.Now().Add(patience); grown > clients*idle+overhead && time.Now().Before(deadline); {
		<-time.After(100 * time.Millisecond) // readers without messages rest after two seconds
		grown = memory() - before
	}
	t.Logf("%d clients: stacks grew by %d KiB each at the most; memory by %d KiB each after a collection, %d once they rest",
		clients, int(peak.StackInuse-stacks.StackInuse)/clients>>10, collected/clients>>10, grown/clients>>10)
	require.Less(t, grown, clients*idle+overhead)
}
