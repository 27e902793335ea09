package controlplane

import (
	"regexp"
	"strings"
)

// A resource is a row of the table: everything that the verbs have to know of one kind of
// document. The rows are in resources.go.
type resource struct {
	// name is how the service names it in texts: "Integration".
	name string
	// path is the pattern of its keys: "apis/{apiId}/integrations/{integrationId}". The
	// last parameter is also the member with the ID.
	path string
	// named means that the client chooses the ID: it is the member with the name of the
	// last parameter.
	named bool
	// fields are its members, in the order in which they are checked.
	fields []field
	// rules are between members, and to other documents. They see the document as it will
	// be stored, and run in this order.
	rules []rule
	// refuse are the reasons not to delete it.
	refuse []rule
	// also deletes what belongs to it and lies elsewhere. It may be nil.
	also func(*change) error
	// shown adds what clients see of it and what is not stored. created is true in the
	// answer to a create. It may be nil.
	shown func(s *Server, visible document, created bool)
	// then says what a change of it means for the stages.
	then effect
	// missing is the text for an ID that does not exist.
	missing string
	// exists is the text for a named one that exists.
	exists string
	// most is how many a parent may have; 0 means no limit of its own.
	most int

	segments []string // of path
}

// A rule returns why a change is refused, or completes the document.
type rule func(*change, document) error

// effect is what a change of a document means for the stages.
type effect int

const (
	nothing  effect = iota
	ofDraft         // clients see it after a deployment: a stage with autoDeploy makes one
	ofStage         // the stage changes at once
	ofDomain        // the addresses change at once
)

// kind is the JSON type of a member.
type kind int

const (
	text    kind = iota
	integer      // a whole number
	number       // any number
	boolean
	list    // of texts, or of objects if the field has fields
	textMap // of texts
	objectMap
	object
)

// field is a member of a document.
type field struct {
	name         string
	kind         kind
	required     bool   // to create; it cannot be cleared
	immutable    bool   // not accepted by an update
	readOnly     bool   // the server sets it; a client that sends it is not heard
	hidden       bool   // stored, but not in answers
	transient    bool   // not stored
	defaultValue any    // stored if a create lacks it
	merges       bool   // an update changes the keys that it names; in a map an empty text removes one
	lenient      bool   // a text that is none of values is as an absent member
	onlyHTTP     bool   // belongs to HTTP APIs: refused
	notEmpty     string // the text that refuses an empty text in a create
	// Limits: of a text's characters, of an integer's value, of the number of entries of a
	// list or map. The greatest is ignored if it is 0.
	least, most int
	values      []string          // all that a text may be
	refused     map[string]string // texts that the service knows, and why they are refused here
	pattern     *regexp.Regexp    // of a text
	says        string            // the refusal of a text that has none of values, or does not match
	keys        *regexp.Regexp    // of the keys of a map
	each        *field            // what the texts of a list or map must be
	fields      []field           // of objects
}

// title is the name as the service writes it in texts: "IntegrationType".
func (f *field) title() string { return strings.ToUpper(f.name[:1]) + f.name[1:] }

// field returns the member with this name, or nil.
func (res *resource) field(name string) *field {
	for n := range res.fields {
		if res.fields[n].name == name {
			return &res.fields[n]
		}
	}
	return nil
}

// idField is the member with the ID: "integrationId".
func (res *resource) idField() string {
	last := res.segments[len(res.segments)-1]
	return last[1 : len(last)-1]
}

// owner is what a quota of it counts for.
func (res *resource) owner() string {
	switch {
	case len(res.segments) == 2:
		return "account"
	case res.segments[0] == "domainnames":
		return "domain name"
	}
	return "API"
}

// idLength is how long the service's generated IDs are.
func (res *resource) idLength() int {
	if len(res.segments) == 2 {
		return apiIDLength
	}
	return idLength
}

const (
	idLength    = 7
	apiIDLength = 10
)

// table is the table, in the form in which the verbs use it.
type table struct {
	rows []*resource
}

func newTable() *table {
	t := &table{rows: resources()}
	for _, res := range t.rows {
		res.segments = strings.Split(res.path, "/")
	}
	return t
}

// named returns the resource with this name, which must be one of the table.
func (t *table) named(name string) *resource {
	for _, row := range t.rows {
		if row.name == name {
			return row
		}
	}
	panic("controlplane: the table has no row " + name)
}

// find returns the resource of a path, which may be a document's or a collection's, the
// IDs in it, and how many segments it has used.
func (t *table) find(segments []string) (res *resource, ids map[string]string, rest []string) {
	for _, row := range t.rows {
		n := len(row.segments)
		if len(segments) < n-1 || res != nil && len(res.segments) >= n {
			continue
		}
		if found, ok := match(row.segments, segments); ok {
			res, ids = row, found
			rest = segments[min(n, len(segments)):]
		}
	}
	return res, ids, rest
}

// match compares a path with a pattern, whose last segment the path may lack.
func match(pattern, segments []string) (ids map[string]string, ok bool) {
	ids = map[string]string{}
	for n, want := range pattern {
		if n == len(segments) {
			return ids, n == len(pattern)-1
		}
		if strings.HasPrefix(want, "{") {
			ids[want[1:len(want)-1]] = segments[n]
		} else if want != segments[n] {
			return nil, false
		}
	}
	return ids, true
}

// key returns the key of the document with these IDs, and collection the key of its
// collection.
func (res *resource) key(ids map[string]string) string { return expand(res.segments, ids) }

func (res *resource) collection(ids map[string]string) string {
	return expand(res.segments[:len(res.segments)-1], ids)
}

func expand(pattern []string, ids map[string]string) string {
	segments := make([]string, len(pattern))
	for n, segment := range pattern {
		if strings.HasPrefix(segment, "{") {
			segment = ids[segment[1:len(segment)-1]]
		}
		segments[n] = segment
	}
	return strings.Join(segments, "/")
}
