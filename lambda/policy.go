package lambda

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"example.com/gateway/internal/policy"
)

// AuthorizerResult is the result of a Lambda authorizer, with the decision that its
// policy makes.
type AuthorizerResult struct {
	Decision Decision
	// PrincipalID says who the client is. "" means that the authorizer did not say it.
	PrincipalID string
	// Context has the values for integrations. All are strings, as in the service. It is
	// nil when there are none.
	Context map[string]string
	// UsageIdentifierKey is the client's API key, for APIs that take the key from the
	// authorizer.
	UsageIdentifierKey string
}

// Decision is the decision of a policy about a connection. The zero value denies.
type Decision int

// The three decisions.
const (
	ImplicitDeny = Decision(policy.ImplicitDeny) // no statement allows it
	ExplicitDeny = Decision(policy.ExplicitDeny) // a statement denies it, even if another allows it
	Allow        = Decision(policy.Allow)
)

// Message returns the service's text for a denial, and "" for Allow.
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

// maxAuthorizerResult is the service's bound on an authorizer's result, in bytes.
const maxAuthorizerResult = 8 << 10

// invokeAction is the one action that a connection needs.
const invokeAction = "execute-api:Invoke"

// Decide reads the result of a Lambda authorizer: JSON with principalId, policyDocument,
// context and usageIdentifierKey. The policy decides about methodARN, which is
// arn:aws:execute-api:{region}:{account}:{API ID}/{stage}/$connect.
//
// A statement applies when its Action matches execute-api:Invoke, in upper or lower
// case, and its Resource matches methodARN. In both, * stands for any text and ? for one
// character. NotAction and NotResource apply when their list does not match. If a
// statement that applies denies, the decision is ExplicitDeny, even if others allow. If
// no statement applies, it is ImplicitDeny.
//
// A principalId that is a number becomes text. So do numbers and booleans in the
// context; nulls are left out.
//
// An error means that the result is not valid, which the service answers with 500:
//
//   - it is not a JSON object, or has more than 8 KB;
//   - there is no policyDocument, or it is not valid;
//   - the context has an object or an array.
//
// This package also refuses what could allow more than was meant: a name that occurs
// twice in the result or in its context and, in the policy, a Condition, a Principal, a
// variable such as ${aws:username}, a member that is null, and a member that IAM's
// grammar does not have. (API Gateway: "Output from an API Gateway Lambda authorizer".)
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
	members, err := policy.Members(result)
	if err != nil {
		return r, err
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
	if members["policyDocument"] == nil {
		return r, errors.New("there is no policyDocument")
	}
	document, err := policy.Parse(members["policyDocument"])
	if err != nil {
		return r, fmt.Errorf("policyDocument: %w", err)
	}
	r.Decision = Decision(document.Decide(invokeAction, methodARN))
	return r, nil
}

// principal returns a principalId. It is "" when there is none, or null.
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

// contextStrings converts the values of a context to strings.
func contextStrings(raw json.RawMessage) (map[string]string, error) {
	if raw == nil || string(raw) == "null" {
		return nil, nil
	}
	values, err := policy.Members(raw)
	if err != nil {
		return nil, fmt.Errorf("context: %w", err)
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
