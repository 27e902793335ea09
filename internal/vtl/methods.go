package vtl

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// call returns the result of a method of v. If the type of v has no such method for these
// arguments, it returns null, so that the reference prints itself.
func (s *step) call(r *run, v any, args []any) any {
	r.step(s.at, 1)
	switch v := v.(type) {
	case input:
		return v.call(r, s, args)
	case util:
		return v.call(r, s, args)
	case variable:
		if s.name == "get" && len(args) == 1 {
			return v.property(r, r.text(args[0]))
		}
		if v == "" {
			return nil
		}
		return s.callString(r, "", args)
	case stageVariables:
		if s.name == "get" && len(args) == 1 {
			return r.env.StageVariables[r.text(args[0])]
		}
		return s.callObject(r, stringsObject(r.env.StageVariables), args)
	case *loop:
		if len(args) == 0 {
			return v.method(s.name)
		}
		return nil
	case string:
		return s.callString(r, v, args)
	case *list:
		return s.callList(r, v, args)
	case *object:
		return s.callObject(r, v, args)
	case *pair:
		switch {
		case s.name == "getKey" && len(args) == 0:
			return v.key
		case s.name == "getValue" && len(args) == 0:
			return v.value
		}
		return s.callAny(r, v, args)
	case int64, float64:
		return s.callNumber(r, v, args)
	default:
		return s.callAny(r, v, args)
	}
}

// callAny calls a method that all values have.
func (s *step) callAny(r *run, v any, args []any) any {
	switch {
	case s.name == "toString" && len(args) == 0:
		return r.text(v)
	case s.name == "equals" && len(args) == 1:
		return r.equal(v, args[0], 0)
	default:
		return nil
	}
}

func (s *step) callNumber(r *run, v any, args []any) any {
	f, _ := float(v)
	i, isInt := whole(v)
	if !isInt {
		i = truncate(f, math.MinInt64, math.MaxInt64)
	}
	if s.name == "compareTo" && len(args) == 1 {
		if _, ok := whole(args[0]); ok == isInt {
			if order, ok := compareNumbers(v, args[0]); ok {
				return int64(order)
			}
		}
		return nil
	}
	if s.name == "parseInt" && len(args) == 1 {
		return s.parseInt(r, args[0])
	}
	if len(args) > 0 {
		return s.callAny(r, v, args)
	}
	switch s.name {
	case "intValue":
		if isInt {
			return int64(int32(i)) // Java drops the upper bits
		}
		return truncate(f, math.MinInt32, math.MaxInt32)
	case "longValue":
		return i
	case "doubleValue":
		return f
	case "floatValue":
		short, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'g', -1, 32), 64)
		return short
	default:
		return s.callAny(r, v, args)
	}
}

// truncate converts as a Java cast does: towards zero, and to the limits at most.
func truncate(f float64, low, high int64) int64 {
	switch {
	case math.IsNaN(f):
		return 0
	case f <= float64(low):
		return low
	case f >= float64(high):
		return high
	default:
		return int64(f)
	}
}

// parseInt is Integer.parseInt, which a template can call on any integer.
func (s *step) parseInt(r *run, arg any) any {
	text, ok := arg.(string)
	if !ok {
		return nil
	}
	i, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		r.fail(s.at, "parseInt: not an integer")
		return nil
	}
	return i
}

func (s *step) callList(r *run, l *list, args []any) any {
	switch len(args) {
	case 0:
		switch s.name {
		case "size":
			return int64(len(l.items))
		case "isEmpty":
			return len(l.items) == 0
		case "clear":
			l.items = nil
			return ""
		}
	case 1:
		return s.callList1(r, l, args[0])
	case 2:
		return s.callList2(r, l, args[0], args[1])
	}
	return s.callAny(r, l, args)
}

func (s *step) callList1(r *run, l *list, arg any) any {
	switch s.name {
	case "get":
		if i, ok := l.index(r, s.at, arg, false); ok {
			return l.items[i]
		}
		return nil
	case "add":
		if r.grow(itemBytes) {
			l.items = append(l.items, arg)
		}
		return true
	case "addAll":
		if more, ok := arg.(*list); ok && r.grow(itemBytes*len(more.items)) {
			l.items = append(l.items, more.items...)
			return len(more.items) > 0
		}
		return nil
	case "remove":
		return s.removeItem(r, l, arg)
	case "contains":
		return s.find(r, l, arg) >= 0
	case "indexOf":
		return s.find(r, l, arg)
	default:
		return s.callAny(r, l, []any{arg})
	}
}

