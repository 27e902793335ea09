// Package boltstore keeps the documents of a control plane in one file, so that APIs,
// deployments and stages survive a restart.
//
//	store, err := boltstore.Open("state/gateway.db")
//	…
//	defer store.Close()
//
// The file is a bbolt database. An Update is on the disk when it returns: a process or a
// machine that stops at any moment leaves the state before an Update or after it. One
// process can have the file open; a second one gets an [ErrInUse] at once.
package boltstore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"example.com/gateway/controlplane"
)

// Errors to compare with errors.Is. The text of an error that wraps one names the file and
// says what to do.
var (
	// ErrInUse: another process has the file open, or this one has it open already.
	ErrInUse = errors.New("in use")
	// ErrCorrupt: the file is not a store, or it is damaged.
	ErrCorrupt = errors.New("the file cannot be read as a store")
	// ErrFormat: the file was written by another version of this package, which uses
	// another format.
	ErrFormat = errors.New("the file has another format")
	// ErrClosed: the store has been closed.
	ErrClosed = errors.New("the store is closed")
)

// Format is the number of the format that this package reads and writes: in the bucket
// "store", the key "format" has this number as text. In the bucket "documents", the keys
// are the paths of documents, and the values are the documents.
const Format = 1

var (
	bucketStore     = []byte("store")     //nolint:gochecknoglobals // constants
	bucketDocuments = []byte("documents") //nolint:gochecknoglobals // constants
	keyFormat       = []byte("format")    //nolint:gochecknoglobals // constants
)

var _ controlplane.Store = (*Store)(nil)

// Store is an open file. It is a [controlplane.Store], and safe for concurrent use.
type Store struct {
	file  string
	db    *bbolt.DB
	close sync.Once
}

// Open opens the store in file, and makes the file if there is none. The folder has to be
// there. The file gets the mode 0600. Beside it, a file with the ending .pid has the number
// of the process that uses it.
//
// Open reads the whole file once, so that a damaged one is an error now, and not later.
// What it cannot notice is a changed byte within a document.
func Open(file string) (*Store, error) {
	db, err := openDatabase(file)
	if err != nil {
		return nil, explain(file, err)
	}
	s := &Store{file: file, db: db}
	if err := s.prepare(); err != nil {
		_ = db.Close()
		return nil, explain(file, err)
	}
	// Without the note, a second process is refused all the same. It is only told less.
	_ = os.WriteFile(file+".pid", []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600)
	return s, nil
}

// openDatabase opens the database. bbolt panics in some files that are damaged.
func openDatabase(file string) (db *bbolt.DB, err error) {
	defer recovered(&err)()
	return bbolt.Open(file, 0o600, &bbolt.Options{
		Timeout:      time.Nanosecond, // do not wait for another process
		FreelistType: bbolt.FreelistMapType,
		NoStatistics: true,
	})
}

// prepare checks the file, or sets up a new one.
func (s *Store) prepare() (err error) {
	defer recovered(&err)()
	fresh := false
	if err := s.db.View(func(tx *bbolt.Tx) error {
		info, err := os.Stat(s.file)
		if err != nil {
			return err
		}
		if info.Size() < tx.Size() {
			return fmt.Errorf("%w: it has %d bytes of %d", ErrCorrupt, info.Size(), tx.Size())
		}
		if first, _ := tx.Cursor().First(); first == nil {
			fresh = true
			return nil
		}
		return check(tx)
	}); err != nil || !fresh {
		return err
	}
	return s.db.Update(func(tx *bbolt.Tx) error {
		store, err := tx.CreateBucket(bucketStore)
		if err != nil {
			return err
		}
		if _, err := tx.CreateBucket(bucketDocuments); err != nil {
			return err
		}
		return store.Put(keyFormat, []byte(strconv.Itoa(Format)))
	})
}

// check requires that the file is a store of this format, and reads all of it.
func check(tx *bbolt.Tx) error {
	store, documents := tx.Bucket(bucketStore), tx.Bucket(bucketDocuments)
	if store == nil {
		return fmt.Errorf("%w: it is a database of another program", ErrCorrupt)
	}
	if format := string(store.Get(keyFormat)); format != strconv.Itoa(Format) {
		return fmt.Errorf("%w: %q, and this program reads %d", ErrFormat, format, Format)
	}
	if documents == nil {
		return fmt.Errorf("%w: the bucket %q is missing", ErrCorrupt, bucketDocuments)
	}
	var before []byte
	read := byte(0)
	return documents.ForEach(func(key, value []byte) error {
		if len(value) == 0 || bytes.Compare(before, key) >= 0 {
			return fmt.Errorf("%w: a page is damaged", ErrCorrupt)
		}
		for _, b := range value { // touches each page
			read ^= b
		}
		before = key
		return nil
	})
}

// recovered makes an error of a panic of bbolt in a damaged file, and of a page of the
// file that cannot be read. Its result is to be deferred.
func recovered(err *error) func() {
	before := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(before)
		if r := recover(); r != nil {
			*err = fmt.Errorf("%w: %v", ErrCorrupt, r)
		}
	}
}

