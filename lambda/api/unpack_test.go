package api

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// entry is an entry of a zip file.
type entry struct {
	name, text string
	mode       fs.FileMode
}

func archive(tb testing.TB, entries ...entry) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		if e.mode != 0 {
			h.SetMode(e.mode)
		}
		f, err := w.CreateHeader(h)
		require.NoError(tb, err)
		_, err = io.WriteString(f, e.text)
		require.NoError(tb, err)
	}
	require.NoError(tb, w.Close())
	return b.Bytes()
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := unpack(archive(t,
		entry{"bin", "", fs.ModeDir | 0o755}, entry{"bin/run", "run", 0o700}, entry{"lib/deep/index.js", "x", 0o600}, entry{"windows.js", "y", 0}, entry{"./same.js", "z", 0o644},
		entry{"node_modules/.bin/tool", "../tool/cli.js", fs.ModeSymlink | 0o777}, entry{"node_modules/tool/cli.js", "cli", 0o644},
		entry{"up", "lib/deep", fs.ModeSymlink | 0o777},
	), dir)
	require.NoError(t, err)
	for name, mode := range map[string]fs.FileMode{"bin/run": 0o555, "lib/deep/index.js": 0o444, "windows.js": 0o444, "same.js": 0o444} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm()|mode&^0o777, name)
	}
	for name, want := range map[string]string{"node_modules/.bin/tool": "cli", "up/index.js": "x"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, want, string(text))
	}
}

// Nothing is written beside the folder, whatever a zip file has.
func TestUnpack_Refused(t *testing.T) {
	t.Parallel()
	link := func(name, target string) entry { return entry{name, target, fs.ModeSymlink | 0o777} }
	damaged := archive(t, entry{"a", strings.Repeat("damaged", 100), 0o644})
	damaged[40] ^= 0xff
	for name, tt := range map[string]struct {
		zip  []byte
		want string
	}{
		"no zip":                {[]byte("PK no"), "it is no zip file"},
		"empty":                 {archive(t), "non-empty zip"},
		"the top":               {archive(t, entry{"/", "", fs.ModeDir | 0o755}), "leads out of it"},
		"up":                    {archive(t, entry{"../x", "", 0o644}), "leads out of it"},
		"up in the middle":      {archive(t, entry{"a/../../x", "", 0o644}), "leads out of it"},
		"absolute":              {archive(t, entry{"/etc/x", "", 0o644}), "leads out of it"},
		"the folder itself":     {archive(t, entry{".", "", 0o644}), `the name "." is no name for a file`},
		"a null":                {archive(t, entry{"a\x00b", "", 0o644}), `the name "a\x00b" is no name for a file`},
		"twice":                 {archive(t, entry{"a", "1", 0o644}, entry{"a", "2", 0o644}), "it has a twice"},
		"a file and a folder":   {archive(t, entry{"a", "1", 0o644}, entry{"a/b", "2", 0o644}), "a file and a folder"},
		"a folder and a file":   {archive(t, entry{"a/b", "2", 0o644}, entry{"a", "1", 0o644}), "it has a twice"},
		"a long name":           {archive(t, entry{strings.Repeat("a", 300), "", 0o644}), "too long"},
		"a long path":           {archive(t, entry{strings.Repeat("abcdefghi/", 103), "", 0o644}), "too long"},
		"a deep path":           {archive(t, entry{strings.Repeat("a/", 102) + "x", "", 0o644}), "too long"},
		"a device":              {archive(t, entry{"a", "", fs.ModeDevice | 0o644}), "neither a file nor a folder"},
		"a pipe":                {archive(t, entry{"a", "", fs.ModeNamedPipe | 0o644}), "neither a file nor a folder"},
		"damaged":               {damaged, "damaged"},
		"a link up":             {archive(t, link("a", "../x")), "leads out of it"},
		"an absolute link":      {archive(t, link("a", "/etc/passwd")), "leads out of it"},
		"an empty link":         {archive(t, link("a", "")), "leads out of it"},
		"a link by a link":      {archive(t, link("x", "."), link("y", "x/..")), "leads out of it"},
		"a file through a link": {archive(t, link("a", "b"), entry{"a/x", "", 0o644}), "twice"},
		"a link through a link": {archive(t, entry{"b/c/d", "", 0o644}, link("a", "b/c"), link("a/x", "y")), "a file and a folder"},
		"a long link":           {archive(t, link("a", strings.Repeat("a/", 2049))), "leads out of it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			top := t.TempDir()
			dir := filepath.Join(top, "in")
			require.NoError(t, os.Mkdir(dir, 0o700))
			_, err := unpack(tt.zip, dir)
			var refused *apiError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, "InvalidParameterValueException", refused.name)
			require.Contains(t, refused.message, tt.want)
			requireOnly(t, top, "in")
		})
	}
}

