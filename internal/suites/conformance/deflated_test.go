package conformance_test

import (
	"fmt"
	"strings"

	"example.com/gateway/internal/suites/wiretest"
)

// The cases of group C are those of Autobahn's chapters 3, 9, 12 and 13 for a gateway with
// WithCompression, which compresses messages from 64 bytes on.

const deflateFrom = 64

// agreement is an offer that the gateway accepts.
type agreement struct {
	offer  string
	bits   int // of the window that the client has for what the gateway sends
	answer string
}

func agreements() (all []agreement) {
	const answer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	for _, offer := range []string{
		"permessage-deflate",
		"permessage-deflate; client_max_window_bits",
		"permessage-deflate; client_max_window_bits=9",
		"permessage-deflate; client_no_context_takeover; client_max_window_bits=15",
		"permessage-deflate; server_no_context_takeover",
		"permessage-deflate; server_no_context_takeover; client_no_context_takeover",
	} {
		all = append(all, agreement{offer, 15, answer})
	}
	for bits := 8; bits <= 15; bits++ {
		limit := fmt.Sprintf("; server_max_window_bits=%d", bits)
		all = append(all, agreement{"permessage-deflate; client_max_window_bits" + limit, bits, answer + limit})
	}
	return all
}

// deflated is a case for a gateway that compresses, and a client that has made an offer.
func deflated(id, title string, a agreement, end ending, steps ...step) testCase {
	return testCase{
		id: "C." + id, title: title, steps: steps, end: end, compress: true,
		request: &request{text: upgradeRequest("Sec-WebSocket-Extensions: " + a.offer), agreed: a.answer},
	}
}

// packed returns a compressed text of one frame whose payload is made of DEFLATE blocks.
func packed(blocks string) []byte { return client(wiretest.Text|rsv(4), blocks) }

// packedFragments returns a compressed text in fragments of size bytes.
func packedFragments(text string, size int) []byte {
	b := fragments(wiretest.Deflate(text), size)
	b[0] |= rsv(4)
	return b
}

// echoPacked is the echo of a text. It comes compressed, if the client has the window for it.
func echoPacked(a agreement, payload string) frame {
	f := echo(payload)
	f.packed = len(payload) >= deflateFrom && (a.bits == 15 || len(payload) <= 1<<a.bits)
	return f
}

// sample returns JSON of a length, which can be compressed to about a quarter.
func sample(size int) string {
	var b strings.Builder
	for n := 0; b.Len() < size; n++ {
		fmt.Fprintf(&b, `{"id":%d,"user":"user-%d","text":"a message of a sample, number %d","at":17%08d},`, n*7919%10007, n*31%97, n, n*104729%99999989)
	}
	return b.String()[:size]
}

func deflatedCases() []testCase {
	cases := deflatedPayloadCases()
	cases = append(cases, deflatedBinaryCases()...)
	cases = append(cases, deflatedOfferCases()...)
	cases = append(cases, deflatedBlockCases()...)
	cases = append(cases, deflatedLimitCases()...)
	return append(cases, deflatedReservedCases()...)
}

// deflatedPayloadCases are chapter 12: each size, compressed in one frame and in fragments,
// and as it is.
func deflatedPayloadCases() (cases []testCase) {
	for n, a := range agreements() {
		for m, size := range []int{16, 64, 256, 1 << 10, 4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10} {
			text := sample(size)
			want := echoPacked(a, text)
			cases = append(cases, deflated(fmt.Sprintf("12.%d.%d", n+1, m+1), fmt.Sprintf("%s; a text of %d bytes", a.offer, size), a, ending{},
				sends(packedFragments(text, frameBytes), want),
				sends(packedFragments(text, max(1, size/40)), want),
				sends(fragments(text, frameBytes), want),
				sends(join(packedFragments(text, frameBytes), ping("p")), want, ponged("p"))))
		}
	}
	return cases
}

// deflatedBinaryCases are chapter 12 with binary messages.
func deflatedBinaryCases() (cases []testCase) {
	for n, a := range agreements() {
		for m, size := range []int{64, 1 << 10, 16 << 10, 128 << 10} {
			data := strings.ReplaceAll(sample(size), "a", "\xff") // not UTF-8
			want := echoPacked(a, data)
			want.op = wiretest.OpBinary
			whole, cut := packedFragments(data, frameBytes), packedFragments(data, max(1, size/40))
			whole[0]++ // from text to binary
			cut[0]++
			c := deflated(fmt.Sprintf("12.40.%d.%d", n+1, m+1), fmt.Sprintf("%s; a binary message of %d bytes", a.offer, size), a, ending{},
				sends(whole, want), sends(cut, want), sends(join(packed(compressed), whole), echo("Hello"), want))
			c.binary = true
			cases = append(cases, c)
		}
	}
	return cases
}

