package transform

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"example.com/gateway/internal/selection"
	"example.com/gateway/internal/vtl"
)

// templates are mapping templates, with the expression that selects one.
type templates struct {
	selection *selection.Expression
	byKey     map[string]*vtl.Template
	asJSON    bool   // the template "$default" was given as "application/json"
	unused    string // the doubt about templates that are never selected, or ""
}

// contentTypeJSON is the key of the template for JSON in other APIs of the service.
// Messages have no content type, so here one template takes all of them.
const contentTypeJSON = "application/json"

func compileTemplates(kind selection.Kind, expression string, texts map[string]string, unused bool, compile Compiler) (t templates, err error) {
	if expression == "" {
		expression = `\$default`
	}
	if t.selection, err = compile(kind, expression); err != nil {
		return t, fmt.Errorf("TemplateSelectionExpression: %w", err)
	}
	if err := checkKeys(t.selection, expression, texts); err != nil {
		if !unused {
			return t, err
		}
		t.unused = err.Error()
	}
	t.byKey = make(map[string]*vtl.Template, len(texts))
	for key, text := range texts {
		template, err := vtl.Parse(text)
		if err != nil {
			return t, fmt.Errorf("template %q: %w", key, err)
		}
		if _, both := texts[keyDefault]; !both && key == contentTypeJSON && t.selection.Is(keyDefault) {
			key, t.asJSON = keyDefault, true
		}
		t.byKey[key] = template
	}
	return t, nil
}

// checkKeys refuses templates that e never selects, and an e that selects none of them:
// otherwise messages would pass without their template, and nobody would notice.
func checkKeys(e *selection.Expression, expression string, texts map[string]string) error {
	if len(texts) == 0 { // as most routes are
		return nil
	}
	keys := slices.Sorted(maps.Keys(texts))
	values, err := wholeMatch(e.Pattern())
	if err != nil {
		return fmt.Errorf("TemplateSelectionExpression %q: %w", expression, err)
	}
	matches := 0
	for _, key := range keys {
		switch {
		case values.MatchString(key):
			matches++
		case key == keyDefault, key == contentTypeJSON && e.Is(keyDefault): // they take what no other template takes
		case e.Is(keyDefault):
			return fmt.Errorf("template %q: no TemplateSelectionExpression selects it: name it \"$default\" or \"application/json\", or set the expression", key)
		default:
			return fmt.Errorf("template %q: the TemplateSelectionExpression %q never has this value", key, expression)
		}
	}
	switch {
	case e.Constant() && matches == 1 && len(keys) == 2: // the other is $default or application/json
		return fmt.Errorf("templates %q: one of them is never used, since the TemplateSelectionExpression always has the value of the other: remove one", keys)
	case matches == 0 && len(keys) > 0 && !e.Is(keyDefault):
		return fmt.Errorf("the TemplateSelectionExpression %q selects none of the templates %q: add the template or remove the expression", expression, keys)
	}
	return nil
}

// keyBytes is how long a selected key may be without an allocation.
const keyBytes = 128

// choose returns the template for in: that of the selected key, else of $default, else
// nil.
func (t *templates) choose(in *selection.Input) *vtl.Template {
	var scratch [keyBytes]byte
	if chosen, ok := t.byKey[string(t.selection.Append(scratch[:0], in))]; ok {
		return chosen
	}
	return t.byKey[keyDefault]
}

// respond runs the response template for e on the answer, if there are templates.
func (t *templates) respond(answer *Answer, e *Event) (err error) {
	if len(t.byKey) == 0 {
		return nil
	}
	template := t.choose(&e.in)
	switch {
	case template != nil:
		answer.Body, err = run(template, e.Env(answer.Body))
		answer.Binary = false
		return err
	case e.Type == "CONNECT" && answer.StatusCode >= 200 && answer.StatusCode <= 299: // a 101 has no body
		answer.Body = nil
		return nil
	}
	return &Error{http.StatusInternalServerError, errors.New("no response template matches the backend's answer: add one with the key $default")}
}

func run(template *vtl.Template, env *vtl.Env) ([]byte, error) {
	made, err := template.Append(nil, env)
	if err != nil {
		return nil, fmt.Errorf("a template could not be run: %w", err)
	}
	return made, nil
}

// Doubts returns one text for each template that uses names which do not exist (see
// [vtl.Template.Doubts]), and for templates that are never used.
func (t *Transform) Doubts(known *vtl.Known) []string {
	found := t.request.doubts("request template", known)
	for _, r := range t.responses {
		found = append(found, r.templates.doubts(fmt.Sprintf("integration response %q: template", r.key), known)...)
	}
	return found
}

// maxDoubts is how many doubts the text about one template lists.
const maxDoubts = 5

func (t *templates) doubts(where string, known *vtl.Known) []string {
	var found []string
	if t.unused != "" {
		found = append(found, where+" that is never used: "+t.unused)
	}
	for _, key := range slices.Sorted(maps.Keys(t.byKey)) {
		doubts := t.byKey[key].Doubts(known)
		if len(doubts) == 0 {
			continue
		}
		var b strings.Builder
		for n, d := range doubts[:min(len(doubts), maxDoubts)] {
			if n > 0 {
				b.WriteString("; ")
			}
			b.WriteString(d.String())
		}
		if more := len(doubts) - maxDoubts; more > 0 {
			fmt.Fprintf(&b, "; and %d more", more)
		}
		if key == keyDefault && t.asJSON {
			key = contentTypeJSON
		}
		found = append(found, fmt.Sprintf("%s %q: %s", where, key, b.String()))
	}
	return found
}
