package api

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// The quotas of the code of a function. (Lambda: "Lambda quotas".) Those of files, of names
// and of links are our own. That of files is how many a zip file without the extension ZIP64
// can have.
const (
	mostZipped   = 50 << 20  // bytes
	mostUnzipped = 250 << 20 // bytes
	mostFiles    = 1<<16 - 1 // files and folders
	mostLink     = 4096      // bytes of the target of a symbolic link
	mostPath     = 1024      // bytes of a name
	mostDepth    = 100       // folders in a name
	perFile      = 4 << 10   // bytes that a file or a folder needs on the disk, beside its content
)

// unpack writes the files of a zip file into a folder, which is empty. Nothing that a zip
// file can have makes it write elsewhere, or write more than the quotas. All files can be
// read, and can be executed if the zip file says so: a file from a system that does not
// know that cannot. Symbolic links may point to files of the same zip file.
//
// It returns about how many bytes of the disk the files need. The error is an *apiError if the
// zip file is to blame.
func unpack(zipped []byte, dir string) (size int64, err error) {
	r, err := zip.NewReader(bytes.NewReader(zipped), int64(len(zipped)))
	switch {
	case err != nil && !errors.Is(err, zip.ErrInsecurePath):
		return 0, badZip("it is no zip file")
	case len(r.File) == 0:
		return 0, invalid("Uploaded file must be a non-empty zip")
	case len(r.File) > mostFiles:
		return 0, errTooManyFiles
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	u := &unpacker{root: root, left: mostUnzipped, folders: map[string]bool{".": true}}
	var links []*zip.File
	for _, f := range r.File {
		if f.Mode()&fs.ModeSymlink != 0 {
			links = append(links, f)
			continue
		}
		if err := u.entry(f); err != nil {
			return 0, err
		}
	}
	for _, f := range links { // after everything else, so that nothing is written through one
		if err := u.link(f); err != nil {
			return 0, err
		}
	}
	return mostUnzipped - u.left + int64(u.files)*perFile, nil
}

func badZip(why string) error {
	return invalid("Could not unzip uploaded file. Please check your file, then try to upload again: %s", why)
}

var errTooManyFiles = badZip("it has more than 65535 files and folders")

// unpacker writes into a folder.
type unpacker struct {
	root *os.Root
	left int64 // bytes that may still be written
	// folders are those that were made, and files is how many there are of both.
	folders map[string]bool
	files   int
}

// nameOf returns the name of an entry as a path below the folder.
func nameOf(f *zip.File) (string, error) {
	name := strings.TrimSuffix(f.Name, "/")
	clean := path.Clean(name)
	switch {
	case strings.ContainsRune(name, 0), clean == "." && !f.Mode().IsDir():
		return "", badZip("the name " + strconv.Quote(echo(f.Name)) + " is no name for a file")
	case name == "" || !filepath.IsLocal(clean):
		return "", badZip("the name " + echo(f.Name) + " leads out of it")
	case len(clean) > mostPath || strings.Count(clean, "/") > mostDepth:
		return "", badZip("the name " + echo(f.Name) + " is too long, or no name for a file")
	}
	return clean, nil
}

// entry writes a file or a folder.
func (u *unpacker) entry(f *zip.File) error {
	name, err := nameOf(f)
	if err != nil {
		return err
	}
	mode := f.Mode()
	switch {
	case mode.IsDir():
		return u.folder(name)
	case !mode.IsRegular():
		return badZip(echo(name) + " is neither a file nor a folder nor a symbolic link")
	case mode&0o111 != 0:
		mode = 0o555
	default:
		mode = 0o444
	}
	if err := u.makeRoom(name); err != nil {
		return err
	}
	file, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return blame(name, err)
	}
	err = u.fill(file, f)
	return errors.Join(err, file.Close())
}

// fill writes the content of a file, which counts by what it is, not by what the zip file
// says of it.
func (u *unpacker) fill(file *os.File, f *zip.File) error {
	content, err := f.Open()
	if err != nil {
		return badZip(echo(f.Name) + " is packed in an unknown way")
	}
	defer content.Close()
	source := &source{r: io.LimitReader(content, u.left+1)}
	n, err := io.Copy(file, source)
	switch u.left -= n; {
	case source.err != nil:
		return badZip(echo(f.Name) + " is damaged or encrypted")
	case err != nil:
		return err
	case u.left < 0:
		return invalid("Unzipped size must be smaller than %d bytes", mostUnzipped)
	}
	return nil
}

// source remembers the error of a Reader, so that it is not taken for one of the Writer.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// link makes a symbolic link. Its target is relative and goes up only at its beginning, and
// its own folder is a real one: then it stays below the folder, whatever links there are.
func (u *unpacker) link(f *zip.File) error {
	name, err := nameOf(f)
	if err != nil {
		return err
	}
	content, err := f.Open()
	if err != nil {
		return badZip(echo(f.Name) + " is packed in an unknown way")
	}
	text, err := io.ReadAll(io.LimitReader(content, mostLink+1))
	_ = content.Close()
	if err != nil {
		return badZip(echo(f.Name) + " is damaged or encrypted")
	}
	target := string(text)
	if len(target) == 0 || len(target) > mostLink || strings.ContainsRune(target, 0) || !staysInside(path.Dir(name), target) {
		return badZip("the symbolic link " + echo(name) + " leads out of it")
	}
	if err := u.makeRoom(name); err != nil {
		return err
	}
	return blame(name, u.root.Symlink(target, name))
}

// staysInside reports whether the target of a link in a folder is below the top.
func staysInside(folder, target string) bool {
	down := false
	for part := range strings.SplitSeq(target, "/") {
		if part == ".." && down {
			return false
		}
		down = down || part != ".." && part != "." && part != ""
	}
	return !path.IsAbs(target) && filepath.IsLocal(path.Join(folder, target))
}

// makeRoom makes the folder of a file, and counts the file.
func (u *unpacker) makeRoom(name string) error {
	if err := u.folder(path.Dir(name)); err != nil {
		return err
	}
	return u.count()
}

func (u *unpacker) count() error {
	if u.files++; u.files > mostFiles {
		return errTooManyFiles
	}
	return nil
}

// folder makes a folder with its parents, none of which may be a link.
func (u *unpacker) folder(name string) error {
	if u.folders[name] {
		return nil
	}
	if err := u.folder(path.Dir(name)); err != nil {
		return err
	}
	if err := u.count(); err != nil {
		return err
	}
	if err := u.root.Mkdir(name, 0o755); errors.Is(err, fs.ErrExist) {
		return badZip("a part of it, " + echo(name) + ", is a file and a folder")
	} else if err != nil {
		return blame(name, err)
	}
	u.folders[name] = true
	return nil
}

// blame says whether the name of an entry is the reason of an error of the system.
func blame(name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrExist), errors.Is(err, syscall.EISDIR):
		return badZip("it has " + echo(name) + " twice")
	case errors.Is(err, syscall.ENOTDIR):
		return badZip("a part of " + echo(name) + " is a file and a folder")
	case errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.EILSEQ), errors.Is(err, syscall.EINVAL):
		return badZip("the name " + echo(name) + " is too long, or no name for a file")
	}
	return err
}
