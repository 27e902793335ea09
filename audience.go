package gateway

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"unicode"
	"unicode/utf8"

	"example.com/gateway/internal/apicall"
	"example.com/gateway/internal/connid"
)

// This file has what a call on many connections is about, and what it returns. The calls
// are in management.go, and who is meant is found in place.go.

// Audience names connections: some by their IDs, those of a group or a user, or all. It is
// a value without any connection in it: each call finds out who belongs to it at that
// moment. So an Audience can be made once and used often. It is safe for concurrent use.
// Its zero value is nobody. The service has no such thing.
//
//	gateway.Connections(id)           // one connection
//	gateway.Group("room-1").Except(id) // the others in the room
//	gateway.User("ann")               // every device of a user
//	gateway.Everyone()
//
// A user is known by its principal ID. It is the same everywhere: Authorization.PrincipalID
// of the [Authorizer], Connection.PrincipalID, principalId in events, and the parameter user
// of a call over HTTP.
type Audience struct {
	kind   audienceKind
	name   string   // of the group or the user
	ids    []string // of the connections
	except []string
	parts  []Audience // of several; without more of them inside
}

type audienceKind uint8

const (
	ofNobody audienceKind = iota
	ofConnections
	ofGroup
	ofUser
	ofEveryone
	ofSeveral
)

// Connections is the audience of the connections with these IDs. (The method
// [Gateway.Connections] is another thing: it walks over all connections.) An ID that is named
// twice counts once. IDs of connections that are not open count as Delivery.Gone.
func Connections(ids ...string) Audience {
	return Audience{kind: ofConnections, ids: slices.Clone(ids)}
}

// Group is the audience of the members of a group: see [Gateway.Join]. A group without
// members is an audience of nobody, not an error.
func Group(name string) Audience { return Audience{kind: ofGroup, name: name} }

// User is the audience of the connections of one user: those whose Connection.PrincipalID,
// which the [Authorizer] has set, is principalID. Connections without a principal belong to
// no user. The first call on a User looks at all connections and makes an index of them,
// which costs each connection with a principal about 180 bytes from then on.
func User(principalID string) Audience { return Audience{kind: ofUser, name: principalID} }

// Everyone is the audience of all open connections of a gateway.
func Everyone() Audience { return Audience{kind: ofEveryone} }

// several is the audience of all that are in one of the parts. Each of them counts once.
func several(parts []Audience) Audience { return Audience{kind: ofSeveral, parts: parts} }

// Except returns the audience without the connections with these IDs. It does not change
// a, and copies all of its exceptions: name many IDs in one call, and not each in its own.
func (a Audience) Except(ids ...string) Audience {
	a.except = slices.Concat(a.except, ids)
	return a
}

// Query returns the audience as parameters of a URL: id for each connection, or group, or
// user, or all=true; and except for each exception. Nobody has no parameters.
func (a Audience) Query() url.Values {
	q := url.Values{}
	switch a.kind {
	case ofNobody, ofSeveral: // no caller from outside has several
		return q
	case ofConnections:
		q["id"] = slices.Clone(a.ids)
	case ofGroup:
		q.Set("group", a.name)
	case ofUser:
		q.Set("user", a.name)
	case ofEveryone:
		q.Set("all", "true")
	}
	if len(a.except) > 0 {
		q["except"] = slices.Clone(a.except)
	}
	return q
}

// check returns what is wrong with the audience.
func (a *Audience) check() error {
	switch {
	case a.kind == ofGroup:
		return checkGroup(a.name)
	case a.kind == ofUser && a.name == "":
		return fmt.Errorf("%w: user: the principal ID is empty: name the user, or use Everyone for all connections", ErrInvalidArgument)
	}
	for n := range a.parts {
		if err := a.parts[n].check(); err != nil {
			return err
		}
	}
	return nil
}

// maxGroupName is the largest length of the name of a group, in bytes.
const maxGroupName = 128

// checkGroup returns what is wrong with the name of a group. It does not repeat the name,
// which may have come from a client.
func checkGroup(name string) error {
	what := ""
	switch {
	case name == "." || name == "..":
		return fmt.Errorf("%w: group: the name is . or .., which servers and proxies take out of the path of a URL: use another name", ErrInvalidArgument)
	case name == "":
		what = "the name is empty"
	case len(name) > maxGroupName:
		what = fmt.Sprintf("the name has %d bytes", len(name))
	case !utf8.ValidString(name):
		what = "the name is not valid UTF-8"
	case slices.ContainsFunc([]rune(name), unicode.IsControl):
		what = "the name has a control character"
	default:
		return nil
	}
	return fmt.Errorf("%w: group: %s: use 1 to %d bytes of UTF-8 without control characters", ErrInvalidArgument, what, maxGroupName)
}

