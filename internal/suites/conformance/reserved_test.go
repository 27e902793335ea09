package conformance_test

import (
	"fmt"

	"example.com/gateway/internal/suites/wiretest"
)

// reservedBitCases set each combination of the reserved bits in each kind of frame,
// after a valid message. The server must answer nothing after the bad frame.
func reservedBitCases() (cases []testCase) {
	for bits := 1; bits <= 7; bits++ {
		for n, bad := range []struct {
			title  string
			before []byte
			first  byte
			body   string
		}{
			{"a text", nil, wiretest.Text, "bad"},
			{"a binary frame", nil, wiretest.Binary, "bad"},
			{"a continuation", begin("begun"), wiretest.Last, "bad"},
			{"a close", nil, wiretest.Close, wiretest.ClosePayload(1000, "")},
			{"a ping", nil, wiretest.Ping, "bad"},
			{"a pong", nil, wiretest.Pong, "bad"},
			{"a text without a payload", nil, wiretest.Text, ""},
			{"a first fragment", nil, wiretest.OpText, "bad"},
		} {
			cases = append(cases, testCase{
				id: fmt.Sprintf("3.%d.%d", bits, n+1), title: fmt.Sprintf("%s with reserved bits %03b", bad.title, bits),
				steps: []step{
					sends(text("good"), echo("good")),
					sends(join(bad.before, client(bad.first|rsv(bits), bad.body), text("late"), ping("late"))),
				},
				end: fails(1002),
			})
		}
	}
	return cases
}

// opcodeCases use each opcode that has no meaning: group 4.1 the data opcodes, group
// 4.2 the control opcodes.
func opcodeCases() (cases []testCase) {
	for n := range 5 {
		cases = append(cases, unknownOpcode(fmt.Sprintf("4.1.%d", n+1), byte(3+n))...)
		cases = append(cases, unknownOpcode(fmt.Sprintf("4.2.%d", n+1), byte(11+n))...)
	}
	return cases
}

func unknownOpcode(id string, op byte) (cases []testCase) {
	for n, variant := range []struct {
		title string
		steps []step
	}{
		{"without a payload", []step{sends(client(wiretest.Fin|op, ""))}},
		{"with a payload", []step{sends(client(wiretest.Fin|op, "payload"))}},
		{"after a good message, with a ping behind it", []step{
			sends(text("good"), echo("good")), sends(join(client(wiretest.Fin|op, "payload"), ping("late"))),
		}},
		{"as a first fragment", []step{sends(join(client(op, "payload"), last("late")))}},
		{"between fragments", []step{sends(join(begin("begun"), client(wiretest.Fin|op, "payload"), last("late")))}},
	} {
		cases = append(cases, testCase{
			id: fmt.Sprintf("%s.%d", id, n+1), title: fmt.Sprintf("opcode %d %s", op, variant.title),
			steps: variant.steps, end: fails(1002),
		})
	}
	return cases
}
