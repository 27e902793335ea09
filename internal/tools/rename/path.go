package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"golang.org/x/mod/module"
)

// checkTo reports what is wrong with a new module path, and how to correct it.
func checkTo(to string) error {
	if to == "" {
		return errors.New("the new module path is missing: write -to host/owner/gateway")
	}
	mended, why := to, ""
	for _, c := range []struct {
		why  string
		mend func(string) string
	}{
		{"has a scheme, and a module path has none", withoutScheme},
		{"is the address of a repository, not a module path", fromSSH},
		{"has a version, which belongs into tags", withoutVersion},
		{"begins or ends with a slash", func(s string) string { return strings.Trim(s, "/") }},
		{"ends in .git, which users would have to write, too", func(s string) string { return strings.TrimSuffix(s, ".git") }},
		{"has an upper-case letter in its host", lowerHost},
		{"does not begin with a host, because its first part has no dot", withHost},
		{"ends in a major version, which nested modules need behind their own names: this command cannot do that", withoutMajor},
	} {
		if next := c.mend(mended); next != mended {
			if mended = next; why == "" {
				why = c.why
			}
		}
	}
	if err := module.CheckPath(mended); err != nil {
		return fmt.Errorf("-to %q is not a module path (%w): write it as host/owner/gateway", to, err)
	}
	for part := range strings.SplitSeq(mended, "/") {
		if part == "internal" || part == "vendor" {
			return fmt.Errorf("-to %q has the part %q, which keeps other modules from importing it: choose another name", to, part)
		}
	}
	if why != "" {
		return fmt.Errorf("-to %q %s: write -to %s", to, why, mended)
	}
	return nil
}

func withoutScheme(path string) string {
	if _, after, ok := strings.Cut(path, "://"); ok {
		after, _, _ = strings.Cut(after, "#")
		after, _, _ = strings.Cut(after, "?")
		return pageOf.ReplaceAllString(after, "$1")
	}
	return path
}

// pageOf matches the URL of a page in a repository, host/owner/gateway/tree/main, with the
// repository as its first group.
var pageOf = regexp.MustCompile(`^((?:[^/]+/){2,}?[^/]+?)(?:/-)?/(?:tree|blob|commits?|issues|pulls?|releases|wiki)(?:/.*)?$`)

var sshAddress = regexp.MustCompile(`^[^/@]+@([^/:]+)[/:]`) // git@host:owner/gateway.git, or with a slash

func fromSSH(path string) string { return sshAddress.ReplaceAllString(path, "$1/") }

func withoutVersion(path string) string {
	before, _, _ := strings.Cut(path, "@")
	return before
}

func lowerHost(path string) string {
	host, _, _ := strings.Cut(path, "/")
	return strings.ToLower(host) + path[len(host):]
}

func withHost(path string) string {
	if host, _, _ := strings.Cut(path, "/"); strings.Contains(host, ".") {
		return path
	}
	return "host.example/" + path
}

func withoutMajor(path string) string {
	if prefix, major, ok := module.SplitPathVersion(path); ok && major != "" {
		return prefix
	}
	return path
}
