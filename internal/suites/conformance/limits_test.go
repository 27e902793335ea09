package conformance_test

import (
	"fmt"
	"math"
	"strings"

	"example.com/gateway/internal/suites/wiretest"
)

// Quotas of API Gateway, which are also the gateway's defaults.
const (
	frameBytes   = 32 << 10
	messageBytes = 128 << 10
)

func limitCases() []testCase {
	cases := largeMessageCases()
	cases = append(cases, manyMessageCases()...)
	cases = append(cases, quotaCases()...)
	cases = append(cases, lengthCases()...)
	return append(cases, maskCases()...)
}

// largeMessageCases are Autobahn's cases without quotas, up to 4 MiB: larger ones
// test the machine rather than the protocol. The cases with fragments split a text of
// 1 MiB.
func largeMessageCases() (cases []testCase) {
	for n, size := range []int{64 << 10, 256 << 10, 1 << 20, 4 << 20} {
		payload := strings.Repeat("*", size)
		cases = append(cases, testCase{
			id: fmt.Sprintf("9.1.%d", n+1), title: fmt.Sprintf("a text of %d KiB in one frame", size>>10),
			steps: []step{sends(text(payload), echo(payload))}, noQuotas: true,
		})
	}
	payload := strings.Repeat("0123456789abcdef", 64<<10)
	for n, size := range []int{64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20} {
		cases = append(cases, testCase{
			id: fmt.Sprintf("9.3.%d", n+1), title: fmt.Sprintf("a text of 1 MiB in fragments of %d bytes", size),
			steps: []step{sends(fragments(payload, size), echo(payload))}, noQuotas: true,
		})
	}
	binary := frame{op: wiretest.OpBinary, payload: payload[:64<<10]}
	return append(cases,
		testCase{
			id: "9.2.1", title: "a binary message of 64 KiB in one frame", noQuotas: true, here: refusesBinary,
			steps: []step{sends(client(wiretest.Binary, binary.payload), binary)},
		},
		testCase{
			id: "9.4.1", title: "a binary message of 64 KiB in two fragments", noQuotas: true, here: refusesBinary,
			steps: []step{sends(join(client(wiretest.OpBinary, binary.payload[:1000]), last(binary.payload[1000:])), binary)},
		})
}

func manyMessageCases() (cases []testCase) {
	for n, size := range []int{0, 16, 64, 256, 1 << 10, 4 << 10} {
		payload := strings.Repeat("*", size)
		s := step{send: times(1000, text(payload))}
		for range 1000 {
			s.want = append(s.want, echo(payload))
		}
		c := testCase{id: fmt.Sprintf("9.7.%d", n+1), title: fmt.Sprintf("1,000 texts of %d bytes", size), steps: []step{s}}
		if size == 0 {
			c.here = unanswered
		}
		cases = append(cases, c)
	}
	many := step{send: times(1000, client(wiretest.Binary, "*"))}
	for range 1000 {
		many.want = append(many.want, binaryEcho("*"))
	}
	return append(cases, testCase{id: "9.8.1", title: "1,000 binary messages", here: refusesBinary, steps: []step{many}})
}

func quotaCases() []testCase {
	frame, whole := strings.Repeat("f", frameBytes), strings.Repeat("m", messageBytes)
	first := join(begin(frame), next(frame), next(frame))
	good := sends(text("good"), echo("good"))
	return []testCase{
		{id: "9.10.1", title: "a frame of 32 KiB", steps: []step{sends(text(frame), echo(frame))}},
		{id: "9.10.2", title: "a frame of one byte more", steps: []step{sends(text(frame + "f"))}, end: fails(1009)},
		{id: "9.10.3", title: "the header of a frame of one byte more", steps: []step{
			sends(masked(wiretest.Text, frameBytes+1, wiretest.MaskKey, "")),
		}, end: fails(1009), unfinished: true},
		{id: "9.10.4", title: "a first fragment of one byte more", steps: []step{sends(begin(frame + "f"))}, end: fails(1009)},
		{id: "9.10.5", title: "a further fragment of one byte more", steps: []step{sends(join(begin("a"), next(frame+"f")))}, end: fails(1009)},
		{id: "9.10.6", title: "a message of 128 KiB", steps: []step{sends(fragments(whole, frameBytes), echo(whole))}},
		{id: "9.10.7", title: "a message of 128 KiB in fragments of 100 bytes", steps: []step{sends(fragments(whole, 100), echo(whole))}},
		{id: "9.10.8", title: "a message of one byte more", steps: []step{sends(fragments(whole+"m", frameBytes))}, end: fails(1009)},
		{id: "9.10.9", title: "a message of one byte more, in its last whole frame", steps: []step{
			sends(join(first, next(frame[1:]), last("ab"))),
		}, end: fails(1009)},
		{id: "9.10.10", title: "a message of one byte more that goes on", steps: []step{sends(join(first, next(frame), next("m")))}, end: fails(1009)},
		{id: "9.10.11", title: "a message of 128 KiB with an empty end", steps: []step{
			sends(join(first, next(frame), last("")), echo(strings.Repeat(frame, 4))),
		}},
		{id: "9.10.12", title: "a message of 128 KiB with pings, which do not count", steps: []step{
			sends(join(first, ping(frame[:125]), pong(frame[:125]), last(frame)), ponged(frame[:125]), echo(strings.Repeat(frame, 4))),
		}},
		{id: "9.10.13", title: "a good message, then one that is too big, then a ping", steps: []step{
			good, sends(join(text(frame+"f"), ping("late"))),
		}, end: fails(1009)},
		{id: "9.10.14", title: "two messages of 128 KiB: each counts by itself", steps: []step{
			sends(times(2, fragments(whole, frameBytes)), echo(whole), echo(whole)),
		}},
	}
}

