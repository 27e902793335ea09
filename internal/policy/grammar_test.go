package policy_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/policy"
)

// member is a member of an object. Order and repetitions of members are kept.
type member struct {
	name  string
	value any // a string, object, []any or nil
}

type object []member

func (o object) MarshalJSON() ([]byte, error) {
	parts := make([]string, len(o))
	for i, m := range o {
		name, err := json.Marshal(m.name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		parts[i] = string(name) + ":" + string(value)
	}
	return []byte("{" + strings.Join(parts, ",") + "}"), nil
}

// reference decides by the tree of a document, not by its text. It knows only what it
// lists, and denies everything else.
type reference struct{ action, resource string }

func (r reference) decide(document object) (allow, known bool) {
	if !only(document, "Version", "Id", "Statement") || !texts(document, "Version", "Id") {
		return false, false
	}
	version, _ := find(document, "Version")
	if version != nil && version != "2012-10-17" && version != "2008-10-17" {
		return false, false
	}
	all, _ := find(document, "Statement")
	list, ok := all.([]any)
	if one, single := all.(object); single {
		list, ok = []any{one}, true
	}
	allowed, denied := false, false
	for _, each := range list {
		statement, isObject := each.(object)
		effect, applies, understood := r.statement(statement, version == "2012-10-17")
		if ok = ok && isObject && understood; !ok {
			return false, false
		}
		allowed = allowed || applies && effect == "Allow"
		denied = denied || applies && effect == "Deny"
	}
	return ok && allowed && !denied, ok
}

func (r reference) statement(s object, variables bool) (effect string, applies, known bool) {
	condition, has := find(s, "Condition")
	if empty, ok := condition.(object); has && (!ok || len(empty) > 0) {
		return "", false, false
	}
	effect, _ = second(find(s, "Effect")).(string)
	action, actionKnown := matches(s, "Action", `^([^:]+:.*|\*)$`, variables, "(?i)", r.action)
	resource, resourceKnown := matches(s, "Resource", `^(arn:|\*)`, variables, "", r.resource)
	return effect, action && resource, actionKnown && resourceKnown && (effect == "Allow" || effect == "Deny") && texts(s, "Sid") &&
		only(s, "Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition")
}

// matches reports whether a list, or its negation, is about text, and whether there is
// one of the two, of strings of the form.
func matches(s object, name, form string, variables bool, flags, text string) (applies, known bool) {
	value, has := find(s, name)
	negated, hasNegated := find(s, "Not"+name)
	if has == hasNegated {
		return false, false
	}
	if hasNegated {
		value = negated
	}
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	found := false
	for _, each := range list {
		pattern, isText := each.(string)
		if !isText || !regexp.MustCompile(form).MatchString(pattern) || variables && strings.Contains(pattern, "${") {
			return false, false
		}
		expression := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(pattern))
		found = found || regexp.MustCompile(flags+`^`+expression+`$`).MatchString(text)
	}
	return found != hasNegated, len(list) > 0
}

func find(o object, name string) (value any, has bool) {
	i := slices.IndexFunc(o, func(m member) bool { return m.name == name })
	if i < 0 {
		return nil, false
	}
	return o[i].value, true
}

func second(value any, _ bool) any { return value }

// only says that the members are of names, that each comes once, and none is null.
func only(o object, names ...string) bool {
	seen := map[string]bool{}
	for _, m := range o {
		if seen[m.name] || m.value == nil || !slices.Contains(names, m.name) {
			return false
		}
		seen[m.name] = true
	}
	return true
}

func texts(o object, names ...string) bool {
	for _, name := range names {
		value, has := find(o, name)
		if _, ok := value.(string); has && !ok {
			return false
		}
	}
	return true
}

// generator makes documents that are mostly valid, with a few mistakes.
type generator struct{ *rand.Rand }

func pick[T any](g generator, all ...T) T { return all[g.IntN(len(all))] }

func (g generator) document() object {
	var statements []any
	for range g.IntN(4) {
		statements = append(statements, g.statement())
	}
	o := object{{"Statement", any(statements)}}
	if statements == nil {
		o[0].value = []any{}
	} else if g.IntN(4) == 0 {
		o[0].value = statements[0]
	}
	if g.IntN(4) > 0 {
		o = append(o, member{"Version", pick[any](g, "2012-10-17", "2012-10-17", "2012-10-17", "2012-10-17", "2008-10-17", "2008-10-17", "2008-10-17", pick(g, "2012-10-17", "2020-01-01", ""))})
	}
	if g.IntN(8) == 0 {
		o = append(o, member{"Id", pick[any](g, "x", "", "x", "x", object{})})
	}
	return g.slip(o, "Statement", "Version", "Id")
}

