package conformance_test

import "path"

// exception says why the gateway differs, on purpose, from what cases want.
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
			"The frame is wrong in two ways, and the RFC does not say which counts: a binary one is refused as such before its place among fragments is looked at.",
		},
		{
			"6.1.[12]", "an empty echo", "no answer",
			"As 1.1.1.",
		},
		{
			"6.4.*", "close 1007 as soon as a byte cannot belong to UTF-8", "close 1007 at the end of the message",
			"A message is checked once it is whole. RFC 6455, section 8.1, sets no time; Autobahn calls this non-strict.",
		},
		{
			"9.2.*", "an echo", "close 1003", "As 1.2.*.",
		},
		{
			"9.4.*", "an echo", "close 1003", "As 1.2.*.",
		},
		{
			"9.7.1", "empty echoes", "no answers", "As 1.1.1.",
		},
		{
			"9.8.*", "an echo", "close 1003", "As 1.2.*.",
		},
		{
			"9.12.*", "close 1002", "the frame is taken",
			"RFC 6455, section 5.2, obliges the sender to use as few bytes as it can. The length is clear all the same, the quotas hold for it, and Autobahn has no such case.",
		},
		{
			"12.*", "permessage-deflate is agreed on", "a 101 without it, messages as they are, RSV1 is 1002",
			"The gateway, as far as is known of API Gateway, agrees to no extension. RFC 7692, section 5, lets a server decline; Autobahn reports the case as unimplemented.",
		},
		{
			"13.[1-7].*", "permessage-deflate is agreed on", "as 12.*", "As 12.*.",
		},
		{
			"H.6.*", "400", "101 without an extension",
			"RFC 6455, section 9.1, wants the connection failed when the header is malformed. It is not read at all, since no extension is ever chosen.",
		},
		{
			"H.7.*", "400", "101 without a subprotocol",
			"RFC 6455, section 4.2.1, wants an error for a header that is malformed. What the client offers is for `$connect` to judge, which gets it as it is.",
		},
	}
}

// excepted returns the case as the gateway is to do it, and its exception, if it
// is one.
func excepted(c testCase) (testCase, *exception) {
	for _, e := range exceptions() {
		if ok, err := path.Match(e.cases, c.id); ok && err == nil {
			c.here(&c)
			return c, &e
		}
	}
	return c, nil
}
