package conformance_test

import (
	"fmt"
	"strings"
)

// kosme is a Greek word whose second letter has three bytes.
const kosme = "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"

func utf8Cases() []testCase {
	cases := utf8FragmentCases()
	for _, g := range utf8Sequences() {
		for n, sequence := range g.sequences {
			c := testCase{
				id: fmt.Sprintf("%s.%d", g.id, n+1), title: fmt.Sprintf("%s: %.80q", g.title, sequence),
				steps: []step{sends(text(sequence), echo(sequence))},
			}
			if !g.valid {
				c.steps, c.end = []step{sends(text(sequence))}, fails(1007)
			}
			cases = append(cases, c)
		}
	}
	for n := range len(kosme) {
		cases = append(cases, prefixCase(n+1))
	}
	return cases
}

type sequences struct {
	id, title string
	valid     bool
	sequences []string
}

// utf8Sequences are the classes of Autobahn's list. Most of them come from Markus
// Kuhn's UTF-8 decoder stress test.
func utf8Sequences() []sequences {
	return []sequences{
		{"6.5", "valid", true, []string{"hello$world", "hello¢world", "hello€world", "hello𤭢world", kosme}},
		{"6.7", "the first of a length", true, []string{"\x00", "\xc2\x80", "\xe0\xa0\x80", "\xf0\x90\x80\x80"}},
		{"6.8", "the first of five and six bytes", false, []string{"\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80"}},
		{"6.9", "the last of a length", true, []string{"\x7f", "\xdf\xbf", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf"}},
		{"6.10", "the last of a length", false, []string{"\xf7\xbf\xbf\xbf", "\xfb\xbf\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf\xbf"}},
		{"6.11", "a boundary", true, []string{"\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbd", "\xf4\x8f\xbf\xbf"}},
		{"6.11.5", "above U+10FFFF", false, []string{"\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf7\x80\x80\x80"}},
		{"6.12", "continuation bytes alone", false, append([]string{"\x80", "\xbf"}, continuationBytes()...)},
		{"6.13", "first bytes alone", false, []string{
			firstBytes(0xc0, 0xdf), firstBytes(0xe0, 0xef), firstBytes(0xf0, 0xf7), firstBytes(0xf8, 0xfb), firstBytes(0xfc, 0xfd),
		}},
		{"6.14", "the last byte is missing", false, truncated()},
		{"6.15", "all of 6.14 after each other", false, []string{strings.Join(truncated(), "")}},
		{"6.16", "bytes that never occur", false, []string{"\xfe", "\xff", "\xfe\xfe\xff\xff", "\xff\xfe", "\xc1"}},
		{"6.17", "overlong /", false, []string{"\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xf8\x80\x80\x80\xaf", "\xfc\x80\x80\x80\x80\xaf"}},
		{"6.18", "the highest overlong", false, []string{"\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xf8\x87\xbf\xbf\xbf", "\xfc\x83\xbf\xbf\xbf\xbf"}},
		{"6.19", "overlong NUL", false, []string{"\xc0\x80", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xf8\x80\x80\x80\x80", "\xfc\x80\x80\x80\x80\x80"}},
		{"6.20", "a surrogate", false, []string{
			"\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xaf\xbf", "\xed\xb0\x80", "\xed\xbe\x80", "\xed\xbf\xbf",
		}},
		{"6.21", "a pair of surrogates", false, []string{
			"\xed\xa0\x80\xed\xb0\x80", "\xed\xa0\x80\xed\xbf\xbf", "\xed\xad\xbf\xed\xb0\x80", "\xed\xad\xbf\xed\xbf\xbf",
			"\xed\xae\x80\xed\xb0\x80", "\xed\xae\x80\xed\xbf\xbf", "\xed\xaf\xbf\xed\xb0\x80", "\xed\xaf\xbf\xed\xbf\xbf",
		}},
		{"6.22", "a noncharacter", true, noncharacters()},
		{"6.23", "a special", true, []string{"\ufff9", "\ufffa", "\ufffb", "\ufffc", "\ufffd", "\ufffe", "\uffff"}},
		{"6.24", "a byte order mark", true, []string{"\ufeff", "\ufefftext", "\ufeff{\"action\":\"a\"}", "text\ufeff"}},
		{"6.25", "a byte that is not UTF-8 in JSON", false, []string{"{\"action\":\"\xff\"}", "{\"action\":\"a\"}\xff", "\"\\ud800\xed\xa0\x80\""}},
	}
}

// continuationBytes are runs of two to six continuation bytes, and all of them.
func continuationBytes() (all []string) {
	for n := 2; n <= 6; n++ {
		all = append(all, strings.Repeat("\x80\xbf", 3)[:n])
	}
	var every strings.Builder
	for b := 0x80; b <= 0xbf; b++ {
		every.WriteByte(byte(b))
	}
	return append(all, every.String())
}

func firstBytes(from, to int) string {
	var b strings.Builder
	for first := from; first <= to; first++ {
		b.Write([]byte{byte(first), ' '})
	}
	return b.String()
}

// truncated are the first and the last sequence of each length from two to six bytes,
// without the last byte.
func truncated() []string {
	return []string{
		"\xc0", "\xe0\x80", "\xf0\x80\x80", "\xf8\x80\x80\x80", "\xfc\x80\x80\x80\x80",
		"\xdf", "\xef\xbf", "\xf7\xbf\xbf", "\xfb\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf",
	}
}

// noncharacters are the last two code points of each plane. They are valid.
func noncharacters() (all []string) {
	for plane := rune(0); plane <= 0x10; plane++ {
		all = append(all, string(plane<<16|0xfffe), string(plane<<16|0xffff))
	}
	return all
}

// prefixCase sends the first n bytes of kosme, which are valid UTF-8 if no character
// is cut.
func prefixCase(n int) testCase {
	c := testCase{id: fmt.Sprintf("6.6.%d", n), title: fmt.Sprintf("the first %d bytes of a Greek word", n)}
	switch n {
	case 2, 5, 7, 9, 11:
		c.steps = []step{sends(text(kosme[:n]), echo(kosme[:n]))}
	default:
		c.steps, c.end = []step{sends(text(kosme[:n]))}, fails(1007)
	}
	return c
}

func utf8FragmentCases() []testCase {
	const hello, bad = "Hello-µ@ßöäüàá-UTF-8!!", "\xf4\x90\x80\x80"
	return append([]testCase{
		{id: "6.1.1", title: "an empty text", steps: []step{sends(text(""), echo(""))}, here: unanswered},
		{id: "6.1.2", title: "three empty fragments", steps: []step{sends(join(begin(""), next(""), last("")), echo(""))}, here: unanswered},
		{id: "6.1.3", title: "an empty, a full, an empty fragment", steps: []step{sends(join(begin(""), next("middle"), last("")), echo("middle"))}},
		{id: "6.2.1", title: "valid, in one frame", steps: []step{sends(text(hello), echo(hello))}},
		{id: "6.2.2", title: "valid, cut between characters", steps: []step{sends(join(begin(hello[:11]), last(hello[11:])), echo(hello))}},
		{id: "6.2.3", title: "valid, cut after each byte", steps: []step{sends(fragments(hello, 1), echo(hello))}},
		{id: "6.2.4", title: "Greek, cut after each byte", steps: []step{sends(fragments(kosme, 1), echo(kosme))}},
		{id: "6.2.5", title: "characters of each length, cut at each place", steps: cutEverywhere("aé€𤭢\U0010ffff")},
		{id: "6.2.6", title: "a ping within a character", steps: []step{
			sends(join(begin("\xe2\x82"), ping("\x80"), last("\xac")), ponged("\x80"), echo("€")),
		}},
		{id: "6.2.7", title: "a character in four fragments, empty ones between", steps: []step{sends(join(
			begin("\xf0"), next(""), next("\xa4"), next(""), next("\xad"), last("\xa2")), echo("𤭢"))}},
		{id: "6.3.1", title: "not valid, in one frame", steps: []step{sends(text(kosme + "\xed\xa0\x80edited"))}, end: fails(1007)},
		{id: "6.3.2", title: "not valid, cut after each byte", steps: []step{sends(fragments(kosme+"\xed\xa0\x80edited", 1))}, end: fails(1007)},
		{id: "6.3.3", title: "not valid, after a good message and with a ping behind it", steps: []step{
			sends(text("good"), echo("good")), sends(join(text("\xff"), ping("late"))),
		}, end: fails(1007)},
		{id: "6.3.4", title: "a character cut by the end of its message, its rest in the next", steps: []step{
			sends(join(text("\xe2\x82"), text("\xac"))),
		}, end: fails(1007)},
		{id: "6.3.5", title: "a character cut by the end of a message in fragments", steps: []step{
			sends(join(begin("a"), last("\xe2\x82"))),
		}, end: fails(1007)},
		{id: "6.3.6", title: "a character whose rest is in another", steps: []step{sends(join(begin("\xe2"), last("\xe2\x82\xac")))}, end: fails(1007)},
		{id: "6.3.7", title: "an overlong character, cut", steps: []step{sends(join(begin("\xc0"), last("\xaf")))}, end: fails(1007)},
		{id: "6.3.8", title: "a surrogate, cut", steps: []step{sends(join(begin("\xed"), last("\xa0\x80")))}, end: fails(1007)},
		{id: "6.3.9", title: "a code point above U+10FFFF, cut", steps: []step{sends(join(begin("\xf4"), last("\x90\x80\x80")))}, end: fails(1007)},
	}, failFastCases(kosme, bad)...)
}

// cutEverywhere sends s in two fragments, again and again, cut after each of its
// bytes.
func cutEverywhere(s string) (steps []step) {
	for n := range len(s) + 1 {
		steps = append(steps, sends(join(begin(s[:n]), last(s[n:])), echo(s)))
	}
	return steps
}

// failFastCases stop sending as soon as it is clear that the text is not UTF-8: two
// of them between fragments, two within a frame.
func failFastCases(good, bad string) []testCase {
	const rest = "edited"
	// The ping is answered, so the connection is still open. Then the message ends.
	betweenFragments := func(left string) func(*testCase) {
		return func(c *testCase) {
			c.steps = append(append([]step{}, c.steps...), sends(ping("alive"), ponged("alive")), sends(last(left)))
		}
	}
	whole := text(good + bad + rest)
	head := len(whole) - len(rest) - len(bad) // bytes before the first bad one
	withinFrame := func(n int) testCase {
		return testCase{
			steps: []step{{send: whole[:head], quiet: true}, {send: whole[head:n]}}, end: fails(1007),
			unfinished: true, stepwise: true, memoryOnly: true,
			here: func(c *testCase) {
				c.steps = []step{c.steps[0], {send: whole[head:n], quiet: true}, {send: whole[n:]}}
				c.unfinished = false
			},
		}
	}
	cases := []testCase{
		{steps: []step{sends(begin(good)), sends(next(bad))}, end: fails(1007), stepwise: true, here: betweenFragments(rest)},
		{steps: []step{sends(begin(good + bad[:1])), sends(next(bad[1:2]))}, end: fails(1007), stepwise: true, here: betweenFragments(bad[2:] + rest)},
		withinFrame(head + len(bad)),
		withinFrame(head + 2),
	}
	for n, title := range []string{
		"a bad character in the second of three fragments", "a bad character whose second byte is in the second fragment",
		"a bad character in a frame that is not whole", "half a bad character in a frame that is not whole",
	} {
		cases[n].id, cases[n].title = fmt.Sprintf("6.4.%d", n+1), title
	}
	return cases
}
