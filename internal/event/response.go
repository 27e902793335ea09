package event

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"example.com/gateway/internal/command"
)

// ErrMalformed is the error for an answer that the service does not understand. Other
// errors wrap it.
var ErrMalformed = errors.New("malformed response")

// Response is the answer of a function.
type Response struct {
	// None is true for an empty answer: null, or no bytes.
	None bool
	// HasStatusCode is true if there is a statusCode. $connect requires it.
	HasStatusCode bool
	StatusCode    int
	// Header has canonical names. It is nil if there are no headers.
	Header map[string][]string
	// Body is decoded. It may share memory with the text that was read.
	Body []byte
	// Binary is isBase64Encoded: Body is what was in base64.
	Binary bool
}

// DecodeResponse reads the answer of a function to a proxy integration. It is as strict as
// the service: a top-level key that is not one of the service's five keys, in exactly that
// spelling, and a value of the wrong type are errors that wrap [ErrMalformed]. If a key
// occurs twice, the last value counts.
//
// Of several spellings of the name of a header, such as X-A and x-a, the last counts. The
// commands of an answer are an exception: all count, as several lines of one header in HTTP.
//
// A statusCode may be text of digits, as in Lambda's own samples. A value in headers may
// be a number or a boolean, which becomes text, as in the service. Null is left out.
func DecodeResponse(data []byte) (Response, error) {
	data = bytes.Trim(data, " \t\r\n")
	if len(data) == 0 || string(data) == "null" {
		return Response{None: true}, nil
	}
	if !json.Valid(data) {
		return Response{}, fmt.Errorf("%w: it is not JSON", ErrMalformed)
	}
	if data[0] != '{' {
		return Response{}, fmt.Errorf("%w: it is no JSON object", ErrMalformed)
	}
	var raw struct{ statusCode, headers, multi, body, base64 []byte }
	for s := newScanner(data); s.next(); {
		key := s.key()
		switch string(key) {
		case "statusCode":
			raw.statusCode = s.value
		case "headers":
			raw.headers = s.value
		case "multiValueHeaders":
			raw.multi = s.value
		case "body":
			raw.body = s.value
		case "isBase64Encoded":
			raw.base64 = s.value
		default:
			return Response{}, fmt.Errorf("%w: unknown key %q", ErrMalformed, clip(string(key)))
		}
	}
	var (
		r   Response
		err error
	)
	if r.StatusCode, r.HasStatusCode, err = decodeStatusCode(raw.statusCode); err != nil {
		return Response{}, err
	}
	if r.Header, err = decodeHeaders(raw.headers, raw.multi); err != nil {
		return Response{}, err
	}
	if r.Body, err = decodeBody(raw.body, raw.base64); err != nil {
		return Response{}, err
	}
	r.Binary = !isNull(raw.base64) && raw.base64[0] == 't'
	return r, nil
}

// isNull reports whether a value is absent or null, which means the same.
func isNull(raw []byte) bool { return len(raw) == 0 || raw[0] == 'n' }

// decodeStatusCode reads an integer, which may be in quotes: Lambda's own sample for
// HTTP endpoints writes '200'.
func decodeStatusCode(raw []byte) (code int, ok bool, err error) {
	if isNull(raw) {
		return 0, false, nil
	}
	if raw[0] == '"' {
		raw = unquote(raw)
		if len(raw) == 0 || len(bytes.Trim(raw, "0123456789")) > 0 {
			return 0, false, fmt.Errorf("%w: statusCode is no number: %q", ErrMalformed, clip(string(raw)))
		}
	}
	if raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		return 0, false, fmt.Errorf("%w: statusCode is no number: %s", ErrMalformed, clip(string(raw)))
	}
	if n, err := strconv.Atoi(string(raw)); err == nil {
		return n, true, nil
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || f != float64(int32(f)) {
		return 0, false, fmt.Errorf("%w: statusCode is no integer: %s", ErrMalformed, clip(string(raw)))
	}
	return int(f), true, nil
}

