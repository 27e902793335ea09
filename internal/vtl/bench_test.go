package vtl_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/vtl"
)

var benchmarkTemplates = []struct{ name, text string }{
	{"connect", `{
  "connectionId": "$context.connectionId",
  "domain": "$context.domainName",
  "stage": "$context.stage",
  "params": "$util.escapeJavaScript($input.params('id'))"
}`},
	{"message", `#set($room = $input.path('$.room'))
{"id": "$context.connectionId", "room": $room.id, "tags": [#foreach($tag in $room.tags)"$tag"#if($foreach.hasNext), #end#end],
 "body": $input.json('$.room')}`},
	{"text", `{"statusCode": 200}`},
}

func BenchmarkParse(b *testing.B) {
	for _, template := range benchmarkTemplates {
		b.Run("template="+template.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(template.text)))
			for b.Loop() {
				if _, err := vtl.Parse(template.text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkTemplate(b *testing.B) {
	for _, template := range benchmarkTemplates {
		b.Run("template="+template.name, func(b *testing.B) {
			parsed, err := vtl.Parse(template.text)
			require.NoError(b, err)
			env := example()
			var out []byte
			b.ReportAllocs()
			for b.Loop() {
				if out, err = parsed.Append(out[:0], env); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
