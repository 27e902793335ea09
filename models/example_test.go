package models_test

import (
	"fmt"

	"example.com/gateway/models"
)

func ExampleCompile() {
	model, err := models.Compile(`{
		"$schema": "http://json-schema.org/draft-04/schema#",
		"type": "object",
		"required": ["data"],
		"properties": {"count": {"type": "integer", "minimum": 1}}
	}`)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(model.Validate([]byte(`{"data": "…", "count": 3}`)))
	fmt.Println(model.Validate([]byte(`{"count": "three"}`)))

	// Output:
	// <nil>
	// /: missing property "data"; /count: want integer, got string
}

func ExampleCompileAll() {
	all, err := models.CompileAll(map[string]string{
		"Item": `{"type": "object", "required": ["sku"]}`,
		"Order": `{
			"type": "array",
			"items": {"$ref": "https://apigateway.amazonaws.com/restapis/a1b2c3/models/Item"}
		}`,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(all["Order"].Validate([]byte(`[{"sku": "A1"}, {}]`)))

	// Output:
	// /1: missing property "sku"
}
