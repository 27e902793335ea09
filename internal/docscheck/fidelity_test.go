package docscheck

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	fidelity = "docs/fidelity"
	header   = "| Rule | Source | Here | Proof |"
	none     = "–" // what the column Proof holds if there is no test
)

var (
	update = flag.Bool("update", false, "write the tables of docs/fidelity/README.md")

	here = regexp.MustCompile(`^(?:(?:same|our choice)\b|not yet$|(differs|no), ([^:]+): (\S.*)$|no: (\S.*)$)`)
	name = regexp.MustCompile(`^<a id="([^"]+)"></a>`)
)

// group is a group of differences, with what its table in the index says of it.
type group struct{ name, about string }

// groups are in the order of the index.
var groups = []group{
	{"breaks ported code", "Code that was written for the service may get other results here."},
	{"stricter", "The gateway refuses what the service accepts."},
	{"more than the service", "The gateway accepts, offers or promises more."},
	{notThere, "The gateway does not have this."},
}

// notThere is the group of the rows that name none.
const notThere = "not there"

// rule is a row of a topic's table.
type rule struct {
	at                        string // its file and line, for error messages
	id                        string // its anchor, if it has one
	rule, source, here, proof string
}

// differs reports whether the row belongs to the table of differences.
func (r *rule) differs() bool {
	return !strings.HasPrefix(r.here, "same") && !strings.HasPrefix(r.here, "our choice")
}

// difference returns the group of a row of differences, and what is different.
func (r *rule) difference() (in, text string) {
	m := here.FindStringSubmatch(r.here)
	switch {
	case m[2] != "":
		return m[2], m[3]
	case m[4] != "":
		return notThere, m[4]
	}
	return notThere, r.here
}

// chosen reports whether at least a part of the row is our choice, because it is not
// known what the service does.
func (r *rule) chosen() bool {
	text := strings.ToLower(r.source + r.here)
	return !r.differs() && (strings.Contains(text, "our choice") || strings.Contains(text, "unconfirmed"))
}

// Every row has four cells and names a test that proves it.
func TestFidelity(t *testing.T) {
	t.Parallel()
	rows := 0
	for _, file := range topics(t) {
		ids := map[string]bool{}
		for _, r := range rules(t, file) {
			rows++
			require.Regexp(t, here, r.here, r.at)
			if strings.HasPrefix(strings.ToLower(r.source), "unconfirmed") {
				require.False(t, strings.HasPrefix(r.here, "same"), "%s: the source is unconfirmed: write our choice instead of same", r.at)
			}
			if r.differs() {
				in, _ := r.difference()
				require.True(t, slices.ContainsFunc(groups, func(g group) bool { return g.name == in }), "%s: there is no group of differences %q", r.at, in)
			}
			if r.differs() || r.chosen() {
				require.NotEmpty(t, r.id, `%s: the index links to this row: begin it with <a id="some-name"></a>`, r.at)
			}
			require.False(t, r.id != "" && ids[r.id], "%s: another row has the name %q", r.at, r.id)
			ids[r.id] = true
			if !strings.HasPrefix(r.here, "no") {
				require.Regexp(t, proof, r.proof, "%s: a test has to prove it", r.at)
			}
			rest := strings.Trim(proof.ReplaceAllString(r.proof, ""), ", ")
			require.Contains(t, []string{"", none}, rest, "%s: only tests are proof", r.at)
		}
	}
	require.Greater(t, rows, 300, "the tables have been found")
}

// The index has every topic, difference and choice, in the words of the rows.
func TestFidelity_index(t *testing.T) {
	t.Parallel()
	file := filepath.Join(fidelity, "README.md")
	text := read(t, file)
	intro, _, found := strings.Cut(text, "\n## ")
	require.True(t, found, "%s has no sections", file)
	want := intro + "\n" + index(t)
	if *update {
		require.NoError(t, os.WriteFile(filepath.Join(root, file), []byte(want), 0o600))
		return
	}
	have := strings.Split(text, "\n")
	for n, line := range strings.Split(want, "\n") {
		require.True(t, n < len(have) && have[n] == line,
			"%s:%d: the tables are old: run go test ./internal/docscheck -update. This line has to be\n%s", file, n+1, line)
	}
	require.Len(t, have, strings.Count(want, "\n")+1, "%s: the tables are old: run go test ./internal/docscheck -update", file)
}

func index(t *testing.T) string {
	t.Helper()
	var tables, choices strings.Builder
	differences, total, allDiffer, allOurs := map[string]string{}, 0, 0, 0
	for _, file := range topics(t) {
		title, _, _ := strings.Cut(strings.TrimPrefix(read(t, file), "# "), "\n")
		page, found, differ, ours := filepath.Base(file), rules(t, file), 0, 0
		for _, r := range found {
			to := fmt.Sprintf("[%s](%s#%s)", r.rule, page, r.id)
			switch {
			case r.differs():
				differ++
				in, text := r.difference()
				differences[in] += fmt.Sprintf("| %s | %s |\n", to, text)
			case r.chosen():
				of := ""
				if ours++; ours == 1 {
					of = title
				}
				fmt.Fprintf(&choices, "| %s | %s |\n", of, to)
			}
		}
		total, allDiffer, allOurs = total+len(found), allDiffer+differ, allOurs+ours
		fmt.Fprintf(&tables, "| [%s](%s) | %d | %d | %d |\n", title, page, len(found), differ, ours)
	}
	return "## What differs\n\n" + differing(differences) +
		fmt.Sprintf("## Topics\n\nThere are %d rows. %d are differences: they say `differs`, `not yet` or `no`. %d are choices: they say `our choice`, or "+
			"their source\nsays that a part of the rule is our choice or unconfirmed.\n\n"+
			"| Topic | Rows | Differences | Choices |\n|---|---|---|---|\n%s\n"+
			"## What we chose where the service is unconfirmed\n\n| Topic | What this gateway does |\n|---|---|\n%s",
			total, allDiffer, allOurs, tables.String(), choices.String())
}

// differing returns the tables of the differences, one for each group.
func differing(rows map[string]string) string {
	var b strings.Builder
	for _, g := range groups {
		title := strings.ToUpper(g.name[:1]) + g.name[1:]
		fmt.Fprintf(&b, "### %s\n\n%s\n\n| API Gateway | Here |\n|---|---|\n%s\n", title, g.about, rows[g.name])
	}
	return b.String()
}

// topics returns the files under docs/fidelity, without the index.
func topics(t *testing.T) (files []string) {
	t.Helper()
	for _, file := range markdown(t) {
		if filepath.Dir(file) == fidelity && filepath.Base(file) != "README.md" {
			files = append(files, file)
		}
	}
	return files
}

// rules returns the rows of all tables of a topic.
func rules(t *testing.T, file string) (found []rule) {
	t.Helper()
	inTable := false
	for n, line := range strings.Split(read(t, file), "\n") {
		at := fmt.Sprintf("%s:%d", file, n+1)
		switch {
		case !strings.HasPrefix(line, "|"):
			inTable = false
			continue
		case !inTable:
			require.Equal(t, header, line, "%s: every table has these columns", at)
			inTable = true
			continue
		case strings.HasPrefix(line, "|---"):
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		require.Len(t, cells, 4, at)
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
			require.NotEmpty(t, cells[i], at)
		}
		r := rule{at: at, rule: name.ReplaceAllString(cells[0], ""), source: cells[1], here: cells[2], proof: cells[3]}
		if m := name.FindStringSubmatch(cells[0]); m != nil {
			r.id = m[1]
		}
		found = append(found, r)
	}
	return found
}