// decodeHeaders merges headers and multiValueHeaders. A header that is in both is taken
// from multiValueHeaders.
func decodeHeaders(single, multi []byte) (map[string][]string, error) {
	if isNull(single) && isNull(multi) {
		return nil, nil
	}
	header := headersOfAnswer{all: map[string][]string{}}
	if !isNull(single) {
		if single[0] != '{' {
			return nil, fmt.Errorf("%w: headers is no object", ErrMalformed)
		}
		for s := newScanner(single); s.next(); {
			value, ok := scalar(s.value)
			switch {
			case ok:
				header.put(string(s.key()), value)
			case !isNull(s.value):
				return nil, fmt.Errorf("%w: headers[%q] is no string", ErrMalformed, clip(string(s.key())))
			}
		}
		header.fold()
	}
	if !isNull(multi) {
		if multi[0] != '{' {
			return nil, fmt.Errorf("%w: multiValueHeaders is no object", ErrMalformed)
		}
		for s := newScanner(multi); s.next(); {
			if isNull(s.value) {
				continue
			}
			if s.value[0] != '[' {
				return nil, fmt.Errorf("%w: multiValueHeaders[%q] is no array", ErrMalformed, clip(string(s.key())))
			}
			values := []string{}
			for each := newScanner(s.value); each.next(); {
				value, ok := scalar(each.value)
				switch {
				case ok:
					values = append(values, value)
				case !isNull(each.value):
					return nil, fmt.Errorf("%w: multiValueHeaders[%q] holds more than strings", ErrMalformed, clip(string(s.key())))
				}
			}
			if len(values) > 0 {
				header.put(string(s.key()), values...)
			}
		}
	}
	header.fold()
	if len(header.all) == 0 {
		return nil, nil
	}
	return header.all, nil
}

// headersOfAnswer collects the headers of an answer.
type headersOfAnswer struct {
	all      map[string][]string
	commands map[string][]string // of one JSON object, as they are spelled there; nil: none
}

// put sets a header.
func (h *headersOfAnswer) put(name string, values ...string) {
	if !command.Named(name) {
		h.all[canonical(name)] = values
		return
	}
	if h.commands == nil {
		h.commands = map[string][]string{}
	}
	h.commands[name] = values
}

// fold ends a JSON object: the spellings of a command become one header, in the place of one
// that an earlier object has.
func (h *headersOfAnswer) fold() {
	if h.commands == nil {
		return
	}
	folded := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(h.commands)) {
		folded[canonical(name)] = append(folded[canonical(name)], h.commands[name]...)
	}
	maps.Copy(h.all, folded)
	h.commands = nil
}

func decodeBody(raw, base64Encoded []byte) ([]byte, error) {
	if !isNull(base64Encoded) && base64Encoded[0] != 't' && base64Encoded[0] != 'f' {
		return nil, fmt.Errorf("%w: isBase64Encoded is no boolean", ErrMalformed)
	}
	if isNull(raw) {
		return nil, nil
	}
	if raw[0] != '"' {
		return nil, fmt.Errorf("%w: body is no string", ErrMalformed)
	}
	body := unquote(raw)
	if isNull(base64Encoded) || base64Encoded[0] == 'f' {
		return body, nil
	}
	decoded := make([]byte, base64.StdEncoding.DecodedLen(len(body)))
	n, err := base64.StdEncoding.Decode(decoded, body)
	if err != nil {
		return nil, fmt.Errorf("%w: body is no base64, and isBase64Encoded is true", ErrMalformed)
	}
	return decoded[:n], nil
}

// scalar returns the text of a string, number or boolean.
func scalar(raw []byte) (text string, ok bool) {
	switch raw[0] {
	case '"':
		return string(unquote(raw)), true
	case '{', '[', 'n':
		return "", false
	}
	return string(raw), true
}

// unquote returns the text of a valid JSON string, as valid UTF-8. It is a part of raw if
// nothing has to be decoded.
func unquote(raw []byte) []byte {
	inner := raw[1 : len(raw)-1]
	escape := bytes.IndexByte(inner, '\\')
	if escape < 0 {
		return toValidUTF8(inner)
	}
	out := append(make([]byte, 0, len(inner)), inner[:escape]...)
	for n := escape; n < len(inner); {
		if inner[n] != '\\' {
			end := bytes.IndexByte(inner[n:], '\\')
			if end < 0 {
				end = len(inner) - n
			}
			out = append(out, inner[n:n+end]...)
			n += end
			continue
		}
		c := inner[n+1]
		n += 2
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r := hex4(inner[n:])
			n += 4
			if utf16.IsSurrogate(r) { // needs the second half, and is U+FFFD without it
				pair := unicode.ReplacementChar
				if bytes.HasPrefix(inner[n:], []byte(`\u`)) {
					pair = utf16.DecodeRune(r, hex4(inner[n+2:]))
				}
				if r = pair; r != unicode.ReplacementChar {
					n += 6
				}
			}
			out = utf8.AppendRune(out, r)
			continue
		}
		out = append(out, c)
	}
	return toValidUTF8(out)
}

// hex4 returns the value of four hexadecimal digits.
func hex4(digits []byte) (r rune) {
	for _, c := range digits[:4] {
		switch {
		case c <= '9':
			c -= '0'
		default:
			c = c&^0x20 - 'A' + 10
		}
		r = r<<4 | rune(c)
	}
	return r
}

// toValidUTF8 replaces each byte that is not valid UTF-8.
func toValidUTF8(b []byte) []byte {
	if utf8.Valid(b) {
		return b
	}
	return []byte(string([]rune(string(b))))
}

// clip shortens text for an error.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
