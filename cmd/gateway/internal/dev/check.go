package dev

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"regexp"

	"example.com/gateway/controlplane"
	"example.com/gateway/definition"
)

// Check reads a definition, and applies it to a control plane that nobody reaches: nothing is
// run. It writes the notes to out, and returns what there is in one line. The error is a
// *FileError if the definition is not right.
func Check(ctx context.Context, o Options, out io.Writer) (summary string, err error) {
	if err := o.checkNames(); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "gateway-check-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	d, err := definition.Load(o.File, o.definition(dir))
	if err != nil {
		return "", fileError(err)
	}
	plane, err := controlplane.New(controlplane.Config{Region: o.Region, AccountID: o.AccountID, Strict: o.Strict, NoQuotas: o.NoQuotas})
	if err != nil {
		return "", err
	}
	defer func() { _ = plane.Shutdown(ctx) }()
	if err := plane.Apply(ctx, callsOf(d)); err != nil {
		return "", notApplied(d, o.File, err)
	}
	stages, err := plane.Stages("")
	if err != nil {
		return "", err
	}
	for _, n := range d.Notes {
		n.File = shortPath(n.File)
		line := n.String()
		if n.Kind == definition.Warning {
			line += " (a warning)"
		}
		_, _ = fmt.Fprintln(out, line)
	}
	return fmt.Sprintf("%s is valid: %s, %s, %s", shortPath(o.File),
		count(len(d.APIs), "WebSocket API"), count(len(stages), "stage"), count(len(d.Functions), "function")), nil
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// IsDefinition reports whether a file, or a folder, is for "gateway dev", and not the
// configuration of a server. What cannot be read is not. A pipe, which can be read only once,
// and a device are: the definition tells what is wrong with them.
func IsDefinition(path string) bool {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return err == nil
	}
	content, err := os.ReadFile(path) //nolint:gosec // the user names it
	if err != nil {
		return false
	}
	for _, mark := range []string{"\xef\xbb\xbf", "\xff\xfe", "\xfe\xff"} {
		content = bytes.TrimPrefix(content, []byte(mark))
	}
	content = bytes.ReplaceAll(content, []byte{0}, nil) // of UTF-16
	key := `(?m)^["']?(Resources|service|provider)["']?[ \t]*:`
	if beginsAsJSON.Match(content) {
		key = `"(Resources|service|provider)"\s*:`
	}
	return regexp.MustCompile(key).Match(content)
}

// beginsAsJSON matches the first brace, behind comments, which the definition refuses.
var beginsAsJSON = regexp.MustCompile(`^(?:\s|//[^\n]*\n|#[^\n]*\n|/\*(?s:.*?)\*/)*\{`)
