package conformance_test

import (
	"crypto/sha1" //nolint:gosec // RFC 6455 requires SHA-1
	"encoding/base64"
	"fmt"
	"strings"

	"example.com/gateway/internal/suites/wiretest"
)

// Lines of the upgrade request that RFC 6455, section 4.2.1, requires.
const (
	requestLine = "GET /test HTTP/1.1"
	host        = "Host: gateway.test"
	connection  = "Connection: Upgrade"
	upgrade     = "Upgrade: websocket"
	version     = "Sec-WebSocket-Version: 13"
	key         = "Sec-WebSocket-Key: " + wiretest.SampleKey
)

// with returns the request with one line replaced by others.
func with(line string, others ...string) string {
	return strings.Replace(upgradeRequest(), line+"\r\n", strings.Join(append(others, ""), "\r\n"), 1)
}

// variant is a request and its expected answer.
type variant struct {
	title string
	text  string
}

func handshakeCases() []testCase {
	cases := acceptCases()
	upgradeRequired := map[string]string{"Upgrade": "websocket", "Connection": "upgrade"}
	for _, g := range []struct {
		id       string
		wanted   request
		variants []variant
	}{
		{"H.1", request{}, goodRequests()},
		{"H.2", request{status: 426, header: upgradeRequired}, withoutUpgrade()},
		{"H.3", request{status: 426, header: map[string]string{"Sec-WebSocket-Version": "13", "Upgrade": "websocket"}}, otherVersions()},
		{"H.4", request{status: 400}, badKeys()},
		{"H.5", request{status: 405, header: map[string]string{"Allow": "GET"}}, otherMethods()},
		{"H.6", request{status: 400}, badExtensions()},
		{"H.7", request{status: 400}, badSubprotocols()},
		{"H.8", request{status: 400}, badRequests()},
		{"H.9", request{status: 403}, otherOrigins()},
	} {
		for n, v := range g.variants {
			wanted := g.wanted
			wanted.text = v.text
			c := testCase{id: fmt.Sprintf("%s.%d", g.id, n+1), title: v.title, request: &wanted, steps: []step{sends(text("hello"), echo("hello"))}}
			if g.id == "H.6" || g.id == "H.7" {
				c.here = func(c *testCase) { c.request = &request{text: v.text} }
			}
			cases = append(cases, c)
		}
	}
	return cases
}

