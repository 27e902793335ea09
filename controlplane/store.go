package controlplane

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Store keeps the documents of a [Server]. Keys are the resource paths of the REST API
// without "/v2/", such as "apis/a1b2c3d4e5/routes/1122334", and values are JSON. A Store
// is safe for concurrent use: one Update runs at a time, and a View sees the state before
// or after an Update, never a part of it.
type Store interface {
	// View calls f with the present state. f must not keep the Reader.
	View(f func(Reader) error) error
	// Update calls f and commits what f has written when f returns nil: all of it, or
	// nothing. The change is durable when Update returns nil. The error is f's or the
	// store's own.
	Update(f func(Writer) error) error
	// Close releases what the store holds. The Server does not call it.
	Close() error
}

// Reader sees one state of a [Store].
type Reader interface {
	// Get returns the value of key, or nil if there is none. The caller does not change
	// the value, and keeps it no longer than the call of View or Update.
	Get(key string) ([]byte, error)
	// List returns up to limit keys and their values. The keys start with prefix, come
	// after the key "after" in the order of bytes, and are in that order. A limit of 0
	// or less means no limit. The values are as those of Get.
	List(prefix, after string, limit int) (keys []string, values [][]byte, err error)
}

// Writer changes the state of one Update of a [Store]. Its methods as a [Reader] see what
// it has written.
type Writer interface {
	Reader
	// Put sets the value of a key. The store copies value. It is an error if one of them is
	// empty.
	Put(key string, value []byte) error
	// Delete removes the key prefix and everything below it: the keys that start with
	// prefix and a slash. "apis/a/stages/prod" does not name "apis/a/stages/prod2". A
	// prefix that ends in a slash removes only what is below. It is no error if there is
	// nothing to remove. An empty prefix, which would remove everything, is an error.
	Delete(prefix string) error
}

// document is a resource as its JSON object. Numbers are json.Number. A member that is not
// there is absent, and never null.
type document = map[string]any

// errNoDocument is the error of readDocument for a key without a value.
var errNoDocument = errors.New("controlplane: no such document")

// readDocument returns the document at key, or errNoDocument.
func readDocument(r Reader, key string) (document, error) {
	value, err := r.Get(key)
	if err != nil {
		return nil, fmt.Errorf("controlplane: reading %s: %w", key, err)
	}
	if value == nil {
		return nil, errNoDocument
	}
	return decodeDocument(key, value)
}

func decodeDocument(key string, value []byte) (document, error) {
	decoder := json.NewDecoder(bytes.NewReader(value))
	decoder.UseNumber()
	var d document
	if err := decoder.Decode(&d); err != nil {
		return nil, fmt.Errorf("controlplane: the store holds no JSON object at %s: %w", key, err)
	}
	return d, nil
}

// writeDocument stores a value as JSON.
func writeDocument(w Writer, key string, value any) error {
	text, err := encodeJSON(value)
	if err != nil {
		return err
	}
	if err := w.Put(key, text); err != nil {
		return fmt.Errorf("controlplane: writing %s: %w", key, err)
	}
	return nil
}

// encodeJSON is json.Marshal which leaves "<", ">" and "&" as they are, so that
// expressions and templates stay readable.
func encodeJSON(value any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, fmt.Errorf("controlplane: encoding a document: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// entry is a document and its key.
type entry struct {
	key string
	doc document
}

// id is the last segment of the key.
func (e *entry) id() string { return e.key[strings.LastIndexByte(e.key, '/')+1:] }

// listDocuments returns the documents of a collection, such as "apis/a1b2c3d4e5/routes",
// whose ID comes after the ID "after", in the order of their IDs, and nothing of what is
// below them. A limit of 0 means no limit.
func listDocuments(r Reader, collection, after string, limit int) (entries []entry, err error) {
	err = eachValue(r, collection, after, func(key string, value []byte) (more bool, err error) {
		d, err := decodeDocument(key, value)
		entries = append(entries, entry{key, d})
		return len(entries) != limit, err
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// findDocuments returns the documents of a collection whose member is a text with this
// value.
func findDocuments(r Reader, collection, member, value string) (entries []entry, err error) {
	text, err := encodeJSON(document{member: value})
	if err != nil {
		return nil, err
	}
	part := text[1 : len(text)-1] // as it stands in a document that writeDocument has stored
	err = eachValue(r, collection, "", func(key string, stored []byte) (bool, error) {
		if !bytes.Contains(stored, part) {
			return true, nil
		}
		d, err := decodeDocument(key, stored)
		if err == nil && textOf(d, member) == value {
			entries = append(entries, entry{key, d})
		}
		return true, err
	})
	return entries, err
}

// eachValue calls f with the key and the value of each document of a collection, until f
// returns false or an error.
func eachValue(r Reader, collection, after string, f func(key string, value []byte) (more bool, err error)) error {
	const most = 128
	prefix, batch := collection+"/", 2 // a document and what is below it, perhaps; more if nothing is below
	for position := prefix + after; ; {
		keys, values, err := r.List(prefix, position, batch)
		if err != nil {
			return fmt.Errorf("controlplane: listing %s: %w", collection, err)
		}
		full := len(keys) == batch
		for n, key := range keys {
			position = key
			if id, _, below := strings.Cut(key[len(prefix):], "/"); below {
				// Jump over everything below this document.
				position, full, batch = prefix+id+"/\xff", true, 1
				break
			}
			if more, err := f(key, values[n]); err != nil || !more {
				return err
			}
		}
		if !full {
			return nil
		}
		batch = min(2*batch, most)
	}
}
