package api

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// codeFolder keeps the code of functions. A zip file is kept under its SHA-256 hash, and is
// unpacked beside it when it is needed:
//
//	code/{hash}.zip
//	unpacked/{hash}/…
//
// A zip file is there, whole and on the disk, before a document of the store names it. What
// is unpacked is never trusted after a restart: it is made again.
type codeFolder struct {
	log   *slog.Logger
	dir   string
	owned bool // the folder is removed at the end

	mu   sync.Mutex // guards pins, and what is removed; it is never held for long
	pins map[string]*pin
	// sizes are about how many bytes of the disk code needs, and total is their sum.
	sizes map[string]int64
	total int64
	limit int64 // of total
}

// pin keeps code as long as somebody needs it.
type pin struct {
	users   int        // the lock of the folder guards it
	writing sync.Mutex // held while the code is written or unpacked
}

var hashed = regexp.MustCompile(`^[0-9a-f]{64}(\.zip)?$`)

// unfinished begins the names of files that are being written.
const unfinished = ".unfinished-"

// openCode opens the folder, and removes what a crash may have left. "" makes one.
func openCode(dir string, limit int64, log *slog.Logger) (*codeFolder, error) {
	f := &codeFolder{log: log, dir: dir, owned: dir == "", limit: limit, pins: map[string]*pin{}, sizes: map[string]int64{}}
	var err error
	if f.owned {
		if f.dir, err = os.MkdirTemp("", "gateway-functions-"); err != nil {
			return nil, err
		}
	}
	if f.dir, err = filepath.Abs(f.dir); err != nil {
		return nil, err
	}
	for _, dir := range []string{f.zips(), f.unpacked()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	return f, errors.Join(f.removeFrom(f.unpacked(), func(string) bool { return false }), f.removeFrom(f.zips(), func(hash string) bool { return hash != "" }))
}

func (f *codeFolder) zips() string     { return filepath.Join(f.dir, "code") }
func (f *codeFolder) unpacked() string { return filepath.Join(f.dir, "unpacked") }

// removeFrom removes what this package has made in a folder, unless keep says that it is
// needed. The hash of an unfinished file is "". What cannot be removed is set aside and in the
// log: it must not be taken for code, and the next start tries again.
func (f *codeFolder) removeFrom(dir string, keep func(hash string) bool) error {
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		name := entry.Name()
		hash := strings.TrimSuffix(name, ".zip")
		switch {
		case strings.HasPrefix(name, unfinished):
			hash = ""
		case !hashed.MatchString(name):
			continue // it is not ours
		}
		if keep(hash) {
			continue
		}
		path := filepath.Join(dir, name)
		if left := os.RemoveAll(path); left != nil {
			f.log.Warn("old code of functions could not be removed", "error", left)
			if hash != "" {
				err = errors.Join(err, os.Rename(path, f.aside(path)))
			}
		}
	}
	return err
}

// aside returns a new name in the folder of a file, for what is to be removed.
func (f *codeFolder) aside(path string) string {
	return filepath.Join(filepath.Dir(path), unfinished+newRevision())
}

// close removes a folder that openCode has made.
func (f *codeFolder) close() error {
	if !f.owned {
		return nil
	}
	return os.RemoveAll(f.dir)
}

// hashOf returns the hash of the code of a configuration.
func hashOf(d document) string {
	sum, err := base64.StdEncoding.DecodeString(textOf(d, "CodeSha256"))
	if err != nil || len(sum) != sha256.Size {
		return ""
	}
	return hex.EncodeToString(sum)
}

// add keeps a zip file, after it was unpacked without an error. The caller has pinned it, and
// unpins it, also after an error.
func (f *codeFolder) add(hash string, zipped []byte) error {
	defer f.write(hash)()
	if _, err := f.unpackOnce(hash, zipped); err != nil {
		return err
	}
	path := f.zipPath(hash)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if total := f.grow(hash, int64(len(zipped))); total > f.limit {
		return &apiError{http.StatusBadRequest, "CodeStorageExceededException", fmt.Sprintf("Code storage limit exceeded: all code may need %d bytes, unpacked and as zip files. Delete functions or versions that you do not need", f.limit)}
	}
	if err := writeDurably(path, zipped); err != nil {
		return fmt.Errorf("keeping the code of a function: %w", err)
	}
	return nil
}

// grow notes that code needs more bytes, and returns how many all code needs.
func (f *codeFolder) grow(hash string, bytes int64) (total int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sizes[hash] += bytes
	f.total += bytes
	return f.total
}

func (f *codeFolder) zipPath(hash string) string { return filepath.Join(f.zips(), hash+".zip") }

// pin keeps code until it is unpinned, also code that is not there yet.
func (f *codeFolder) pin(hash string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.pins[hash] == nil {
		f.pins[hash] = &pin{}
	}
	f.pins[hash].users++
}

func (f *codeFolder) unpin(hash string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.pins[hash]; p.users > 1 {
		p.users--
	} else {
		delete(f.pins, hash)
	}
}

// write begins to write code that is pinned, and returns what ends it. Others may write
// other code meanwhile.
func (f *codeFolder) write(hash string) (end func()) {
	f.mu.Lock()
	p := f.pins[hash]
	f.mu.Unlock()
	p.writing.Lock()
	return p.writing.Unlock
}

// folder returns the folder with the unpacked code, which the caller has pinned.
func (f *codeFolder) folder(hash string) (string, error) {
	defer f.write(hash)()
	return f.unpackOnce(hash, nil)
}

// unpackOnce unpacks a zip file, unless that was done. If zipped is nil, it is read. Nobody
// else writes this code.
func (f *codeFolder) unpackOnce(hash string, zipped []byte) (string, error) {
	dir := filepath.Join(f.unpacked(), hash)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if zipped == nil {
		var err error
		if zipped, err = os.ReadFile(f.zipPath(hash)); err != nil {
			return "", fmt.Errorf("the code of the function is not there, update it: %w", err)
		}
	}
	part, err := os.MkdirTemp(f.unpacked(), unfinished)
	if err != nil {
		return "", err
	}
	size, err := unpack(zipped, part)
	if err == nil {
		err = os.Rename(part, dir)
	}
	if err != nil {
		_ = os.RemoveAll(part)
		return "", err
	}
	f.grow(hash, size)
	return dir, nil
}

// collect removes all code that is not in used. It is for the start: nothing is pinned, or
// unpacked.
func (f *codeFolder) collect(used map[string]bool) error {
	return f.removeFrom(f.zips(), func(hash string) bool {
		info, err := os.Stat(f.zipPath(hash))
		if err == nil && used[hash] {
			f.grow(hash, info.Size())
		}
		return used[hash]
	})
}

// drop takes code away, unless it is pinned, and returns what the caller then removes: that
// may take long.
func (f *codeFolder) drop(hash string) (removed []string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.pins[hash] != nil {
		return nil, nil
	}
	for _, path := range []string{f.zipPath(hash), filepath.Join(f.unpacked(), hash)} {
		aside := f.aside(path)
		switch renamed := os.Rename(path, aside); {
		case renamed == nil:
			removed = append(removed, aside)
		case !errors.Is(renamed, fs.ErrNotExist):
			err = errors.Join(err, renamed)
		}
	}
	f.total -= f.sizes[hash]
	delete(f.sizes, hash)
	return removed, err
}

// writeDurably writes a file that is there as a whole, or not at all, whatever happens.
func writeDurably(path string, data []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), unfinished)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes the names in a folder durable.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, fs.ErrInvalid) { // not every system can
		err = nil
	}
	return errors.Join(err, d.Close())
}