// Delivery says what became of a message or a close. Accepted, Refused and Gone together
// are the recipients.
type Delivery struct {
	// Accepted is the number of connections that have accepted it, as a nil error of
	// PostToConnection or DeleteConnection says.
	Accepted int
	// Refused is the number of connections that are open and have not accepted it, because
	// the client reads too slowly, or because the context of the call has ended.
	Refused int
	// Gone is the number of connections that are not open: those that were named by an ID,
	// and those that have closed during the call.
	Gone int
	// Errors has the errors by connection ID, of at most 100 of those that have not
	// accepted it. It is nil if all have.
	Errors map[string]error
	// Missing lists the nodes that did not answer in time: what became of their part is
	// not known. On a single node it is nil.
	Missing []string
}

// add counts one recipient.
func (d *Delivery) add(connectionID string, err error) {
	switch {
	case err == nil:
		d.Accepted++
		return
	case errors.Is(err, ErrGone):
		d.Gone++
	default:
		d.Refused++
	}
	if d.Errors == nil {
		d.Errors = map[string]error{}
	}
	if len(d.Errors) < apicall.MostErrors {
		d.Errors[connectionID] = err
	}
}

// PostOption changes a [Gateway.PostTo].
type PostOption func(*PostSettings)

// PostSettings is what the options of a PostTo say. Only code that implements
// [ConnectionsAPI] itself, such as a fake for a test, needs it: it applies the options to one.
type PostSettings struct {
	Binary bool // see Binary
}

// Binary posts a binary message and not a text: the client gets the bytes as they are. It
// needs [WithBinaryMessages]; without it the post is an [ErrInvalidArgument].
func Binary() PostOption { return func(s *PostSettings) { s.Binary = true } }

var errNoBinary = fmt.Errorf("%w: binary: the gateway has no binary messages: pass WithBinaryMessages to New", ErrInvalidArgument)

// CloseOption changes a [Gateway.CloseAll].
type CloseOption func(*CloseSettings)

// CloseSettings is what the options of a CloseAll say, as [PostSettings] for a PostTo.
type CloseSettings struct {
	Cut bool // see Cut
}

// Cut ends the connections at once: no Close frame is sent, what is queued is lost, and
// nobody waits for an answer of the client, which sees that its connection breaks off. The
// code and the reason are then for $disconnect and the observers only.
func Cut() CloseOption { return func(s *CloseSettings) { s.Cut = true } }

// Page says which part of a list is wanted.
type Page struct {
	// Limit is the largest number of connections: 1 to 1000. 0 means 100.
	Limit int
	// After is where the page begins: behind the connection with this ID, whether it is
	// still open or not. "" is the beginning of the list. In the Page that [Gateway.List]
	// returns, "" means that there are no more.
	After string
}

// check returns the limit, or what is wrong with the page.
func (p Page) check() (limit int, err error) {
	if p.Limit < 0 || p.Limit > apicall.MostItems {
		return 0, fmt.Errorf("%w: limit: it is %d: use 1 to %d, or 0 for %d", ErrInvalidArgument, p.Limit, apicall.MostItems, apicall.DefaultItems)
	}
	if _, issued := connid.Parse(p.After); p.After != "" && !issued {
		return 0, fmt.Errorf("%w: after: it is not a cursor: use Page.After as List returned it, or \"\" for the beginning of the list", ErrInvalidArgument)
	}
	if p.Limit == 0 {
		return apicall.DefaultItems, nil
	}
	return p.Limit, nil
}

// maxReason is the largest length of the reason in a Close frame, in bytes (RFC 6455,
// section 5.5).
const maxReason = 123

// checkClose returns what is wrong with a close code or a reason.
func checkClose(code int, reason string) error {
	switch {
	case code == 1000, code == 1001, code == 1008, code >= 1011 && code <= 1014, code >= 3000 && code <= 4999:
	default:
		return fmt.Errorf("%w: code: a Close frame must not have %d: use 1000, 1001, 1008, 1011 to 1014, or a code of your own from 4000 to 4999 (3000 to 3999 are registered)", ErrInvalidArgument, code)
	}
	switch {
	case len(reason) > maxReason:
		return fmt.Errorf("%w: reason: it has %d bytes: a Close frame has room for %d", ErrInvalidArgument, len(reason), maxReason)
	case !utf8.ValidString(reason):
		return fmt.Errorf("%w: reason: it is not valid UTF-8, as a Close frame needs it", ErrInvalidArgument)
	}
	return nil
}
