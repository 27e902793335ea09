package conformance_test

import (
	"fmt"
	"strings"

	"example.com/gateway/internal/suites/wiretest"
)

// offers returns the offers of Autobahn's chapters 12 and 13.
func offers() []string {
	return []string{
		"permessage-deflate",
		"permessage-deflate; client_max_window_bits",
		"permessage-deflate; client_no_context_takeover; client_max_window_bits",
		"permessage-deflate; server_no_context_takeover",
		"permessage-deflate; server_max_window_bits=9; client_max_window_bits=9",
		"permessage-deflate; server_no_context_takeover; server_max_window_bits=15; client_max_window_bits",
		"permessage-deflate; server_no_context_takeover; server_max_window_bits=9, permessage-deflate; server_no_context_takeover, permessage-deflate",
	}
}

// compressed is "Hello" as in RFC 7692, section 7.2.3.1.
const compressed = "\xf2\x48\xcd\xc9\xc9\x07\x00"

// compressionCase sends one message that is not compressed, and one that is.
func compressionCase(id, offer string, size int) testCase {
	payload := strings.Repeat("Hello, ", size/7+1)[:size]
	return testCase{
		id: id, title: fmt.Sprintf("%s; a text of %d bytes", offer, size),
		request: &request{text: upgradeRequest("Sec-WebSocket-Extensions: " + offer)},
		steps: []step{
			sends(fragments(payload, frameBytes), echo(payload)),
			sends(client(wiretest.Text|rsv(4), compressed)),
		},
		end: fails(1002),
	}
}

// agreeing changes a compression case into what Autobahn expects.
func agreeing(c testCase) testCase {
	declined := c
	c.here = func(h *testCase) { *h = declined }
	agreed := *c.request
	agreed.agreed = "permessage-deflate"
	c.request = &agreed
	c.steps, c.end = []step{sends(client(wiretest.Text|rsv(4), compressed), echo("Hello"))}, ending{}
	return c
}

func compressedPayloadCases() (cases []testCase) {
	for n, offer := range offers()[:5] {
		for m, size := range []int{16, 64, 256, 1 << 10, 4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10} {
			cases = append(cases, agreeing(compressionCase(fmt.Sprintf("12.%d.%d", n+1, m+1), offer, size)))
		}
	}
	return cases
}

func compressionOfferCases() (cases []testCase) {
	for n, offer := range offers() {
		for m, size := range []int{16, 8 << 10} {
			cases = append(cases, agreeing(compressionCase(fmt.Sprintf("13.%d.%d", n+1, m+1), offer, size)))
		}
	}
	for n, offer := range []string{ // to decline: RFC 7692, section 7, demands it, or nobody knows the extension
		"permessage-deflate; server_max_window_bits=7", "permessage-deflate; server_max_window_bits=16",
		"permessage-deflate; server_max_window_bits", "permessage-deflate; client_max_window_bits=09",
		"permessage-deflate; server_no_context_takeover=1", "permessage-deflate; unknown_parameter",
		"permessage-deflate; client_max_window_bits; client_max_window_bits",
		"permessage-bzip2", "x-webkit-deflate-frame", "x-unknown; a=b; c=\"d\", x-other",
	} {
		cases = append(cases, compressionCase(fmt.Sprintf("13.8.%d", n+1), offer, 16))
	}
	return cases
}
