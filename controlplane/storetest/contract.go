package storetest

// Reader reads one state of the store. Keys are paths, such as apis/a1b2c3d4e5/routes/r1.
// It must not be used after the func that got it has returned.
type Reader interface {
	// Get returns the value of key, or nil without an error if there is none. The caller
	// must not change the value, nor keep it longer than the call of View or Update.
	Get(key string) ([]byte, error)
	// List returns the keys that begin with prefix and come after the key after, in the
	// order of their bytes, with their values, which are as those of Get: at most limit of
	// them, or all if limit is 0.
	List(prefix, after string, limit int) (keys []string, values [][]byte, err error)
}

// Writer is the Reader of an Update. It sees its own changes.
type Writer interface {
	Reader
	// Put sets the value of a key. It copies value, which must not be empty, as the key must
	// not be.
	Put(key string, value []byte) error
	// Delete removes the key prefix and all keys below it: those that begin with prefix
	// and a slash. A prefix that ends in a slash removes only those below. That there is
	// none is no error.
	Delete(prefix string) error
}

// Store keeps documents. It is safe for concurrent use.
type Store interface {
	// View calls a func with one state of the store, which no Update changes meanwhile. It
	// returns the error of the func. The func must not call Update: one of the two might
	// wait for the other forever.
	View(read func(Reader) error) error
	// Update calls a func that changes the store. When Update returns nil, all changes of
	// the func are there, and kept. If the func or the store fails, there is none of them.
	// Updates run one after the other. The func must call neither View nor Update.
	Update(change func(Writer) error) error
	// Close waits for the calls that run. Later calls fail.
	Close() error
}