// lengthCases announce lengths in ways that clients do not need.
func lengthCases() (cases []testCase) {
	for n, length := range []uint64{1 << 63, math.MaxUint64, 1<<63 | 5} {
		for m, first := range []byte{wiretest.Text, wiretest.OpText, wiretest.Binary} {
			cases = append(cases, testCase{
				id: fmt.Sprintf("9.11.%d.%d", n+1, m+1), title: fmt.Sprintf("a frame %#x that announces %d bytes, which no length may", first, length),
				steps: []step{sends(length64(first, length, "hello"))}, end: fails(1002),
			})
		}
	}
	for n, length := range []uint64{1<<63 - 1, 1 << 62, 1 << 32, 1<<32 - 1, 1 << 31, 1<<31 - 1} {
		cases = append(cases, testCase{
			id: fmt.Sprintf("9.11.%d", n+4), title: fmt.Sprintf("a frame that announces %d bytes", length),
			steps: []step{sends(length64(wiretest.Text, length, "hello"))}, end: fails(1009), unfinished: true,
		})
	}
	long := strings.Repeat("*", frameBytes)
	for n, send := range []struct {
		bytes   []byte
		payload string
	}{
		{length16(wiretest.Text, "hello"), "hello"},
		{length64(wiretest.Text, 5, "hello"), "hello"},
		{length16(wiretest.Text, long[:125]), long[:125]},
		{length64(wiretest.Text, 126, long[:126]), long[:126]},
		{length64(wiretest.Text, frameBytes, long), long},
		{join(length16(wiretest.OpText, "a"), length64(wiretest.Last, 1, "b")), "ab"},
		{join(length16(wiretest.OpText, ""), last("b")), "b"},
	} {
		cases = append(cases, testCase{
			id: fmt.Sprintf("9.12.%d", n+1), title: fmt.Sprintf("a length in more bytes than it needs: %#x", send.bytes[:10]),
			steps: []step{sends(send.bytes)}, end: fails(1002),
			here: func(c *testCase) { c.steps, c.end = []step{sends(send.bytes, echo(send.payload))}, ending{} },
		})
	}
	for n, send := range [][]byte{
		length16(wiretest.Ping, "hello"), length64(wiretest.Ping, 5, "hello"), length16(wiretest.Close, wiretest.ClosePayload(1000, "")),
		length64(wiretest.Close, 1<<63, ""), length16(wiretest.Pong, ""),
	} {
		cases = append(cases, testCase{
			id: fmt.Sprintf("9.13.%d", n+1), title: fmt.Sprintf("a control frame with a length in more bytes than it needs: %#x", send[:8]),
			steps: []step{sends(send)}, end: fails(1002),
		})
	}
	return cases
}

// maskCases send frames without a mask.
func maskCases() (cases []testCase) {
	for n, send := range [][]byte{
		unmasked(wiretest.Text, "hello"), unmasked(wiretest.Text, ""), unmasked(wiretest.OpText, "hello"), unmasked(wiretest.Binary, "hello"),
		unmasked(wiretest.Ping, "hello"), unmasked(wiretest.Pong, ""), unmasked(wiretest.Close, wiretest.ClosePayload(1000, "")), unmasked(wiretest.Close, ""),
		join(begin("a"), unmasked(wiretest.Last, "b")),
	} {
		cases = append(cases,
			testCase{
				id: fmt.Sprintf("9.14.%d", n+1), title: fmt.Sprintf("a frame without a mask: %q", send),
				steps: []step{sends(send)}, end: fails(1002),
			},
			testCase{
				id: fmt.Sprintf("9.15.%d", n+1), title: fmt.Sprintf("a frame without a mask between good ones: %q", send),
				steps: []step{sends(text("good"), echo("good")), sends(join(send, text("late"), ping("late")))}, end: fails(1002),
			})
	}
	return cases
}

// autoFragmentCases make the gateway send messages that it cuts into frames of
// 8 KiB.
func autoFragmentCases() []testCase {
	cases := []testCase{{
		id: "10.1.1", title: "64 KiB in fragments of 1,300 bytes",
		steps: []step{sends(fragments(strings.Repeat("*", 64<<10), 1300), in(8, strings.Repeat("*", 64<<10)))},
	}}
	for n, size := range []int{1, 8<<10 - 1, 8 << 10, 8<<10 + 1, 16 << 10, 16<<10 + 1, 100_000, messageBytes} {
		payload := strings.Repeat("*", size)
		cases = append(cases, testCase{
			id: fmt.Sprintf("10.2.%d", n+1), title: fmt.Sprintf("a reply of %d bytes", size),
			steps: []step{sends(fragments(payload, frameBytes), in((size+8<<10-1)/(8<<10), payload))},
		})
	}
	for n, char := range []string{"é", "€", "𤭢"} {
		payload := "a" + strings.Repeat(char, 5000) // so that a frame also ends within a character
		cases = append(cases, testCase{
			id: fmt.Sprintf("10.3.%d", n+1), title: fmt.Sprintf("a reply of 5,000 characters of %d bytes", len(char)),
			steps: []step{sends(fragments(payload, frameBytes), echo(payload))},
		})
	}
	return append(cases, testCase{
		id: "10.4.1", title: "a ping behind a message whose reply is large", steps: []step{
			sends(join(fragments(strings.Repeat("*", 100_000), frameBytes), ping("a")), echo(strings.Repeat("*", 100_000)), ponged("a")),
		},
	})
}

// in is a message that comes in n frames.
func in(n int, payload string) frame { return frame{op: wiretest.OpText, payload: payload, frames: n} }
