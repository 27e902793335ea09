package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Members returns the members of a JSON object. A name that occurs twice is an error,
// because other readers of the object may use the other value.
func Members(raw []byte) (map[string]json.RawMessage, error) {
	errNoObject := errors.New("it is no object")
	d := json.NewDecoder(bytes.NewReader(raw))
	if begin, err := d.Token(); err != nil || begin != json.Delim('{') {
		return nil, errNoObject
	}
	members := map[string]json.RawMessage{}
	for d.More() {
		token, err := d.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return nil, errNoObject
		}
		if _, twice := members[name]; twice {
			return nil, fmt.Errorf("%.64q comes twice", name)
		}
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return nil, errNoObject
		}
		members[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, errNoObject
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errNoObject // there is text after the object
	}
	return members, nil
}

// known returns the members of an object. A member that is not in names is an error, and
// so is null, as in the service.
func known(raw []byte, names ...string) (map[string]json.RawMessage, error) {
	members, err := Members(raw)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if value, ok := members[name]; ok && string(value) == "null" {
			return nil, fmt.Errorf("%s is null: leave it out", name)
		}
	}
	for name := range members {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("%.64q is not one of %q", name, names)
		}
	}
	return members, nil
}
