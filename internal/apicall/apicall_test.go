package apicall_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/apicall"
)

func TestParsePath(t *testing.T) {
	t.Parallel()
	type res = apicall.Resource
	for path, want := range map[string]res{
		"/prod/@connections/a%3D%3D":             {Kind: apicall.Connection, ConnectionID: "a=="},
		"/prod/@connections":                     {Kind: apicall.Collection},
		"/@connections":                          {Kind: apicall.Collection},
		"/prod/%40connections":                   {Kind: apicall.Collection},
		"/a/b/@connections/x/state":              {Kind: apicall.State, ConnectionID: "x"},
		"/prod/@connections/x/groups/room-1":     {Kind: apicall.Membership, ConnectionID: "x", Group: "room-1"},
		"/prod/@connections/x/groups/a%2Fb":      {Kind: apicall.Membership, ConnectionID: "x", Group: "a/b"},
		"/prod/@connections/x/groups/%C3%BC":     {Kind: apicall.Membership, ConnectionID: "x", Group: "ü"},
		"/@connections/x/groups/@connections":    {Kind: apicall.Membership, ConnectionID: "x", Group: "@connections"},
		"/@connections/groups/x":                 {},
		"/@connections/@connections":             {Kind: apicall.Connection, ConnectionID: "@connections"},
		"/@connections/x/@connections/y":         {Kind: apicall.Connection, ConnectionID: "y"},
		"/@connections/x/@connections/y/state":   {Kind: apicall.State, ConnectionID: "y"},
		"/@connections/@connections/state":       {Kind: apicall.Connection, ConnectionID: "state"},
		"/@connections/x/":                       {},
		"/@connections/":                         {Kind: apicall.Collection},
		"/prod/%40connections/":                  {Kind: apicall.Collection},
		"/prod/@connections//":                   {},
		"/prod/@connections/%2F":                 {Kind: apicall.Connection, ConnectionID: "/"},
		"/@connections/x/groups/@connections/":   {Kind: apicall.Collection},
		"/@connections/x/State":                  {},
		"/@connections/x/groups":                 {},
		"/@connections/x/groups/":                {},
		"/@connections//groups/a":                {},
		"/@connections//state":                   {},
		"/@connections/x/groups/a/":              {},
		"/@connections/x/groups/a/b":             {},
		"/@connections/x/groups/%zz":             {},
		"/%zz/x/y/z/@connections":                {Kind: apicall.Collection}, // what stands before is not read
		"@connections":                           {},
		"":                                       {},
		"/":                                      {},
		"/prod@connections":                      {},
		"/prod/@connections%2Fx":                 {},
		"/prod/@Connections":                     {},
		"/prod/@connections/x%2Fstate":           {Kind: apicall.Connection, ConnectionID: "x/state"},
		"/prod/@connections/x%2Fgroups%2Fa":      {Kind: apicall.Connection, ConnectionID: "x/groups/a"},
		"/prod/@connections/x/groups%2Fa":        {},
		"/prod/@connections/x/groups/a%00":       {Kind: apicall.Membership, ConnectionID: "x", Group: "a\x00"}, // refused as a name
		"/prod/@connections/+/groups/a+b%20c":    {Kind: apicall.Membership, ConnectionID: "+", Group: "a+b c"},
		"/@connections/x/groups/..":              {Kind: apicall.Membership, ConnectionID: "x", Group: ".."},
		"/prod/@connections/x/groups/a/groups/b": {},
	} {
		require.Equal(t, want, apicall.ParsePath(path), path)
	}
}

func FuzzParsePath(f *testing.F) {
	for _, path := range []string{"/prod/@connections/x/groups/a%2Fb", "/@connections", "/@connections/x/state", "/%40connections/%3D", "//@connections//", "/@connections/x/groups/@connections"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		res := apicall.ParsePath(path)
		if res.Kind == apicall.None {
			require.Equal(t, apicall.Resource{}, res)
			return
		}
		require.Equal(t, res.Kind == apicall.Collection, res.ConnectionID == "")
		require.Equal(t, res.Kind == apicall.Membership, res.Group != "")
		require.Equal(t, res, apicall.ParsePath("/prod"+res.Path()), "its own path means the same")
		u, err := url.Parse("http://x/prod" + res.Path())
		require.NoError(t, err)
		require.Equal(t, "/prod"+res.Path(), u.EscapedPath())
	})
}

func ptr(s string) *string { return &s }

