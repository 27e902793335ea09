package vtl

import (
	"math"
	"strconv"
	"strings"
)

// A value is nil, a bool, a string, an int64, a float64, a bigNumber, a *list,
// an *object, a *pair or a *loop, or one of the variables of functions.go.

// bigNumber is the text of an integer beyond 64 bits.
type bigNumber string

// list is an array.
type list struct{ items []any }

// object is a map that remembers the order of its keys.
type object struct {
	entries []pair
	at      map[string]int // the index of each key, once there are many
}

// pair is an entry of a map.
type pair struct {
	key   string
	value any
}

const manyEntries = 8

func (o *object) find(key string) int {
	if o.at != nil {
		if i, ok := o.at[key]; ok {
			return i
		}
		return -1
	}
	for i := range o.entries {
		if o.entries[i].key == key {
			return i
		}
	}
	return -1
}

func (o *object) get(key string) any {
	if i := o.find(key); i >= 0 {
		return o.entries[i].value
	}
	return nil
}

// set sets an entry and returns its earlier value.
func (o *object) set(key string, v any) any {
	if i := o.find(key); i >= 0 {
		before := o.entries[i].value
		o.entries[i].value = v
		return before
	}
	o.entries = append(o.entries, pair{key: key, value: v})
	switch {
	case o.at != nil:
		o.at[key] = len(o.entries) - 1
	case len(o.entries) > manyEntries:
		o.reindex()
	}
	return nil
}

func (o *object) remove(key string) any {
	i := o.find(key)
	if i < 0 {
		return nil
	}
	v := o.entries[i].value
	o.entries = append(o.entries[:i], o.entries[i+1:]...)
	if o.at != nil {
		o.reindex()
	}
	return v
}

func (o *object) reindex() {
	o.at = make(map[string]int, len(o.entries))
	for i := range o.entries {
		o.at[o.entries[i].key] = i
	}
}

func (o *object) values() []any {
	values := make([]any, len(o.entries))
	for i := range o.entries {
		values[i] = o.entries[i].value
	}
	return values
}

// put sets an entry, and counts its memory for the run.
func (r *run) put(o *object, key string, v any) any {
	if !r.grow(itemBytes + len(key)) {
		return nil
	}
	return o.set(key, v)
}

// index returns the index in the list for a key. It fails if the list has no such index:
// Java would throw. A negative key counts from the end, if that is allowed.
func (l *list) index(r *run, at int, key any, fromEnd bool) (int, bool) {
	i, ok := whole(key)
	if !ok {
		return 0, false
	}
	if i < 0 && fromEnd {
		i += int64(len(l.items))
	}
	if i < 0 || i >= int64(len(l.items)) {
		r.fail(at, "index "+strconv.FormatInt(i, 10)+" is outside of the list of "+strconv.Itoa(len(l.items)))
		return 0, false
	}
	return int(i), true
}

// plain returns v, or the empty string for a $context variable that does not exist.
func plain(v any) any {
	if name, ok := v.(variable); ok && name != "" {
		return ""
	}
	return v
}

func isString(v any) bool {
	_, ok := v.(string)
	return ok
}

// whole returns v as an integer, if it is one.
func whole(v any) (int64, bool) {
	i, ok := v.(int64)
	return i, ok
}

func float(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	default:
		return 0, false
	}
}

// compareNumbers orders two numbers. Other values have no order.
func compareNumbers(a, b any) (order int, ok bool) {
	if a, ok := a.(int64); ok {
		if b, ok := b.(int64); ok {
			switch {
			case a < b:
				return -1, true
			case a > b:
				return 1, true
			default:
				return 0, true
			}
		}
	}
	x, ok1 := float(a)
	y, ok2 := float(b)
	switch {
	case !ok1 || !ok2:
		return 0, false
	case x < y:
		return -1, true
	case x > y:
		return 1, true
	default:
		return 0, true
	}
}

// same is ==. Values of different types are the same if their texts are equal.
func (r *run) same(a, b any) bool {
	if order, ok := compareNumbers(a, b); ok {
		return order == 0
	}
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	switch x := a.(type) {
	case string:
		if y, ok := b.(string); ok {
			r.scan(min(len(x), len(y)))
			return x == y
		}
	case *list:
		if _, ok := b.(*list); ok {
			return r.equal(a, b, 0)
		}
	case *object:
		if _, ok := b.(*object); ok {
			return r.equal(a, b, 0)
		}
	}
	x, y := r.text(a), r.text(b)
	return !r.halted() && x == y
}

