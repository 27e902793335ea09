package boltstore

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"example.com/gateway/controlplane/storetest"
)

func open(t *testing.T, file string) *Store {
	t.Helper()
	s, err := Open(file)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func newFile(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "gateway.db")
}

func put(key, value string) func(Writer) error {
	return func(w Writer) error { return w.Put(key, []byte(value)) }
}

func get(t *testing.T, s *Store, key string) (value string) {
	t.Helper()
	require.NoError(t, s.View(func(r Reader) error {
		got, err := r.Get(key)
		value = string(got)
		return err
	}))
	return value
}

func TestStore_Contract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Store { return open(t, newFile(t)) })
}

func TestOpen_Again(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	s := open(t, file)
	require.NoError(t, s.Update(put("apis/a", "1")))
	require.NoError(t, s.Close())
	require.NoFileExists(t, file+".pid")
	s = open(t, file)
	require.Equal(t, "1", get(t, s, "apis/a"))
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "documents may hold secrets")
}

func TestStore_Closed(t *testing.T) {
	t.Parallel()
	s := open(t, newFile(t))
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.View(func(Reader) error { return nil }), ErrClosed)
	require.ErrorIs(t, s.Update(put("apis/a", "1")), ErrClosed)
	require.ErrorIs(t, s.Backup(&bytes.Buffer{}), ErrClosed)
	require.NoError(t, s.Close(), "again")
}

func TestStore_Refused(t *testing.T) {
	t.Parallel()
	s := open(t, newFile(t))
	require.NoError(t, s.Update(put("apis/a", "1")))
	require.ErrorContains(t, s.Update(put("", "x")), "key required")
	require.ErrorContains(t, s.Update(put("apis/a", "")), "delete the key instead")
	require.ErrorContains(t, s.Update(func(w Writer) error { return w.Delete("") }), "would delete everything")
	require.Equal(t, "1", get(t, s, "apis/a"))
}

func TestStore_Backup(t *testing.T) {
	t.Parallel()
	s := open(t, newFile(t))
	require.NoError(t, s.Update(put("apis/a", "1")))
	copied := newFile(t)
	f, err := os.Create(copied)
	require.NoError(t, err)
	require.NoError(t, s.Backup(f))
	require.NoError(t, f.Close())
	require.NoError(t, s.Update(put("apis/a", "2")))
	require.Equal(t, "1", get(t, open(t, copied), "apis/a"))
}

func TestOpen_InUse(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	open(t, file)
	_, err := Open(file)
	require.ErrorIs(t, err, ErrInUse)
	require.EqualError(t, err, fmt.Sprintf("boltstore: %s: in use by process %d: stop that process, or use another file", file, os.Getpid()))
}

func TestOpen_Refused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		make func(t *testing.T, file string)
		is   error
		want string
	}{
		"no folder": {
			func(t *testing.T, file string) { require.NoError(t, os.Remove(filepath.Dir(file))) },
			os.ErrNotExist, "make the folder first",
		},
		"a folder": {
			func(t *testing.T, file string) { require.NoError(t, os.Mkdir(file, 0o700)) },
			nil, "is a directory",
		},
		"text": {
			func(t *testing.T, file string) {
				require.NoError(t, os.WriteFile(file, bytes.Repeat([]byte("stage: prod\n"), 4096), 0o600))
			},
			ErrCorrupt, "restore a backup, or move the file away",
		},
		"too short": {
			func(t *testing.T, file string) {
				require.NoError(t, os.WriteFile(file, []byte("stage: prod\n"), 0o600))
			},
			ErrCorrupt, "restore a backup",
		},
		"zero bytes": {
			func(t *testing.T, file string) { require.NoError(t, os.WriteFile(file, make([]byte, 1<<16), 0o600)) },
			ErrCorrupt, "restore a backup",
		},
		"cut off": {
			func(t *testing.T, file string) {
				fill(t, file)
				require.NoError(t, os.Truncate(file, 16384))
			},
			ErrCorrupt, "restore a backup",
		},
		"a page overwritten": {
			func(t *testing.T, file string) {
				fill(t, file)
				text, err := os.ReadFile(file)
				require.NoError(t, err)
				for n := 8192; n < len(text); n++ { // all but the two meta pages
					text[n] = 0xff
				}
				require.NoError(t, os.WriteFile(file, text, 0o600))
			},
			ErrCorrupt, "restore a backup",
		},
		"another program's database": {
			func(t *testing.T, file string) { rewrite(t, file, []byte("other"), []byte("k"), []byte("v")) },
			ErrCorrupt, "a database of another program",
		},
		"another format": {
			func(t *testing.T, file string) { rewrite(t, file, bucketStore, keyFormat, []byte("2")) },
			ErrFormat, `the file has another format: "2", and this program reads 1: use the version of the program that wrote the file`,
		},
		"no documents": {
			func(t *testing.T, file string) { rewrite(t, file, bucketStore, keyFormat, []byte("1")) },
			ErrCorrupt, `the bucket "documents" is missing`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := newFile(t)
			tc.make(t, file)
			_, err := Open(file)
			require.ErrorContains(t, err, file)
			require.ErrorContains(t, err, tc.want)
			if tc.is != nil {
				require.ErrorIs(t, err, tc.is)
			}
			require.NoFileExists(t, file+".pid")
		})
	}
}

// A file in which any bytes have changed opens or is refused. It never ends the process.
func TestOpen_AnyDamage(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	fill(t, file)
	good, err := os.ReadFile(file)
	require.NoError(t, err)
	random := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for round := range 200 {
		bad := bytes.Clone(good)
		from := random.IntN(len(bad))
		for n := from; n < min(from+1<<random.IntN(13), len(bad)); n++ {
			bad[n] = byte(random.Uint32())
		}
		damaged := filepath.Join(filepath.Dir(file), strconv.Itoa(round))
		require.NoError(t, os.WriteFile(damaged, bad, 0o600))
		s, err := Open(damaged)
		if err == nil {
			require.NoError(t, s.Close())
			continue
		}
		require.ErrorContains(t, err, "restore a backup")
		refused++
	}
	require.Positive(t, refused)
	t.Logf("%d of 200 files were refused", refused)
}

// fill makes a store that has several pages of documents.
func fill(t *testing.T, file string) {
	t.Helper()
	s := open(t, file)
	require.NoError(t, s.Update(func(w Writer) error {
		for n := range 500 {
			if err := w.Put(fmt.Sprintf("apis/a/routes/%03d", n), bytes.Repeat([]byte("x"), 100)); err != nil {
				return err
			}
		}
		return nil
	}))
	require.NoError(t, s.Close())
}

// rewrite makes a database with one key.
func rewrite(t *testing.T, file string, bucket, key, value []byte) {
	t.Helper()
	db, err := bbolt.Open(file, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket(bucket)
		require.NoError(t, err)
		return b.Put(key, value)
	}))
	require.NoError(t, db.Close())
}

// Close may be called again, and at the same time. It leaves the note of the process that
// has opened the file since alone.
func TestStore_CloseTwice(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	s, err := Open(file)
	require.NoError(t, err)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() { _ = s.Close() })
	}
	group.Wait()
	next := open(t, file)
	require.NoError(t, s.Close())
	require.FileExists(t, file+".pid")
	require.NoError(t, next.Close())
	require.NoFileExists(t, file+".pid")
}