// View calls read with one state of the store, which no Update changes meanwhile, and
// returns its error. read must not call Update.
func (s *Store) View(read func(Reader) error) error {
	return s.run(s.db.View, func(tx *bbolt.Tx) error { return read(reader{tx.Bucket(bucketDocuments)}) })
}

// Update calls change, and keeps what it has changed: all of it, durably, when Update returns
// nil, and else nothing. The Updates of a store run one after the other. change must call
// neither View nor Update.
func (s *Store) Update(change func(Writer) error) error {
	return s.run(s.db.Update, func(tx *bbolt.Tx) error { return change(writer{reader{tx.Bucket(bucketDocuments)}}) })
}

// run runs a transaction. It explains the errors of bbolt, and leaves those of the caller's
// func as they are.
func (s *Store) run(transaction func(func(*bbolt.Tx) error) error, fn func(*bbolt.Tx) error) error {
	var own error
	err := transaction(func(tx *bbolt.Tx) error {
		own = fn(tx)
		return own
	})
	if err == nil || err == own { //nolint:errorlint // the very same error
		return err
	}
	return explain(s.file, err)
}

// Backup writes a copy of one state of the store to w, while others read and change it. The
// copy is a file that Open opens.
func (s *Store) Backup(w io.Writer) error {
	return s.run(s.db.View, func(tx *bbolt.Tx) error {
		_, err := tx.WriteTo(w)
		return err
	})
}

// Close closes the file, after the calls that run have returned. Later calls get an
// [ErrClosed].
func (s *Store) Close() error {
	var err error
	s.close.Do(func() { // a later call must not remove the note of another process
		_ = os.Remove(s.file + ".pid")
		if err = s.db.Close(); err != nil {
			err = explain(s.file, err)
		}
	})
	return err
}

// reader implements Reader.
type reader struct{ documents *bbolt.Bucket }

func (r reader) Get(key string) ([]byte, error) {
	return r.documents.Get([]byte(key)), nil // valid until the transaction ends
}

func (r reader) List(prefix, after string, limit int) (keys []string, values [][]byte, err error) {
	c := r.documents.Cursor()
	key, value := c.Seek([]byte(max(prefix, after)))
	if after != "" && string(key) == after {
		key, value = c.Next()
	}
	for ; key != nil && strings.HasPrefix(string(key), prefix) && (limit <= 0 || len(keys) < limit); key, value = c.Next() {
		keys, values = append(keys, string(key)), append(values, value)
	}
	return keys, values, nil
}

// writer implements Writer.
type writer struct{ reader }

func (w writer) Put(key string, value []byte) error {
	if len(value) == 0 {
		return fmt.Errorf("boltstore: the value of %q is empty: delete the key instead", key)
	}
	if err := w.documents.Put([]byte(key), bytes.Clone(value)); err != nil {
		return fmt.Errorf("boltstore: put %q: %w", key, err)
	}
	return nil
}

func (w writer) Delete(prefix string) error {
	if prefix == "" {
		return errors.New("boltstore: delete without a key would delete everything: name a key")
	}
	below := prefix
	if !strings.HasSuffix(prefix, "/") {
		if err := w.documents.Delete([]byte(prefix)); err != nil {
			return fmt.Errorf("boltstore: delete %q: %w", prefix, err)
		}
		below += "/"
	}
	keys, _, err := w.List(below, "", 0)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := w.documents.Delete([]byte(key)); err != nil {
			return fmt.Errorf("boltstore: delete %q: %w", key, err)
		}
	}
	return nil
}

// explain says what happened to the file, and what to do.
func explain(file string, err error) error {
	with := func(err error, do string) error { return fmt.Errorf("boltstore: %s: %w: %s", file, err, do) }
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return with(fmt.Errorf("%w by %s", ErrInUse, user(file)), "stop that process, or use another file")
	case errors.Is(err, bolterrors.ErrDatabaseNotOpen):
		return fmt.Errorf("boltstore: %s: %w", file, ErrClosed)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return with(fmt.Errorf("%w: %w", ErrCorrupt, err), "restore a backup, or move the file away to begin with an empty store")
	case errors.Is(err, ErrCorrupt):
		return with(err, "restore a backup, or move the file away to begin with an empty store")
	case errors.Is(err, ErrFormat):
		return with(err, "use the version of the program that wrote the file")
	case full(err):
		return with(err, "nothing was changed: make room on the disk, and try again")
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return with(err, "let the user of this process write to the file and its folder")
	case errors.Is(err, fs.ErrNotExist):
		return with(err, "make the folder first")
	default:
		return fmt.Errorf("boltstore: %s: %w", file, err)
	}
}

// full reports whether err says that the disk, a quota or a limit of the process has no room
// for the file. bbolt passes on some of these errors as text only.
func full(err error) bool {
	return slices.ContainsFunc([]error{syscall.ENOSPC, syscall.EFBIG, syscall.EDQUOT}, func(e error) bool {
		return errors.Is(err, e) || strings.HasSuffix(err.Error(), e.Error())
	})
}

// user tells which process has the file open.
func user(file string) string {
	text, err := os.ReadFile(file + ".pid")
	if pid, bad := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && bad == nil {
		return "process " + strconv.Itoa(pid)
	}
	return "another process"
}