// equal is Java's equals: deep, and without conversion.
func (r *run) equal(a, b any, depth int) bool {
	r.step(0, 1)
	if depth > maxValueDepth {
		r.fail(0, "lists and maps are nested too deeply")
	}
	if r.halted() {
		return false
	}
	switch a := a.(type) {
	case *list:
		b, ok := b.(*list)
		if !ok || len(a.items) != len(b.items) {
			return false
		}
		for i := range a.items {
			if !r.equal(a.items[i], b.items[i], depth+1) {
				return false
			}
		}
		return true
	case *object:
		b, ok := b.(*object)
		if !ok || len(a.entries) != len(b.entries) {
			return false
		}
		for i := range a.entries {
			j := b.find(a.entries[i].key)
			if j < 0 || !r.equal(a.entries[i].value, b.entries[j].value, depth+1) {
				return false
			}
		}
		return true
	case string:
		r.scan(len(a))
	}
	return a == b
}

// text returns the text that v prints. For null that is "null", as in Java's string
// concatenation.
func (r *run) text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case bool:
		return strconv.FormatBool(v)
	case nil:
		return "null"
	default:
		return r.capture(func() { r.print(v, 0) })
	}
}

// print prints v in the format of Java's toString.
func (r *run) print(v any, depth int) {
	if depth > maxValueDepth {
		r.fail(0, "lists and maps are nested too deeply to print")
		return
	}
	switch v := v.(type) {
	case nil:
		r.write("null")
	case string:
		r.write(v)
	case int64:
		r.write(strconv.FormatInt(v, 10))
	case float64:
		r.write(formatFloat(v))
	case bool:
		r.write(strconv.FormatBool(v))
	case bigNumber:
		r.write(string(v))
	case *list:
		r.printList(v, depth)
	case *object:
		r.printObject(v, depth)
	case *pair:
		r.write(v.key + "=")
		r.print(v.value, depth+1)
	case stageVariables:
		r.print(stringsObject(r.env.StageVariables), depth)
	case *loop:
		r.write("{}")
	case *body:
		r.printBody(v)
	}
}

func (r *run) printList(l *list, depth int) {
	r.write("[")
	for i, item := range l.items {
		if r.step(0, 1); r.halted() {
			return
		}
		if i > 0 {
			r.write(", ")
		}
		if item == any(l) {
			r.write("(this Collection)")
			continue
		}
		r.print(item, depth+1)
	}
	r.write("]")
}

func (r *run) printObject(o *object, depth int) {
	r.write("{")
	for i := range o.entries {
		if r.step(0, 1); r.halted() {
			return
		}
		if i > 0 {
			r.write(", ")
		}
		r.write(o.entries[i].key)
		r.write("=")
		if o.entries[i].value == any(o) {
			r.write("(this Map)")
			continue
		}
		r.print(o.entries[i].value, depth+1)
	}
	r.write("}")
}

// printBody prints the block given to a macro, which may print itself again.
func (r *run) printBody(b *body) {
	if r.macroDepth == maxMacroDepth {
		r.fail(0, "macros call each other more than 20 deep")
		return
	}
	r.macroDepth++
	r.block(b.nodes)
	r.macroDepth--
}

// formatFloat writes f as Java's Double.toString does: with at least one digit after the
// point, and with an exponent below 0.001 and from ten million upwards.
func formatFloat(f float64) string {
	switch abs := math.Abs(f); {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 0):
		return strings.Replace(strconv.FormatFloat(f, 'f', -1, 64), "Inf", "Infinity", 1)[sign(f):]
	case abs == 0 || 1e-3 <= abs && abs < 1e7:
		return withPoint(strconv.FormatFloat(f, 'f', -1, 64))
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'e', -1, 64), "e")
	exponent = strings.TrimPrefix(exponent, "+")
	if negative := strings.HasPrefix(exponent, "-"); negative {
		exponent = "-" + strings.TrimLeft(exponent, "-0")
	} else {
		exponent = strings.TrimLeft(exponent, "0")
	}
	return withPoint(mantissa) + "E" + exponent
}

// sign returns the length of the sign that Go writes and Java does not: 1 for a positive
// infinity.
func sign(f float64) int {
	if f > 0 {
		return 1
	}
	return 0
}

func withPoint(digits string) string {
	if strings.Contains(digits, ".") {
		return digits
	}
	return digits + ".0"
}
