package api

import (
	"regexp"
	"strings"

	"example.com/gateway/controlplane"
	"example.com/gateway/internal/arn"
)

// latest is the qualifier of what can be changed of a function.
const latest = "$LATEST"

var (
	functionName  = regexp.MustCompile(`^[a-zA-Z0-9-_]+$`)
	aliasName     = regexp.MustCompile(`^[a-zA-Z0-9-_]+$`)
	versionNumber = regexp.MustCompile(`^[1-9][0-9]{0,8}$`)
	statementID   = regexp.MustCompile(`^[a-zA-Z0-9-_]{1,100}$`)
)

const (
	mostName      = 64  // letters of a function's name
	mostQualifier = 128 // letters of a qualifier
)

// parseName reads the name of a function as calls have it: its name, a part of its ARN or
// all of it, with or without a qualifier. The qualifier may be given apart, too. Region
// and account do not matter.
func parseName(name, apart string) (function, qualifier string, err error) {
	f, ok := arn.ParseFunction(name)
	if !ok || f.Identifier != name || !functionName.MatchString(f.Name) || len(f.Name) > mostName {
		return "", "", constraint(name, "functionName", `satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?`)
	}
	switch {
	case apart == "":
		qualifier = f.Qualifier
	case f.Qualifier == "" || f.Qualifier == apart:
		qualifier = apart
	default:
		return "", "", invalid("The derived qualifier from the function name does not match the specified qualifier.")
	}
	if qualifier != "" && qualifier != latest && !aliasName.MatchString(qualifier) || len(qualifier) > mostQualifier {
		return "", "", constraint(qualifier, "qualifier", `satisfy regular expression pattern: (|[a-zA-Z0-9$_-]+)`)
	}
	return f.Name, qualifier, nil
}

// arnOf returns the ARN of a function, with a qualifier unless that is "".
func (s *Server) arnOf(function, qualifier string) string {
	partition := "aws"
	switch {
	case strings.HasPrefix(s.cfg.Region, "cn-"):
		partition = "aws-cn"
	case strings.HasPrefix(s.cfg.Region, "us-gov-"):
		partition = "aws-us-gov"
	}
	a := "arn:" + partition + ":lambda:" + s.cfg.Region + ":" + s.cfg.AccountID + ":function:" + function
	if qualifier != "" {
		a += ":" + qualifier
	}
	return a
}

// keys of the store.

const allFunctions = "functions/"

func functionKey(name string) string          { return allFunctions + name }
func versionsKey(name string) string          { return allFunctions + name + "/versions/" }
func aliasKey(name, alias string) string      { return allFunctions + name + "/aliases/" + alias }
func policyKey(name, qualifier string) string { return allFunctions + name + "/policies/$" + qualifier }

// versionKey has digits before the number, so that the order of keys is that of numbers.
func versionKey(name, version string) string {
	const digits = "000000000"
	return versionsKey(name) + digits[:max(len(digits)-len(version), 0)] + version
}

// read returns the document at a key, or nil.
func read(r controlplane.Reader, key string) (document, error) {
	value, err := r.Get(key)
	if err != nil || value == nil {
		return nil, err
	}
	return decodeJSON(value)
}

func write(w controlplane.Writer, key string, d document) error {
	value, err := encodeJSON(d)
	if err != nil {
		return err
	}
	return w.Put(key, value)
}

// children returns up to limit documents right below a prefix that ends in a slash, and
// the last segments of their keys, which come after the segment after. A limit of 0 means
// no limit.
func children(r controlplane.Reader, prefix, after string, limit int) (names []string, docs []document, err error) {
	const batch = 100
	for position := prefix + after; ; {
		keys, values, err := r.List(prefix, position, batch)
		if err != nil {
			return nil, nil, err
		}
		more := len(keys) == batch
		for n, key := range keys {
			position = key
			name, _, below := strings.Cut(key[len(prefix):], "/")
			if below {
				position, more = prefix+name+"/\xff", true // jump over what is below this document
				break
			}
			d, err := decodeJSON(values[n])
			if err != nil {
				return nil, nil, err
			}
			names, docs = append(names, name), append(docs, d)
			if limit > 0 && len(docs) == limit {
				return names, docs, nil
			}
		}
		if !more {
			return names, docs, nil
		}
	}
}
