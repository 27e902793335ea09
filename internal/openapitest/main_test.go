package openapitest

import (
	"io"
	"net/http"
	"os"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"

	"example.com/gateway/internal/testutil"
)

func TestMain(m *testing.M) {
	// To OpenAPI, lines are a text. The test checks each of them.
	openapi3filter.RegisterBodyDecoder("application/x-ndjson", func(body io.Reader, _ http.Header, _ *openapi3.SchemaRef, _ openapi3filter.EncodingFn) (any, error) {
		text, err := io.ReadAll(body)
		return string(text), err
	})
	os.Exit(testutil.RunWithLeakCheck(m))
}
