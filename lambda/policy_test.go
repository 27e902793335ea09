package lambda_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"example.com/gateway/lambda"
)

const methodARN = "arn:aws:execute-api:us-east-1:111122223333:a1b2c3d4e5/prod/$connect"

func policy(statements ...string) string {
	return `{"policyDocument":{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}}`
}

func statement(effect, rest string) string {
	return `{"Effect":"` + effect + `",` + rest + `}`
}

func TestDecide_Policies(t *testing.T) {
	t.Parallel()
	const all = `"Action":"execute-api:Invoke","Resource":"` + methodARN + `"`
	for _, tt := range []struct {
		name, result string
		want         lambda.Decision
	}{
		{"it allows the method", policy(statement("Allow", all)), lambda.Allow},
		{"it denies the method", policy(statement("Deny", all)), lambda.ExplicitDeny},
		{"a deny wins over an allow before it", policy(statement("Allow", all), statement("Deny", all)), lambda.ExplicitDeny},
		{"a deny wins over an allow after it", policy(statement("Deny", all), statement("Allow", all)), lambda.ExplicitDeny},
		{"no statement denies implicitly", policy(), lambda.ImplicitDeny},
		{"another resource denies implicitly", policy(statement("Allow", `"Action":"execute-api:Invoke","Resource":"arn:aws:execute-api:us-east-1:111122223333:a1b2c3d4e5/test/$connect"`)), lambda.ImplicitDeny},
		{"another action denies implicitly", policy(statement("Allow", `"Action":"execute-api:ManageConnections","Resource":"*"`)), lambda.ImplicitDeny},
		{"a deny of something else does not matter", policy(statement("Deny", `"Action":"s3:*","Resource":"*"`), statement("Allow", all)), lambda.Allow},
		{"everything", policy(statement("Allow", `"Action":"*","Resource":"*"`)), lambda.Allow},
		{"arrays", policy(statement("Allow", `"Action":["s3:Get","execute-api:Invoke"],"Resource":["arn:aws:s3:::x","`+methodARN+`"]`)), lambda.Allow},
		{"actions have no case", policy(statement("Allow", `"Action":"Execute-API:inv*","Resource":"*"`)), lambda.Allow},
		{"resources have case", policy(statement("Allow", `"Action":"*","Resource":"`+strings.ReplaceAll(methodARN, "prod", "PROD")+`"`)), lambda.ImplicitDeny},
		{"a wildcard in the middle", policy(statement("Allow", `"Action":"*","Resource":"arn:aws:execute-api:*:*:a1b2c3d4e5/*/$connect"`)), lambda.Allow},
		{"a question mark is one character", policy(statement("Allow", `"Action":"execute-api:Invok?","Resource":"arn:aws:execute-api:us-east-?:111122223333:a1b2c3d4e5/pro?/$connect"`)), lambda.Allow},
		{"a question mark is not none", policy(statement("Allow", `"Action":"*","Resource":"`+methodARN+`?"`)), lambda.ImplicitDeny},
		{"a prefix is not enough", policy(statement("Allow", `"Action":"*","Resource":"arn:aws:execute-api:us-east-1:111122223333:a1b2c3d4e5/prod"`)), lambda.ImplicitDeny},
		{"NotAction", policy(statement("Allow", `"NotAction":"s3:*","Resource":"*"`)), lambda.Allow},
		{"NotAction of this one", policy(statement("Allow", `"NotAction":["s3:*","execute-api:*"],"Resource":"*"`)), lambda.ImplicitDeny},
		{"NotResource", policy(statement("Deny", `"Action":"*","NotResource":"arn:aws:s3:::*"`)), lambda.ExplicitDeny},
		{"NotResource of this one", policy(statement("Deny", `"Action":"*","NotResource":["*"]`), statement("Allow", all)), lambda.Allow},
		{"a statement that stands alone", `{"policyDocument":{"Statement":` + statement("Allow", all) + `}}`, lambda.Allow},
		{"a Sid and an Id", `{"policyDocument":{"Id":"1","Version":"2008-10-17","Statement":` + statement("Allow", `"Sid":"x",`+all) + `}}`, lambda.Allow},
		{"an empty Condition", policy(statement("Allow", `"Condition":{},`+all)), lambda.Allow},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := lambda.Decide([]byte(tt.result), methodARN)
			require.NoError(t, err)
			require.Equal(t, lambda.AuthorizerResult{Decision: tt.want}, got)
		})
	}
}

