package transform_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/mapping"
	"example.com/gateway/internal/selection"
	"example.com/gateway/internal/transform"
	"example.com/gateway/internal/vtl"
)

// values has one header of the backend.
type values struct{}

func (values) Body(mapping.Place) (body []byte, valid bool) { return nil, false }

func (values) Values(place mapping.Place, name string) []string {
	if place == mapping.ResponseHeader && name == "X-Kind" {
		return []string{"kind"}
	}
	return nil
}

func env(body []byte) *vtl.Env { return &vtl.Env{Body: body} }

func TestTransform(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		config  transform.Config
		event   string // its type; "": MESSAGE
		body    string
		payload string
		backend transform.Answer
		want    transform.Answer
	}{
		{
			name: "nothing to do but for the response", config: transform.Config{Responses: map[string]transform.Response{"$default": {}}},
			body: "text", payload: "text", backend: transform.Answer{StatusCode: 200, Body: []byte("answer")},
			want: transform.Answer{StatusCode: 200, Header: http.Header{}, Body: []byte("answer")},
		},
		{
			name: "templates both ways, selected by the message",
			config: transform.Config{
				TemplateSelectionExpression: "$request.body.a",
				RequestTemplates:            map[string]string{"x": `<$input.path('$.a')>`, "$default": "default"},
				Responses: map[string]transform.Response{"/2../": {
					TemplateSelectionExpression: "s${integration.response.statuscode}",
					ResponseTemplates:           map[string]string{"s201": `made $input.body`, "$default": "default"},
					ResponseParameters:          map[string]string{"method.response.header.X-My": "integration.response.header.X-Kind"},
				}},
			},
			body: `{"a":"x"}`, payload: "<x>", backend: transform.Answer{StatusCode: 201, Body: []byte("it")},
			want: transform.Answer{StatusCode: 201, Header: http.Header{"X-My": {"kind"}}, Body: []byte("made it")},
		},
		{
			name: "the first pattern in the order of strings counts, and $default last",
			config: transform.Config{Responses: map[string]transform.Response{
				"$default": {ResponseTemplates: map[string]string{"$default": "default"}},
				"/5../":    {ResponseTemplates: map[string]string{"$default": "5.."}},
				"/50./":    {ResponseTemplates: map[string]string{"$default": "50."}},
			}},
			body: "x", payload: "x", backend: transform.Answer{StatusCode: 502},
			want: transform.Answer{StatusCode: 502, Header: http.Header{}, Body: []byte("5..")},
		},
		{
			name: "selected by the error message",
			config: transform.Config{SelectByErrorMessage: true, Responses: map[string]transform.Response{
				"/Bad.*/": {ResponseTemplates: map[string]string{"$default": "bad"}},
			}},
			body: "x", payload: "x", backend: transform.Answer{StatusCode: 200, Body: []byte(`{"errorMessage":"Bad thing"}`)},
			want: transform.Answer{StatusCode: 200, Header: http.Header{}, Body: []byte("bad")},
		},
		{
			name:   "content is converted both ways",
			config: transform.Config{ContentHandling: "CONVERT_TO_TEXT", Responses: map[string]transform.Response{"$default": {ContentHandling: "CONVERT_TO_BINARY"}}},
			body:   "hi", payload: "aGk=", backend: transform.Answer{StatusCode: 200, Body: []byte("aG8=")},
			want: transform.Answer{StatusCode: 200, Header: http.Header{}, Body: []byte("ho"), Binary: true},
		},
		{
			name: "a binary answer passes", config: transform.Config{Responses: map[string]transform.Response{"$default": {}}},
			body: "hi", payload: "hi", backend: transform.Answer{StatusCode: 200, Body: []byte("ho"), Binary: true},
			want: transform.Answer{StatusCode: 200, Header: http.Header{}, Body: []byte("ho"), Binary: true},
		},
		{
			name: "what a template makes of it is text", body: "hi", payload: "hi", backend: transform.Answer{StatusCode: 200, Body: []byte("ho"), Binary: true},
			config: transform.Config{Responses: map[string]transform.Response{"$default": {ResponseTemplates: map[string]string{"$default": "made"}}}},
			want:   transform.Answer{StatusCode: 200, Header: http.Header{}, Body: []byte("made")},
		},
		{
			name: "so is its base64", body: "hi", payload: "hi", backend: transform.Answer{StatusCode: 200, Body: []byte("ho"), Binary: true},
			config: transform.Config{Responses: map[string]transform.Response{"$default": {ContentHandling: "CONVERT_TO_TEXT"}}},
			want:   transform.Answer{StatusCode: 200, Header: http.Header{}, Body: []byte("aG8=")},
		},
		{
			name: "a connect needs no integration response", event: "CONNECT",
			backend: transform.Answer{StatusCode: 403, Body: []byte("no")}, want: transform.Answer{StatusCode: 403, Body: []byte("no")},
		},
		{
			name: "a connect that is accepted has no body", event: "CONNECT",
			config: transform.Config{Responses: map[string]transform.Response{"$default": {
				TemplateSelectionExpression: "${integration.response.statuscode}", ResponseTemplates: map[string]string{"404": "not found"},
			}}},
			backend: transform.Answer{StatusCode: 200, Body: []byte("secret")}, want: transform.Answer{StatusCode: 200, Header: http.Header{}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			compiled, err := transform.Compile(&tt.config, selection.Compile)
			require.NoError(t, err)
			e := &transform.Event{Type: tt.event, Body: []byte(tt.body), Env: env}
			if e.Type == "" {
				e.Type = "MESSAGE"
			}
			payload, err := compiled.Payload(e)
			require.NoError(t, err)
			require.Equal(t, tt.payload, string(payload))
			got, err := compiled.Answer(e, tt.backend, values{})
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}
}

func TestTransform_Failures(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		config  transform.Config
		backend string
		status  int
		text    string
	}{
		{"no template, and none may be missing", transform.Config{PassthroughBehavior: "NEVER"}, "", 415, "no request template"},
		{
			"no template among others", transform.Config{
				PassthroughBehavior: "WHEN_NO_TEMPLATES", TemplateSelectionExpression: "$request.body.a", RequestTemplates: map[string]string{"x": ""},
			}, "", 415, "no request template",
		},
		{"no integration response", transform.Config{}, "", 500, "no integration response"},
		{
			"no response template", transform.Config{Responses: map[string]transform.Response{"$default": {
				TemplateSelectionExpression: "$request.body.a", ResponseTemplates: map[string]string{"x": ""},
			}}}, "", 500, "no response template",
		},
		{
			"an answer that is not base64",
			transform.Config{Responses: map[string]transform.Response{"$default": {ContentHandling: "CONVERT_TO_BINARY"}}},
			"!", 500, "content handling",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			compiled, err := transform.Compile(&tt.config, selection.Compile)
			require.NoError(t, err)
			e := &transform.Event{Type: "MESSAGE", Body: []byte("{}"), Env: env}
			if _, err = compiled.Payload(e); err == nil {
				_, err = compiled.Answer(e, transform.Answer{StatusCode: 200, Body: []byte(tt.backend)}, values{})
			}
			var failed *transform.Error
			require.ErrorAs(t, err, &failed)
			require.Equal(t, tt.status, failed.StatusCode)
			require.ErrorContains(t, err, tt.text)
		})
	}
}

func TestMockStatus(t *testing.T) {
	t.Parallel()
	for payload, want := range map[string]int{
		`{"statusCode":200}`: 200, `{"statusCode": 599, "x":1}`: 599, `{"statusCode":100}`: 100,
		`{"statusCode":"200"}`: 0, `{"statusCode":99}`: 0, `{"statusCode":600}`: 0, `{"statusCode":2e2}`: 0, `{}`: 0, "": 0, "200": 0,
	} {
		status, err := transform.MockStatus([]byte(payload))
		require.Equal(t, want, status, payload)
		require.Equal(t, want == 0, err != nil, payload)
	}
}
