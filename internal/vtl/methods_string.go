package vtl

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// As in Java, the lengths and indexes of strings count UTF-16 code units.

// units returns the length of s.
func units(s string) int {
	n := 0
	for _, c := range s {
		n += utf16.RuneLen(c)
	}
	return n
}

// slice returns the units of s from from to to, exclusive. Half of a surrogate pair becomes
// U+FFFD.
func slice(s string, from, to int64) string {
	if isASCII(s) {
		return s[from:to]
	}
	return string(utf16.Decode(utf16.Encode([]rune(s))[from:to]))
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// unitOffset returns the byte offset of a unit, which is the end of the string at most.
func unitOffset(s string, unit int64) int {
	for i, c := range s {
		if unit <= 0 {
			return i
		}
		unit -= int64(utf16.RuneLen(c))
	}
	return len(s)
}

// indexOf converts a byte offset, or -1, to units.
func indexOf(s string, offset int) int64 {
	if offset < 0 {
		return -1
	}
	return int64(units(s[:offset]))
}

// substring fails when Java throws.
func (s *step) substring(r *run, v string, from, to int64) any {
	if n := int64(units(v)); from < 0 || to < from || to > n {
		r.fail(s.at, s.name+": the index is outside of the string")
		return nil
	}
	if !r.grow(2 * len(v)) {
		return nil
	}
	return slice(v, from, to)
}

// callStringAt calls a method whose argument is an index.
func (s *step) callStringAt(r *run, v string, i int64) any {
	switch s.name {
	case "substring":
		return s.substring(r, v, i, int64(units(v)))
	case "charAt":
		return s.substring(r, v, i, i+1)
	case "indexOf":
		if i < 0 || i > utf8.MaxRune {
			return int64(-1)
		}
		return indexOf(v, strings.IndexRune(v, rune(i)))
	case "equals":
		return false
	default:
		return nil
	}
}

// callStringNull calls a method whose argument is null: most of Java's throw.
func (s *step) callStringNull(r *run) any {
	switch s.name {
	case "equals", "equalsIgnoreCase":
		return false
	case "contains", "startsWith", "endsWith", "indexOf", "lastIndexOf", "compareTo", "compareToIgnoreCase",
		"concat", "matches", "split":
		r.fail(s.at, s.name+" of null")
	}
	return nil
}

func (s *step) callString1(r *run, v, arg string) any {
	switch s.name {
	case "contains":
		return strings.Contains(v, arg)
	case "startsWith":
		return strings.HasPrefix(v, arg)
	case "endsWith":
		return strings.HasSuffix(v, arg)
	case "indexOf":
		return indexOf(v, strings.Index(v, arg))
	case "lastIndexOf":
		return indexOf(v, strings.LastIndex(v, arg))
	case "equals", "contentEquals":
		return v == arg
	case "equalsIgnoreCase":
		return strings.EqualFold(v, arg)
	case "compareTo":
		return compareStrings(v, arg)
	case "compareToIgnoreCase":
		return compareStrings(strings.ToLower(v), strings.ToLower(arg))
	case "concat":
		if r.grow(len(v) + len(arg)) {
			return v + arg
		}
	case "matches":
		if re := s.pattern(r, v, `^(?:`+arg+`)$`); re != nil {
			return re.MatchString(v)
		}
	case "split":
		return s.split(r, v, arg, 0)
	}
	return nil
}

func (s *step) callString2(r *run, v string, a, b any) any {
	x, ok1 := a.(string)
	y, ok2 := b.(string)
	i, ok3 := whole(a)
	j, ok4 := whole(b)
	switch {
	case ok1 && ok2:
		return s.replacement(r, v, x, y)
	case ok3 && ok4 && s.name == "substring":
		return s.substring(r, v, i, j)
	case ok1 && ok4 && s.name == "indexOf":
		from := unitOffset(v, j)
		if at := strings.Index(v[from:], x); at >= 0 {
			return indexOf(v, from+at)
		}
		return int64(-1)
	case ok1 && ok4 && s.name == "startsWith":
		return j >= 0 && j <= int64(units(v)) && strings.HasPrefix(v[unitOffset(v, j):], x)
	case ok1 && ok4 && s.name == "split":
		return s.split(r, v, x, j)
	default:
		return nil
	}
}

// compareStrings is String.compareTo: the difference of the first units that are not equal,
// or of the lengths.
func compareStrings(a, b string) int64 {
	x, y := utf16.Encode([]rune(a)), utf16.Encode([]rune(b))
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return int64(x[i]) - int64(y[i])
		}
	}
	return int64(len(x) - len(y))
}