// acceptCases test Sec-WebSocket-Accept, and a client that does not wait for the 101.
func acceptCases() (cases []testCase) {
	for n, raw := range []string{
		"the sample nonce", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "\xfb\xff\xbf\xfb\xff\xbf\xfb\xff\xbf\xfb\xff\xbf\xfb\xff\xbf\xfb",
		"0123456789abcdef",
	} {
		encoded := base64.StdEncoding.EncodeToString([]byte(raw))
		digest := sha1.Sum([]byte(encoded + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // as above
		cases = append(cases, testCase{
			id: fmt.Sprintf("H.10.%d", n+1), title: "the key " + encoded,
			request: &request{text: with(key, "Sec-WebSocket-Key: "+encoded), accept: base64.StdEncoding.EncodeToString(digest[:])},
			steps:   []step{sends(text("hello"), echo("hello"))},
		})
	}
	for n, size := range []int{5, 5000} { // the second is more than net/http reads ahead
		early := strings.Repeat("*", size)
		cases = append(cases, testCase{
			id: fmt.Sprintf("H.11.%d", n+1), title: fmt.Sprintf("a text of %d bytes behind the request", size),
			request: &request{text: upgradeRequest() + string(text(early))},
			steps:   []step{sends(text("hello"), echo(early), echo("hello"))},
		})
	}
	return cases
}

func goodRequests() []variant {
	offer := func(title, line string) variant { return variant{title, upgradeRequest(line)} }
	return []variant{
		{"the request of the RFC", upgradeRequest("Origin: http://gateway.test", "User-Agent: conformance")},
		{"no more than is demanded", upgradeRequest()},
		{"names in lower case", strings.Join([]string{requestLine, "host: gateway.test", "connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13", "sec-websocket-key: " + wiretest.SampleKey, "", ""}, "\r\n")},
		{"names and values in upper case", strings.Join([]string{requestLine, "HOST: GATEWAY.TEST", "CONNECTION: UPGRADE", "UPGRADE: WEBSOCKET", "SEC-WEBSOCKET-VERSION: 13", "SEC-WEBSOCKET-KEY: " + wiretest.SampleKey, "", ""}, "\r\n")},
		{"another order", strings.Join([]string{requestLine, key, version, upgrade, connection, host, "", ""}, "\r\n")},
		{"Connection: keep-alive, Upgrade", with(connection, "Connection: keep-alive, Upgrade")},
		{"Connection: upgrade,keep-alive", with(connection, "Connection: upgrade,keep-alive")},
		{"Connection with blanks and tabs", with(connection, "Connection: \tkeep-alive \t,  uPgRaDe\t ")},
		{"Connection with empty elements", with(connection, "Connection: ,, Upgrade, ,")},
		{"Connection in two lines", with(connection, "Connection: keep-alive", "Connection: Upgrade")},
		{"Connection in two lines, the other way round", with(connection, "Connection: Upgrade", "Connection: keep-alive")},
		{"Connection: Upgrade, close", with(connection, "Connection: Upgrade, close")},
		{"Upgrade: WebSocket", with(upgrade, "Upgrade: WebSocket")},
		{"Upgrade among others", with(upgrade, "Upgrade: h2c, websocket")},
		{"Upgrade in two lines", with(upgrade, "Upgrade: h2c", "Upgrade: websocket")},
		{"blanks around the version", with(version, "Sec-WebSocket-Version:  13\t ")},
		{"no blanks", with(version, "Sec-WebSocket-Version:13")},
		{"blanks around the key", with(key, "Sec-WebSocket-Key: \t"+wiretest.SampleKey+"  ")},
		{"a query", strings.Replace(upgradeRequest(), "/test", "/test?a=b&c=%20", 1)},
		{"an absolute URL", strings.Replace(upgradeRequest(), "/test", "http://gateway.test/test", 1)},
		{"a Host with a port", with(host, "Host: gateway.test:8080")},
		{"lines that nobody knows", upgradeRequest("X-Unknown: a", "Sec-WebSocket-Unknown: b")},
		offer("an offer of a subprotocol", "Sec-WebSocket-Protocol: chat"),
		offer("offers of subprotocols", "Sec-WebSocket-Protocol: chat, superchat,chat.v2"),
		offer("an offer of an extension", "Sec-WebSocket-Extensions: x-unknown; a=1"),
		offer("a page of the same host", "Origin: http://gateway.test"),
		offer("a page of the same host, by https", "Origin: https://gateway.test"),
		offer("cookies", "Cookie: a=b; c=d"),
		offer("a length of nothing", "Content-Length: 0"),
	}
}

func withoutUpgrade() []variant {
	return []variant{
		{"no Connection", with(connection)},
		{"Connection: keep-alive", with(connection, "Connection: keep-alive")},
		{"Connection: close", with(connection, "Connection: close")},
		{"an empty Connection", with(connection, "Connection:")},
		{"a Connection with a longer word", with(connection, "Connection: Upgraded")},
		{"a Connection with two words in one", with(connection, "Connection: keep-alive Upgrade")},
		{"no Upgrade", with(upgrade)},
		{"an empty Upgrade", with(upgrade, "Upgrade:")},
		{"Upgrade: h2c", with(upgrade, "Upgrade: h2c")},
		{"Upgrade: websockets", with(upgrade, "Upgrade: websockets")},
		{"Upgrade: web socket", with(upgrade, "Upgrade: web socket")},
		{"neither Connection nor Upgrade", strings.Replace(with(upgrade), connection+"\r\n", "", 1)},
		{"HTTP/1.0", strings.Replace(upgradeRequest(), "HTTP/1.1", "HTTP/1.0", 1)},
	}
}

func otherVersions() []variant {
	variants := []variant{{"no version", with(version)}}
	for _, v := range []string{"", "0", "7", "8", "12", "14", "255", "256", "013", "+13", "13.0", "0x0d", "thirteen", "-13", "1 3"} {
		variants = append(variants, variant{"version " + v, with(version, "Sec-WebSocket-Version: "+v)})
	}
	return variants
}

func badKeys() []variant {
	variants := []variant{
		{"no key", with(key)},
		{"two keys", with(key, key, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")},
		{"the same key twice", with(key, key, key)},
	}
	for _, k := range []struct{ title, value string }{
		{"an empty key", ""},
		{"a key of 15 bytes", base64.StdEncoding.EncodeToString(make([]byte, 15))},
		{"a key of 17 bytes", base64.StdEncoding.EncodeToString(make([]byte, 17))},
		{"a key of 1 byte", "AA=="},
		{"a key of 32 bytes", base64.StdEncoding.EncodeToString(make([]byte, 32))},
		{"a key without padding", strings.TrimRight(wiretest.SampleKey, "=")},
		{"a key with too much padding", wiretest.SampleKey + "="},
		{"a key in the alphabet of URLs", "-_-_-_-_-_-_-_-_-_-_-g=="},
		{"a key with a blank", "dGhlIHNhbXBs ZSBub25jZQ=="},
		{"24 characters, but no base64", "????????????????????????"},
		{"a key with a character too few", wiretest.SampleKey[1:]},
		{"two keys in one", wiretest.SampleKey + ", " + wiretest.SampleKey},
	} {
		variants = append(variants, variant{k.title, with(key, "Sec-WebSocket-Key: "+k.value)})
	}
	return variants
}

func otherMethods() (variants []variant) {
	for _, method := range []string{"POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "get"} {
		variants = append(variants, variant{"method " + method, strings.Replace(upgradeRequest(), "GET", method, 1)})
	}
	return variants
}

func badExtensions() (variants []variant) {
	for _, value := range []string{"permessage-deflate;", "; a=b", "permessage deflate", "a=b=c; =", "\"quoted\"", "x; a=\"b"} {
		variants = append(variants, variant{"the extension " + value, upgradeRequest("Sec-WebSocket-Extensions: " + value)})
	}
	return variants
}

func badSubprotocols() (variants []variant) {
	for _, value := range []string{"a b", "chat/1", "\"chat\"", "chat, chat", "chät", ""} {
		variants = append(variants, variant{"the subprotocol " + value, upgradeRequest("Sec-WebSocket-Protocol: " + value)})
	}
	return variants
}

func badRequests() []variant {
	return []variant{
		{"no Host", with(host)},
		{"two Hosts", with(host, host, "Host: other.test")},
		{"a blank before a colon", with(version, "Sec-WebSocket-Version : 13")},
		{"a line without a colon", upgradeRequest("nonsense")},
		{"no version of HTTP", strings.Replace(upgradeRequest(), " HTTP/1.1", "", 1)},
		{"a body", upgradeRequest("Content-Length: 5") + "hello"},
		{"a body in chunks", upgradeRequest("Transfer-Encoding: chunked") + "5\r\nhello\r\n0\r\n\r\n"},
		{"a preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
		{"two Origins", upgradeRequest("Origin: http://gateway.test", "Origin: http://gateway.test")},
	}
}

func otherOrigins() (variants []variant) {
	for _, origin := range []string{"http://other.test", "https://gateway.test.other.test", "http://sub.gateway.test", "null", "http://gateway.test:8080", "file://"} {
		variants = append(variants, variant{"a page of " + origin, upgradeRequest("Origin: " + origin)})
	}
	return variants
}
