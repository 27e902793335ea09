package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// writeText writes the report for a terminal.
func (r *report) writeText(w io.Writer) error {
	var b bytes.Buffer
	for _, s := range r.setting {
		fmt.Fprintln(&b, s)
	}
	tables := r.tables
	if len(r.verdicts) > 0 {
		tables = append([]table{r.targets()}, tables...)
	}
	for _, t := range tables {
		fmt.Fprintf(&b, "\n%s\n", t.title)
		if t.about != "" {
			fmt.Fprintf(&b, "  %s\n", t.about)
		}
		columns := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		for _, row := range append([][]string{t.head}, t.rows...) {
			fmt.Fprintf(columns, "  %s\n", strings.Join(row, "\t"))
		}
		if err := columns.Flush(); err != nil {
			return err
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// writeMarkdown writes the report for the repository.
func (r *report) writeMarkdown(w io.Writer) error {
	var b bytes.Buffer
	b.WriteString("# gateway beside what else there is\n\nWritten by `go run ./benchmarks`. ")
	b.WriteString(strings.Join(r.setting, " ") + "\n\n![How many times better gateway is](chart.svg)\n")
	if len(r.verdicts) > 0 {
		r.targets().writeMarkdown(&b)
	}
	for _, t := range r.tables {
		t.writeMarkdown(&b)
	}
	b.WriteString("\n## How each variant is set up\n\n")
	for _, t := range r.tunings {
		fmt.Fprintf(&b, "- %s\n", t)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (t table) writeMarkdown(b *bytes.Buffer) {
	fmt.Fprintf(b, "\n## %s\n\n", t.title)
	if t.about != "" {
		fmt.Fprintf(b, "%s.\n\n", strings.ToUpper(t.about[:1])+t.about[1:])
	}
	fmt.Fprintf(b, "| %s |\n|---|%s\n", strings.Join(t.head, " | "), strings.Repeat("--:|", len(t.head)-1))
	for _, row := range t.rows {
		fmt.Fprintf(b, "| %s |\n", strings.Join(row, " | "))
	}
}

// targets returns the table of the verdicts. Its title names the worst.
func (r *report) targets() table {
	worst := r.verdicts[0]
	missed := 0
	t := table{head: []string{"target, the worst first", "aim", "measured", ""}}
	for _, v := range r.verdicts {
		word := "met"
		if !v.met() {
			word = "missed"
			missed++
		}
		measured := figure(v.measured)
		if strings.HasSuffix(v.bound, "×") {
			measured = fmt.Sprintf("%.2f×", v.measured)
		}
		t.rows = append(t.rows, []string{v.what, v.bound, measured, word})
	}
	t.title = fmt.Sprintf("%d of %d targets met; the worst is %s, %s where %s is the aim",
		len(r.verdicts)-missed, len(r.verdicts), worst.what, t.rows[0][2], worst.bound)
	return t
}