// replacement calls replace, replaceAll or replaceFirst.
func (s *step) replacement(r *run, v, from, to string) any {
	switch s.name {
	case "replace":
		if r.grow(len(v) + strings.Count(v, from)*len(to)) {
			return strings.ReplaceAll(v, from, to)
		}
	case "replaceAll", "replaceFirst":
		limit := -1
		if s.name == "replaceFirst" {
			limit = 1
		}
		if re := s.pattern(r, v, from); re != nil {
			return s.replacePattern(r, v, to, re, limit)
		}
	}
	return nil
}

// replacePattern replaces up to limit matches, with Java's replacement syntax: "$1" is a
// group, and a character after "\" is literal.
func (s *step) replacePattern(r *run, v, to string, re *regexp.Regexp, limit int) any {
	if limit < 0 {
		limit = maxMatches + 1
	}
	matches := re.FindAllStringSubmatchIndex(v, limit)
	if !s.countMatches(r, len(matches), 2+2*re.NumSubexp()) {
		return nil
	}
	var out []byte
	end := 0
	for _, match := range matches {
		if !r.grow(match[0] - end + len(to) + itemBytes) {
			return nil
		}
		out = append(out, v[end:match[0]]...)
		for i := 0; i < len(to); i++ {
			switch c := to[i]; {
			case c == '\\' && i+1 < len(to):
				i++
				out = append(out, to[i])
			case c == '$' && i+1 < len(to) && isDigit(to[i+1]) && int(to[i+1]-'0') <= re.NumSubexp():
				i++
				group := 2 * int(to[i]-'0')
				if match[group] < 0 {
					continue
				}
				if !r.grow(match[group+1] - match[group]) {
					return nil
				}
				out = append(out, v[match[group]:match[group+1]]...)
			case c == '\\' || c == '$':
				r.fail(s.at, s.name+`: "$" and "\" in the replacement need a group's number or a "\" before them`)
				return nil
			default:
				out = append(out, c)
			}
		}
		end = match[1]
	}
	if !r.grow(len(v) - end) {
		return nil
	}
	return string(append(out, v[end:]...))
}

// countMatches counts the steps and the memory for n matches with so many offsets each.
func (s *step) countMatches(r *run, n, offsets int) bool {
	if n > maxMatches {
		r.fail(s.at, s.name+": more than 100000 matches")
		return false
	}
	return r.grow(n * (itemBytes + 8*offsets))
}

// split splits as Java does: without a limit, trailing empty pieces are dropped.
func (s *step) split(r *run, v, pattern string, limit int64) any {
	re := s.pattern(r, v, pattern)
	if re == nil {
		return nil
	}
	matches := re.FindAllStringIndex(v, maxMatches+1)
	if !s.countMatches(r, len(matches), 2) {
		return nil
	}
	l := &list{}
	end := 0
	for _, match := range matches {
		if limit > 0 && int64(len(l.items)) == limit-1 {
			break
		}
		if match[1] == 0 || match[0] == len(v) && match[0] == match[1] {
			continue // no empty piece before or after an empty match at an end
		}
		l.items = append(l.items, v[end:match[0]])
		end = match[1]
	}
	l.items = append(l.items, v[end:])
	for n := len(l.items); limit == 0 && end > 0 && n > 0 && l.items[n-1] == ""; n-- {
		l.items = l.items[:n-1]
	}
	return l
}

// pattern compiles a regular expression for use on v.
func (s *step) pattern(r *run, v, text string) *regexp.Regexp {
	if len(text) > maxPatternBytes {
		r.fail(s.at, s.name+": the regular expression is too long")
		return nil
	}
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		r.fail(s.at, s.name+": "+whyInvalid(err))
		return nil
	}
	size := programSize(tree)
	if size > maxPatternSize {
		r.fail(s.at, s.name+": the regular expression is too large")
		return nil
	}
	r.step(s.at, len(text)+size+len(v)*(1+size/16)/matchBytes)
	if r.halted() {
		return nil
	}
	re, err := regexp.Compile(text)
	if err != nil {
		r.fail(s.at, s.name+": "+whyInvalid(err))
		return nil
	}
	return re
}

// whyInvalid says what is wrong with a regular expression. It does not quote the
// expression, which may come from a message.
func whyInvalid(err error) string {
	if e := new(syntax.Error); errors.As(err, &e) {
		return "the regular expression is invalid: " + e.Code.String()
	}
	return "the regular expression is invalid"
}

// programSize estimates the instructions of the compiled expression.
func programSize(tree *syntax.Regexp) int {
	size := 1 + len(tree.Rune)/2
	for _, sub := range tree.Sub {
		size += programSize(sub)
	}
	if tree.Op == syntax.OpRepeat {
		size *= max(tree.Min, tree.Max, 1)
	}
	return min(size, 1<<30)
}
