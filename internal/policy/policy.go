// Package policy evaluates IAM policy documents, as far as an API needs them: the
// effect of actions and resources, with wildcards.
package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Decision is what a policy says. The zero value denies.
type Decision int

// The three decisions.
const (
	ImplicitDeny Decision = iota // no statement allows it
	ExplicitDeny                 // a statement denies it, whatever others say
	Allow
)

// maxResource is the service's bound on a resource, in characters.
const maxResource = 512

// Document is a policy document, checked. It is safe for concurrent use.
type Document struct{ statements []statement }

// Parse checks a policy document: Version, if there is one, 2012-10-17 or
// 2008-10-17; Statement one object or an array of them, each with an Effect, an
// Action or NotAction and a Resource or NotResource, strings or arrays of them. A
// Condition is not evaluated, so that it is an error.
func Parse(raw json.RawMessage) (*Document, error) {
	statements, err := policyStatements(raw)
	if err != nil {
		return nil, err
	}
	return &Document{statements}, nil
}

// Decide says whether d allows an action on a resource. Actions match in any
// case; * stands for any text and ? for one character in both. NotAction and
// NotResource apply where the list does not match. One statement that denies
// overrules all that allow.
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

// statement is one of a policy, checked.
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

func policyStatements(raw json.RawMessage) ([]statement, error) {
	var policy map[string]json.RawMessage
	if json.Unmarshal(orNull(raw), &policy) != nil || policy == nil {
		return nil, errors.New("it is no object")
	}
	if v := policy["Version"]; v != nil {
		if version := ""; json.Unmarshal(v, &version) != nil || version != "2012-10-17" && version != "2008-10-17" {
			return nil, errors.New("there is no such Version")
		}
	}
	var raws []json.RawMessage
	all := orNull(policy["Statement"])
	switch all[0] {
	case '{': // a single one may stand alone
		raws = append(raws, all)
	case '[':
		_ = json.Unmarshal(all, &raws) // of valid JSON
	default:
		return nil, errors.New("there is no Statement")
	}
	statements := make([]statement, len(raws))
	for n, raw := range raws {
		if err := statements[n].parse(raw); err != nil {
			return nil, fmt.Errorf("statement %d: %w", n, err)
		}
	}
	return statements, nil
}

func (s *statement) parse(raw json.RawMessage) (err error) {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil || members == nil {
		return errors.New("it is no object")
	}
	var condition map[string]json.RawMessage
	if raw := members["Condition"]; raw != nil && (json.Unmarshal(raw, &condition) != nil || len(condition) > 0) {
		return errors.New("a Condition cannot be evaluated")
	}
	switch string(members["Effect"]) {
	case `"Allow"`:
	case `"Deny"`:
		s.deny = true
	default:
		return errors.New("the Effect is neither Allow nor Deny")
	}
	if s.actions, s.notAction, err = patterns(members, "Action"); err != nil {
		return err
	}
	if s.resources, s.notResource, err = patterns(members, "Resource"); err != nil {
		return err
	}
	for _, r := range s.resources {
		if len([]rune(r)) > maxResource {
			return fmt.Errorf("a resource has more than %d characters", maxResource)
		}
	}
	return nil
}

// patterns returns the value of name, or of its negation, a string or an array of
// strings. A null counts as absent: Go programs write them.
func patterns(members map[string]json.RawMessage, name string) (list []string, not bool, err error) {
	raw, negated := orNull(members[name]), orNull(members["Not"+name])
	switch {
	case raw[0] == 'n' && negated[0] == 'n':
		return nil, false, fmt.Errorf("there is no %s", name)
	case raw[0] != 'n' && negated[0] != 'n':
		return nil, false, fmt.Errorf("there are both %s and Not%s", name, name)
	case raw[0] == 'n':
		raw, not = negated, true
	}
	if raw[0] == '"' {
		raw = append(append(json.RawMessage{'['}, raw...), ']')
	}
	var values []*string
	if json.Unmarshal(raw, &values) != nil || len(values) == 0 {
		return nil, false, fmt.Errorf("%s is neither a string nor an array of strings", name)
	}
	for _, v := range values {
		if v == nil {
			return nil, false, fmt.Errorf("%s holds a null", name)
		}
		list = append(list, *v)
	}
	return list, not, nil
}

func orNull(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return json.RawMessage("null")
	}
	return raw
}

// wildcard says whether pattern matches all of text: * any characters, ? one.
// It takes at most len(pattern) times len(text) steps.
func wildcard(pattern, text string) bool {
	p, t := []rune(pattern), []rune(text)
	star, mark := -1, 0 // the last * that was met, and where in t it ends so far
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
