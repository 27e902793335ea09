package definition

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"sort"
	"strconv"
)

// jsonReader makes nodes of JSON, with lines.
type jsonReader struct {
	file    string
	decoder *json.Decoder
	newline []int // offsets of the line breaks
	values  int   // that were read
}

// readJSON reads the only value of a JSON file.
func readJSON(file string, content []byte) (*node, *problem) {
	r := &jsonReader{file: file, decoder: json.NewDecoder(bytes.NewReader(content))}
	r.decoder.UseNumber()
	for i, b := range content {
		if b == '\n' {
			r.newline = append(r.newline, i)
		}
	}
	n, p := r.read(0)
	if p != nil {
		return nil, p
	}
	if _, err := r.decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, problemAt(r.at(), "this is not JSON: %s", describe(errTrailing))
	}
	if n.size > maxSize {
		return nil, problemAt(position{file, 1}, "the file is too large: it may have about %d values", maxSize)
	}
	return n, nil
}

// at returns the place of the token that was read last.
func (r *jsonReader) at() position {
	offset := int(r.decoder.InputOffset()) - 1
	return position{r.file, 1 + sort.SearchInts(r.newline, offset)}
}

func (r *jsonReader) token() (json.Token, *problem) {
	t, err := r.decoder.Token()
	if err == nil {
		return t, nil
	}
	at := r.at()
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		at.line = 1 + sort.SearchInts(r.newline, int(syntax.Offset)-1)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, problemAt(at, "this is not JSON: it ends too early")
	}
	return nil, problemAt(at, "this is not JSON: %s", describe(err))
}

func (r *jsonReader) read(depth int) (*node, *problem) {
	t, p := r.token()
	if p != nil {
		return nil, p
	}
	at := r.at()
	if depth > maxDepth {
		return nil, tooDeep(at)
	}
	if r.values++; r.values > maxSize {
		return nil, problemAt(at, "the file is too large: it may have about %d values", maxSize)
	}
	switch t := t.(type) {
	case json.Delim:
		if t == '{' {
			return r.readMap(at, depth)
		}
		return r.readList(at, depth)
	case string:
		return textNode(at, t), nil
	case json.Number:
		return &node{kind: numberKind, text: t.String(), at: at, size: 1}, nil
	case bool:
		return &node{kind: boolKind, text: strconv.FormatBool(t), at: at, size: 1}, nil
	default:
		return &node{kind: nullKind, at: at, size: 1}, nil
	}
}

func (r *jsonReader) readList(at position, depth int) (*node, *problem) {
	list := &node{kind: listKind, at: at}
	for r.decoder.More() {
		item, p := r.read(depth + 1)
		if p != nil {
			return nil, p
		}
		list.items = append(list.items, item)
	}
	_, p := r.token()
	list.weigh()
	return list, p
}

func (r *jsonReader) readMap(at position, depth int) (*node, *problem) {
	m := &node{kind: mapKind, at: at}
	seen := map[string]bool{}
	for r.decoder.More() {
		t, p := r.token()
		if p != nil {
			return nil, p
		}
		key, keyAt := t.(string), r.at()
		if seen[key] {
			return nil, problemAt(keyAt, "the key %q is here twice: remove one", key)
		}
		seen[key] = true
		value, p := r.read(depth + 1)
		if p != nil {
			return nil, p
		}
		m.keys, m.keyAt, m.items = append(m.keys, key), append(m.keyAt, keyAt), append(m.items, value)
	}
	_, p := r.token()
	m.weigh()
	return m, p
}