func TestDecide_Messages(t *testing.T) {
	t.Parallel()
	require.Empty(t, lambda.Allow.Message())
	require.Equal(t, "User is not authorized to access this resource with an explicit deny in an identity-based policy", lambda.ExplicitDeny.Message())
	require.Equal(t, "User is not authorized to access this resource because no identity-based policy allows the execute-api:Invoke action", lambda.ImplicitDeny.Message())
	require.Equal(t, lambda.ImplicitDeny, lambda.AuthorizerResult{}.Decision, "the zero value denies")
}

func TestDecide_Context(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, members string
		want          lambda.AuthorizerResult
	}{
		{"nothing but a policy", ``, lambda.AuthorizerResult{}},
		{"a principal", `"principalId":"user-17",`, lambda.AuthorizerResult{PrincipalID: "user-17"}},
		{"a principal that is a number", `"principalId":7,`, lambda.AuthorizerResult{PrincipalID: "7"}},
		{"a principal that is null", `"principalId":null,`, lambda.AuthorizerResult{}},
		{"a usage identifier key", `"usageIdentifierKey":"k",`, lambda.AuthorizerResult{UsageIdentifierKey: "k"}},
		{"a usage identifier key that is null", `"usageIdentifierKey":null,`, lambda.AuthorizerResult{}},
		{"values become strings, nulls are dropped", `"context":{"tenant":"acme","level":3,"admin":true,"no":false,"none":null,"":"x"},`, lambda.AuthorizerResult{Context: map[string]string{
			"tenant": "acme", "level": "3", "admin": "true", "no": "false", "": "x",
		}}},
		{"numbers", `"context":{"a":-0.5,"b":1.50,"c":1e3,"d":12345678901234567890,"e":1E-2,"f":1e400,"g":100.0},`, lambda.AuthorizerResult{Context: map[string]string{
			"a": "-0.5", "b": "1.5", "c": "1000", "d": "12345678901234567890", "e": "0.01", "f": "1e400", "g": "100",
		}}},
		{"a context that is null", `"context":null,`, lambda.AuthorizerResult{}},
		{"a context that is empty", `"context":{},`, lambda.AuthorizerResult{}},
		{"what else there is", `"PrincipalId":"x","ttl":1,`, lambda.AuthorizerResult{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := lambda.Decide([]byte(`{`+tt.members+policy(statement("Allow", `"Action":"*","Resource":"*"`))[1:]), methodARN)
			require.NoError(t, err)
			tt.want.Decision = lambda.Allow
			require.Equal(t, tt.want, got)
		})
	}
}

