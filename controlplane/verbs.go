package controlplane

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"
	"unicode/utf8"
)

// This file has the five verbs: create, get, list, update and delete. They know nothing
// of the resources but what the table says.

// change is one verb on one document, within one Update of the store.
type change struct {
	s      *Server
	w      Writer
	res    *resource
	ids    map[string]string // of the path; the document's own, too, once it has one
	key    string            // of the document
	before document          // nil in a create
	body   document          // what the client sent
	at     time.Time
	// applying is true in Apply, which checks all rules when all documents are there, and
	// then has an index.
	applying bool
	index    index
	*effects
}

// effects are what the stages and the log have to be told after a commit.
type effects struct {
	drafts  map[string]bool   // APIs whose draft has changed
	stages  map[stageKey]bool // stages to bring up to date; false: the stage is gone
	domains map[string]bool   // custom domain names that have changed, with their mappings
	notes   []note            // warnings for the log
}

// note is a warning that the log gets when the change is committed.
type note struct {
	message string
	args    []any
}

func (e *effects) note(message string, args ...any) { e.notes = append(e.notes, note{message, args}) }

// stageKey names a stage.
type stageKey struct{ apiID, name string }

func newEffects() *effects {
	return &effects{drafts: map[string]bool{}, stages: map[stageKey]bool{}, domains: map[string]bool{}}
}

// touch notes that the document has changed, or is gone.
func (c *change) touch(gone bool) {
	switch c.res.then {
	case nothing:
	case ofDraft:
		c.drafts[c.ids["apiId"]] = true
	case ofStage:
		c.stages[stageKey{c.ids["apiId"], c.ids["stageName"]}] = !gone
		if !gone { // autoDeploy may have been turned on
			c.drafts[c.ids["apiId"]] = true
		}
	case ofDomain:
		c.domains[c.ids["domainName"]] = true
	}
}

func (c *change) date() string { return c.at.UTC().Format("2006-01-02T15:04:05Z") }

// parentsExist returns the error for the first document above this one that does not
// exist.
func (s *Server) parentsExist(r Reader, res *resource, ids map[string]string) error {
	for n := 2; n < len(res.segments); n += 2 {
		for _, row := range s.table.rows {
			if len(row.segments) != n || !strings.HasPrefix(res.path, row.path+"/") {
				continue
			}
			if _, err := s.read(r, row, ids); err != nil {
				return err
			}
		}
	}
	return nil
}

// read returns a document, or the service's error for one that does not exist.
func (s *Server) read(r Reader, res *resource, ids map[string]string) (document, error) {
	id := ids[res.idField()]
	if !isID(id) {
		return nil, s.missing(res, id)
	}
	d, err := readDocument(r, res.key(ids))
	if errors.Is(err, errNoDocument) {
		return nil, s.missing(res, id)
	}
	return d, err
}

// isID tells whether a segment of a path can be a part of a key: a key must not lead to
// another document.
func isID(segment string) bool {
	return segment != "" && len(segment) <= 512 && utf8.ValidString(segment) && !strings.ContainsAny(segment, "/\x00")
}

func (s *Server) missing(res *resource, id string) error {
	if strings.Contains(res.missing, "%") {
		return notFound(res.missing, s.cfg.AccountID, clip(id))
	}
	return notFound("%s", res.missing)
}

// create stores a new document. A wanted ID that is not empty is the document's.
func (c *change) create(wanted string) (document, error) {
	if err := c.s.parentsExist(c.w, c.res, c.ids); err != nil {
		return nil, err
	}
	d, err := c.res.newDocument(c.body)
	if err != nil {
		return nil, err
	}
	if err := c.hasRoom(1); err != nil {
		return nil, err
	}
	if err := c.name(d, wanted); err != nil {
		return nil, err
	}
	c.setDate(d, "createdDate")
	c.setDate(d, "lastUpdatedDate")
	return d, c.finish(d)
}

