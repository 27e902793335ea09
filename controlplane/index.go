package controlplane

import (
	"slices"
	"strings"
)

// index knows which documents have a text, so that an Apply does not read a collection again
// for each of its calls. It is made when all documents of the Apply are there. Later ones may
// be gone, so who uses it looks at the document; none is added, and no text changes. (A
// deployment may move a stage to itself at the end, and notes that stage.)
type index map[query]map[string][]string

// query names the texts of an index: a member of the documents of a collection.
type query struct {
	collection, member string
	fold               bool // capitals do not matter
}

// mappedAPIs and mappedStages are about the API mappings of all custom domain names: by the
// ID of their API, and by that with their stage, as in "a1b2c3d4e5/prod".
func mappedAPIs() query   { return query{member: "apiId"} }
func mappedStages() query { return query{member: "stage"} }

// sameIn is the query for a member of the collection that has the document of the change,
// and below that for one of another collection of its API.
func (c *change) sameIn(member string) query {
	return query{collection: c.res.collection(c.ids), member: member}
}

func (c *change) below(collection, member string) query {
	return query{collection: "apis/" + c.ids["apiId"] + "/" + collection, member: member}
}

// of returns the text of a document.
func (q query) of(d document) string {
	text := textOf(d, q.member)
	switch {
	case q == mappedStages():
		return textOf(d, "apiId") + "/" + text
	case q.fold:
		return strings.ToLower(text)
	}
	return text
}

// each calls f with each document that the query is about.
func (q query) each(r Reader, f func(key string, d document)) error {
	if q.collection != "" {
		return eachValue(r, q.collection, "", func(key string, value []byte) (bool, error) {
			d, err := decodeDocument(key, value)
			if err == nil {
				f(key, d)
			}
			return true, err
		})
	}
	var failed error
	err := eachBelow(r, "domainnames/", func(key string, value []byte) {
		if !strings.Contains(key, "/apimappings/") {
			return
		}
		d, err := decodeDocument(key, value)
		if err != nil {
			failed = err
			return
		}
		f(key, d)
	})
	return firstError(err, failed)
}

// texts returns the keys of the documents that have each text.
func (c *change) texts(q query) (map[string][]string, error) {
	if known := c.index[q]; known != nil {
		return known, nil
	}
	keys := map[string][]string{}
	err := q.each(c.w, func(key string, d document) { keys[q.of(d)] = append(keys[q.of(d)], key) })
	if err != nil {
		return nil, err
	}
	if c.index != nil {
		c.index[q] = keys
	}
	return keys, nil
}

// find returns the documents that have a text, at most so many; 0 means all.
func (c *change) find(q query, text string, most int) (found []entry, err error) {
	if c.index == nil && q.collection != "" && !q.fold {
		return findDocuments(c.w, q.collection, q.member, text)
	}
	keys, err := c.texts(q)
	if err != nil {
		return nil, err
	}
	for _, key := range keys[text] {
		d, err := readDocument(c.w, key)
		if err == errNoDocument { //nolint:errorlint // it is compared as it was returned
			continue
		}
		if err != nil {
			return nil, err
		}
		if found = append(found, entry{key, d}); len(found) == most {
			break
		}
	}
	return found, nil
}

// isTaken tells whether another document has the text that d has.
func (c *change) isTaken(q query, d document) (bool, error) {
	entries, err := c.find(q, q.of(d), 2)
	return slices.ContainsFunc(entries, func(e entry) bool { return e.key != c.key }), err
}
