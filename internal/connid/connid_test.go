package connid_test

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/connid"
)

func TestNew_HasTheServicesShape(t *testing.T) {
	t.Parallel()
	shape := regexp.MustCompile(`^[A-Za-z0-9_-]{18}==$`)
	seen := map[string]bool{}
	for range 1000 {
		id := connid.New(7)
		require.Regexp(t, shape, id)
		require.False(t, seen[id], "an ID came twice")
		seen[id] = true
	}
}

func TestNewTag_MakesNoIDThatLooksLikeAnOption(t *testing.T) {
	t.Parallel()
	require.Equal(t, byte('-'), connid.New(62 << 26)[0], "this is what it avoids")
	for range 10000 {
		require.NotEqual(t, uint32(62), connid.NewTag()>>26)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	id := connid.New(0xdeadbeef)
	tag, ok := connid.Parse(id)
	require.True(t, ok)
	require.Equal(t, uint32(0xdeadbeef), tag)

	for name, bad := range map[string]string{
		"empty":                   "",
		"another form":            "cjy8i76bx002884le6n17d49b",
		"older service's form":    "AAAAAAAAAAAAAAA=",
		"no padding":              strings.TrimRight(id, "="),
		"standard alphabet":       "AAAA+/AAAAAAAAAAAA==",
		"twenty of anything":      strings.Repeat("~", 20),
		"an escaped ID":           strings.ReplaceAll(id, "=", "%3D"),
		"bits behind the padding": id[:17] + string(nextChar(id[17])) + "==",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, ok := connid.Parse(bad)
			require.False(t, ok)
		})
	}
}

func TestParse_FindsEveryChangedCharacter(t *testing.T) {
	t.Parallel()
	id := connid.New(1)
	for i := range 18 {
		for _, c := range "ABab09-_" {
			changed := id[:i] + string(c) + id[i+1:]
			if changed == id {
				continue
			}
			_, ok := connid.Parse(changed)
			require.False(t, ok, "%s passed for %s", changed, id)
		}
	}
}

func TestNewRequest(t *testing.T) {
	t.Parallel()
	id := connid.NewRequest()
	require.Regexp(t, `^[A-Za-z0-9_-]{15}=$`, id)
	require.NotEqual(t, id, connid.NewRequest())
}

func TestNewMessage_SharesTheConnectionsTail(t *testing.T) {
	t.Parallel()
	id := connid.New(1)
	message := connid.NewMessage(id)
	require.Regexp(t, `^[A-Za-z0-9_-]{18}==$`, message)
	require.Equal(t, id[12:], message[12:])
	require.NotEqual(t, message, connid.NewMessage(id))
}

func FuzzParse(f *testing.F) {
	f.Add(connid.New(1))
	f.Add("R0oXAdfD0kwCH6w=")
	f.Fuzz(func(t *testing.T, id string) {
		if _, ok := connid.Parse(id); ok {
			raw, err := base64.URLEncoding.DecodeString(id)
			require.NoError(t, err)
			require.Equal(t, id, base64.URLEncoding.EncodeToString(raw), "an ID has one spelling only")
		}
	})
}

// nextChar returns the character with the next value. It differs from c in bits that are
// not part of the decoded bytes.
func nextChar(c byte) byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[strings.IndexByte(alphabet, c)|1]
}

func BenchmarkNewRequest(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		connid.NewRequest()
	}
}

// IDs.Make returns the same IDs as the other functions.
func TestIDs_Make(t *testing.T) {
	t.Parallel()
	id := connid.New(connid.NewTag())
	seen := map[string]bool{}
	for range 1000 {
		var ids connid.IDs
		request, message := ids.Make(connid.TailOf(id))
		require.Regexp(t, `^[A-Za-z0-9_-]{15}=$`, request)
		require.Regexp(t, `^[A-Za-z0-9_-]{18}==$`, message)
		require.Equal(t, id[12:], message[12:], "the tail is the connection's")
		require.False(t, seen[request] || seen[message])
		seen[request], seen[message] = true, true
	}
}

func TestTraceID(t *testing.T) {
	t.Parallel()
	at := time.Unix(0x65abb3f1, 0)
	require.Equal(t, "Root=1-65abb3f1-f188f91b3b919fa4c541847d", connid.TraceID("R1kmwHZ3NjMFcTg=", at), "a request has one, whoever asks")
	require.NotEqual(t, connid.TraceID("R1kmwHZ3NjMFcTg=", at), connid.TraceID("R1kmwHZ3NjMFcTh=", at))
}

func TestNewAnswer(t *testing.T) {
	t.Parallel()
	ids, others := connid.NewAnswer(time.Unix(0x65abb3f1, 0)), connid.NewAnswer(time.Unix(0x65abb3f1, 0))
	require.Regexp(t, `^[\w-]{15}=$`, ids.Request)
	require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, ids.UUID)
	require.Regexp(t, `^Root=1-65abb3f1-[0-9a-f]{24}$`, ids.Trace)
	require.NotEqual(t, ids.Request, others.Request)
	require.NotEqual(t, ids.UUID, others.UUID)
	require.NotEqual(t, ids.Trace, others.Trace)
}

// The order is one of all texts, buckets come one after the other, and the IDs of a node
// are spread evenly.
func TestCompare(t *testing.T) {
	t.Parallel()
	tag := connid.NewTag()
	ids := []string{"", "a", "12345678901234567890", "\xff"}
	counts := make([]int, connid.Buckets)
	for range 6400 {
		id := connid.New(tag)
		counts[connid.Bucket(id)]++
		ids = append(ids, id)
	}
	for _, n := range counts {
		require.InDelta(t, 100, n, 60)
	}
	slices.SortFunc(ids, connid.Compare)
	for n := range ids[1:] {
		require.Negative(t, connid.Compare(ids[n], ids[n+1]))
		require.Positive(t, connid.Compare(ids[n+1], ids[n]))
		require.Zero(t, connid.Compare(ids[n], ids[n]))
		require.LessOrEqual(t, connid.Bucket(ids[n]), connid.Bucket(ids[n+1]))
	}
}
