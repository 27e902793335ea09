package conformance_test

import (
	"fmt"
	"strings"

	"example.com/gateway/internal/suites/wiretest"
)

func closeCases() []testCase {
	cases := closeOrderCases()
	cases = append(cases, closePayloadCases()...)
	return append(cases, closeCodeCases()...)
}

// closeOrderCases test what comes before and after a Close frame.
func closeOrderCases() []testCase {
	good, bye, answer := sends(text("good"), echo("good")), closing(1000, ""), answers(1000, "")
	big := strings.Repeat("*", 128<<10)
	return []testCase{
		{id: "7.1.1", title: "a message, then a close", steps: []step{good, sends(bye)}, end: answer},
		{id: "7.1.2", title: "two closes", steps: []step{sends(join(bye, closing(1001, "again")))}, end: answer, talksOn: true},
		{id: "7.1.3", title: "a ping after the close", steps: []step{sends(join(bye, ping("late")))}, end: answer, talksOn: true},
		{id: "7.1.4", title: "a text after the close", steps: []step{sends(join(bye, text("late")))}, end: answer, talksOn: true},
		{id: "7.1.5", title: "a close between fragments", steps: []step{sends(join(begin("a"), bye, last("b")))}, end: answer, talksOn: true},
		{id: "7.1.5.2", title: "a close instead of the last fragment", steps: []step{sends(join(begin("a"), bye))}, end: answer},
		{id: "7.1.6", title: "a message of 128 KiB, then a close, then a ping", steps: []step{
			sends(fragments(big, 32<<10), echo(big)), sends(join(bye, ping("late"))),
		}, end: answer, talksOn: true},
		{id: "7.1.7", title: "bytes that are no frame after the close", steps: []step{sends(join(bye, []byte("\xff\xff\xff\xff")))}, end: answer, talksOn: true},
		{id: "7.1.8", title: "half a frame after the close", steps: []step{sends(join(bye, text("late")[:3]))}, end: answer, talksOn: true},
		{id: "7.1.9", title: "a ping, then a close", steps: []step{sends(join(ping("a"), bye), ponged("a"))}, end: answer},
		{id: "7.1.10", title: "ten messages, then a close", steps: []step{repeat(10, "message"), sends(bye)}, end: answer},
		{id: "7.1.11", title: "a close as the first frame", steps: []step{sends(bye)}, end: answer},
		{id: "7.1.12", title: "a binary message after the close", steps: []step{sends(join(bye, client(wiretest.Binary, "late")))}, end: answer, talksOn: true},
	}
}

// closePayloadCases test the size of a Close frame and the text in it.
func closePayloadCases() []testCase {
	const snowman = "☃"
	reason := func(n int) string { return strings.Repeat("*", n) }
	// 41 characters of three bytes are the 123 bytes that a reason may have.
	characters := strings.Repeat(snowman, 41)
	cases := []testCase{
		{id: "7.3.1", title: "a close without a payload", steps: []step{sends(client(wiretest.Close, ""))}, end: answers(1005, "")},
		{id: "7.3.2", title: "a close with one byte", steps: []step{sends(client(wiretest.Close, "a"))}, end: refuses(1002)},
		{id: "7.3.3", title: "a close with a code", steps: []step{sends(closing(1000, ""))}, end: answers(1000, "")},
		{id: "7.3.4", title: "a close with a code and a reason", steps: []step{sends(closing(1000, "bye"))}, end: answers(1000, "bye")},
		{id: "7.3.5", title: "a close with a reason of 123 bytes", steps: []step{sends(closing(1000, reason(123)))}, end: answers(1000, reason(123))},
		{id: "7.3.6", title: "a close with a reason of 124 bytes", steps: []step{sends(closing(1000, reason(124)))}, end: fails(1002)},
		{id: "7.3.7", title: "a close with 123 bytes of characters of three bytes", steps: []step{sends(closing(1000, characters))}, end: answers(1000, characters)},
		{id: "7.3.8", title: "a close with a payload of 65,536 bytes", steps: []step{sends(closing(1000, reason(65534)))}, end: fails(1002)},
		{id: "7.3.9", title: "a good message, then a close with one byte", steps: []step{
			sends(text("good"), echo("good")), sends(client(wiretest.Close, "a")),
		}, end: refuses(1002)},
	}
	for n, bad := range []string{
		"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", // a surrogate
		"\xff", "\xc0\xaf", "bye\xe2\x98", "\x80", "\xf4\x90\x80\x80", "\xed\xb0\x80",
	} {
		cases = append(cases, testCase{
			id: fmt.Sprintf("7.5.%d", n+1), title: fmt.Sprintf("a close with the reason %+q", bad),
			steps: []step{sends(closing(1000, bad))}, end: refuses(1007),
		})
	}
	return cases
}

// closeCodeCases are codes that may be sent (7.7), codes that must not be sent (7.9)
// and codes to which the RFC gives no meaning (7.13). The IANA registry defines 1012
// to 1014.
func closeCodeCases() (cases []testCase) {
	good := []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999}
	for n, code := range good {
		cases = append(cases, testCase{
			id: fmt.Sprintf("7.7.%d", n+1), title: fmt.Sprintf("a close with code %d", code),
			steps: []step{sends(closing(code, "reason"))}, end: answers(code, "reason"),
		})
	}
	for _, bad := range []struct {
		id    string
		codes []int
	}{
		{"7.9", []int{0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 1, 255, 256, 998}},
		{"7.13", []int{5000, 5001, 9999, 32768, 65535}},
	} {
		for n, code := range bad.codes {
			cases = append(cases, testCase{
				id: fmt.Sprintf("%s.%d", bad.id, n+1), title: fmt.Sprintf("a close with code %d", code),
				steps: []step{sends(closing(code, "reason"))}, end: refuses(1002),
			})
		}
	}
	return cases
}
