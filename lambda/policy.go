package lambda

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// AuthorizerResult is what a Lambda authorizer returned, and what that means.
type AuthorizerResult struct {
	Decision Decision
	// PrincipalID says who the client is. "" means that the authorizer did not.
	PrincipalID string
	// Context is what the authorizer passes on to integrations: strings all, as in
	// the service. It is nil when there is none.
	Context map[string]string
	// UsageIdentifierKey is the client's API key, for APIs that take it from the
	// authorizer.
	UsageIdentifierKey string
}

// Decision is what a policy says about a connection. The zero value denies.
type Decision int

// The three decisions.
const (
	ImplicitDeny Decision = iota // no statement allows it
	ExplicitDeny                 // a statement denies it, whatever others say
	Allow
)

// Message is the service's text for a denial, "" for Allow.
func (d Decision) Message() string {
	switch d {
	case Allow:
		return ""
	case ExplicitDeny:
		return "User is not authorized to access this resource with an explicit deny in an identity-based policy"
	default:
		return "User is not authorized to access this resource because no identity-based policy allows the execute-api:Invoke action"
	}
}

// The bounds of the service on an authorizer's result, in bytes, and on a
// resource of its policy, in characters.
const (
	maxAuthorizerResult = 8 << 10
	maxPolicyResource   = 512
)

// invokeAction is the one action that a connection needs.
const invokeAction = "execute-api:Invoke"

// Decide reads what a Lambda authorizer returned for methodARN, which is
// arn:aws:execute-api:{region}:{account}:{API ID}/{stage}/$connect: JSON of
// principalId, policyDocument, context and usageIdentifierKey.
//
// A statement applies when its Action matches execute-api:Invoke, in any case,
// and its Resource matches methodARN, with * for any text and ? for one character
// in both. NotAction and NotResource apply where the list does not match. One
// statement that denies overrules all that allow; when none applies the
// connection is denied.
//
// A principalId that is a number becomes text, and so do numbers and booleans of
// the context, whose nulls are left out. An error means that the result is not
// valid, which the service answers with 500: it is no JSON object, or above 8 KB;
// there is no policyDocument, or not a valid one; the context has objects or
// arrays. A statement with a Condition is not valid here either: evaluating none,
// we must not allow what one may forbid. (API Gateway: "Output from an API Gateway
// Lambda authorizer".)
func Decide(result []byte, methodARN string) (AuthorizerResult, error) {
	r, err := decide(result, methodARN)
	if err != nil {
		return AuthorizerResult{}, fmt.Errorf("lambda: invalid authorizer result: %w", err)
	}
	return r, nil
}

func decide(result []byte, methodARN string) (r AuthorizerResult, err error) {
	if len(result) > maxAuthorizerResult {
		return r, fmt.Errorf("%d bytes, above %d", len(result), maxAuthorizerResult)
	}
	var members map[string]json.RawMessage // not a struct, whose names match in any case
	if err := json.Unmarshal(result, &members); err != nil || members == nil {
		return r, errors.New("no JSON object")
	}
	if r.PrincipalID, err = principal(members["principalId"]); err != nil {
		return r, err
	}
	if r.Context, err = contextStrings(members["context"]); err != nil {
		return r, err
	}
	if raw := members["usageIdentifierKey"]; raw != nil {
		if err := json.Unmarshal(raw, &r.UsageIdentifierKey); err != nil {
			return r, errors.New("usageIdentifierKey is no string")
		}
	}
	statements, err := policyStatements(members["policyDocument"])
	if err != nil {
		return r, fmt.Errorf("policyDocument: %w", err)
	}
	for _, s := range statements {
		switch {
		case !s.applies(methodARN):
		case s.deny:
			r.Decision = ExplicitDeny
			return r, nil
		default:
			r.Decision = Allow
		}
	}
	return r, nil
}

// principal returns a principalId, "" for one that is absent or null.
func principal(raw json.RawMessage) (string, error) {
	if raw == nil {
		return "", nil
	}
	id, ok := contextString(raw)
	if !ok && string(raw) != "null" {
		return "", errors.New("principalId is no string")
	}
	return id, nil
}

// contextStrings makes strings of a context's values.
func contextStrings(raw json.RawMessage) (map[string]string, error) {
	var values map[string]json.RawMessage
	if raw != nil && json.Unmarshal(raw, &values) != nil {
		return nil, errors.New("context is no object")
	}
	var texts map[string]string
	for name, value := range values {
		text, ok := contextString(value)
		switch {
		case ok && texts == nil:
			texts = map[string]string{name: text}
		case ok:
			texts[name] = text
		case string(value) != "null":
			return nil, fmt.Errorf("context.%s is an object or an array", clip(name))
		}
	}
	return texts, nil
}

// contextString returns a string, number or boolean as text. Numbers are written
// without an exponent, integers digit by digit.
func contextString(raw json.RawMessage) (text string, ok bool) {
	switch raw[0] {
	case '"':
		return text, json.Unmarshal(raw, &text) == nil
	case 't', 'f':
		return string(raw), true
	case '{', '[', 'n':
		return "", false
	}
	text = string(raw)
	if strings.ContainsAny(text, ".eE") {
		f, err := strconv.ParseFloat(text, 64)
		if err == nil {
			text = strconv.FormatFloat(f, 'f', -1, 64)
		}
	}
	return text, true
}

// statement is one of a policy, checked.
type statement struct {
	deny                   bool
	actions, resources     []string
	notAction, notResource bool
}

func (s *statement) applies(methodARN string) bool {
	action := false
	for _, pattern := range s.actions {
		action = action || wildcard(strings.ToLower(pattern), strings.ToLower(invokeAction))
	}
	resource := false
	for _, pattern := range s.resources {
		resource = resource || wildcard(pattern, methodARN)
	}
	return action != s.notAction && resource != s.notResource
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
		if len([]rune(r)) > maxPolicyResource {
			return fmt.Errorf("a resource has more than %d characters", maxPolicyResource)
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
