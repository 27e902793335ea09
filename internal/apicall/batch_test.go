package apicall_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/apicall"
)

func TestParseMessage(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		line string
		want apicall.Message
		bad  string
	}{
		{line: `{"to":{"id":"a"},"data":"x"}`, want: apicall.Message{To: apicall.Audience{IDs: []string{"a"}}, Data: []byte("x")}},
		{line: ` {"data" : "\u00fc\n", "to" : {"id":["a","b"]} } `, want: apicall.Message{To: apicall.Audience{IDs: []string{"a", "b"}}, Data: []byte("ü\n")}},
		{line: `{"to":{"group":"g","except":"a"},"data":""}`, want: apicall.Message{To: apicall.Audience{Group: ptr("g"), Except: []string{"a"}}, Data: []byte{}}},
		{line: `{"to":{"user":"u"},"data":"x"}`, want: apicall.Message{To: apicall.Audience{User: ptr("u")}, Data: []byte("x")}},
		{line: `{"to":{"all":true},"data":"x"}`, want: apicall.Message{To: apicall.Audience{All: true}, Data: []byte("x")}},

		{line: `{"to":{"all":true},"data":"/wA=","binary":true}`, want: apicall.Message{To: apicall.Audience{All: true}, Data: []byte{255, 0}, Binary: true}},
		{line: `{"binary":true,"to":{"all":true},"data":""}`, want: apicall.Message{To: apicall.Audience{All: true}, Data: []byte{}, Binary: true}},

		{line: `{"to":{"all":true},"data":"/wA","binary":true}`, bad: "Invalid data: it is not base64, as a binary message needs it"},
		{line: `{"to":{"all":true},"data":"x","binary":false}`, bad: "Invalid binary: it is not true: write true, or leave it out"},
		{line: `{"to":{"all":true},"data":"x","binary":1}`, bad: "Invalid binary: it is not true: write true, or leave it out"},
		{line: `x`, bad: "Invalid line: invalid character 'x' looking for beginning of value"},
		{line: `[]`, bad: "Invalid line: it is not a JSON object"},
		{line: `"x"`, bad: "Invalid line: it is not a JSON object"},
		{line: `{"to":{"id":"a"},"data":"x"`, bad: "Invalid line: the line ends too early: each line is one whole JSON object"},
		{line: `{"to":{"id":"a"},"data":"x"} {}`, bad: "Invalid line: there is something behind the object"},
		{line: "{\"to\":{\"id\":\"a\"},\"data\":\"\xff\"}", bad: "Invalid line: it is not valid UTF-8"},
		{line: `{"data":"x"}`, bad: `Invalid to: it is missing: write "to":{"id":"…"}, or another audience`},
		{line: `{"to":{"id":"a"}}`, bad: "Invalid data: it is missing"},
		{line: `{"to":"a","data":"x"}`, bad: "Invalid to: it is not a JSON object"},
		{line: `{"to":{},"data":"x"}`, bad: "Invalid to.audience: there is none: name it with id, group, user, all or none"},
		{line: `{"to":{"id":"a","group":"g"},"data":"x"}`, bad: "Invalid to.group: the audience is named by to.id already: use one of the two"},
		{line: `{"to":{"id":7},"data":"x"}`, bad: "Invalid to.id: it is neither a string nor an array of strings"},
		{line: `{"to":{"id":[7]},"data":"x"}`, bad: "Invalid to.id: it is not a string"},
		{line: `{"to":{"id":[]},"data":"x"}`, bad: "Invalid to.id: it is empty"},
		{line: `{"to":{"id":""},"data":"x"}`, bad: "Invalid to.id: it is empty"},
		{line: `{"to":{"id":[` + strings.Repeat(`"a",`, apicall.MostIDs) + `"a"]},"data":"x"}`, bad: "Invalid to.id: there are more than 1000"},
		{line: `{"to":{"group":null},"data":"x"}`, bad: "Invalid to.group: it is not a string"},
		{line: `{"to":{"all":false},"data":"x"}`, bad: "Invalid to.all: it is not true: write true, or leave it out"},
		{line: `{"to":{"all":"true"},"data":"x"}`, bad: "Invalid to.all: it is not true: write true, or leave it out"},
		{line: `{"to":{"Id":"a"},"data":"x"}`, bad: `Invalid to: an audience has the members id, group, user, all, none and except, and not: "Id"`},
		{line: `{"to":{"id":"a","id":"b"},"data":"x"}`, bad: `Invalid to: a member is given twice: "id"`},
		{line: `{"to":{"id":"a"},"data":"x","data":"y"}`, bad: `Invalid line: a member is given twice: "data"`},
		{line: `{"to":{"id":"a"},"Data":"x"}`, bad: `Invalid line: it has the members to, data and binary, and not: "Data"`},
		{line: `{"to":{"id":"a"},"data":{"x":1}}`, bad: "Invalid data: it is not a string"},
		{line: `{"to":{"id":"a"},"data":null}`, bad: "Invalid data: it is not a string"},
	} {
		m, bad := apicall.ParseMessage([]byte(tc.line))
		if tc.bad != "" {
			require.NotNil(t, bad, tc.line)
			require.Equal(t, tc.bad, bad.Error(), tc.line)
			continue
		}
		require.Nil(t, bad, tc.line)
		require.Equal(t, tc.want, m, tc.line)
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	numbers := map[int]string{}
	for n, line := range apicall.Lines([]byte("a\r\n\n \t\nb\n")) {
		numbers[n] = string(line)
	}
	require.Equal(t, map[int]string{1: "a", 4: "b"}, numbers)
	require.Equal(t, 0, apicall.CountLines(nil))
	require.Equal(t, apicall.BatchLines, apicall.CountLines(bytes.Repeat([]byte("x\n"), apicall.BatchLines)))
	require.Equal(t, apicall.BatchLines+1, apicall.CountLines(bytes.Repeat([]byte("x\n"), apicall.BatchLines+7)))

	for contentType, want := range map[string]bool{
		"application/x-ndjson": true, "Application/X-NDJSON; charset=utf-8": true, "application/x-ndjson; x": true,
		"": false, "application/json": false, "application/x-ndjsonx": false, ";;": false,
	} {
		require.Equal(t, want, apicall.IsBatch(contentType), contentType)
	}
}

