package conformance_test

import (
	"encoding/binary"
	"strings"

	"example.com/gateway/internal/suites/wiretest"
)

// binaryCases are those of the groups about messages once more, with binary messages in
// place of texts, for a gateway that serves them.
func binaryCases() (cases []testCase) {
	for _, all := range [][]testCase{framingCases(), fragmentationCases(), limitCases(), autoFragmentCases()} {
		for _, c := range all {
			if !strings.HasPrefix(c.id, "9.12.") { // about the header, and an exception anyway
				cases = append(cases, inBinary(c))
			}
		}
	}
	return append(cases, mixedCases()...)
}

// mixedCases have what only a gateway with both kinds of messages can do wrong.
func mixedCases() []testCase {
	const bytes = "\x00\xff\xfe\x80\xc0\xed\xa0\x80"
	begun := client(wiretest.OpBinary, bytes)
	cases := []testCase{
		{id: "M.1", title: "bytes that are not UTF-8", steps: []step{sends(client(wiretest.Binary, bytes), binaryEcho(bytes))}},
		{id: "M.2", title: "a text of such bytes is still refused", steps: []step{sends(text(bytes))}, end: fails(1007)},
		{id: "M.3", title: "the same in fragments behind a binary message", steps: []step{
			sends(client(wiretest.Binary, bytes), binaryEcho(bytes)), sends(join(begin("a"), last("\xff"))),
		}, end: fails(1007)},
		{id: "M.4", title: "text and binary in turn", steps: []step{
			sends(times(3, join(text("a"), client(wiretest.Binary, bytes))), echo("a"), binaryEcho(bytes), echo("a"), binaryEcho(bytes), echo("a"), binaryEcho(bytes)),
		}},
		{id: "M.5", title: "both in fragments, in turn", steps: []step{
			sends(join(begun, last("x"), begin("a"), last("b"), begun, next(""), last("y")), binaryEcho(bytes+"x"), echo("ab"), binaryEcho(bytes+"y")),
		}},
		{id: "M.6", title: "a text within a binary message in fragments", steps: []step{sends(join(begun, text("late")))}, end: fails(1002)},
		{id: "M.7", title: "a first fragment of a text within one", steps: []step{sends(join(begun, begin("late")))}, end: fails(1002)},
		{id: "M.8", title: "a binary frame within a text in fragments", steps: []step{sends(join(begin("a"), client(wiretest.Binary, "late")))}, end: fails(1002)},
		{id: "M.9", title: "pings and pongs between the fragments", steps: []step{
			sends(join(begun, ping("1"), next("\xff"), pong("x"), ping(bytes), last("\xfe")), ponged("1"), ponged(bytes), binaryEcho(bytes+"\xff\xfe")),
		}},
		{id: "M.10", title: "a close within a binary message", steps: []step{sends(join(begun, closing(1000, "")))}, end: answers(1000, "")},
		{id: "M.11", title: "JSON that would select a route", steps: []step{sends(client(wiretest.Binary, `{"action":"other"}`), binaryEcho(`{"action":"other"}`))}},
	}
	for n := range cases {
		cases[n].id, cases[n].binary = "B."+cases[n].id, true
	}
	return cases
}

func binaryEcho(payload string) frame { return frame{op: wiretest.OpBinary, payload: payload} }

// inBinary returns the case with binary messages. What the gateway does by exception with
// texts and binary messages, it does as the RFC wants, unless the message is empty.
func inBinary(c testCase) testCase {
	c.id, c.binary = "B."+c.id, true
	c.title = strings.Replace(c.title, "text", "binary message", 1)
	empty := false
	steps := make([]step, len(c.steps))
	for n, s := range c.steps {
		steps[n] = step{send: withBinaryOpcodes(s.send), quiet: s.quiet}
		for _, f := range s.want {
			if f.op == wiretest.OpText {
				f.op = wiretest.OpBinary
			}
			empty = empty || f.op == wiretest.OpBinary && f.payload == ""
			steps[n].want = append(steps[n].want, f)
		}
	}
	c.steps, c.here = steps, nil
	if empty {
		c.here = unanswered
	}
	return c
}

// withBinaryOpcodes returns the frames of a client with the opcode of a binary message in
// place of that of a text. It stops where the bytes are no frame of a client any more.
func withBinaryOpcodes(frames []byte) []byte {
	changed := append([]byte(nil), frames...)
	for at := 0; at+2 <= len(changed); {
		if changed[at]&0x0f == wiretest.OpText {
			changed[at] += wiretest.OpBinary - wiretest.OpText
		}
		size, length := 2, uint64(changed[at+1]&0x7f)
		switch {
		case length == 126 && at+4 <= len(changed):
			size, length = 4, uint64(binary.BigEndian.Uint16(changed[at+2:]))
		case length == 127 && at+10 <= len(changed):
			size, length = 10, binary.BigEndian.Uint64(changed[at+2:])
		}
		if changed[at+1]&0x80 != 0 {
			size += 4
		}
		if length > uint64(len(changed)-at) {
			break
		}
		at += size + int(length)
	}
	return changed
}