// deflatedOfferCases are chapter 13: several offers in one or more headers.
func deflatedOfferCases() (cases []testCase) {
	plain := agreements()[0]
	for n, offer := range []string{
		"permessage-deflate; server_max_window_bits=7, permessage-deflate",
		"permessage-deflate; unknown_parameter, permessage-deflate; server_max_window_bits, permessage-deflate; client_max_window_bits",
		"x-unknown; a=b; c=\"d\", permessage-deflate; client_max_window_bits=\"10\"",
		"x-webkit-deflate-frame, PERMESSAGE-DEFLATE",
		",permessage-deflate,,",
		"permessage-deflate\r\nSec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9",
		"x-other\r\nSec-WebSocket-Extensions: permessage-deflate",
	} {
		a := agreement{offer, 15, plain.answer}
		cases = append(cases, deflated(fmt.Sprintf("13.1.%d", n+1), "of several offers the first acceptable: "+offer, a, ending{},
			sends(packedFragments(sample(300), frameBytes), echoPacked(a, sample(300)))))
	}
	for n, offer := range []string{
		"permessage-deflate; server_max_window_bits=7", "permessage-deflate; server_max_window_bits=16",
		"permessage-deflate; server_max_window_bits", "permessage-deflate; client_max_window_bits=09",
		"permessage-deflate; server_no_context_takeover=1", "permessage-deflate; unknown_parameter",
		"permessage-deflate; client_max_window_bits; client_max_window_bits",
		"permessage-bzip2", "x-webkit-deflate-frame", "x-unknown; a=b; c=\"d\", x-other",
	} {
		cases = append(cases, deflated(fmt.Sprintf("13.2.%d", n+1), "declined: "+offer, agreement{offer: offer}, fails(1002),
			sends(text(sample(300)), echo(sample(300))), sends(packed(wiretest.Deflate("Hello")))))
	}
	first, second := takeover()
	cases = append(cases, deflated("13.3.1", "a client that uses context takeover, although the answer forbids it", plain, fails(1007),
		sends(packed(first), echoPacked(plain, sample(200))), sends(packed(second))))
	return cases
}

