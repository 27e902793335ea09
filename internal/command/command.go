// Package command reads the commands that an integration's answer has in its headers, and
// writes the headers that tell a backend of state and groups. It knows the form of both,
// and nothing of connections.
package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"example.com/gateway/internal/clip"
	"example.com/gateway/internal/nearest"
)

// prefix begins the names of the headers of commands, whatever the case of its letters.
const prefix = "Gateway-"

// The commands, and what tells a backend of the connection.
const (
	Join    = prefix + "Join"
	Leave   = prefix + "Leave"
	State   = prefix + "State" // in requests, too
	Post    = prefix + "Post"
	Close   = prefix + "Close"
	Groups  = prefix + "Groups"  // in requests only
	OfGroup = prefix + "Group"   // likewise: the group of a JOIN or LEAVE
	Omitted = prefix + "Omitted" // likewise: which of Principal, State and Groups are too long for a header

	Principal = prefix + "Principal" // likewise: who the client is
)

// Commands is what the headers of an answer ask for. The names are decoded, and not checked
// any further.
type Commands struct {
	Join, Leave []string
	State       []byte // the new one; nil: it stays
	Post        []Target
	Close       *Closing
}

// Target says who gets the body of the answer.
type Target struct {
	Kind   string // one of the constants
	Name   string // of a connection, a group or a user
	Except []string
}

// The kinds of targets. Self is also a value of Except.
const (
	Self       = "self" // the connection that the answer is for
	Connection = "connection"
	Group      = "group"
	User       = "user"
	Everyone   = "everyone"
)

// Closing says how the connection ends.
type Closing struct {
	Code   int
	Reason string
}

// maxNames is the largest number of names in the headers of one kind.
const maxNames = 1000

// Named reports whether the header of this name belongs to commands.
func Named(name string) bool {
	return len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
}

// has reports whether an answer has one, or what may be one.
func has(header map[string][]string) bool {
	for name, values := range header {
		if Named(name) && len(values) > 0 {
			return true
		}
	}
	return false
}

// In returns one of the commands of an answer, and whether there is any.
func In(header map[string][]string) (name string, ok bool) {
	if !has(header) {
		return "", false
	}
	for _, known := range commands() {
		for name, values := range header {
			if len(values) > 0 && strings.EqualFold(name, known) {
				return known, true
			}
		}
	}
	return "", false
}

// Parse reads the commands of an answer. It returns nil if there are none. Two spellings of
// a name are one header with the values of both, as in HTTP. The error says which header is
// wrong and how to write it. It does not repeat the state.
func Parse(header map[string][]string) (*Commands, error) {
	if !has(header) {
		return nil, nil
	}
	found := new(Commands)
	asked := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(header)) { // sorted, so that one answer has one meaning
		if Named(name) && len(header[name]) > 0 {
			command := canonical(name)
			asked[command] = append(asked[command], header[name]...)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		if err := found.read(name, asked[name]); err != nil {
			return nil, err
		}
	}
	for _, group := range found.Leave {
		if slices.Contains(found.Join, group) {
			return nil, fmt.Errorf("%s and %s both have the group %s: name it in one of them", Join, Leave, quoted(group))
		}
	}
	return found, nil
}

// canonical returns the name of a command in its one spelling, and any other name as it is.
func canonical(name string) string {
	for _, known := range commands() {
		if strings.EqualFold(name, known) {
			return known
		}
	}
	return name
}

func commands() []string { return []string{Join, Leave, State, Post, Close} }

