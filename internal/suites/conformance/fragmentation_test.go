package conformance_test

import (
	"fmt"
	"strings"

	"example.com/gateway/internal/suites/wiretest"
)

func fragmentationCases() []testCase {
	const one, two = "fragment1", "fragment2"
	whole := echo(one + two)
	cases := []testCase{
		{id: "5.1", title: "a ping in two fragments", steps: []step{sends(join(client(wiretest.OpPing, one), last(two)))}, end: fails(1002)},
		{id: "5.2", title: "a pong in two fragments", steps: []step{sends(join(client(wiretest.OpPong, one), last(two)))}, end: fails(1002)},
		{id: "5.2.2", title: "a close in two fragments", steps: []step{
			sends(join(client(wiretest.OpClose, wiretest.ClosePayload(1000, "")), last("reason"))),
		}, end: fails(1002)},
		{id: "5.2.3", title: "a ping without FIN between fragments", steps: []step{
			sends(join(begin(one), client(wiretest.OpPing, "ping"), last(two))),
		}, end: fails(1002)},
		{id: "5.3", title: "a text in two fragments", steps: []step{sends(join(begin(one), last(two)), whole)}},
		{id: "5.3.2", title: "a text in two fragments, each its own step", steps: []step{sends(begin(one)), sends(last(two), whole)}},
		{id: "5.6", title: "a ping between two fragments", steps: []step{sends(join(begin(one), ping("ping"), last(two)), ponged("ping"), whole)}},
		{id: "5.7", title: "a ping between two fragments, answered before the second", steps: []step{
			sends(begin(one)), sends(ping("ping"), ponged("ping")), sends(last(two), whole),
		}, stepwise: true},
		{id: "5.8", title: "a pong between two fragments", steps: []step{sends(join(begin(one), pong("pong"), last(two)), whole)}},
		{id: "5.9", title: "a last fragment without a first, then a text", steps: []step{sends(join(last("stray"), text("late")))}, end: fails(1002)},
		{id: "5.10", title: "the same after a good message", steps: []step{
			sends(text("good"), echo("good")), sends(join(last("stray"), text("late"))),
		}, end: fails(1002)},
		{id: "5.11", title: "an empty last fragment without a first", steps: []step{sends(last(""))}, end: fails(1002)},
		{id: "5.12", title: "a further fragment without a first, then a text", steps: []step{sends(join(next("stray"), text("late")))}, end: fails(1002)},
		{id: "5.13", title: "the same after a good message", steps: []step{
			sends(text("good"), echo("good")), sends(join(next("stray"), text("late"))),
		}, end: fails(1002)},
		{id: "5.14", title: "an empty further fragment without a first", steps: []step{sends(next(""))}, end: fails(1002)},
		{id: "5.15", title: "a message in two fragments, then a fragment without a first", steps: []step{
			sends(join(begin(one), last(two)), whole), sends(join(next("stray"), text("late"))),
		}, end: fails(1002)},
		{id: "5.16", title: "a further fragment before the first, twice", steps: []step{
			sends(times(2, join(next("stray"), begin(one), last(two)))),
		}, end: fails(1002)},
		{id: "5.17", title: "a last fragment before the first, twice", steps: []step{
			sends(times(2, join(last("stray"), begin(one), last(two)))),
		}, end: fails(1002)},
		{id: "5.18", title: "two fragments, both with the opcode of a text", steps: []step{
			sends(join(begin(one), text(two))),
		}, end: fails(1002)},
		{id: "5.18.2", title: "a message that is not finished, then a new one in fragments", steps: []step{
			sends(join(begin(one), begin(two), last("late"))),
		}, end: fails(1002)},
		{id: "5.18.3", title: "the same after a good message", steps: []step{
			sends(text("good"), echo("good")), sends(join(begin(one), text(two), ping("late"))),
		}, end: fails(1002)},
		{id: "5.18.4", title: "a first fragment without a payload, then a new text", steps: []step{sends(join(begin(""), text(two)))}, end: fails(1002)},
		{id: "5.19", title: "five fragments, a ping after the second and the fourth", steps: []step{
			sends(join(begin("1"), next("2"), ping("a")), ponged("a")),
			sends(join(next("3"), next("4"), ping("b"), last("5")), ponged("b"), echo("12345")),
		}},
	}
	return append(cases, manyFragmentCases()...)
}

func manyFragmentCases() []testCase {
	payload := strings.Repeat("0123456789", 20)
	nothing := join(begin(""), times(1000, next("")), last("end"))
	return []testCase{
		{id: "5.21.1", title: "a binary frame within a text in fragments", steps: []step{
			sends(join(begin("begun"), client(wiretest.Binary, "late"))),
		}, end: fails(1002), here: closes1003},
		{id: "5.21.2", title: "a binary first fragment within a text in fragments", steps: []step{
			sends(join(begin("begun"), client(wiretest.OpBinary, "late"))),
		}, end: fails(1002), here: closes1003},
		{id: "5.22", title: "200 fragments of one byte", steps: []step{sends(fragments(payload, 1), echo(payload))}},
		{id: "5.23", title: "200 fragments of one byte, a ping before each", steps: []step{pingedFragments(payload)}},
		{id: "5.24", title: "1,000 empty fragments", steps: []step{sends(nothing, echo("end"))}},
		{id: "5.25", title: "an empty first fragment", steps: []step{sends(join(begin(""), last("a")), echo("a"))}},
		{id: "5.26", title: "an empty last fragment", steps: []step{sends(join(begin("a"), last("")), echo("a"))}},
		{id: "5.27", title: "fragments of 1, 2, 3, … bytes", steps: []step{growingFragments(payload)}},
		{id: "5.28", title: "two messages in fragments, at once", steps: []step{
			sends(join(begin("a"), last("b"), begin("c"), last("d")), echo("ab"), echo("cd")),
		}},
		{id: "5.29", title: "a frame of one message and a message of two frames in turn", steps: []step{
			sends(times(3, join(text("whole"), begin("a"), last("b"))), echo("whole"), echo("ab"), echo("whole"), echo("ab"), echo("whole"), echo("ab")),
		}},
		{id: "5.30", title: "a last fragment, twice", steps: []step{
			sends(join(begin("a"), last("b")), echo("ab")), sends(last("c")),
		}, end: fails(1002)},
	}
}

// times returns n copies of b.
func times(n int, b []byte) []byte { return []byte(strings.Repeat(string(b), n)) }

// closes1003 is the exception for a frame that is refused because it is binary.
func closes1003(c *testCase) { c.end = fails(1003) }

func pingedFragments(payload string) step {
	s := step{send: begin("")}
	for n, char := range payload {
		s.send = append(s.send, join(ping(fmt.Sprint(n)), next(string(char)))...)
		s.want = append(s.want, ponged(fmt.Sprint(n)))
	}
	s.send, s.want = append(s.send, last("")...), append(s.want, echo(payload))
	return s
}

func growingFragments(payload string) step {
	s := step{send: begin(""), want: []frame{echo(payload)}}
	for n := 1; payload != ""; n++ {
		size := min(n, len(payload))
		s.send, payload = append(s.send, next(payload[:size])...), payload[size:]
	}
	s.send = append(s.send, last("")...)
	return s
}
