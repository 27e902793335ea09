package apicall

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"mime"
	"net/url"
	"strconv"
	"unicode/utf8"
)

// The bounds of a batch.
const (
	// BatchBytes is how large the body of a batch is at most.
	BatchBytes = 1 << 20
	// BatchLines is how many lines it has at most.
	BatchLines = 10_000
	// BatchErrors is how many connections its answer tells the errors of, beside one for each
	// line. Without a bound the answer could have many times the bytes of the batch.
	BatchErrors = 1_000
)

// BatchType is the content type of a batch, and of its answer.
const BatchType = "application/x-ndjson"

// IsBatch reports whether a content type is that of a batch. Its parameters do not matter.
func IsBatch(contentType string) bool {
	t, _, err := mime.ParseMediaType(contentType)
	return (err == nil || errors.Is(err, mime.ErrInvalidMediaParameter)) && t == BatchType
}

// Lines yields the lines of a batch with their numbers, which begin with 1. Lines that have
// only white space are counted, but not yielded.
func Lines(body []byte) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		number := 0
		for line := range bytes.Lines(body) {
			number++
			if line = bytes.TrimSpace(line); len(line) > 0 && !yield(number, line) {
				return
			}
		}
	}
}

// CountLines returns how many lines [Lines] yields, or one more than BatchLines if there are
// more than that.
func CountLines(body []byte) int {
	n := 0
	for range Lines(body) {
		if n++; n > BatchLines {
			break
		}
	}
	return n
}

// Message is a line of a batch: {"to":{"group":"a","except":["…"]},"data":"…"}. With
// "binary":true it is a binary message, and data is its base64.
type Message struct {
	To     Audience
	Data   []byte
	Binary bool
}

