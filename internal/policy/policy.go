// Package policy evaluates the part of IAM policy documents that an API needs: the effect
// of statements on actions and resources, with wildcards.
package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Decision is the decision of a policy. The zero value denies.
type Decision int

// The three decisions.
const (
	ImplicitDeny Decision = iota // no statement allows it
	ExplicitDeny                 // a statement denies it, even if another allows it
	Allow
)

// maxResource is the service's bound on a resource, in characters.
const maxResource = 512

// Document is a policy document that has been checked. It is safe for concurrent use.
type Document struct{ statements []statement }

// Parse checks a policy document by IAM's grammar for policies of identities. The document
// has a Statement, which is an object or an array of objects. It may have a Version,
// 2012-10-17 or 2008-10-17, and an Id. A statement has an Effect, Allow or Deny, an Action
// or NotAction, and a Resource or NotResource. Each of these is a string or an array of
// strings. A statement may also have a Sid and an empty Condition.
//
// Everything else is an error, so that a policy cannot allow what it was meant to forbid:
//
//   - an unknown member, a member whose name has another case, that occurs twice, or that
//     is null;
//   - a Principal, and a Condition that is not empty, because it is not evaluated;
//   - a variable, ${…}, because it is not evaluated. Without Version 2012-10-17 it is plain
//     text;
//   - an action that is not * and does not begin with a service and a colon, and a
//     resource that begins with neither arn: nor *.
//
// (IAM: "Grammar of the IAM JSON policy language"; "IAM JSON policy elements: Version".)
func Parse(raw json.RawMessage) (*Document, error) {
	members, err := known(raw, "Version", "Id", "Statement")
	if err != nil {
		return nil, err
	}
	version, hasVersion := text(members["Version"])
	switch {
	case members["Version"] != nil && (!hasVersion || version != "2012-10-17" && version != "2008-10-17"):
		return nil, errors.New("there is no such Version: want 2012-10-17 or 2008-10-17")
	case !textOrNone(members["Id"]):
		return nil, errors.New("the Id is no string")
	}
	raws, err := oneOrMore(members["Statement"])
	if err != nil {
		return nil, err
	}
	d := &Document{make([]statement, len(raws))}
	for n, raw := range raws {
		if err := d.statements[n].parse(raw, version == "2012-10-17"); err != nil {
			return nil, fmt.Errorf("statement %d: %w", n, err)
		}
	}
	return d, nil
}

// Decide returns the decision about an action on a resource. Upper and lower case are the
// same in actions. In actions and resources * stands for any text and ? for one
// character. NotAction and NotResource apply when their list does not match. If one
// statement denies, the decision is ExplicitDeny, even if others allow.
func (d *Document) Decide(action, resource string) Decision {
	decision := ImplicitDeny
	for i := range d.statements {
		switch s := &d.statements[i]; {
		case !s.applies(action, resource):
		case s.deny:
			return ExplicitDeny
		default:
			decision = Allow
		}
	}
	return decision
}

// statement is a statement that has been checked.
type statement struct {
	deny                   bool
	actions, resources     []string
	notAction, notResource bool
}

func (s *statement) applies(action, resource string) bool {
	actionMatches, resourceMatches := false, false
	for _, pattern := range s.actions {
		actionMatches = actionMatches || wildcard(strings.ToLower(pattern), strings.ToLower(action))
	}
	for _, pattern := range s.resources {
		resourceMatches = resourceMatches || wildcard(pattern, resource)
	}
	return actionMatches != s.notAction && resourceMatches != s.notResource
}

// oneOrMore returns the statements of a Statement, which is an array or a single one.
func oneOrMore(raw json.RawMessage) (raws []json.RawMessage, err error) {
	switch {
	case raw == nil:
		return nil, errors.New("there is no Statement")
	case raw[0] == '{':
		return []json.RawMessage{raw}, nil
	case json.Unmarshal(raw, &raws) != nil:
		return nil, errors.New("the Statement is neither an object nor an array of objects")
	}
	return raws, nil
}

