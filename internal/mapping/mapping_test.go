package mapping_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/jsonpath"
	"example.com/gateway/internal/mapping"
)

// values is a Resolver with one body, and with the values of each name in each place.
type values struct {
	body   string
	places map[mapping.Place]map[string][]string
}

func (v *values) Values(place mapping.Place, name string) []string { return v.places[place][name] }

func (v *values) Body(mapping.Place) (body []byte, valid bool) {
	return []byte(v.body), jsonpath.Valid([]byte(v.body))
}

func example() *values {
	return &values{
		body: `{"a":{"b":"text"},"n":1.50,"t":true,"o":{"x":[1,2]},"null":null,"empty":"","list":[null,"second"]}`,
		places: map[mapping.Place]map[string][]string{
			mapping.Header:         {"X-Two": {"first", "last"}},
			mapping.Query:          {"q": {"1", "2"}, "empty": {""}},
			mapping.StageVariable:  {"v": {"variable"}},
			mapping.Context:        {"connectionId": {"id"}, "eventType": {"CONNECT"}, "messageDirection": {"IN"}},
			mapping.ResponseHeader: {"X-Two": {"r1", "r2"}},
		},
	}
}

func TestSource_Values(t *testing.T) {
	t.Parallel()
	request, response := mapping.Request(), mapping.Response()
	for _, tt := range []struct {
		kind mapping.Kind
		text string
		want []string
	}{
		{request, "'literal'", []string{"literal"}},
		{request, "''", []string{""}},
		{request, "route.request.header.X-Two", []string{"last"}},
		{request, "route.request.multivalueheader.X-Two", []string{"first", "last"}},
		{request, "route.request.header.X-None", nil},
		{request, "route.request.querystring.q", []string{"2"}},
		{request, "route.request.multivaluequerystring.q", []string{"1", "2"}},
		{request, "route.request.querystring.empty", []string{""}},
		{request, "route.request.querystring.none", nil},
		{request, "stageVariables.v", []string{"variable"}},
		{request, "stageVariables.none", nil},
		{request, "context.connectionId", []string{"id"}},
		{request, "route.request.body.a.b", []string{"text"}},
		{request, "route.request.body.n", []string{"1.50"}},
		{request, "route.request.body.t", []string{"true"}},
		{request, "route.request.body.o", []string{`{"x":[1,2]}`}},
		{request, "route.request.body.empty", []string{""}},
		{request, "route.request.body.none", nil},
		{request, "route.request.body.null", nil},
		{request, "route.request.body.list[0]", nil},
		{request, "route.request.body.list[1]", []string{"second"}},
		{response, "integration.response.header.X-Two", []string{"r2"}},
		{response, "integration.response.multivalueheader.X-Two", []string{"r1", "r2"}},
		{response, "integration.response.body.a.b", []string{"text"}},
		{response, "integration.response.body.null", nil},
		{mapping.Identity(), "route.request.header.X-Two", []string{"last"}},
		{mapping.Identity(), "context.connectionId", []string{"id"}},
		{mapping.Identity(), "context.eventType", nil},
		{mapping.Identity(), "context.messageDirection", nil},
		{request, "context.eventType", []string{"CONNECT"}},
		{mapping.Required(), "route.request.querystring.q", []string{"2"}},
	} {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			source, err := tt.kind.Source(tt.text)
			require.NoError(t, err)
			require.Equal(t, tt.text, source.String())
			in := example()
			require.Equal(t, strings.Join(tt.want, ","), strings.Join(source.Values(in), ","))
			require.Len(t, source.Values(in), len(tt.want))
			if len(tt.want) > 0 {
				require.Equal(t, tt.want[len(tt.want)-1], source.Value(in))
			} else {
				require.Empty(t, source.Value(in))
			}
			in.body = "no JSON"
			if strings.Contains(tt.text, ".body") {
				require.Empty(t, source.Values(in))
			}
		})
	}
}

func TestSource_Mistakes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind mapping.Kind
		text string
		want string
	}{
		{mapping.Request(), "", `source "" is not one of 'literal', route.request.querystring.{name}`},
		{mapping.Request(), "'x", "no closing"},
		{mapping.Request(), "'", "no closing"},
		{mapping.Request(), "route.request.header.", `the name ""`},
		{mapping.Request(), "route.request.header.a b", `the name "a b"`},
		{mapping.Request(), "route.request.bodyX", "is not one of"},
		{mapping.Request(), "route.request.body.a[", "route.request.body.a["},
		{mapping.Request(), "context.connectionID", `no $context variable "connectionID"`},
		{mapping.Request(), "integration.response.header.X", "is not one of"},
		{mapping.Response(), "route.request.header.X", "is not one of"},
		{mapping.Response(), "context.connectionId", "is not one of"},
		{mapping.Identity(), "'literal'", `identity source "'literal'" is not one of`},
		{mapping.Identity(), "route.request.header.$x", "letters, digits and . _ -"},
		{mapping.Identity(), "route.request.header.x\n", "letters, digits and . _ -"},
		{mapping.Identity(), "route.request.body.x", "is not one of"},
		{mapping.Required(), "stageVariables.x", `request parameter "stageVariables.x" is not one of route.request.header.{name}, route.request.querystring.{name}`},
	} {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			_, err := tt.kind.Source(tt.text)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestKind_Compile(t *testing.T) {
	t.Parallel()
	mappings, err := mapping.Request().Compile(map[string]string{
		"integration.request.querystring.b": "'2'", "integration.request.header.z": "'1'", "integration.request.path.a": "'3'", "integration.request.header.a": "'0'",
	})
	require.NoError(t, err)
	var order []string
	for _, m := range mappings {
		order = append(order, string(m.Target)+"."+m.Name+"="+m.Value(example()))
	}
	require.Equal(t, []string{"header.a=0", "header.z=1", "path.a=3", "querystring.b=2"}, order)
	for key, source := range map[string]string{
		"integration.request.header.": "'x'", "integration.request.body.x": "'x'", "method.response.header.X": "'x'", "integration.request.header.X": "x",
	} {
		_, err := mapping.Request().Compile(map[string]string{key: source})
		require.ErrorContains(t, err, key)
	}
	_, err = mapping.Response().Compile(map[string]string{"method.response.header.X-A": "'x'"})
	require.NoError(t, err)
	_, err = mapping.Response().Compile(map[string]string{"method.response.querystring.x": "'x'"})
	require.Error(t, err)
}
