package conformance_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite RESULTS.md")

const resultsFile = "RESULTS.md"

// group is a chapter of the suite.
type group struct {
	name  string
	title string
	cases []testCase
}

func groups() []group {
	return []group{
		{"1", "Framing", framingCases()},
		{"2", "Pings and pongs", pingCases()},
		{"3", "Reserved bits", reservedBitCases()},
		{"4", "Opcodes", opcodeCases()},
		{"5", "Fragmentation", fragmentationCases()},
		{"6", "UTF-8", utf8Cases()},
		{"7", "Close handling", closeCases()},
		{"9", "Limits", limitCases()},
		{"10", "Fragmentation by the sender", autoFragmentCases()},
		{"12", "Compression, payloads", compressedPayloadCases()},
		{"13", "Compression, offers", compressionOfferCases()},
		{"B", "Binary messages, with `WithBinaryMessages`", binaryCases()},
		{"C", "Reserved bits, limits, payloads and offers with `WithCompression`", deflatedCases()},
		{"H", "Opening handshake", handshakeCases()},
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	all := groups()
	res := &results{passed: map[string]int{}}
	passed := t.Run("cases", func(t *testing.T) {
		for _, g := range all {
			for _, c := range g.cases {
				c, _ := excepted(c)
				for _, w := range c.ways() {
					t.Run(fmt.Sprintf("%s/%s/%v", g.name, c.id, w), func(t *testing.T) {
						t.Parallel()
						require.NoError(t, run(t, c, w), c.title)
						res.pass(c.id)
					})
				}
			}
		}
	})
	if !passed || underRace {
		return // the failures above say enough; and with the race detector not everything was run
	}
	t.Run("results", func(t *testing.T) {
		got := render(all, res)
		if *update {
			require.NoError(t, os.WriteFile(resultsFile, []byte(got), 0o644))
		}
		want, err := os.ReadFile(resultsFile)
		require.NoError(t, err)
		require.Equal(t, string(want), got, "go test ./internal/suites/conformance -update rewrites it")
	})
}

// TestExceptions checks the table of exceptions: each line is needed, because the
// gateway does not do what the RFC or Autobahn expects, and each has a reason.
func TestExceptions(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, g := range groups() {
		for _, c := range g.cases {
			_, e := excepted(c)
			if e == nil {
				continue
			}
			used[e.cases] = true
			t.Run(c.id, func(t *testing.T) {
				t.Parallel()
				require.Error(t, run(t, c, way{}), "the gateway does what is wanted: remove the exception")
			})
		}
	}
	for _, e := range exceptions() {
		require.True(t, used[e.cases], "there are no cases %s", e.cases)
		require.NotEmpty(t, e.reason)
	}
}

// TestCases checks the form of the list of cases.
func TestCases(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, g := range groups() {
		require.NotEmpty(t, g.cases)
		for _, c := range g.cases {
			require.False(t, seen[c.id], "two cases are %s", c.id)
			seen[c.id] = true
			require.True(t, strings.HasPrefix(c.id, g.name+"."), "%s is not of group %s", c.id, g.name)
			require.NotEmpty(t, c.title, c.id)
			_, e := excepted(c)
			require.Equal(t, c.here != nil, e != nil, "%s has what the gateway does instead, and a reason, or neither", c.id)
		}
	}
	require.Greater(t, len(seen), 250)
}

// results counts in how many ways each case has passed.
type results struct {
	mu     sync.Mutex // guards passed
	passed map[string]int
}

func (r *results) pass(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.passed[id]++
}

// tally is a line of the table.
type tally struct{ cases, strict, excepted, failed, runs int }

func (n *tally) add(m tally) {
	n.cases += m.cases
	n.strict += m.strict
	n.excepted += m.excepted
	n.failed += m.failed
	n.runs += m.runs
}

func (n *tally) row(name, title string) string {
	return fmt.Sprintf("| %s | %s | %d | %d | %d | %d | %d |\n", name, title, n.cases, n.strict, n.excepted, n.failed, n.runs)
}

func render(all []group, res *results) string {
	var b strings.Builder
	b.WriteString(`# Conformance to RFC 6455 and RFC 7692

The results of [the suite](doc.go). ` + "`go test ./internal/suites/conformance -update`" + ` writes this file, and every run compares
with it. The numbers of groups and cases follow the case list of the Autobahn testsuite; groups B, C and H, and numbers
beyond that list, are ours. A case has passed if all its runs have passed: in memory and over TCP, with its bytes whole and one
by one.

| Group | About | Cases | As the RFC wants | By exception | Failed | Runs |
|---|---|---|---|---|---|---|
`)
	var total tally
	matched := map[string]int{}
	for _, g := range all {
		var n tally
		for _, c := range g.cases {
			c, e := excepted(c)
			one := tally{cases: 1, runs: res.passed[c.id]}
			switch {
			case res.passed[c.id] < len(c.ways()):
				one.failed = 1
			case e != nil:
				one.excepted = 1
				matched[e.cases]++
			default:
				one.strict = 1
			}
			n.add(one)
		}
		b.WriteString(n.row(g.name, g.title))
		total.add(n)
	}
	b.WriteString(total.row("", "all"))
	b.WriteString(`
## Exceptions

Where the gateway behaves differently from the RFC or from Autobahn. The code of this table is
[` + "`exceptions`" + `](exceptions_test.go); a test fails if one of its lines is not needed any more.

| Cases | How many | Wanted | Here | Reason |
|---|---|---|---|---|
`)
	for _, e := range exceptions() {
		fmt.Fprintf(&b, "| %s | %d | %s | %s | %s |\n", e.cases, matched[e.cases], e.wanted, e.here, e.reason)
	}
	return b.String()
}
