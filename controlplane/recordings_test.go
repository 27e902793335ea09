package controlplane_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane"
)

// exchange is a line of a recording.
type exchange struct {
	Method, Path, Query string
	Body                json.RawMessage
	Status              int
	AnswerHeaders       map[string]string
	Answer              any
}

// replay has the IDs of the recording and of the server.
type replay struct {
	*client
	ours, theirs map[string]string
}

var (
	recordedID    = regexp.MustCompile(`a1b2c3d\d{3}|\b[a-z]0000\d\d\b`)
	recordedToken = regexp.MustCompile(`nextToken=\d+`)
	isoDate       = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`)
)

// What boto3, the AWS CLI, two SDKs and Terraform send is answered so that they go on as
// they did with the stand-in that recorded them.
func TestRecordings(t *testing.T) {
	t.Parallel()
	for _, run := range [][]string{
		{"awscli1-life"},
		{"awssdkgo2-life"},
		{"awssdkjs3-life"},
		{"boto3-life"},
		{"boto3-seed"},
		{"boto3-whole"},
		{"terraform-seed-1-apply", "terraform-seed-2-plan-empty", "terraform-seed-3-destroy"},
		{
			"terraform-full-1-apply", "terraform-full-2-plan-empty", "terraform-full-3-change",
			"terraform-full-4-plan-empty", "terraform-full-5-import-stage", "terraform-full-6-destroy",
		},
	} {
		t.Run(run[0], func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { // time stands still, so that no automatic deployment comes between two calls
				r := &replay{newClient(t, controlplane.Config{}), map[string]string{}, map[string]string{}}
				for _, name := range run {
					for n, x := range readRecording(t, name) {
						r.play(x, name, n+1)
					}
				}
			})
		})
	}
	files, err := filepath.Glob("testdata/recordings/*.jsonl")
	require.NoError(t, err)
	require.Len(t, files, 15)
}

func readRecording(t *testing.T, name string) (exchanges []exchange) {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", "recordings", name+".jsonl"))
	require.NoError(t, err)
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		decoder := json.NewDecoder(strings.NewReader(lines.Text()))
		decoder.UseNumber()
		var x exchange
		require.NoError(t, decoder.Decode(&x))
		exchanges = append(exchanges, x)
	}
	require.NotEmpty(t, exchanges)
	return exchanges
}

func (r *replay) play(x exchange, file string, line int) {
	r.t.Helper()
	target := r.translate(x.Path, r.ours)
	if x.Query != "" {
		target += "?" + recordedToken.ReplaceAllStringFunc(r.translate(x.Query, r.ours), func(token string) string {
			return "nextToken=" + r.ours[strings.TrimPrefix(token, "nextToken=")]
		})
	}
	var body any
	if string(x.Body) != "null" {
		body = r.translate(string(x.Body), r.ours)
	}
	got := r.send(r.request(x.Method, target, body))
	require.Equal(r.t, x.Status, got.status, "%s, line %d: %s", file, line, got.text)
	want, _ := x.Answer.(document)
	r.learn(want, got.body)
	text := got.text
	for ours, theirs := range r.theirs {
		text = strings.ReplaceAll(text, ours, theirs)
	}
	var body2 document
	if text != "" {
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		require.NoError(r.t, decoder.Decode(&body2))
	}
	normalise(want)
	normalise(body2)
	require.Equal(r.t, want, body2, "%s, line %d: %s %s", file, line, x.Method, x.Path)
	require.Equal(r.t, x.AnswerHeaders["Content-Type"], got.header.Get("Content-Type"))
	require.Equal(r.t, x.AnswerHeaders[errorTypeHeader], strings.Join(got.errorType(), ""))
}

func (r *replay) translate(text string, ids map[string]string) string {
	return recordedID.ReplaceAllStringFunc(text, func(id string) string {
		if other := ids[id]; other != "" {
			return other
		}
		return id
	})
}

// learn notes which IDs belong together.
func (r *replay) learn(recorded, answered document) {
	for name, theirs := range recorded {
		theirs, _ := theirs.(string)
		ours := textOf(answered, name)
		if ours != "" && (recordedID.MatchString(theirs) && strings.HasSuffix(name, "Id") || name == "nextToken") {
			r.ours[theirs], r.theirs[ours] = ours, theirs
		}
	}
}

// normalise takes out where the stand-in differs from the service: the tags of an API are
// {} if it has none, and the text for an unknown route has no ID.
func normalise(value any) {
	switch value := value.(type) {
	case document:
		if tags, ok := value["tags"].(document); ok && value["apiId"] != nil && len(tags) == 0 {
			delete(value, "tags")
		}
		if strings.HasPrefix(textOf(value, "message"), "Invalid Route identifier specified") {
			value["message"] = "Invalid route identifier specified"
		}
		for name, inner := range value {
			text, _ := inner.(string)
			switch {
			case isoDate.MatchString(text):
				value[name] = "a date"
			case name == "apiGatewayDomainName" && regexp.MustCompile(`^d-[a-z0-9]{10}\.execute-api\.us-east-1\.amazonaws\.com$`).MatchString(text):
				value[name] = "an address"
			}
			normalise(inner)
		}
	case []any:
		for _, inner := range value {
			normalise(inner)
		}
	}
}
