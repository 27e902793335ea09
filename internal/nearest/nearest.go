// Package nearest finds the known name that a misspelt one was probably meant to be, for
// the "did you mean" of errors and warnings.
package nearest

import "strings"

// maxBytes is the longest name that is compared: the work grows with its square.
const maxBytes = 64

// To returns the known name that is nearest to name, or "" if none is near: at most a
// third of the longer of the two differs. The case of ASCII letters counts only between
// names that are otherwise equally near. The first of several counts.
func To(name string, known []string) string {
	found, _ := search(name, known)
	return found
}

// Prefix returns text with its first segments replaced by the nearest of the known
// prefixes, or "" if none is near. Segments are separated by ".", and a prefix is made of
// whole ones: "route.request.headers.X" becomes "route.request.header.X".
//
// Each segment has to be near its own, or the beginning of it. Of a prefix of several
// segments the first may be missing or another, as in "method.request.header.X".
func Prefix(text string, known []string) string {
	segments := strings.SplitN(text, ".", maxSegments)
	best, least := "", -1
	for _, candidate := range known {
		wanted := strings.Split(candidate, ".")
		for n := 1; n <= len(segments); n++ {
			differs, near := compare(segments[:n], wanted)
			if near && (least < 0 || differs < least) {
				best, least = strings.Join(append([]string{candidate}, segments[n:]...), "."), differs
			}
		}
	}
	if best == text {
		return ""
	}
	return best
}

// maxSegments is one more than the segments of the longest prefix, and the rest.
const maxSegments = 5

// compare says whether segments are near those that are wanted, and how far they are.
func compare(segments, wanted []string) (differs int, near bool) {
	if len(wanted) == 1 {
		if len(segments) != 1 {
			return 0, false
		}
		return compareSegment(segments[0], wanted[0])
	}
	extra := len(segments) - (len(wanted) - 1)
	if extra < 0 || extra > 1 {
		return 0, false
	}
	for n, w := range wanted[1:] {
		d, near := compareSegment(segments[extra+n], w)
		if !near {
			return 0, false
		}
		differs += d
	}
	if extra == 0 || segments[0] != wanted[0] {
		differs += 2
	}
	return differs, true
}

func compareSegment(segment, wanted string) (differs int, near bool) {
	if len(segment) >= 3 && strings.HasPrefix(wanted, strings.ToLower(segment)) {
		return min(1, len(wanted)-len(segment)), true
	}
	_, differs = search(segment, []string{wanted})
	return differs, differs > 0 || segment == wanted
}

// Question returns what an error says of a name that is not known: `: did you mean
// "name"?`, or nothing if name is "".
func Question(name string) string {
	if name == "" {
		return ""
	}
	return `: did you mean "` + name + `"?`
}

// search returns the nearest of the known names, and how far it is.
func search(name string, known []string) (found string, differs int) {
	if name == "" || len(name) > maxBytes {
		return "", 0
	}
	for _, candidate := range known {
		longer, shorter := max(len(name), len(candidate)), min(len(name), len(candidate))
		if longer > maxBytes || longer-shorter > longer/3 {
			continue // the difference of the lengths is too great already
		}
		d := distance(strings.ToLower(name), strings.ToLower(candidate))
		if d > longer/3 {
			continue
		}
		d *= 2
		if d == 0 && name != candidate {
			d = 1 // only the case differs
		}
		if found == "" || d < differs {
			found, differs = candidate, d
		}
	}
	return found, differs
}

// distance counts the bytes to insert, remove or replace, and the neighbours to swap, that
// make b of a.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, before
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replaced := last[j-1]
			if a[i-1] != b[j-1] {
				replaced++
			}
			row[j] = min(last[j]+1, row[j-1]+1, replaced)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
