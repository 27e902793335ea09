package jsonpath

import "bytes"

// Kind is the type of a [Value].
type Kind uint8

// The kinds of values. Missing is the zero Kind: the path leads to no value.
const (
	Missing Kind = iota
	Null
	Bool
	Number
	String
	Array
	Object
)

// String returns the kind's name in lower case, for messages.
func (k Kind) String() string {
	switch k {
	case Null:
		return "null"
	case Bool:
		return "boolean"
	case Number:
		return "number"
	case String:
		return "string"
	case Array:
		return "array"
	case Object:
		return "object"
	case Missing:
		return "missing"
	default:
		return "unknown"
	}
}

// Value is a value inside a JSON text, or an array of several values. The zero Value is a
// missing value.
type Value struct {
	// Kind is the type of the value.
	Kind Kind
	// Raw is the value as it was sent, with the quotes of a string and the white space
	// inside an array or object. Unless it is an array of matches, it shares memory with
	// the text that was searched. It must not be changed. It is nil if Kind is Missing.
	Raw []byte
}

// AppendString appends the string that selection expressions match and returns
// the extended slice:
//
//	string    the decoded string
//	number    the text as it was sent, so 1.50 stays 1.50
//	boolean   true or false
//	null      nothing
//	missing   nothing
//	object    its JSON text without white space between the tokens
//	array     [item1, item2]
//
// The items of an array are written in the same way, so strings have no quotes, but a null
// among them is written as null. (API Gateway developer guide: "Working with routes for
// WebSocket APIs", which documents the string and the array; the rest is our choice.)
//
// AppendString allocates only to extend dst.
func (v Value) AppendString(dst []byte) []byte {
	switch v.Kind {
	case String:
		return appendUnescaped(dst, unquote(v.Raw))
	case Number, Bool:
		return append(dst, v.Raw...)
	case Object:
		return appendCompact(dst, v.Raw)
	case Array:
		return appendArray(dst, v.Raw)
	case Missing, Null:
		return dst
	default:
		return dst
	}
}

// Text returns the bytes that AppendString appends. The result must not be changed. For a
// string without escapes, a number and a boolean it is part of the value's own text, and
// nothing is copied. Otherwise it is written to buf, whose length is ignored, and which
// grows if needed.
func (v Value) Text(buf []byte) []byte {
	switch v.Kind {
	case Number, Bool:
		return v.Raw
	case String:
		if content := unquote(v.Raw); bytes.IndexByte(content, '\\') < 0 {
			return content
		}
		return v.AppendString(buf[:0])
	case Missing, Null, Array, Object:
		return v.AppendString(buf[:0])
	default:
		return nil
	}
}

// valueOf makes a Value from the text of a value.
func valueOf(raw []byte) Value {
	if len(raw) == 0 {
		return Value{}
	}
	kind := Number
	switch raw[0] {
	case '{':
		kind = Object
	case '[':
		kind = Array
	case '"':
		kind = String
	case 't', 'f':
		kind = Bool
	case 'n':
		kind = Null
	}
	return Value{Kind: kind, Raw: raw}
}

// appendCompact appends json without the white space between its tokens.
func appendCompact(dst, json []byte) []byte {
	for i := 0; i < len(json); i++ {
		switch {
		case json[i] == '"':
			end := stringEnd(json, i)
			dst = append(dst, json[i:end]...)
			i = end - 1
		case !isSpace(json[i]):
			dst = append(dst, json[i])
		}
	}
	return dst
}

// appendArray appends an array in the format of Java's List.toString. It reads the text
// once and does not recurse, because a client decides how deep the arrays are nested.
func appendArray(dst, array []byte) []byte {
	for i := 0; i < len(array); i++ {
		c := array[i]
		switch {
		case isSpace(c):
		case c == '"':
			end := stringEnd(array, i)
			dst = appendUnescaped(dst, unquote(array[i:end]))
			i = end - 1
		case c == '{':
			end := containerEnd(array, i)
			dst = appendCompact(dst, array[i:end])
			i = end - 1
		case c == ',':
			dst = append(dst, ", "...)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
