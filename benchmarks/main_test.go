package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/benchmarks/host"
	"example.com/gateway/benchmarks/load"
	"example.com/gateway/benchmarks/server"
	"example.com/gateway/internal/testutil"
)

// TestMain lets the test binary also run as a server process.
func TestMain(m *testing.M) {
	if name := os.Getenv(server.ProcessEnv); name != "" {
		if err := server.Run(context.Background(), name, host.Stdin(), os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(testutil.RunWithLeakCheck(m))
}

// Every variant answers every work that it is measured in. The test does not check
// how fast.
func TestBenchmark_Quick(t *testing.T) {
	out := t.TempDir()
	o, err := parse([]string{"-quick", "-out", out, "-profile", out}, io.Discard)
	require.NoError(t, err)
	var text, progress bytes.Buffer
	require.NoError(t, o.benchmark(t.Context(), &text, &progress), "%s", &progress)

	table, err := os.ReadFile(filepath.Join(out, "table.md"))
	require.NoError(t, err)
	for _, v := range server.Variants() {
		require.Contains(t, text.String(), "\n  "+v.Name+" ")
		require.Contains(t, string(table), "\n| "+v.Name+" |")
		require.Contains(t, string(table), "\n- "+v.Name)
	}
	profiles, err := filepath.Glob(filepath.Join(out, "*.cpu"))
	require.NoError(t, err)
	require.NotEmpty(t, profiles)
	chart, err := os.Open(filepath.Join(out, "chart.svg"))
	require.NoError(t, err)
	defer func() { _ = chart.Close() }()
	requireXML(t, chart)
}

func requireXML(t *testing.T, r io.Reader) {
	t.Helper()
	d := xml.NewDecoder(r)
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-work", "nothing"}, {"-variants", "gateway,nobody"}, {"-rounds", "0"}, {"-nothing"}} {
		_, err := parse(args, io.Discard)
		require.Error(t, err, args)
	}
}

// Everything that a target compares exists: a target with a misspelled name would
// never be judged.
func TestWorks_Targets(t *testing.T) {
	t.Parallel()
	for _, w := range works() {
		var sizes, labels []string
		for _, c := range w.cases {
			sizes = append(sizes, c.name)
			for _, e := range c.entries {
				labels = append(labels, e.label)
				_, ok := server.Find(e.variant)
				require.True(t, ok, e.variant)
			}
		}
		for _, target := range w.targets {
			require.Contains(t, labels, target.of)
			require.Contains(t, append(labels, ""), target.against)
			require.Contains(t, append(sizes, ""), target.size)
			require.Contains(t, append(sizes, ""), target.againstSize)
			require.Contains(t, w.metrics, target.metric)
		}
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	rowOf := func(label string, perSecond, cpu []float64) *row {
		r := &row{entry: entry{label: label}}
		for n := range perSecond {
			r.rounds = append(r.rounds, load.Figures{load.PerSecond: perSecond[n], load.CPUEach: cpu[n]})
		}
		return r
	}
	m := &measured{
		work: work{name: "talk", targets: []target{
			against("peer", load.PerSecond, 1), against("peer", load.CPUEach, 1), absolute(load.CPUEach, 4), against("absent", load.PerSecond, 1),
		}},
		cases: []*measuredCase{{rows: []*row{
			rowOf(ours, []float64{300, 100, 90}, []float64{6, 5, 3}),
			rowOf("peer", []float64{200, 50, 100}, []float64{4, 6, 6}),
		}}},
	}
	verdicts := m.judge()
	worstFirst(verdicts)
	require.Len(t, verdicts, 3)
	require.Equal(t, []string{"≤ 4.00", "≤ 1.00×", "≥ 1.00×"}, []string{verdicts[0].bound, verdicts[1].bound, verdicts[2].bound})
	require.InDelta(t, 5, verdicts[0].measured, 1e-9, "the median of the rounds")
	require.InDelta(t, 5.0/6, verdicts[1].measured, 1e-9, "the median of the ratios of each round")
	require.InDelta(t, 1.5, verdicts[2].measured, 1e-9)
	require.Equal(t, []bool{false, true, true}, []bool{verdicts[0].met(), verdicts[1].met(), verdicts[2].met()})
}

func TestFigure(t *testing.T) {
	t.Parallel()
	got := []string{}
	for _, v := range []float64{0, 1.005, 45.67, 999.4, 1234, 1234567, -1234, math.NaN()} {
		got = append(got, figure(v))
	}
	require.Equal(t, []string{"0.00", "1.00", "45.7", "999", "1,234", "1,234,567", "-1,234", "–"}, got)
}

func TestMedian(t *testing.T) {
	t.Parallel()
	values := []float64{3, 1, 2, 10}
	require.InDelta(t, 2.5, median(values), 0)
	require.InDelta(t, 2, median(values[:3]), 0)
	require.False(t, slices.IsSorted(values), "the caller's stay as they are")
	require.True(t, math.IsNaN(median(nil)))
}
