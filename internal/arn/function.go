// Package arn reads the forms in which a Lambda function can be named. All parts of this
// module read them here.
package arn

import (
	"slices"
	"strings"
)

// Function is a Lambda function, as a text names it. What the text does not have is "".
type Function struct {
	Partition, Region, AccountID string
	Name                         string
	Qualifier                    string // a version, an alias or $LATEST
	// Identifier is the name for the Invoke API: the whole text, or the ARN in an
	// invocation URI.
	Identifier string
}

// ParseFunction reads one of
//
//	{name}, function:{name}
//	{account}:function:{name}
//	{region}:{account}:function:{name}
//	arn:{partition}:lambda:{region}:{account}:function:{name}
//	arn:{partition}:apigateway:{region}:lambda:path/2015-03-31/functions/{ARN}/invocations
//
// each with or without :{qualifier} behind the name. It reports false for any other text.
func ParseFunction(text string) (Function, bool) {
	f := Function{Identifier: text}
	if strings.HasPrefix(text, "arn:") {
		if _, path, ok := strings.Cut(text, ":lambda:path/"); ok {
			_, arn, _ := strings.Cut(path, "/functions/")
			if f.Identifier, ok = strings.CutSuffix(arn, "/invocations"); !ok {
				return Function{}, false
			}
		}
	}
	parts := strings.Split(f.Identifier, ":")
	if parts[0] == "arn" {
		if len(parts) < 7 || parts[2] != "lambda" {
			return Function{}, false
		}
		if parts[5] != "function" {
			return Function{}, false
		}
		f.Partition, f.Region, f.AccountID = parts[1], parts[3], parts[4]
		parts = parts[6:]
	} else if n := slices.Index(parts[:min(len(parts)-1, 3)], "function"); n >= 0 {
		before := append([]string{"", ""}, parts[:n]...)
		f.Region, f.AccountID = before[n], before[n+1]
		parts = parts[n+1:]
	}
	if len(parts) > 2 || !isName(parts[0]) || strings.Trim(parts[0], ".") == "" {
		return Function{}, false
	}
	f.Name = parts[0]
	if len(parts) == 2 {
		if f.Qualifier = parts[1]; f.Qualifier != "$LATEST" && !isName(f.Qualifier) {
			return Function{}, false
		}
	}
	return f, true
}

func isName(text string) bool {
	return text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == ""
}

// Expand replaces ${stageVariables.name} by the value of the variable, or by nothing if
// there is no such variable.
func Expand(text string, stageVariables map[string]string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, variable)
		name, rest, closed := strings.Cut(after, "}")
		if !found || !closed {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(before)
		b.WriteString(stageVariables[name])
		text = rest
	}
}

// HasVariables reports whether text has a stage variable to expand.
func HasVariables(text string) bool {
	_, after, found := strings.Cut(text, variable)
	return found && strings.Contains(after, "}")
}

// variable begins a reference to a stage variable.
const variable = "${stageVariables."