// deflatedBlockCases send the forms of blocks of RFC 7692, section 7.2.3, and what is none.
func deflatedBlockCases() (cases []testCase) {
	plain := agreements()[0]
	for n, c := range []struct{ title, blocks, want string }{
		{"7.2.3.1: one block", compressed, "Hello"},
		{"7.2.3.3: a stored block", "\x00\x05\x00\xfa\xffHello\x00", "Hello"},
		{"7.2.3.4: a final block", "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "Hello"},
		{"7.2.3.5: two blocks", "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", "Hello"},
		{"7.2.3.6: empty", "\x00", ""},
		{"no payload", "", ""},
		{"empty stored blocks before the text", strings.Repeat("\x00\x00\x00\xff\xff", 100) + compressed, "Hello"},
		{"many final blocks before the text", strings.Repeat("\x01\x00\x00\xff\xff", 100) + compressed, "Hello"},
		{"blocks behind a final one", "\x01\x03\x00\xfc\xffHel\x01\x02\x00\xfd\xfflo\x00", "Hello"},
	} {
		want := echo(c.want)
		want.unanswered = c.want == ""
		cases = append(cases, deflated(fmt.Sprintf("12.20.%d", n+1), c.title, plain, ending{},
			sends(packed(c.blocks), want), sends(packed(compressed), echo("Hello"))))
	}
	for n, c := range []struct {
		title string
		send  []byte
	}{
		{"not compressed at all", packed("Hello")},
		{"a block type that does not exist", packed("\x07")},
		{"cut off", packed(compressed[:3])},
		{"a wrong length of a stored block", packed("\x00\x05\x00\xfb\xffHello\x00")},
		{"a reference before the start", packed("\x02\x13\x00\x00")},
		{"garbage behind the message", packed(compressed + "\xff\xff\xff")},
		{"a text that is not UTF-8", packed(wiretest.Deflate("a\xff"))},
		{"half a character", packed(wiretest.Deflate("\xe2\x82"))},
	} {
		cases = append(cases, deflated(fmt.Sprintf("12.21.%d", n+1), c.title, plain, fails(1007),
			sends(packed(compressed), echo("Hello")), sends(join(c.send, text("late")))))
	}
	return cases
}

// deflatedLimitCases are chapter 9: frames count as they are on the wire, messages as what
// they inflate to.
func deflatedLimitCases() (cases []testCase) {
	plain := agreements()[0]
	whole := sample(messageBytes)
	stored := func(n int) string { // of n bytes on the wire
		n -= 6
		return string([]byte{0, byte(n), byte(n >> 8), ^byte(n), ^byte(n >> 8)}) + sample(n) + "\x00"
	}
	zeros := wiretest.Deflate(strings.Repeat("0", 16<<20))
	many := step{send: times(1000, packed(compressed))}
	for range 1000 {
		many.want = append(many.want, echo("Hello"))
	}
	for n, c := range []struct {
		title string
		end   ending
		step  step
	}{
		{"1,000 messages", ending{}, many},
		{"a message of 128 KiB", ending{}, sends(packedFragments(whole, frameBytes), echoPacked(plain, whole))},
		{"a message of 128 KiB in fragments of 100 bytes", ending{}, sends(packedFragments(whole, 100), echoPacked(plain, whole))},
		{"a message of 4 KiB in fragments of one byte", ending{}, sends(packedFragments(whole[:4<<10], 1), echoPacked(plain, whole[:4<<10]))},
		{"a message of one byte more", fails(1009), sends(packedFragments(whole+"}", frameBytes))},
		{"a frame of 32 KiB on the wire", ending{}, sends(packed(stored(frameBytes)), echoPacked(plain, sample(frameBytes-6)))},
		{"a frame of one byte more", fails(1009), sends(packed(stored(frameBytes + 1)))},
		{"a frame that inflates to more than a frame may have", ending{}, sends(packed(wiretest.Deflate(whole[:64<<10])), echoPacked(plain, whole[:64<<10]))},
		{"128 KiB of one character", ending{}, sends(packed(wiretest.Deflate(strings.Repeat("0", messageBytes))), echoPacked(plain, strings.Repeat("0", messageBytes)))},
		{"16 MiB of one character", fails(1009), sends(packed(zeros))},
		{"the same in fragments of 100 bytes", fails(1009), sends(packedFragments(strings.Repeat("0", 16<<20), 100))},
		{"blocks of 160 KiB that inflate to nothing", fails(1009), sends(emptyBlocks(160 << 10))},
	} {
		cases = append(cases, deflated(fmt.Sprintf("9.%d", n+1), c.title, plain, c.end, c.step))
	}
	return cases
}

// emptyBlocks returns a compressed message of about n bytes without content.
func emptyBlocks(n int) []byte {
	b := fragments(strings.Repeat("\x00\x00\x00\xff\xff", n/5), frameBytes)
	b[0] |= rsv(4)
	return b
}

// deflatedReservedCases are chapter 3: RSV1 only in the first frame of a message.
func deflatedReservedCases() (cases []testCase) {
	plain := agreements()[0]
	for bits := 1; bits <= 7; bits++ {
		for n, bad := range []struct {
			title  string
			before []byte
			first  byte
			body   string
		}{
			{"a text", nil, wiretest.Text, compressed},
			{"a first fragment", nil, wiretest.OpText, compressed},
			{"a continuation of a compressed message", client(wiretest.TextBegin|rsv(4), compressed[:3]), wiretest.Last, compressed[3:]},
			{"a continuation", begin("begun"), wiretest.Last, compressed},
			{"a close", nil, wiretest.Close, wiretest.ClosePayload(1000, "")},
			{"a ping", nil, wiretest.Ping, ""},
			{"a pong", nil, wiretest.Pong, ""},
		} {
			if bits == 4 && n < 2 {
				continue // that is how messages are compressed
			}
			cases = append(cases, deflated(fmt.Sprintf("3.%d.%d", bits, n+1), fmt.Sprintf("%s with reserved bits %03b", bad.title, bits), plain, fails(1002),
				sends(packed(compressed), echo("Hello")),
				sends(join(bad.before, client(bad.first|rsv(bits), bad.body), text("late"), ping("late")))))
		}
	}
	return cases
}

// takeover returns two messages of a client that compresses the second with references into
// the first.
func takeover() (first, second string) {
	both := wiretest.DeflateAll(sample(200), sample(200))
	return both[0], both[1]
}
