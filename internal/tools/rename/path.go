package main

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/module"
)

// checkTo says what is wrong with a new module path, and how to mend it.
func checkTo(to string) error {
	bad := func(why, mend string) error { return fmt.Errorf("-to %q %s: write -to %s", to, why, mend) }
	host, rest, _ := strings.Cut(to, "/")
	switch {
	case to == "":
		return errors.New("the new module path is missing: write -to host/owner/gateway")
	case strings.Contains(to, "://"):
		_, after, _ := strings.Cut(to, "://")
		return bad("has a scheme, and a module path has none", strings.TrimSuffix(after, "/"))
	case strings.Trim(to, "/") != to:
		return bad("begins or ends with a slash", strings.Trim(to, "/"))
	case strings.Contains(to, "@"):
		before, _, _ := strings.Cut(to, "@")
		return bad("has a version or a user, and a module path has neither", before)
	case strings.HasSuffix(to, ".git"):
		return bad("ends in .git, which users would have to write, too", strings.TrimSuffix(to, ".git"))
	case !strings.Contains(host, "."):
		return bad("does not begin with a host, because its first part has no dot", "host.example/"+to)
	case strings.ToLower(host) != host:
		return bad("has an upper-case letter in its host", strings.TrimSuffix(strings.ToLower(host)+"/"+rest, "/"))
	}
	if err := module.CheckPath(to); err != nil {
		return fmt.Errorf("-to %q is not a module path (%w): write it as host/owner/gateway", to, err)
	}
	if prefix, major, _ := module.SplitPathVersion(to); major != "" {
		return bad("ends in the major version "+major+", which belongs behind the name of each nested module, too, "+
			"so that this command cannot add it", prefix)
	}
	return nil
}
