package vtl

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"

	"example.com/gateway/internal/jsonpath"
)

// The variables that API Gateway gives to a template. A template may set others
// of the same names.
type (
	input          struct{} // $input
	util           struct{} // $util
	stageVariables struct{} // $stageVariables
	variable       string   // $context, or a dotted name below it that is not a variable
)

// roots sets the variables that each run begins with.
func (r *run) roots() {
	set := func(name string, root any) {
		if slot, ok := r.template.slots[name]; ok {
			r.scope.vars[slot] = root
		}
	}
	set("input", input{})
	set("util", util{})
	set("stageVariables", stageVariables{})
	set("context", variable(""))
}

// isOpaque reports whether v is a variable that has methods but no text.
func isOpaque(v any) bool {
	switch v := v.(type) {
	case input, util:
		return true
	case variable:
		return v == ""
	default:
		return false
	}
}

// property returns the $context variable below v. A name that is not a variable prints the
// empty string, but it may be part of a longer name.
func (v variable) property(r *run, name string) any {
	if v != "" {
		name = string(v) + "." + name
	}
	if !r.grow(len(name)) {
		return nil
	}
	if r.env.Context != nil {
		if value, ok := r.env.Context(name); ok {
			return value
		}
	}
	return variable(name)
}

// stringsObject returns the map as a value, with sorted keys.
func stringsObject(m map[string]string) *object {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	o := &object{}
	for _, key := range keys {
		o.set(key, m[key])
	}
	return o
}

// call calls a method of $input.
func (input) call(r *run, s *step, args []any) any {
	switch {
	case s.name == "params" && len(args) == 0:
		return r.allParams()
	case s.name == "params" && len(args) == 1:
		return r.param(r.text(args[0]))
	case s.name == "json" && len(args) == 1:
		return r.inputJSON(s, r.text(args[0]))
	case s.name == "path" && len(args) == 1:
		return r.inputPath(s, r.text(args[0]))
	case s.name == "getBody" && len(args) == 0:
		return r.body()
	default:
		return nil
	}
}

func (r *run) body() any {
	if !r.grow(len(r.env.Body)) {
		return nil
	}
	return string(r.env.Body)
}

func (r *run) loadParams() {
	if r.params != nil {
		return
	}
	if r.env.Params != nil {
		r.requestParams = r.env.Params()
	}
	r.params = &object{}
	r.params.set("path", stringsObject(r.requestParams.Path))
	r.params.set("querystring", stringsObject(r.requestParams.Querystring))
	r.params.set("header", stringsObject(r.requestParams.Header))
}

func (r *run) allParams() any {
	r.loadParams()
	return r.params
}

// param looks for a parameter in the path, the query string and the headers, in this
// order. Upper and lower case are the same in names of headers.
func (r *run) param(name string) any {
	r.loadParams()
	p := &r.requestParams
	for _, from := range []map[string]string{p.Path, p.Querystring, p.Header} {
		if value, ok := from[name]; ok {
			return value
		}
	}
	for key, value := range p.Header {
		if strings.EqualFold(key, name) {
			return value
		}
	}
	return ""
}

// lookup returns the value in the body to which the path leads. It is missing if the body
// is not JSON. A path that is not definite, for example with a wildcard, leads to an array
// of all its matches.
func (r *run) lookup(s *step, text string) jsonpath.Value {
	path, err := s.path, s.pathErr
	if path == nil && err == nil {
		path, err = jsonpath.Compile(text)
	}
	if err != nil {
		r.fail(s.at, pathReason(err))
		return jsonpath.Value{}
	}
	if !r.bodyKnown {
		r.bodyKnown, r.bodyIsJSON = true, jsonpath.Valid(r.env.Body)
	}
	r.step(s.at, len(r.env.Body)/pathBytes)
	if !path.Definite() {
		r.step(s.at, searchCost+len(r.env.Body)/4)
	}
	if !r.bodyIsJSON || r.halted() {
		return jsonpath.Value{}
	}
	v := path.Lookup(r.env.Body)
	if v.Kind == jsonpath.Missing && !path.Definite() {
		r.fail(s.at, "the JSONPath takes too much work on this body")
	}
	return v
}