// parse reads a statement. If variables is true, ${…} is a variable.
func (s *statement) parse(raw json.RawMessage, variables bool) error {
	members, err := known(raw, "Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition")
	if err != nil {
		return err
	}
	if !textOrNone(members["Sid"]) {
		return errors.New("the Sid is no string")
	}
	if raw := members["Condition"]; raw != nil {
		if condition, err := Members(raw); err != nil || len(condition) > 0 {
			return errors.New("a Condition cannot be evaluated")
		}
	}
	switch effect, _ := text(members["Effect"]); effect {
	case "Allow":
	case "Deny":
		s.deny = true
	default:
		return errors.New("the Effect is neither Allow nor Deny")
	}
	if s.actions, s.notAction, err = patterns(members, "Action", variables); err != nil {
		return err
	}
	if s.resources, s.notResource, err = patterns(members, "Resource", variables); err != nil {
		return err
	}
	return s.checkForms()
}

// checkForms refuses actions and resources that can match nothing. They are mistakes, and
// in a Deny, a NotAction or a NotResource such a mistake allows too much.
func (s *statement) checkForms() error {
	for _, action := range s.actions {
		if service, _, ok := strings.Cut(action, ":"); action != "*" && (!ok || service == "") {
			return fmt.Errorf("action %.64q is neither * nor like execute-api:Invoke", action)
		}
	}
	for _, resource := range s.resources {
		switch {
		case utf8.RuneCountInString(resource) > maxResource:
			return fmt.Errorf("a resource has more than %d characters", maxResource)
		case !strings.HasPrefix(resource, "*") && !strings.HasPrefix(resource, "arn:"):
			return fmt.Errorf("resource %.64q begins with neither arn: nor *", resource)
		}
	}
	return nil
}

// patterns returns the value of name or of its negation. It is a string or an array of
// strings.
func patterns(members map[string]json.RawMessage, name string, variables bool) (list []string, not bool, err error) {
	raw, negated := members[name], members["Not"+name]
	switch {
	case raw == nil && negated == nil:
		return nil, false, fmt.Errorf("there is no %s", name)
	case raw != nil && negated != nil:
		return nil, false, fmt.Errorf("there are both %s and Not%s", name, name)
	case raw == nil:
		raw, not = negated, true
	}
	raws := []json.RawMessage{raw}
	if raw[0] == '[' {
		_ = json.Unmarshal(raw, &raws) // cannot fail: raw is valid
	}
	for _, raw := range raws {
		pattern, ok := text(raw)
		switch {
		case !ok:
			return nil, false, fmt.Errorf("%s is neither a string nor an array of strings", name)
		case strings.ContainsRune(pattern, utf8.RuneError): // it stands for bytes that are not UTF-8, which match nothing
			return nil, false, fmt.Errorf("%s is not valid UTF-8", name)
		case variables && strings.Contains(pattern, "${"):
			return nil, false, fmt.Errorf("%s has a variable, ${…}, which cannot be evaluated", name)
		}
		list = append(list, pattern)
	}
	if list == nil {
		return nil, false, fmt.Errorf("%s is an empty array: leave the statement out", name)
	}
	return list, not, nil
}

// text returns a JSON string.
func text(raw json.RawMessage) (s string, ok bool) {
	ok = len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, &s) == nil
	return s, ok
}

// textOrNone reports whether a member without effect is absent or a string.
func textOrNone(raw json.RawMessage) bool {
	_, ok := text(raw)
	return raw == nil || ok
}

// wildcard reports whether pattern matches all of text: * any characters, ? one.
// It takes at most len(pattern) times len(text) steps.
func wildcard(pattern, text string) bool {
	p, t := []rune(pattern), []rune(text)
	star, mark := -1, 0 // the last * so far, and the offset in t up to which it matches
	i := 0
	for n := 0; n < len(t); {
		switch {
		case i < len(p) && p[i] == '*':
			star, mark = i, n
			i++
		case i < len(p) && (p[i] == '?' || p[i] == t[n]):
			i++
			n++
		case star >= 0:
			mark++
			i, n = star+1, mark
		default:
			return false
		}
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}
