// Package verbs has what the options of the calls on an audience set. It is a package of
// its own, so that a client of the same calls over HTTP can read them.
package verbs

// Post is what the options of a post set.
type Post struct {
	Binary bool // a binary message, not text
}

// Close is what the options of a close set.
type Close struct {
	Cut bool // without a Close frame
}
