package conformance_test

import (
	"fmt"
	"strings"

	"example.com/gateway/internal/suites/wiretest"
)

func framingCases() (cases []testCase) {
	for n, size := range []int{0, 125, 126, 127, 128, 65535, 65536} {
		payload := strings.Repeat("*", size)
		number := n + 1
		c := testCase{
			id: fmt.Sprintf("1.1.%d", number), title: fmt.Sprintf("a text of %d bytes", size),
			steps: []step{sends(text(payload), echo(payload))}, noQuotas: size > 32<<10,
		}
		if size == 0 {
			c.here = unanswered
		}
		cases = append(cases, c, testCase{
			id: fmt.Sprintf("1.2.%d", number), title: fmt.Sprintf("a binary message of %d bytes", size),
			steps: []step{sends(client(wiretest.Binary, payload), frame{op: wiretest.OpBinary, payload: payload})},
			here:  refusesBinary, noQuotas: size > 32<<10,
		})
	}
	return append(cases, moreFramingCases()...)
}

func moreFramingCases() []testCase {
	const object = `{"action":"nothing we know","text":"*"}`
	return []testCase{
		{id: "1.1.9", title: "a text of 1 byte", steps: []step{sends(text("*"), echo("*"))}},
		{id: "1.1.10", title: "a JSON object", steps: []step{sends(text(object), echo(object))}},
		{id: "1.1.11", title: "a text with every ASCII character", steps: []step{sends(text(ascii()), echo(ascii()))}},
		{id: "1.1.12", title: "twenty texts at once", steps: []step{repeat(20, "message")}},
		{id: "1.1.13", title: "a masking key of zeros", steps: []step{
			sends(masked(wiretest.Text, 5, "\x00\x00\x00\x00", "hello"), echo("hello")),
		}},
		{id: "1.1.14", title: "a masking key of ones", steps: []step{
			sends(masked(wiretest.Text, 5, "\xff\xff\xff\xff", "hello"), echo("hello")),
		}},
		{id: "1.1.15", title: "a masking key of each fragment's own", steps: []step{sends(join(
			masked(wiretest.OpText, 5, "\x01\x02\x03\x04", "hello"), masked(wiretest.Last, 6, "\xf0\xe0\xd0\xc0", " world")), echo("hello world"))}},
		{id: "1.1.16", title: "masked bytes that look like a Close frame", steps: []step{
			sends(masked(wiretest.Text, 4, "\x88\x80\x88\x80", "\x00\x00\x00\x00"), echo("\x00\x00\x00\x00")),
		}},
	}
}

// ascii returns all characters that have one byte.
func ascii() string {
	b := make([]byte, 128)
	for i := range b {
		b[i] = byte(i)
	}
	return string(b)
}

// repeat sends n texts in one write. Each is payload followed by the text's number.
func repeat(n int, payload string) (s step) {
	for i := range n {
		one := fmt.Sprint(payload, i)
		s.send, s.want = append(s.send, text(one)...), append(s.want, echo(one))
	}
	return s
}

// unanswered is the exception for messages without a body.
func unanswered(c *testCase) {
	steps := make([]step, len(c.steps))
	for n, s := range c.steps {
		steps[n] = step{send: s.send}
		for _, f := range s.want {
			f.unanswered = f.op != wiretest.OpPong && f.payload == ""
			steps[n].want = append(steps[n].want, f)
		}
	}
	c.steps = steps
}

// refusesBinary is the exception for binary messages.
func refusesBinary(c *testCase) {
	c.steps, c.end = []step{{send: c.steps[0].send}}, fails(1003)
}

func pingCases() []testCase {
	const binary = "\x00\xff\xfe\xfd\xfc\xfb\x00\xff"
	cases := []testCase{
		{id: "2.1", title: "a ping without a payload", steps: []step{sends(ping(""), ponged(""))}},
		{id: "2.2", title: "a ping with a text", steps: []step{sends(ping("Hello, world!"), ponged("Hello, world!"))}},
		{id: "2.3", title: "a ping with bytes that are not UTF-8", steps: []step{sends(ping(binary), ponged(binary))}},
		{id: "2.4", title: "a ping of 125 bytes", steps: []step{sends(ping(strings.Repeat("\xfe", 125)), ponged(strings.Repeat("\xfe", 125)))}},
		{id: "2.5", title: "a ping of 126 bytes", steps: []step{sends(ping(strings.Repeat("\xfe", 126)))}, end: fails(1002)},
		{id: "2.5.2", title: "a ping of 65,536 bytes", steps: []step{sends(ping(strings.Repeat("\xfe", 65536)))}, end: fails(1002)},
		{id: "2.5.3", title: "a pong of 126 bytes", steps: []step{sends(pong(strings.Repeat("\xfe", 126)))}, end: fails(1002)},
		{id: "2.5.4", title: "a good message, then a ping of 126 bytes", steps: []step{
			sends(text("good"), echo("good")), sends(join(ping(strings.Repeat("\xfe", 126)), text("late"))),
		}, end: fails(1002)},
		{id: "2.7", title: "a pong that nobody asked for", steps: []step{sends(pong(""))}},
		{id: "2.8", title: "a pong that nobody asked for, with a payload", steps: []step{sends(pong("unsolicited"))}},
		{id: "2.9", title: "a pong that nobody asked for, then a ping", steps: []step{sends(join(pong("unsolicited"), ping("ping")), ponged("ping"))}},
		{id: "2.10", title: "ten pings, each answered before the next", steps: pingEach(1, 10, 8), stepwise: true},
		{id: "2.10.2", title: "ten pings at once", steps: []step{pingAll(10)}},
		{id: "2.12", title: "a ping of each size from 0 to 125 bytes", steps: pingEach(0, 126, 1), stepwise: true},
		{id: "2.13", title: "pings before, between and after messages", steps: []step{
			sends(join(ping("1"), text("a"), ping("2"), text("b"), ping("3")), ponged("1"), echo("a"), ponged("2"), echo("b"), ponged("3")),
		}},
		{id: "2.14", title: "a pong of 125 bytes", steps: []step{sends(pong(strings.Repeat("\xfe", 125)))}},
	}
	return cases
}

// pingEach sends n pings, of first bytes, first+by bytes, and so on.
func pingEach(first, n, by int) (steps []step) {
	for i := range n {
		payload := strings.Repeat(string(rune('a'+i%26)), first+i*by)
		steps = append(steps, sends(ping(payload), ponged(payload)))
	}
	return steps
}

func pingAll(n int) (s step) {
	for i := range n {
		payload := fmt.Sprint("payload-", i)
		s.send, s.want = append(s.send, ping(payload)...), append(s.want, ponged(payload))
	}
	return s
}
