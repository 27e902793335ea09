package controlplane

import "encoding/json"

// This file reads members of documents. A member that is absent, or has another kind, is
// the zero value: the control plane has checked it when it took the document.

func textOf(doc document, name string) string {
	text, _ := doc[name].(string)
	return text
}

func boolOf(doc document, name string) bool {
	value, _ := doc[name].(bool)
	return value
}

func numberOf(doc document, name string) float64 {
	n, _ := doc[name].(json.Number)
	value, _ := n.Float64() // that of "" is 0
	return value
}

func objectOf(doc document, name string) document {
	object, _ := doc[name].(document)
	return object
}

// documentsIn returns the objects in an object.
func documentsIn(doc document) []document {
	documents := make([]document, 0, len(doc))
	for name := range doc {
		documents = append(documents, objectOf(doc, name))
	}
	return documents
}

// textsOf returns an object of texts. It is never nil.
func textsOf(doc document, name string) map[string]string {
	object := objectOf(doc, name)
	texts := make(map[string]string, len(object))
	for key := range object {
		texts[key] = textOf(object, key)
	}
	return texts
}

// listOf returns a list of texts.
func listOf(doc document, name string) []string {
	list, _ := doc[name].([]any)
	texts := make([]string, 0, len(list))
	for _, value := range list {
		if text, ok := value.(string); ok {
			texts = append(texts, text)
		}
	}
	return texts
}
