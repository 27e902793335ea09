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
	for _, text := range []string{
		``, `[]`, `{}`, `{"Statement":[{"Effect":"allow","Action":"*","Resource":"*"}]}`,
		`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}]}`,
	} {
		_, err := policy.Parse([]byte(text))
		require.Error(t, err, text)
	}
}