func (g generator) statement() any {
	o := object{
		{"Effect", pick[any](g, "Allow", "Allow", "Allow", "Allow", "Allow", "Deny", "Allow", "Allow", "Allow", pick[any](g, "Allow", "allow", "Deny", "Permit", []any{"Allow"}))},
		{pick(g, "Action", "Action", "Action", "NotAction"), g.list(g.action)},
		{pick(g, "Resource", "Resource", "Resource", "NotResource"), g.list(g.resource)},
	}
	if g.IntN(6) == 0 {
		o = append(o, member{"Sid", pick[any](g, "x", "", []any{}, "two")})
	}
	if g.IntN(12) == 0 {
		o = append(o, member{"Condition", pick[any](g, object{}, object{}, object{{"Bool", object{}}}, "", []any{})})
	}
	if g.IntN(60) == 0 {
		return pick[any](g, "Allow", []any{o}, nil)
	}
	return g.slip(o, "Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition")
}

// slip changes the order of the members. To one in fourteen objects it adds a member that
// is unknown, occurs twice or is null.
func (g generator) slip(o object, names ...string) object {
	if g.IntN(14) == 0 {
		name := pick(g, names...)
		switch g.IntN(4) {
		case 0:
			o = append(o, member{name, nil})
		case 1:
			o = append(o, pick(g, o...))
		case 2:
			o = append(o, member{pick(g, strings.ToLower(name), name+"s", " "+name, name+"\x00", strings.ToUpper(name), ""), second(find(o, name))})
		default:
			o = append(o, member{pick(g, "Principal", "NotPrincipal", "NotCondition", "Conditions", "Statements", "$schema"), pick[any](g, "*", object{}, nil, object{{"AWS", "*"}})})
		}
	}
	g.Shuffle(len(o), func(i, j int) { o[i], o[j] = o[j], o[i] })
	return o
}

// list makes a string or an array.
func (g generator) list(element func() any) any {
	if g.IntN(2) == 0 {
		return element()
	}
	list := []any{}
	for range pick(g, 0, 1, 1, 1, 2, 2, 3, 3) {
		list = append(list, element())
	}
	return list
}

func (g generator) action() any {
	if g.IntN(24) > 0 {
		return pick[any](g, "*", "execute-api:Invoke", "execute-api:*", "EXECUTE-API:i?voke", "s3:Get*", "*:Invoke", "execute-api:ManageConnections")
	}
	return pick[any](g, "Invoke", "", ":", "${x}:Invoke", "execute-api*", nil, object{})
}

func (g generator) resource() any {
	if g.IntN(24) > 0 {
		return pick[any](g, "*", granted, "arn:aws:execute-api:*:*:a/*", "*/prod/$connect", "arn:aws:execute-api:us-east-?:1:a/prod/*", "arn:aws:s3:::x",
			"arn:aws:execute-api:us-east-1:1:a/dev/*")
	}
	return pick[any](g, "", "prod/*", "ARN:*", "arn:${aws:x}", "*${$}connect", "arn:*${*}", nil, []any{"*"})
}

const granted = "arn:aws:execute-api:us-east-1:1:a/prod/$connect"

// Everything that the reference does not know is denied. For everything that it knows, both
// have the same decision.
func TestParse_AgainstReference(t *testing.T) {
	t.Parallel()
	for _, seed := range []uint64{1, 2, 3, 5, 8, 13, 21, 34} {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			g, r := generator{rand.New(rand.NewPCG(seed, 0))}, reference{"execute-api:Invoke", granted}
			allows, denies, unknown := 0, 0, 0
			for range 1_200 {
				document := g.document()
				text, err := json.Marshal(document)
				require.NoError(t, err)
				allow, known := r.decide(document)
				d, err := policy.Parse(text)
				require.Equal(t, known, err == nil, "%s: %v", text, err)
				switch {
				case !known:
					unknown++
					require.Nil(t, d, "%s", text)
				case allow:
					allows++
					require.Equal(t, policy.Allow, d.Decide(r.action, r.resource), "%s", text)
				default:
					denies++
					require.NotEqual(t, policy.Allow, d.Decide(r.action, r.resource), "%s", text)
				}
			}
			require.Less(t, 90, min(allows, denies, unknown), "each comes often: %d, %d, %d", allows, denies, unknown)
		})
	}
}