// read reads the values of one header.
func (c *Commands) read(name string, values []string) (err error) {
	switch name {
	case Join:
		c.Join, err = names(values)
	case Leave:
		c.Leave, err = names(values)
	case State:
		c.State, err = single(values, decodeState)
	case Post:
		c.Post, err = targets(values)
	case Close:
		c.Close, err = single(values, closing)
	default:
		return unknown(name)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func unknown(name string) error {
	switch {
	case strings.EqualFold(name, Groups), strings.EqualFold(name, OfGroup):
		return fmt.Errorf("%s is not a command: change the groups with %s and %s", name, Join, Leave)
	case strings.EqualFold(name, Omitted), strings.EqualFold(name, Principal):
		return fmt.Errorf("%s is not a command: the gateway writes it into requests", name)
	}
	all := strings.Join(commands(), ", ")
	near := nearest.To(name[len(prefix):], strings.Split(strings.ReplaceAll(all, prefix, ""), ", "))
	if near != "" {
		near = prefix + near
	}
	return fmt.Errorf("%s is not a command, there are %s%s", quoted(name), all, nearest.Question(near))
}

// single reads a header that may be there only once.
func single[T any](values []string, read func(string) (T, error)) (none T, err error) {
	if len(values) > 1 {
		return none, fmt.Errorf("the answer has %d of it: write one", len(values))
	}
	return read(values[0])
}

// names reads a list of names.
func names(values []string) (list []string, err error) {
	err = elements(values, func(element string) error {
		name, err := decodeName(element)
		if err == nil && !slices.Contains(list, name) {
			list = append(list, name)
		}
		return err
	})
	return list, err
}

// elements calls read for each element of a list, without those that are empty. (RFC 9110,
// section 5.6.1.)
func elements(values []string, read func(element string) error) error {
	n := 0
	for _, value := range values {
		for element := range strings.SplitSeq(value, ",") {
			if element = trim(element); element == "" {
				continue
			}
			if n++; n > maxNames {
				return fmt.Errorf("it has more than %d elements: make several calls instead", maxNames)
			}
			if err := read(element); err != nil {
				return err
			}
		}
	}
	return nil
}

var errNobody = errors.New(`it names nobody: write self, everyone, or group, user or connection with a name, as in "group room-1; except=self"`)

// targets reads who gets the body.
func targets(values []string) (list []Target, err error) {
	err = elements(values, func(element string) error {
		t, err := target(element)
		if err != nil {
			return fmt.Errorf("%s: %w", quoted(element), err)
		}
		list = append(list, t)
		return nil
	})
	if err == nil && len(list) == 0 {
		err = errNobody
	}
	return list, err
}

// target reads one of them:
//
//	target = ( "self" / "everyone" / kind 1*blank name ) *( ";" "except=" ( "self" / id ) )
//	kind   = "connection" / "group" / "user"
func target(text string) (t Target, err error) {
	first, rest, more := strings.Cut(text, ";")
	t.Kind, t.Name, _ = strings.Cut(trim(first), " ")
	t.Name = trim(t.Name)
	switch t.Kind {
	case Self, Everyone:
		if t.Name != "" {
			return t, fmt.Errorf("nothing comes behind %q but ; and except", t.Kind)
		}
	case Connection, Group, User:
		if t.Name == "" {
			return t, fmt.Errorf("write a name behind %q", t.Kind)
		}
		if t.Name, err = decodeName(t.Name); err != nil {
			return t, err
		}
	default:
		return t, fmt.Errorf("begin with self, connection, group, user or everyone%s", nearest.Question(nearest.To(t.Kind, []string{Self, Connection, Group, User, Everyone})))
	}
	if !more {
		return t, nil
	}
	for parameter := range strings.SplitSeq(rest, ";") {
		name, id, _ := strings.Cut(trim(parameter), "=")
		if !strings.EqualFold(trim(name), "except") {
			return t, errors.New(`only except may come behind ";", as in "; except=self"`)
		}
		if id, err = decodeName(trim(id)); err != nil {
			return t, err
		}
		if len(t.Except) == maxNames {
			return t, fmt.Errorf("it has more than %d exceptions", maxNames)
		}
		t.Except = append(t.Except, id)
	}
	return t, nil
}

// closing reads a close code, and the reason behind it.
func closing(text string) (*Closing, error) {
	digits, reason, _ := strings.Cut(trim(text), " ")
	code, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || len(digits) != 4 {
		return nil, fmt.Errorf(`%s: begin with a close code of four digits, as in "4001 logged out"`, quoted(text))
	}
	decoded, err := decode(trim(reason))
	if err != nil {
		return nil, err
	}
	return &Closing{int(code), decoded}, nil
}

var errName = errors.New(`a name has a blank, a quote, ";" or a control character: write %20 for a blank, %22 for a quote, %3B for ";", and %2C for ","`)

// decodeName reads a name: of a group, a user or a connection.
func decodeName(text string) (string, error) {
	if text == "" {
		return "", errors.New("a name is empty")
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == '"' || r == ';' || r == 0x7f }) {
		return "", errName
	}
	return decode(text)
}

// decodeState reads a state: JSON stands for itself, any other text is percent-encoded. The
// empty state is not nil.
func decodeState(text string) ([]byte, error) {
	text = trim(text)
	if !utf8.ValidString(text) {
		return nil, errUTF8
	}
	if json.Valid([]byte(text)) {
		return []byte(text), nil
	}
	decoded, err := decode(text)
	if err != nil {
		return nil, err
	}
	return []byte(decoded), nil
}

var (
	errUTF8   = errors.New(`it is not valid UTF-8: many servers write ISO 8859-1 into headers, so write other characters than ASCII as UTF-8 in percent-encoding, or as \u… in JSON`)
	errEscape = errors.New(`a "%" has to be followed by two hexadecimal digits: write %25 for the character itself`)
)

// decode reads a percent-encoded text.
func decode(text string) (string, error) {
	var b strings.Builder
	for n := 0; n < len(text); n++ {
		c := text[n]
		if c == '%' {
			if len(text)-n < 3 {
				return "", errEscape
			}
			v, err := strconv.ParseUint(text[n+1:n+3], 16, 8)
			if err != nil {
				return "", errEscape
			}
			c = byte(v)
			n += 2
		}
		b.WriteByte(c)
	}
	if !utf8.ValidString(b.String()) {
		return "", errUTF8
	}
	return b.String(), nil
}

// trim cuts off the blanks around a text, as of a header. (RFC 9110, section 5.6.3.)
func trim(text string) string { return strings.Trim(text, " \t") }

// quoted shortens what a backend has written, for an error.
func quoted(text string) string { return strconv.Quote(clip.To(text, 128)) }
