package models_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/models"
)

func BenchmarkValidate(b *testing.B) {
	model := models.MustCompile(`{
		"type": "object",
		"required": ["action", "lines"],
		"properties": {
			"action": {"enum": ["order", "quote"]},
			"lines": {
				"type": "array",
				"items": {
					"type": "object",
					"required": ["sku", "count"],
					"properties": {
						"sku": {"type": "string", "pattern": "^[A-Z]{3}-[0-9]+$"},
						"count": {"type": "integer", "minimum": 1},
						"note": {"type": "string", "maxLength": 100}
					},
					"additionalProperties": false
				}
			}
		}
	}`)
	const line = `{"sku":"ABC-123456","count":12,"note":"with care"}`
	for _, size := range []int{1 << 10, 32 << 10, 128 << 10} {
		n := size / (len(line) + 1)
		body := []byte(`{"action":"order","lines":[` + strings.Repeat(line+",", n-1) + line + `]}`)
		b.Run(fmt.Sprintf("size=%dKiB", size>>10), func(b *testing.B) {
			require.NoError(b, model.Validate(body))
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				_ = model.Validate(body)
			}
		})
	}
}