// requireOnly checks that a folder has one entry.
func requireOnly(t *testing.T, dir, name string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Equal(t, name, entries[0].Name())
}

// The size counts as it is, whatever the zip file says.
func TestUnpack_Size(t *testing.T) {
	t.Parallel()
	packed := zeros(t, mostUnzipped+1)
	for name, declared := range map[string]uint64{"honest": mostUnzipped + 1, "a lie": 10} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := unpack(zipped(t, packed, declared), t.TempDir())
			var refused *apiError
			require.ErrorAs(t, err, &refused)
			require.Regexp(t, "Unzipped size must be smaller than 262144000 bytes|damaged", refused.message)
		})
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for range mostFiles + 1 {
		_, err := w.CreateHeader(&zip.FileHeader{Name: "a"})
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	_, err := unpack(b.Bytes(), t.TempDir())
	require.ErrorContains(t, err, "more than 65535 files")

	root, err := os.OpenRoot(t.TempDir())
	require.NoError(t, err)
	defer root.Close()
	u := &unpacker{root: root, folders: map[string]bool{".": true}, files: mostFiles - 3}
	require.NoError(t, u.makeRoom("a/b/x"))
	require.ErrorContains(t, u.makeRoom("a/b/c/x"), "more than 65535 files and folders", "folders count that no entry names")
}

// zipped returns a zip file with one compressed file, of which it says that it has a size.
func zipped(t *testing.T, packed []byte, size uint64) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.CreateRaw(&zip.FileHeader{Name: "zeros", Method: zip.Deflate, CompressedSize64: uint64(len(packed)), UncompressedSize64: size})
	require.NoError(t, err)
	_, err = f.Write(packed)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

// zeros returns n zeros, compressed. Each block stands alone, so that one is repeated.
func zeros(t *testing.T, n int) []byte {
	t.Helper()
	block := func(n int, flush func(*flate.Writer) error) []byte {
		var b bytes.Buffer
		w, err := flate.NewWriter(&b, flate.BestSpeed)
		require.NoError(t, err)
		_, err = w.Write(make([]byte, n))
		require.NoError(t, err)
		require.NoError(t, flush(w))
		return b.Bytes()
	}
	const each = 1 << 20
	return append(bytes.Repeat(block(each, (*flate.Writer).Flush), n/each), block(n%each, (*flate.Writer).Close)...)
}

// Whatever the bytes are: an error of the caller or of nobody, and nothing beside the folder.
func FuzzUnpack(f *testing.F) {
	f.Add(archive(f, entry{"a/b", "text", 0o755}, entry{"c", "a/b", fs.ModeSymlink | 0o777}))
	f.Add(archive(f, entry{"../x", "text", 0o755}, entry{"x", ".", fs.ModeSymlink | 0o777}, entry{"y", "x/..", fs.ModeSymlink | 0o777}))
	f.Add([]byte("PK\x05\x06" + strings.Repeat("\x00", 18)))
	f.Fuzz(func(t *testing.T, content []byte) {
		top := t.TempDir()
		dir := filepath.Join(top, "in")
		require.NoError(t, os.Mkdir(dir, 0o700))
		_, err := unpack(content, dir)
		var refused *apiError
		require.True(t, err == nil || errors.As(err, &refused), "%v", err)
		requireOnly(t, top, "in")
		_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			require.NoError(t, err)
			if d.Type()&fs.ModeSymlink != 0 {
				if target, err := filepath.EvalSymlinks(path); err == nil {
					root, err := filepath.EvalSymlinks(dir)
					require.NoError(t, err)
					require.True(t, target == root || strings.HasPrefix(target, root+"/"), target)
				}
			}
			return nil
		})
	})
}

// A name is one key of the store, or refused.
func FuzzParseName(f *testing.F) {
	for _, name := range []string{"chat", "chat:live", "arn:aws:lambda:us-east-1:123456789012:function:chat:$LATEST", "1:function:chat", "a/b", "..", "arn:aws:apigateway:r:lambda:path/2015-03-31/functions/chat/invocations"} {
		f.Add(name, "")
		f.Add(name, "1")
	}
	f.Fuzz(func(t *testing.T, name, apart string) {
		function, qualifier, err := parseName(name, apart)
		if err != nil {
			var refused *apiError
			require.ErrorAs(t, err, &refused)
			return
		}
		require.Regexp(t, `^[a-zA-Z0-9-_]{1,64}$`, function)
		require.Regexp(t, `^(\$LATEST|[a-zA-Z0-9-_]{0,128})$`, qualifier)
		require.Contains(t, name, function)
	})
}
