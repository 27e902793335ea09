package vtl

import (
	"bytes"
	"encoding/json"
	"strconv"

	"example.com/gateway/internal/jsonpath"
)

// decoder makes values from a valid JSON text.
type decoder struct {
	r     *run
	text  []byte
	pos   int
	depth int
}

// decode returns the value of text, which must be valid.
func (r *run) decode(text []byte) any {
	r.scan(8 * len(text))
	if r.halted() {
		return nil
	}
	d := decoder{r: r, text: text}
	return d.value()
}

func (d *decoder) space() {
	for d.pos < len(d.text) && isSpace(d.text[d.pos]) {
		d.pos++
	}
}

// take skips white space, and then c if it is next.
func (d *decoder) take(c byte) bool {
	d.space()
	if d.pos == len(d.text) || d.text[d.pos] != c {
		return false
	}
	d.pos++
	return true
}

func (d *decoder) value() any {
	d.space()
	if d.depth++; d.depth > maxValueDepth {
		d.r.fail(0, "the JSON is nested too deeply")
	}
	defer func() { d.depth-- }()
	if d.r.halted() || d.pos == len(d.text) || !d.r.grow(itemBytes) {
		return nil
	}
	switch d.text[d.pos] {
	case '{':
		return d.object()
	case '[':
		return d.list()
	case '"':
		return d.str()
	default:
		return d.scalar()
	}
}

func (d *decoder) object() any {
	o := &object{}
	for d.pos++; !d.take('}') && !d.r.halted(); d.take(',') {
		d.space()
		if d.pos == len(d.text) {
			break
		}
		key := d.str()
		d.take(':')
		o.set(key, d.value())
	}
	return o
}

func (d *decoder) list() any {
	l := &list{}
	for d.pos++; !d.take(']') && d.pos < len(d.text) && !d.r.halted(); d.take(',') {
		l.items = append(l.items, d.value())
	}
	return l
}

func (d *decoder) str() string {
	start := d.pos
	escaped := false
	for d.pos++; d.pos < len(d.text) && d.text[d.pos] != '"'; d.pos++ {
		if d.text[d.pos] == '\\' {
			escaped = true
			d.pos++
		}
	}
	d.pos = min(d.pos+1, len(d.text))
	raw := d.text[start:d.pos]
	if !d.r.grow(len(raw)) {
		return ""
	}
	if escaped {
		return string(jsonpath.Value{Kind: jsonpath.String, Raw: raw}.AppendString(nil))
	}
	return string(raw[1 : len(raw)-1])
}

func (d *decoder) scalar() any {
	start := d.pos
	for d.pos < len(d.text) && !isSpace(d.text[d.pos]) && bytes.IndexByte([]byte(",]}"), d.text[d.pos]) < 0 {
		d.pos++
	}
	switch text := string(d.text[start:d.pos]); text {
	case "null":
		return nil
	case "true", "false":
		return text == "true"
	default:
		return number(text)
	}
}

// number returns the value of a JSON number.
func number(text string) any {
	if bytes.ContainsAny([]byte(text), ".eE") {
		f, _ := strconv.ParseFloat(text, 64) // out of range is infinite, as in Java
		return f
	}
	return integer(text)
}

// compact returns a valid JSON text without the white space between its tokens.
func compact(text []byte) string {
	var buf bytes.Buffer
	if err := json.Compact(&buf, text); err != nil {
		return string(text)
	}
	return buf.String()
}
