package definition

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// The quota of Lambda for a deployment package, and bounds for its files: to remove a folder
// takes an open file for each folder above it.
const (
	maxUnpacked = 262_144_000
	maxFiles    = 50_000 // with the folders
	maxFolders  = 100    // in folders
	longestName = 1024   // bytes
)

// writeCode writes a program of one file into a folder that is named after its content, so
// that a change of the text gives another folder.
func writeCode(workDir, logicalID, name, text string) (string, error) {
	sum := sha256.Sum256([]byte(name + "\x00" + text))
	return fill(workDir, logicalID, sum[:], func(dir string) error {
		return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)
	})
}

// unpack unpacks an archive into a folder that is named after its content.
func unpack(archive, workDir, logicalID string) (string, error) {
	f, err := os.Open(archive) //nolint:gosec // the user's own template names it
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	size, err := io.Copy(hash, f)
	if err != nil {
		return "", err
	}
	return fill(workDir, logicalID, hash.Sum(nil), func(dir string) error {
		z, err := zip.NewReader(f, size)
		if err != nil {
			return err
		}
		return extract(z, dir)
	})
}

// fill makes a folder with the given content, whole or not at all. A folder that is there
// already is used again.
func fill(workDir, logicalID string, sum []byte, write func(dir string) error) (string, error) {
	target := filepath.Join(workDir, safeName(logicalID)+"-"+hex.EncodeToString(sum[:8]))
	if exists(target) {
		return target, nil
	}
	if err := os.MkdirAll(workDir, 0o700); err != nil {
		return "", err
	}
	temporary, err := os.MkdirTemp(workDir, ".new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temporary)
	if err := write(temporary); err != nil {
		return "", err
	}
	if err := os.Rename(temporary, target); err != nil && !exists(target) {
		return "", err
	}
	return target, nil
}

// RemoveUnused removes the folders of Options.WorkDir with code that earlier calls of Load have
// written or unpacked, and that neither d nor one of the others needs. A function that still
// runs may need its folder: give its definition, too. Nothing else in WorkDir is removed. No
// other program may use the same WorkDir at that time.
func (d *Definition) RemoveUnused(others ...*Definition) error {
	entries, err := os.ReadDir(d.workDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	used := map[string]bool{}
	for _, user := range append(others, d) {
		for _, name := range user.unpacked {
			used[name] = true
		}
	}
	for _, entry := range entries {
		if name := entry.Name(); entry.IsDir() && !used[name] && folderName.MatchString(name) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(d.workDir, name)))
		}
	}
	if err != nil {
		return fmt.Errorf("definition: %w", err)
	}
	return nil
}

// folderName matches the names that fill gives to its folders, also while it fills them.
var folderName = regexp.MustCompile(`^([A-Za-z0-9-]*-[0-9a-f]{16}|\.new-[0-9]+)$`)

func safeName(logicalID string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, logicalID)
}

// checkNames refuses an archive with too many or too long names, or with names outside of its
// folder.
func checkNames(z *zip.Reader) error {
	made := map[string]bool{}
	for _, entry := range z.File {
		if len(entry.Name) > longestName || strings.Count(entry.Name, "/") > maxFolders {
			return fmt.Errorf("the entry %.100q… has more than %d bytes or %d folders", entry.Name, longestName, maxFolders)
		}
		name := nameOfEntry(entry)
		if !filepath.IsLocal(name) {
			return fmt.Errorf("the entry %q would lie outside of the folder", entry.Name)
		}
		for ; name != "." && !made[name]; name = filepath.Dir(name) {
			if made[name] = true; len(made) > maxFiles {
				return fmt.Errorf("it has more than %d files and folders", maxFiles)
			}
		}
	}
	return nil
}

// nameOfEntry returns the path of an entry, "." for the folder of the archive itself.
func nameOfEntry(entry *zip.File) string {
	return filepath.Clean(filepath.FromSlash(strings.TrimSuffix(entry.Name, "/")))
}

func extract(z *zip.Reader, dir string) error {
	if err := checkNames(z); err != nil {
		return err
	}
	left := int64(maxUnpacked)
	for _, entry := range z.File {
		name := nameOfEntry(entry)
		if name == "." {
			continue
		}
		target := filepath.Join(dir, name)
		mode := entry.Mode()
		switch {
		case mode.IsDir():
			if err := os.MkdirAll(target, 0o700); err != nil {
				return err
			}
		case mode.IsRegular():
			n, err := extractFile(entry, target, left)
			if left -= n; err != nil {
				return err
			}
		case mode&fs.ModeSymlink != 0:
			return fmt.Errorf("the entry %q is a symbolic link: pack what it points to, as zip does without -y", entry.Name)
		default:
			return fmt.Errorf("the entry %q is no file and no folder", entry.Name)
		}
	}
	return nil
}

func extractFile(entry *zip.File, target string, left int64) (int64, error) {
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return 0, err
	}
	source, err := entry.Open()
	if err != nil {
		return 0, err
	}
	defer source.Close()
	mode := fs.FileMode(0o600)
	if entry.Mode()&0o111 != 0 {
		mode = 0o700
	}
	f, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode) //nolint:gosec // within dir, see filepath.IsLocal
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(f, io.LimitReader(source, left+1))
	if n > left {
		err = fmt.Errorf("it is larger than %d MB when unpacked", maxUnpacked>>20)
	}
	return n, errors.Join(err, f.Close())
}