func TestDecide_Invalid(t *testing.T) {
	t.Parallel()
	allow := policy(statement("Allow", `"Action":"*","Resource":"*"`))
	with := func(member string) string { return `{` + member + `,` + allow[1:] }
	for _, tt := range []struct{ name, result, says string }{
		{"nothing", ``, "it is no object"},
		{"null", `null`, "it is no object"},
		{"a string", `"Allow"`, "it is no object"},
		{"broken JSON", allow[:10], "it is no object"},
		{"no policy", `{"principalId":"x"}`, "there is no policyDocument"},
		{"a policy that is null", `{"policyDocument":null}`, "policyDocument: it is no object"},
		{"a policy that is text", `{"policyDocument":"{}"}`, "policyDocument: it is no object"},
		{"a policy without statements", `{"policyDocument":{}}`, "there is no Statement"},
		{"an unknown version", `{"policyDocument":{"Version":"2020-01-01","Statement":[]}}`, "no such Version"},
		{"an effect in another case", policy(statement("allow", `"Action":"*","Resource":"*"`)), "statement 0: the Effect"},
		{"a bad statement after a good one", policy(statement("Deny", `"Action":"*","Resource":"*"`), `{}`), "statement 1: the Effect"},
		{"a statement that is null", policy(`null`), "statement 0: it is no object"},
		{"no action", policy(statement("Allow", `"Resource":"*"`)), "there is no Action"},
		{"no resource", policy(statement("Allow", `"Action":"*"`)), "there is no Resource"},
		{"both actions", policy(statement("Allow", `"Action":"*","NotAction":"*","Resource":"*"`)), "both Action and NotAction"},
		{"no actions", policy(statement("Allow", `"Action":[],"Resource":"*"`)), "Action is an empty array"},
		{"an action that is a number", policy(statement("Allow", `"Action":1,"Resource":"*"`)), "Action is neither"},
		{"an action that is null", policy(statement("Allow", `"Action":[null],"Resource":"*"`)), "Action is neither"},
		{"nulls, as some programs write them", policy(statement("Allow", `"Action":"*","Resource":"*","Condition":null`)), "statement 0: Condition is null"},
		{"a member that is misspelt", policy(statement("Allow", `"Action":"*","Resource":"*","Conditions":{"Bool":{"aws:SecureTransport":"true"}}`)), `statement 0: "Conditions" is not one of`},
		{"two policies", `{"policyDocument":{"Version":"2012-10-17","Statement":[]},` + allow[1:], `"policyDocument" comes twice`},
		{"two principals", `{"principalId":"a","principalId":"b",` + allow[1:], `"principalId" comes twice`},
		{"two values of one name in the context", with(`"context":{"role":"user","role":"admin"}`), `context: "role" comes twice`},
		{"a long resource", policy(statement("Allow", `"Action":"*","Resource":"`+strings.Repeat("x", 513)+`"`)), "more than 512 characters"},
		{"a condition", policy(statement("Allow", `"Action":"*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`)), "a Condition cannot be evaluated"},
		{"an object in the context", with(`"context":{"a":{}}`), "context.a is an object or an array"},
		{"an array in the context", with(`"context":{"a":[]}`), "context.a is an object or an array"},
		{"a context that is an array", with(`"context":[]`), "context: it is no object"},
		{"a principal that is an object", with(`"principalId":{}`), "principalId is no string"},
		{"a usage identifier key that is a number", with(`"usageIdentifierKey":1`), "usageIdentifierKey is no string"},
		{"one that ends early", allow + `}`, "no object"},
		{"more than 8 KB", with(`"x":"` + strings.Repeat("x", 8<<10) + `"`), "above 8192"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := lambda.Decide([]byte(tt.result), methodARN)
			require.ErrorContains(t, err, "invalid authorizer result")
			require.ErrorContains(t, err, tt.says)
			require.Zero(t, got)
		})
	}
}

// FuzzDecide checks that the decision is Allow only if a statement allows, and compares
// the wildcards with regular expressions.
func FuzzDecide(f *testing.F) {
	f.Add("a*b?c", "axxbyc", true)
	f.Add("*", "", false)
	f.Add("**a", "aa", true)
	f.Fuzz(func(t *testing.T, pattern, text string, deny bool) {
		if !utf8.ValidString(pattern) || strings.Contains(pattern+text, "\uFFFD") || strings.Contains(pattern, "${") {
			return
		}
		pattern, text = "arn:"+pattern, "arn:"+text
		effect := "Allow"
		if deny {
			effect = "Deny"
		}
		quoted, err := json.Marshal(pattern)
		require.NoError(t, err)
		got, err := lambda.Decide(fmt.Appendf(nil, `{"policyDocument":{"Statement":[{"Effect":%q,"Action":"*","Resource":%s}]}}`, effect, quoted), string([]rune(text)))
		if err != nil {
			require.Greater(t, len(pattern), 512)
			return
		}
		expression := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(string([]rune(pattern))))
		matches := regexp.MustCompile(`(?s)\A` + expression + `\z`).MatchString(string([]rune(text)))
		want := lambda.ImplicitDeny
		switch {
		case matches && deny:
			want = lambda.ExplicitDeny
		case matches:
			want = lambda.Allow
		}
		require.Equal(t, want, got.Decision)
	})
}