func TestParseQuery(t *testing.T) {
	t.Parallel()
	ids := strings.TrimSuffix(strings.Repeat("id=x&", apicall.MostIDs+1), "&")
	for _, tc := range []struct {
		raw, names string
		want       apicall.Query
		bad        string
	}{
		{raw: "", names: apicall.ListNames, want: apicall.Query{To: apicall.Audience{All: true}, Limit: 100}},
		{raw: "group=a&limit=7&after=x%3D", names: apicall.ListNames, want: apicall.Query{To: apicall.Audience{Group: ptr("a")}, Limit: 7, After: "x="}},
		{raw: "count=true&user=u+v", names: apicall.ListNames, want: apicall.Query{To: apicall.Audience{User: ptr("u v")}, Count: true, Limit: 100}},
		{raw: "id=a&id=b&except=b&except=c", names: apicall.PostNames, want: apicall.Query{To: apicall.Audience{IDs: []string{"a", "b"}, Except: []string{"b", "c"}}, Limit: 100}},
		{raw: "all=true&binary=true", names: apicall.PostNames, want: apicall.Query{To: apicall.Audience{All: true}, Limit: 100, Binary: true}},
		{raw: "all=true&binary=1", names: apicall.PostNames, bad: `Invalid binary: write true, or leave it out, instead of: "1"`},
		{raw: "all=true&code=4001&reason=logged%20out", names: apicall.CloseAllNames, want: apicall.Query{To: apicall.Audience{All: true}, Limit: 100, Code: 4001, Reason: "logged out"}},
		{raw: "cut=true&code=4001", names: apicall.CloseNames, want: apicall.Query{Limit: 100, Cut: true, Code: 4001}}, // the code is for $disconnect
		{raw: "X-Amz-Signature=1&X-Amz-Date=2", names: apicall.NoNames, want: apicall.Query{Limit: 100}},

		{raw: "", names: apicall.PostNames, bad: "Invalid audience: there is none: name it with id, group, user, all or none"},
		{raw: "except=a", names: apicall.PostNames, bad: "Invalid audience: there is none: name it with id, group, user, all or none"},
		{raw: "group=a&user=b", names: apicall.PostNames, bad: "Invalid user: the audience is named by group already: use one of the two"},
		{raw: "all=true&id=b", names: apicall.PostNames, bad: "Invalid all: the audience is named by id already: use one of the two"},
		{raw: "group=a&group=a", names: apicall.PostNames, bad: "Invalid group: it is given 2 times"},
		{raw: "all=yes", names: apicall.PostNames, bad: `Invalid all: write true, or leave it out, instead of: "yes"`},
		{raw: "all", names: apicall.PostNames, bad: `Invalid all: write true, or leave it out, instead of`},
		{raw: "id=", names: apicall.PostNames, bad: "Invalid id: it is empty"},
		{raw: "all=true&except", names: apicall.PostNames, bad: "Invalid except: it is empty"},
		{raw: ids, names: apicall.PostNames, bad: "Invalid id: there are 1001, and at most 1000 are allowed"},
		{raw: "all=true&" + strings.ReplaceAll(ids, "id", "except"), names: apicall.PostNames, bad: "Invalid except: there are 1001, and at most 1000 are allowed"},
		{raw: "grop=a", names: apicall.PostNames, bad: `Invalid query: this call has the parameters group, user, id, all, none, except, binary, and not: "grop"`},
		{raw: "Group=a", names: apicall.PostNames, bad: `Invalid query: this call has the parameters group, user, id, all, none, except, binary, and not: "Group"`},
		{raw: "x=1", names: apicall.NoNames, bad: `Invalid query: this call has no parameters, and not: "x"`},
		{raw: "a=%zz", names: apicall.NoNames, bad: "Invalid query: a % in the query is not followed by two hexadecimal digits"},
		{raw: "limit=0", names: apicall.ListNames, bad: `Invalid limit: it is not a whole number from 1 to 1000: "0"`},
		{raw: "limit=1001", names: apicall.ListNames, bad: `Invalid limit: it is not a whole number from 1 to 1000: "1001"`},
		{raw: "limit=+7", names: apicall.ListNames, bad: `Invalid limit: it is not a whole number from 1 to 1000: " 7"`},
		{raw: "limit=007", names: apicall.ListNames, bad: `Invalid limit: it is not a whole number from 1 to 1000: "007"`},
		{raw: "limit=", names: apicall.ListNames, bad: `Invalid limit: it is not a whole number from 1 to 1000`},
		{raw: "after=", names: apicall.ListNames, bad: "Invalid after: it is empty: take the value of next, or leave out after for the first page"},
		{raw: "count=true&limit=3", names: apicall.ListNames, bad: "Invalid count: a count has no pages: leave out limit and after"},
		{raw: "code=999", names: apicall.CloseNames, bad: `Invalid code: it is not a whole number from 1000 to 4999: "999"`},
		{raw: "code=4001&code=4002", names: apicall.CloseNames, bad: "Invalid code: it is given 2 times"},
	} {
		q, bad := apicall.ParseQuery(tc.raw, tc.names)
		if tc.bad != "" {
			require.NotNil(t, bad, tc.raw)
			require.Equal(t, tc.bad, bad.Error(), tc.raw)
			continue
		}
		require.Nil(t, bad, tc.raw)
		require.Equal(t, tc.want, q, tc.raw)
	}
}

