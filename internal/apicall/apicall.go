// Package apicall reads what a call of @connections asks for: its path, its query, its
// conditions and the lines of its batch. It writes the answers, too. The gateway and its
// client share it, so that both mean the same by the same bytes.
//
// Everything that a caller has written is checked here as far as its form goes. What a name
// or a code may be is decided by package gateway.
package apicall

import (
	"fmt"
	"net/url"
	"strings"
)

// FieldError says which field of a call is wrong, and why. The caller sees its text. The log
// gets only Safe.
type FieldError struct {
	Field, Why string
	got        string // what the caller has written, or ""
}

// Error implements error. The form is that of the service: "Invalid connectionId: x".
func (e *FieldError) Error() string {
	if e.got != "" {
		return fmt.Sprintf("%s: %+.64q", e.Safe(), e.got)
	}
	return e.Safe()
}

// Safe returns the text without anything that the caller has written.
func (e *FieldError) Safe() string { return "Invalid " + e.Field + ": " + e.Why }

func invalid(field, format string, args ...any) *FieldError {
	return &FieldError{Field: field, Why: fmt.Sprintf(format, args...)}
}

func (e *FieldError) having(got string) *FieldError {
	e.got = got
	return e
}

// Kind is what a path names.
type Kind int

// The four kinds of paths. Only a Connection is a path of the service.
const (
	None       Kind = iota // no path of @connections
	Connection             // …/@connections/{connectionId}
	Collection             // …/@connections, or with a slash at the end
	Membership             // …/@connections/{connectionId}/groups/{group}
	State                  // …/@connections/{connectionId}/state
)

// Resource is what a path names.
type Resource struct {
	Kind         Kind
	ConnectionID string // empty for a Collection
	Group        string // of a Membership
}

const name = "@connections"

// Find returns what the segments of a path name, and how many of them stand before
// @connections. The segments are unescaped. A path of the service is one whatever stands
// before it: "/@connections/x/@connections/y" is the connection y.
func Find(segments []string) (before int, res Resource) {
	last := len(segments) - 1
	at := func(back int) string {
		if back > last {
			return ""
		}
		return segments[last-back]
	}
	switch {
	case at(1) == name && at(0) != "":
		return last - 1, Resource{Kind: Connection, ConnectionID: at(0)}
	case at(2) == name && at(1) != "" && at(0) == "state":
		return last - 2, Resource{Kind: State, ConnectionID: at(1)}
	case at(3) == name && at(2) != "" && at(1) == "groups" && at(0) != "":
		return last - 3, Resource{Kind: Membership, ConnectionID: at(2), Group: at(0)}
	case at(0) == name:
		return last, Resource{Kind: Collection}
	case at(1) == name: // http.ServeMux has redirected …/@connections
		return last - 1, Resource{Kind: Collection}
	}
	return 0, Resource{}
}

// mostSegments is how many segments Find looks at.
const mostSegments = 4

// ParsePath returns what an escaped path names. Only the last segments are unescaped, each
// on its own, so that an escaped slash is part of its segment.
func ParsePath(escaped string) Resource {
	segments := make([]string, 0, mostSegments)
	for range mostSegments {
		i := strings.LastIndexByte(escaped, '/')
		if i < 0 {
			break
		}
		text, err := url.PathUnescape(escaped[i+1:])
		if err != nil {
			break
		}
		segments, escaped = append(segments, text), escaped[:i]
	}
	for i, j := 0, len(segments)-1; i < j; i, j = i+1, j-1 {
		segments[i], segments[j] = segments[j], segments[i]
	}
	_, res := Find(segments)
	return res
}

// Path returns the escaped path of a resource, from /@connections on. "=" is escaped, too,
// as by the clients of AWS.
func (r Resource) Path() string {
	id := "/" + name + "/" + Escape(r.ConnectionID)
	switch r.Kind {
	case Collection:
		return "/" + name
	case Membership:
		return id + "/groups/" + Escape(r.Group)
	case State:
		return id + "/state"
	default:
		return id
	}
}

// Check returns what is wrong with names that cannot be segments of a path: servers and
// proxies take "." and ".." for steps in it, and an empty segment for none.
func (r Resource) Check() *FieldError {
	switch {
	case r.Kind != Collection && isStep(r.ConnectionID):
		return invalid("connectionId", `it is empty, . or ..`)
	case r.Kind == Membership && isStep(r.Group):
		return invalid("group", `the name is empty, . or ..: use another name`)
	}
	return nil
}

func isStep(segment string) bool { return segment == "" || segment == "." || segment == ".." }

// Escape escapes everything but letters, digits, "-", "_", "." and "~".
func Escape(segment string) string { return strings.ReplaceAll(url.QueryEscape(segment), "+", "%20") }
