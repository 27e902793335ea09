package process

import (
	"context"
	"encoding/binary"
	"hash"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	watchEvery = 250 * time.Millisecond
	// share bounds the part of the time that looking may take: about 1 of 20. But the
	// next look is never later than watchLatest.
	share       = 20
	watchLatest = 3 * time.Second
)

// watch looks for changed files until Close, Retire or Shutdown.
func (f *Function) watch(ctx context.Context) {
	last, took := f.look()
	close(f.looked)
	before := took // on a busy machine one look may take long
	timer := time.NewTimer(watchEvery)
	defer timer.Stop()
	for {
		timer.Reset(min(max(watchEvery, min(took, before)*share), watchLatest))
		before = took
		select {
		case <-f.stop:
			return
		case <-f.left:
			return
		case <-timer.C:
		}
		var now uint64
		if now, took = f.look(); now != last {
			last = now
			f.reload(ctx)
		}
	}
}

func (f *Function) look() (uint64, time.Duration) {
	began := time.Now()
	return fingerprint(f.cfg.Dir, f.cfg.Unwatched), time.Since(began)
}

// fingerprint returns a number that changes when a file under dir changes: its name, its
// size, its mode or when it was written. A link to a file changes with that file. What
// unwatched has does not count.
func fingerprint(dir string, unwatched []fs.FileInfo) uint64 {
	h := fnv.New64a()
	if target, err := filepath.EvalSymlinks(dir); err == nil {
		dir = target // a link is not followed below
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || path == dir: // a file that goes away meanwhile is a change that is seen
		case d.IsDir():
			if ignored(d.Name()) || isUnwatched(d, unwatched) {
				return fs.SkipDir
			}
		case !passing(d.Name()):
			add(h, path, d.Info, unwatched)
			if d.Type() == fs.ModeSymlink {
				add(h, path, func() (fs.FileInfo, error) { return os.Stat(path) }, unwatched)
			}
		}
		return nil //nolint:nilerr // as above
	})
	return h.Sum64()
}

// add adds the state of a file to a fingerprint, unless it is one of unwatched.
func add(h hash.Hash, path string, stat func() (fs.FileInfo, error), unwatched []fs.FileInfo) {
	info, err := stat()
	if err != nil || info.IsDir() || isOneOf(info, unwatched) {
		return
	}
	_, _ = h.Write([]byte(path))
	var b [20]byte
	binary.LittleEndian.PutUint64(b[:], uint64(info.Size()))
	binary.LittleEndian.PutUint64(b[8:], uint64(info.ModTime().UnixNano()))
	binary.LittleEndian.PutUint32(b[16:], uint32(info.Mode()))
	_, _ = h.Write(b[:])
}

// ownOutput returns the files that this program prints to. What it prints about a change must
// not be a change.
func ownOutput() (own []fs.FileInfo) {
	for _, f := range []*os.File{os.Stdout, os.Stderr} {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			own = append(own, info)
		}
	}
	return own
}

// isUnwatched reports whether a folder is one of unwatched.
func isUnwatched(d fs.DirEntry, unwatched []fs.FileInfo) bool {
	if len(unwatched) == 0 {
		return false
	}
	info, err := d.Info()
	return err == nil && isOneOf(info, unwatched)
}

// isOneOf reports whether a file or folder is one of those.
func isOneOf(info fs.FileInfo, those []fs.FileInfo) bool {
	return slices.ContainsFunc(those, func(one fs.FileInfo) bool { return os.SameFile(one, info) })
}

// ignored tells which folders are not watched.
func ignored(name string) bool {
	return name == "node_modules" || name == "__pycache__" || strings.HasPrefix(name, ".")
}

// passing tells which files come and go without being code: those of editors and logs. A
// name that begins with .env is one of settings.
func passing(name string) bool {
	if strings.HasPrefix(name, ".") {
		return !strings.HasPrefix(name, ".env")
	}
	return strings.HasSuffix(name, "~") || slices.Contains([]string{".log", ".swp", ".tmp"}, filepath.Ext(name))
}