// name gives a new document its ID and its key.
func (c *change) name(d document, wanted string) error {
	field := c.res.idField()
	c.ids = maps.Clone(c.ids)
	for {
		id := wanted
		switch {
		case c.res.named:
			id = textOf(d, field)
		case id == "":
			id = c.s.newID(c.res.idLength(), c.at)
		}
		c.ids[field] = id
		c.key = c.res.key(c.ids)
		value, err := c.w.Get(c.key)
		if err != nil {
			return fmt.Errorf("controlplane: reading %s: %w", c.key, err)
		}
		if value == nil {
			d[field] = id
			return nil
		}
		if c.res.named || wanted != "" {
			return conflict("%s", c.res.exists)
		}
	}
}

func (c *change) setDate(d document, name string) {
	if c.res.field(name) != nil {
		d[name] = c.date()
	}
}

// finish runs the rules, stores the document, and notes the effect.
func (c *change) finish(d document) error {
	if !c.applying {
		if err := c.checkRules(d); err != nil {
			return err
		}
	}
	if err := writeDocument(c.w, c.key, d); err != nil {
		return err
	}
	c.touch(false)
	return nil
}

func (c *change) checkRules(d document) error {
	for _, rule := range c.res.rules {
		if err := rule(c, d); err != nil {
			return err
		}
	}
	return nil
}

// load reads the document that the change is about.
func (c *change) load() (err error) {
	if err := c.s.parentsExist(c.w, c.res, c.ids); err != nil {
		return err
	}
	c.before, err = c.s.read(c.w, c.res, c.ids)
	c.key = c.res.key(c.ids)
	return err
}

// update changes the members that the body has.
func (c *change) update() (document, error) {
	if err := c.load(); err != nil {
		return nil, err
	}
	d, err := c.res.patched(c.before, c.body)
	if err != nil {
		return nil, err
	}
	c.setDate(d, "lastUpdatedDate")
	return d, c.finish(d)
}

// remove deletes a document and everything below it.
func (c *change) remove() error {
	if err := c.load(); err != nil {
		return err
	}
	for _, refuse := range c.res.refuse {
		if err := refuse(c, c.before); err != nil {
			return err
		}
	}
	return c.discard()
}

// discard deletes without asking.
func (c *change) discard() error {
	if c.res.also != nil {
		if err := c.res.also(c); err != nil {
			return err
		}
	}
	if err := c.w.Delete(c.key); err != nil {
		return fmt.Errorf("controlplane: deleting %s: %w", c.key, err)
	}
	c.touch(true)
	return nil
}

// get returns a document as clients see it.
func (s *Server) get(r Reader, res *resource, ids map[string]string) (document, error) {
	if err := s.parentsExist(r, res, ids); err != nil {
		return nil, err
	}
	d, err := s.read(r, res, ids)
	if err != nil {
		return nil, err
	}
	return s.answer(res, d, false), nil
}

// list returns a page of a collection.
func (s *Server) list(r Reader, res *resource, ids map[string]string, page pageRequest) (document, error) {
	if err := s.parentsExist(r, res, ids); err != nil {
		return nil, err
	}
	collection := res.collection(ids)
	after, most, err := s.tokens.read(collection, page)
	if err != nil {
		return nil, err
	}
	answer, items, size, last := document{}, []any{}, 0, ""
	err = eachValue(r, collection, after, func(key string, value []byte) (bool, error) {
		if most > 0 && len(items) == most || size > mostOfPage {
			answer["nextToken"] = s.tokens.write(collection, last)
			return false, nil
		}
		d, err := decodeDocument(key, value)
		items, size, last = append(items, s.answer(res, d, false)), size+len(value), key[len(collection)+1:]
		return true, err
	})
	answer["items"] = items
	return answer, err
}

// mostOfPage is how many bytes of documents a page may have before it ends, even if a
// client asks for a whole list.
const mostOfPage = 8 << 20

// answer returns what clients see of a document.
func (s *Server) answer(res *resource, d document, created bool) document {
	visible := make(document, len(d)+1)
	for name, value := range d {
		if f := res.field(name); f == nil && name != res.idField() || f != nil && f.hidden {
			continue
		}
		visible[name] = value
	}
	if res.shown != nil {
		res.shown(s, visible, created)
	}
	return visible
}