func (s *step) callList2(r *run, l *list, key, v any) any {
	i, ok := whole(key)
	switch {
	case !ok:
		return nil
	case s.name == "add":
		if i < 0 || i > int64(len(l.items)) {
			r.fail(s.at, "add: the index is outside of the list")
			return nil
		}
		if r.grow(itemBytes) {
			r.scan(itemBytes * len(l.items))
			l.items = slices.Insert(l.items, int(i), v)
		}
		return ""
	case s.name == "set":
		if i, ok := l.index(r, s.at, key, false); ok {
			before := l.items[i]
			l.items[i] = v
			return before
		}
	case s.name == "subList":
		j, ok := whole(v)
		if !ok {
			return nil
		}
		if i < 0 || j < i || j > int64(len(l.items)) {
			r.fail(s.at, "subList: the indexes are outside of the list")
			return nil
		}
		if r.grow(itemBytes * int(j-i)) {
			return &list{items: slices.Clone(l.items[i:j])}
		}
	}
	return nil
}

// removeItem removes the item at an index, if the argument is an integer, and otherwise the
// first item that is equal to the argument.
func (s *step) removeItem(r *run, l *list, arg any) any {
	r.scan(itemBytes * len(l.items))
	if _, ok := whole(arg); ok {
		i, ok := l.index(r, s.at, arg, false)
		if !ok {
			return nil
		}
		v := l.items[i]
		l.items = append(l.items[:i:i], l.items[i+1:]...)
		return v
	}
	i := s.find(r, l, arg)
	if i < 0 {
		return false
	}
	l.items = append(l.items[:i:i], l.items[i+1:]...)
	return true
}

func (s *step) find(r *run, l *list, v any) int64 {
	for i, item := range l.items {
		if r.equal(item, v, 0) {
			return int64(i)
		}
		if r.halted() {
			break
		}
	}
	return -1
}

func (s *step) callObject(r *run, o *object, args []any) any {
	switch len(args) {
	case 0:
		return s.callObject0(r, o)
	case 1:
		return s.callObject1(r, o, args[0])
	case 2:
		switch s.name {
		case "put":
			return r.put(o, r.text(args[0]), args[1])
		case "getOrDefault":
			if i := o.find(r.text(args[0])); i >= 0 {
				return o.entries[i].value
			}
			return args[1]
		}
	}
	return s.callAny(r, o, args)
}

func (s *step) callObject0(r *run, o *object) any {
	switch s.name {
	case "size":
		return int64(len(o.entries))
	case "isEmpty":
		return len(o.entries) == 0
	case "clear":
		*o = object{}
		return ""
	case "keySet", "values", "entrySet":
	default:
		return s.callAny(r, o, nil)
	}
	if !r.grow(itemBytes * (1 + len(o.entries))) {
		return nil
	}
	l := &list{items: make([]any, len(o.entries))}
	for i := range o.entries {
		switch s.name {
		case "keySet":
			l.items[i] = o.entries[i].key
		case "values":
			l.items[i] = o.entries[i].value
		default:
			l.items[i] = &pair{key: o.entries[i].key, value: o.entries[i].value}
		}
	}
	return l
}

func (s *step) callObject1(r *run, o *object, arg any) any {
	switch s.name {
	case "get":
		return o.get(r.text(arg))
	case "containsKey":
		return o.find(r.text(arg)) >= 0
	case "containsValue":
		return s.find(r, &list{items: o.values()}, arg) >= 0
	case "remove":
		r.scan(itemBytes * len(o.entries))
		return o.remove(r.text(arg))
	case "putAll":
		more, ok := arg.(*object)
		if !ok {
			return nil
		}
		for _, entry := range more.entries {
			r.put(o, entry.key, entry.value)
		}
		return ""
	default:
		return s.callAny(r, o, []any{arg})
	}
}

func (s *step) callString(r *run, v string, args []any) any {
	r.scan(len(v))
	for _, arg := range args {
		if text, ok := arg.(string); ok {
			r.scan(len(text))
		}
	}
	if r.halted() {
		return nil
	}
	switch len(args) {
	case 0:
		return s.callString0(r, v)
	case 1:
		if arg, ok := args[0].(string); ok {
			return s.callString1(r, v, arg)
		}
		if i, ok := whole(args[0]); ok {
			return s.callStringAt(r, v, i)
		}
		if args[0] == nil {
			return s.callStringNull(r)
		}
	case 2:
		return s.callString2(r, v, args[0], args[1])
	}
	return s.callAny(r, v, args)
}

func (s *step) callString0(r *run, v string) any {
	if !r.grow(len(v)) {
		return nil
	}
	switch s.name {
	case "length":
		return int64(units(v))
	case "isEmpty":
		return v == ""
	case "isBlank":
		return strings.TrimSpace(v) == ""
	case "trim":
		return strings.TrimFunc(v, func(c rune) bool { return c <= ' ' })
	case "strip":
		return strings.TrimSpace(v)
	case "toLowerCase":
		return strings.ToLower(v)
	case "toUpperCase":
		return strings.ToUpper(v)
	default:
		return s.callAny(r, v, nil)
	}
}
