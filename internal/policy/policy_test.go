package policy_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/policy"
)

func TestDocument_Decide(t *testing.T) {
	t.Parallel()
	const (
		manage = "execute-api:ManageConnections"
		post   = "arn:aws:execute-api:us-east-1:111122223333:a1/dev/POST/@connections/{connectionId}"
	)
	for _, tt := range []struct {
		name, statements string
		want             policy.Decision
	}{
		{"nothing is said", `[]`, policy.ImplicitDeny},
		{"another action", `{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"*"}`, policy.ImplicitDeny},
		{"the action in another case", `{"Effect":"Allow","Action":"EXECUTE-API:manageconnections","Resource":"*"}`, policy.Allow},
		{"all actions of the service", `{"Effect":"Allow","Action":"execute-api:*","Resource":"*"}`, policy.Allow},
		{"another resource", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:execute-api:us-east-1:111122223333:a1/prod/*"}`, policy.ImplicitDeny},
		{"the resource itself", `{"Effect":"Allow","Action":"*","Resource":"` + post + `"}`, policy.Allow},
		{"all but the action", `{"Effect":"Allow","NotAction":"execute-api:Manage*","Resource":"*"}`, policy.ImplicitDeny},
		{"all but another resource", `{"Effect":"Allow","Action":"*","NotResource":"*/prod/*"}`, policy.Allow},
		{"a denial among others", `[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"*:ManageConnections","Resource":"*/POST/*"},{"Effect":"Allow","Action":"*","Resource":"*"}]`, policy.ExplicitDeny},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":` + tt.statements + `}`))
			require.NoError(t, err)
			require.Equal(t, tt.want, d.Decide(manage, post))
		})
	}
}

func TestParse_RefusesWhatItCannotEvaluate(t *testing.T) {
	t.Parallel()
	const all = `{"Effect":"Allow","Action":"*","Resource":"*"}`
	document := func(members string) string { return `{` + members + `,"Statement":[` + all + `]}` }
	with := func(members string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*",` + members + `}]}`
	}
	denied := func(rest string) string {
		return `{"Version":"2012-10-17","Statement":[` + all + `,{"Effect":"Deny",` + rest + `}]}`
	}
	for _, tt := range []struct{ name, text, says string }{
		{"nothing", ``, "no object"},
		{"an array", `[]`, "no object"},
		{"no statement", `{}`, "no Statement"},
		{"text behind it", `{"Statement":[]}x`, "no object"},
		{"two documents", `{"Statement":[]} {"Statement":[]}`, "no object"},
		{"a document without an end", `{"Statement":[]`, "no object"},
		{"an effect in another case", `{"Statement":[{"Effect":"allow","Action":"*","Resource":"*"}]}`, "Effect"},

		{"a condition", with(`"Condition":{"Bool":{"aws:SecureTransport":"true"}}`), "Condition cannot"},
		{"a condition in lower case", with(`"condition":{"Bool":{"aws:SecureTransport":"true"}}`), `"condition" is not one of`},
		{"a condition in the plural", with(`"Conditions":{}`), `"Conditions" is not one of`},
		{"a condition that is null", with(`"Condition":null`), "Condition is null"},
		{"a condition that is an array", with(`"Condition":[]`), "Condition cannot"},
		{"an empty condition, then another", with(`"Condition":{"Bool":{"aws:SecureTransport":"true"}},"Condition":{}`), `"Condition" comes twice`},
		{"a name that is escaped comes twice", with(`"Condition":{},"C\u006fndition":{}`), `"Condition" comes twice`},
		{"a NotAction that is null", with(`"NotAction":null`), "NotAction is null"},
		{"a NotResource that is null", with(`"NotResource":null`), "NotResource is null"},
		{"a Sid that is null", with(`"Sid":null`), "Sid is null"},
		{"a Sid that is an object", with(`"Sid":{}`), "Sid is no string"},
		{"a principal", with(`"Principal":"*"`), `"Principal" is not one of`},
		{"all but a principal", with(`"NotPrincipal":{"AWS":"111122223333"}`), `"NotPrincipal" is not one of`},
		{"two effects", with(`"Effect":"Allow"`), `"Effect" comes twice`},
		{"two actions", with(`"Action":"*"`), `"Action" comes twice`},
		{"a member without a name", with(`"":1`), `"" is not one of`},

		{"two statements", document(`"Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]`), `"Statement" comes twice`},
		{"a statement in lower case", document(`"statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]`), `"statement" is not one of`},
		{"a version that is null", document(`"Version":null`), "Version is null"},
		{"a version that is empty", document(`"Version":""`), "no such Version"},
		{"a version that is a number", document(`"Version":20121017`), "no such Version"},
		{"two versions", document(`"Version":"2012-10-17","Version":"2008-10-17"`), `"Version" comes twice`},
		{"an Id that is null", document(`"Id":null`), "Id is null"},
		{"an Id that is a number", document(`"Id":1`), "Id is no string"},
		{"a statement that is text", `{"Statement":"x"}`, "neither an object nor an array"},
		{"a statement that is null", `{"Statement":null}`, "Statement is null"},

		{"a variable in what is not meant", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","NotResource":"arn:aws:execute-api:*:*:${aws:PrincipalTag/api}/*"}}`, "Resource has a variable"},
		{"a variable in a denial", denied(`"Action":"*","Resource":"arn:aws:execute-api:*:*:${aws:PrincipalTag/api}/*"`), "Resource has a variable"},
		{"an escape in a denial", denied(`"Action":"*","Resource":"*/prod/${$}connect"`), "Resource has a variable"},
		{"a variable in an action", denied(`"Action":["s3:Get","execute-api:${x}"],"Resource":"*"`), "Action has a variable"},
		{"a denial of no action", denied(`"Action":"Invoke","Resource":"*"`), `action "Invoke" is neither`},
		{"a denial of an empty action", denied(`"Action":"","Resource":"*"`), `action "" is neither`},
		{"an action without a service", denied(`"NotAction":":Invoke","Resource":"*"`), `action ":Invoke" is neither`},
		{"a denial of no ARN", denied(`"Action":"*","Resource":"execute-api:/prod/*"`), "begins with neither"},
		{"an empty resource", `{"Statement":{"Effect":"Allow","Action":"*","NotResource":""}}`, "begins with neither"},
		{"a denial that is no UTF-8", denied(`"Action":"*","Resource":"*` + "\xff" + `"`), "Resource is not valid UTF-8"},
		{"half a surrogate pair", denied(`"Action":["*:x","*:\ud800"],"Resource":"*"`), "Action is not valid UTF-8"},
		{"an empty list", denied(`"Action":[],"Resource":"*"`), "Action is an empty array"},
		{"a list of lists", denied(`"Action":[["*"]],"Resource":"*"`), "Action is neither"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d, err := policy.Parse([]byte(tt.text))
			require.ErrorContains(t, err, tt.says, tt.text)
			require.Nil(t, d)
		})
	}
}

// Before 2012-10-17 there were no variables.
func TestParse_VariablesAreTextInOldVersions(t *testing.T) {
	t.Parallel()
	for _, version := range []string{``, `"Version":"2008-10-17",`} {
		d, err := policy.Parse([]byte(`{` + version + `"Statement":{"Effect":"Allow","Action":"*","Resource":"arn:${aws:x}"}}`))
		require.NoError(t, err)
		require.Equal(t, policy.Allow, d.Decide("execute-api:Invoke", "arn:${aws:x}"))
		require.Equal(t, policy.ImplicitDeny, d.Decide("execute-api:Invoke", "arn:y"))
	}
}
