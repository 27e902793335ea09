package conformance_test

import "path"

// exception says how and why the gateway deliberately differs from what cases expect.
type exception struct {
	cases  string // a pattern of [path.Match]
	wanted string // by the RFC, or by Autobahn
	here   string
	reason string
}

func exceptions() []exception {
	return []exception{
		{
			"1.1.1", "an empty echo", "no answer",
			"An answer without a body sends nothing, as in API Gateway. The integration gets the empty message.",
		},
		{
			"1.2.*", "an echo", "close 1003 `Binary is not supported`",
			"API Gateway refuses binary messages (\"Working with binary media types for WebSocket APIs\").",
		},
		{
			"5.21.*", "close 1002", "close 1003",
			"The frame is wrong in two ways, and the RFC does not say which one counts. The gateway refuses a binary frame before it checks the order of fragments.",
		},
		{
			"6.1.[12]", "an empty echo", "no answer",
			"See 1.1.1.",
		},
		{
			"6.4.*", "close 1007 as soon as a byte cannot belong to UTF-8", "close 1007 at the end of the message",
			"The gateway checks a message when it is complete. RFC 6455, section 8.1, does not say when; Autobahn calls this non-strict.",
		},
		{
			"9.2.*", "an echo", "close 1003", "See 1.2.*.",
		},
		{
			"9.4.*", "an echo", "close 1003", "See 1.2.*.",
		},
		{
			"9.7.1", "empty echoes", "no answers", "See 1.1.1.",
		},
		{
			"9.8.*", "an echo", "close 1003", "See 1.2.*.",
		},
		{
			"9.12.*", "close 1002", "the frame is accepted",
			"RFC 6455, section 5.2, requires the sender to use as few bytes as possible. But the length is clear, the quotas apply to it, and Autobahn has no such case.",
		},
		{
			"B.1.[12].1", "an empty echo", "no answer", "See 1.1.1.",
		},
		{
			"B.9.7.1", "empty echoes", "no answers", "See 1.1.1.",
		},
		{
			"12.*", "permessage-deflate is accepted", "a 101 without it; messages are not compressed; RSV1 closes with 1002",
			"By default the gateway accepts no extension, nor does API Gateway, as far as is known; group C has the cases with `WithCompression`. RFC 7692, section 5, lets a server decline; Autobahn reports the case as unimplemented.",
		},
		{
			"13.[1-7].*", "permessage-deflate is accepted", "as in 12.*", "See 12.*.",
		},
		{
			"H.6.*", "400", "101 without an extension",
			"RFC 6455, section 9.1, requires that the connection fails if the header is malformed. By default the gateway does not read this header. With `WithCompression`, it chooses no extension then: whoever could connect before still can.",
		},
		{
			"H.7.*", "400", "101 without a subprotocol",
			"RFC 6455, section 4.2.1, requires an error for a malformed header. The gateway passes the header to `$connect` unchanged, and `$connect` decides.",
		},
	}
}

// excepted returns the case with what the gateway does instead, and the exception, if
// there is one for this case.
func excepted(c testCase) (testCase, *exception) {
	for _, e := range exceptions() {
		if ok, err := path.Match(e.cases, c.id); ok && err == nil {
			c.here(&c)
			return c, &e
		}
	}
	return c, nil
}