func FuzzParseMessage(f *testing.F) {
	for _, line := range []string{`{"to":{"id":"a"},"data":"x"}`, `{"to":{"id":"a"},"data":"/wA=","binary":true}`, `{"to":{"id":["a"],"except":["b"]},"data":"\ud800"}`, `{"to":{"all":true},"data":""}`, `{"to":{"none":true},"data":""}`, `{"to":{"group":"\u0000"},"data":"x"}`, `{`, `[]`, `{"to":[[[[[`} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		m, bad := apicall.ParseMessage(line)
		if bad != nil {
			require.NotEmpty(t, bad.Field)
			require.NotContains(t, bad.Error(), "\n")
			return
		}
		require.True(t, m.Binary || utf8.Valid(m.Data))
		require.NotEmpty(t, parameters(&m.To))
		again, bad := apicall.ParseMessage(apicall.AppendMessage(nil, parameters(&m.To), m.Data, m.Binary))
		require.Nil(t, bad)
		require.Equal(t, m, again, "a message is written as it is read")
	})
}

func BenchmarkParseMessage(b *testing.B) {
	line := []byte(`{"to":{"id":"gbgHN0-zjQAYKEjhgA=="},"data":"{\"type\":\"position\",\"x\":12345,\"y\":67890}"}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, bad := apicall.ParseMessage(line); bad != nil {
			b.Fatal(bad)
		}
	}
}

func BenchmarkOutcome(b *testing.B) {
	b.ReportAllocs()
	var dst []byte
	for b.Loop() {
		dst = apicall.AppendOutcome(dst[:0], &apicall.Outcome{Line: 7, Delivery: &apicall.Delivery{Accepted: 1, Errors: map[string]apicall.Error{}, Missing: []string{}}})
	}
}