// pathReason says what is wrong with a path. It does not quote the path, which may come
// from the body.
func pathReason(err error) string {
	var syntax *jsonpath.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Sprintf("the JSONPath is not valid: position %d: %s", syntax.Position, syntax.Reason)
	}
	return "the JSONPath is not valid"
}

func (r *run) inputJSON(s *step, path string) any {
	v := r.lookup(s, path)
	if v.Kind == jsonpath.Missing {
		return `""`
	}
	if !r.grow(len(v.Raw)) {
		return nil
	}
	return compact(v.Raw)
}

func (r *run) inputPath(s *step, path string) any {
	v := r.lookup(s, path)
	if v.Kind == jsonpath.Missing {
		return ""
	}
	return r.decode(v.Raw)
}

// call calls a method of $util. For null it returns null.
func (util) call(r *run, s *step, args []any) any {
	if len(args) != 1 || args[0] == nil {
		return nil
	}
	text := r.text(args[0])
	// The longest result has six bytes for one byte: \u00E9.
	if r.halted() || !r.grow(6*len(text)) {
		return nil
	}
	switch s.name {
	case "escapeJavaScript":
		return escapeJavaScript(text)
	case "urlEncode":
		return urlEncode(text)
	case "base64Encode":
		return base64.StdEncoding.EncodeToString([]byte(text))
	case "urlDecode":
		if decoded, ok := urlDecode(text); ok {
			return decoded
		}
		r.fail(s.at, "$util.urlDecode: not two hexadecimal digits behind a %")
	case "base64Decode":
		decoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
		if err == nil {
			return strings.ToValidUTF8(string(decoded), "\uFFFD")
		}
		r.fail(s.at, "$util.base64Decode: not base64")
	case "parseJson":
		if jsonpath.Valid([]byte(text)) {
			return r.decode([]byte(text))
		}
		r.fail(s.at, "$util.parseJson: not valid JSON")
	}
	return nil
}

const upperHex = "0123456789ABCDEF"

// escapeJavaScript escapes as commons-lang 2.6 does. It also escapes the single quote, the
// slash and everything that is not ASCII.
func escapeJavaScript(s string) string {
	out := make([]byte, 0, len(s)+8)
	for _, r := range s {
		switch {
		case r == '\'' || r == '"' || r == '\\' || r == '/':
			out = append(out, '\\', byte(r))
		case strings.ContainsRune("\b\n\t\f\r", r):
			out = append(out, '\\', "btn-fr"[r-'\b'])
		case r < ' ' || r > 0x7f:
			for _, unit := range utf16.AppendRune(nil, r) {
				out = append(out, '\\', 'u', upperHex[unit>>12], upperHex[unit>>8&15], upperHex[unit>>4&15], upperHex[unit&15])
			}
		default:
			out = append(out, byte(r))
		}
	}
	return string(out)
}

// urlEncode encodes as java.net.URLEncoder does. url.QueryEscape differs in "*" and "~".
func urlEncode(s string) string {
	out := make([]byte, 0, len(s)+8)
	for i := range len(s) {
		switch c := s[i]; {
		case isLetter(c) || isDigit(c) || c == '.' || c == '*' || c == '_' || c == '-':
			out = append(out, c)
		case c == ' ':
			out = append(out, '+')
		default:
			out = append(out, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return string(out)
}

func urlDecode(s string) (decoded string, ok bool) {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '+':
			out = append(out, ' ')
		case '%':
			if i+2 >= len(s) || unhex(s[i+1]) > 15 || unhex(s[i+2]) > 15 {
				return "", false
			}
			out = append(out, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		default:
			out = append(out, s[i])
		}
	}
	return strings.ToValidUTF8(string(out), "\uFFFD"), true
}

// unhex returns the value of a hexadecimal digit, or 16.
func unhex(c byte) byte {
	switch {
	case isDigit(c):
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	default:
		return 16
	}
}