func FuzzParseQuery(f *testing.F) {
	for _, raw := range []string{"group=a&except=b", "id=a;id=b", "all=true&code=4001&reason=x&cut=true", "limit=5&after=x", "count=true", "X-Amz-Date=1&user=%00"} {
		f.Add(raw, 0)
		f.Add(raw, 2)
	}
	f.Fuzz(func(t *testing.T, raw string, which int) {
		all := []string{apicall.ListNames, apicall.PostNames, apicall.CloseAllNames, apicall.CloseNames, apicall.NoNames}
		names := all[uint(which)%uint(len(all))]
		q, bad := apicall.ParseQuery(raw, names)
		if bad != nil {
			require.NotEmpty(t, bad.Field)
			require.NotContains(t, bad.Error(), "\n")
			return
		}
		require.True(t, q.Limit >= 1 && q.Limit <= apicall.MostItems)
		if names == apicall.ListNames || names == apicall.PostNames || names == apicall.CloseAllNames {
			again, bad := apicall.ParseQuery(parameters(&q.To).Encode(), apicall.PostNames)
			require.Nil(t, bad)
			require.Equal(t, q.To, again.To, "an audience is written as it is read")
		}
	})
}

func TestConditions(t *testing.T) {
	t.Parallel()
	state, other := []byte(`{"seen":3}`), []byte("other")
	tag := apicall.ETag(state)
	for _, tc := range []struct {
		name   string
		header http.Header
		state  []byte
		want   apicall.Verdict
	}{
		{"none", nil, state, apicall.Holds},
		{"the tag", http.Header{"If-Match": {tag}}, state, apicall.Holds},
		{"another tag", http.Header{"If-Match": {tag}}, other, apicall.Failed},
		{"no state", http.Header{"If-Match": {tag}}, nil, apicall.Failed},
		{"any", http.Header{"If-Match": {"*"}}, state, apicall.Holds},
		{"any, but there is none", http.Header{"If-Match": {" * "}}, nil, apicall.Failed},
		{"one of a list", http.Header{"If-Match": {`"x", , ` + tag}}, state, apicall.Holds},
		{"one of two headers", http.Header{"If-Match": {`"x"`, tag}}, state, apicall.Holds},
		{"a weak tag never matches strongly", http.Header{"If-Match": {"W/" + tag}}, state, apicall.Failed},
		{"a comma in a tag", http.Header{"If-Match": {`"a,b",` + tag}}, state, apicall.Holds},
		{"not the tag", http.Header{"If-None-Match": {tag}}, state, apicall.Same},
		{"not the tag, weakly", http.Header{"If-None-Match": {"W/" + tag}}, state, apicall.Same},
		{"not another tag", http.Header{"If-None-Match": {tag}}, other, apicall.Holds},
		{"only if there is none", http.Header{"If-None-Match": {"*"}}, state, apicall.Same},
		{"only if there is none, and there is none", http.Header{"If-None-Match": {"*"}}, nil, apicall.Holds},
		{"If-Match goes first", http.Header{"If-Match": {`"x"`}, "If-None-Match": {tag}}, state, apicall.Failed},
		{"both", http.Header{"If-Match": {tag}, "If-None-Match": {`"x"`}}, state, apicall.Holds},
	} {
		c, bad := apicall.ParseConditions(tc.header)
		require.Nil(t, bad, tc.name)
		require.Equal(t, tc.header != nil, c.Any(), tc.name)
		require.Equal(t, tc.want, c.Check(tc.state), tc.name)
	}
	for _, value := range []string{"", ",", "x", `"x`, `"x" "y"`, `"x"y`, `W/`, `W/x`, `w/"x"`, `"a b"`, "\"a\x7f\"", `*, "x"`, `"x", *`} {
		_, bad := apicall.ParseConditions(http.Header{"If-Match": {value}})
		require.NotNil(t, bad, value)
		require.Equal(t, "If-Match", bad.Field)
	}
}

func FuzzConditions(f *testing.F) {
	for _, value := range []string{"*", `"x"`, `W/"x", "y"`, `"`, ",,", `"a,b"`, apicall.ETag(nil)} {
		f.Add(value, []byte("x"))
	}
	f.Fuzz(func(t *testing.T, value string, state []byte) {
		c, bad := apicall.ParseConditions(http.Header{"If-Match": {value}})
		if bad != nil {
			return
		}
		require.True(t, c.Any())
		if c.Check(state) == apicall.Holds {
			require.NotEmpty(t, state)
			require.True(t, strings.Contains(value, "*") || strings.Contains(value, apicall.ETag(state)))
		}
		if len(state) > 0 {
			c, bad = apicall.ParseConditions(http.Header{"If-Match": {strings.Trim(value, " \t") + "," + apicall.ETag(state)}})
			if bad == nil {
				require.Equal(t, apicall.Holds, c.Check(state))
			}
		}
	})
}

// parameters returns the parameters that name an audience.
func parameters(a *apicall.Audience) url.Values {
	values := url.Values{}
	if a.IDs != nil {
		values["id"] = a.IDs
	}
	if a.Group != nil {
		values.Set("group", *a.Group)
	}
	if a.User != nil {
		values.Set("user", *a.User)
	}
	if a.All {
		values.Set("all", "true")
	}
	if a.None {
		values.Set("none", "true")
	}
	if a.Except != nil {
		values["except"] = a.Except
	}
	return values
}