// ParseMessage reads a line of a batch. Members that are unknown, missing or given twice
// are errors, and so is a member whose name has another case.
func ParseMessage(line []byte) (m Message, bad *FieldError) {
	if !utf8.Valid(line) {
		return m, invalid("line", "it is not valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(line))
	var hasTo, hasData bool
	bad = members(d, "", func(name string) *FieldError {
		switch name {
		case "to":
			hasTo = true
			return m.To.read(d)
		case "data":
			hasData = true
			text, bad := text(d, name)
			m.Data = []byte(text)
			return bad
		case "binary":
			m.Binary = true
			return isTrue(d, name)
		}
		return invalid("line", "it has the members to, data and binary, and not").having(name)
	})
	if bad != nil {
		return m, bad
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return m, invalid("line", "there is something behind the object")
	}
	switch {
	case !hasTo:
		return m, invalid("to", `it is missing: write "to":{"id":"…"}, or another audience`)
	case !hasData:
		return m, invalid("data", "it is missing")
	}
	if bad = m.To.check("to.", false); bad == nil && m.Binary {
		n, err := base64.StdEncoding.Strict().Decode(m.Data, m.Data)
		if m.Data = m.Data[:n]; err != nil {
			bad = invalid("data", "it is not base64, as a binary message needs it")
		}
	}
	return m, bad
}

// AppendMessage appends a line of a batch, with its line feed. The audience is given by the
// parameters that a query has for it, which must name one. Bytes of a text
// that are not valid UTF-8 become U+FFFD.
func AppendMessage(dst []byte, to url.Values, data []byte, binary bool) []byte {
	text := string(data)
	if binary {
		text = base64.StdEncoding.EncodeToString(data)
	}
	b, _ := json.Marshal(struct { // strings only: cannot fail
		To     any    `json:"to"`
		Data   string `json:"data"`
		Binary bool   `json:"binary,omitempty"`
	}{struct {
		ID     []string `json:"id,omitempty"`
		Group  *string  `json:"group,omitempty"`
		User   *string  `json:"user,omitempty"`
		All    bool     `json:"all,omitempty"`
		None   bool     `json:"none,omitempty"`
		Except []string `json:"except,omitempty"`
	}{to["id"], first(to["group"]), first(to["user"]), to.Has("all"), to.Has("none"), to["except"]}, text, binary})
	return append(append(dst, b...), '\n')
}

func first(values []string) *string {
	if len(values) == 0 {
		return nil
	}
	return &values[0]
}

// AppendOutcome appends a line of the answer to a batch, with its line feed.
func AppendOutcome(dst []byte, o *Outcome) []byte {
	if d := o.Delivery; d != nil && o.Error == nil && len(d.Errors) == 0 && len(d.Missing) == 0 { // almost always
		dst = append(dst, `{"line":`...)
		dst = strconv.AppendInt(dst, int64(o.Line), 10)
		dst = append(dst, `,"accepted":`...)
		dst = strconv.AppendInt(dst, int64(d.Accepted), 10)
		dst = append(dst, `,"refused":`...)
		dst = strconv.AppendInt(dst, int64(d.Refused), 10)
		dst = append(dst, `,"gone":`...)
		dst = strconv.AppendInt(dst, int64(d.Gone), 10)
		return append(dst, `,"errors":{},"missing":[]}`+"\n"...)
	}
	b, _ := json.Marshal(o) // strings and numbers: cannot fail
	return append(append(dst, b...), '\n')
}

// read reads the object that names an audience.
func (a *Audience) read(d *json.Decoder) *FieldError {
	return members(d, "to.", func(name string) (bad *FieldError) {
		field := "to." + name
		switch name {
		case "id":
			a.IDs, bad = texts(d, field)
		case "except":
			a.Except, bad = texts(d, field)
		case "group":
			a.Group = new(string)
			*a.Group, bad = text(d, field)
		case "user":
			a.User = new(string)
			*a.User, bad = text(d, field)
		case "all":
			a.All = true
			bad = isTrue(d, field)
		case "none":
			a.None = true
			bad = isTrue(d, field)
		default:
			bad = invalid("to", "an audience has the members id, group, user, all, none and except, and not").having(name)
		}
		return bad
	})
}

// members reads an object. It calls each for the value of each member.
func members(d *json.Decoder, prefix string, each func(name string) *FieldError) *FieldError {
	field := "line"
	if prefix != "" {
		field = prefix[:len(prefix)-1]
	}
	t, bad := token(d, field)
	if bad != nil {
		return bad
	}
	if t != json.Delim('{') {
		return invalid(field, "it is not a JSON object")
	}
	seen := map[string]bool{}
	for d.More() {
		t, bad := token(d, field)
		if bad != nil {
			return bad
		}
		name, _ := t.(string) // of an object: always a string
		if seen[name] {
			return invalid(field, "a member is given twice").having(name)
		}
		seen[name] = true
		if bad := each(name); bad != nil {
			return bad
		}
	}
	_, bad = token(d, field) // the closing brace
	return bad
}

func token(d *json.Decoder, field string) (json.Token, *FieldError) {
	t, err := d.Token()
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return nil, invalid(field, "the line ends too early: each line is one whole JSON object")
	case err != nil:
		return nil, invalid(field, "%v", err)
	}
	return t, nil
}

// isTrue reads the value true.
func isTrue(d *json.Decoder, field string) *FieldError {
	t, bad := token(d, field)
	if bad == nil && t != true {
		bad = invalid(field, "it is not true: write true, or leave it out")
	}
	return bad
}

func text(d *json.Decoder, field string) (string, *FieldError) {
	t, bad := token(d, field)
	if bad != nil {
		return "", bad
	}
	s, ok := t.(string)
	if !ok {
		return "", invalid(field, "it is not a string")
	}
	return s, nil
}

// texts reads a string, or an array of strings.
func texts(d *json.Decoder, field string) ([]string, *FieldError) {
	t, bad := token(d, field)
	if bad != nil {
		return nil, bad
	}
	if s, ok := t.(string); ok {
		return []string{s}, nil
	}
	if t != json.Delim('[') {
		return nil, invalid(field, "it is neither a string nor an array of strings")
	}
	all := []string{}
	for d.More() {
		s, bad := text(d, field)
		if bad != nil {
			return nil, bad
		}
		if all = append(all, s); len(all) > MostIDs {
			return nil, invalid(field, "there are more than %d", MostIDs)
		}
	}
	_, bad = token(d, field) // the closing bracket
	if bad == nil && len(all) == 0 {
		bad = invalid(field, "it is empty")
	}
	return all, bad
}
