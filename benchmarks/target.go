package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"example.com/gateway/benchmarks/load"
)

// target is a ratio or a figure that the project aims for.
type target struct {
	metric            load.Metric
	of, against       string  // labels of entries; against empty: the figure itself
	bound             float64 // the minimum, or the maximum if less is better
	size, againstSize string  // names of scenarios; "": every one, compared with the same size
}

// against returns a target for our variant, in every size of a work.
func against(peer string, m load.Metric, bound float64) target {
	return target{metric: m, of: ours, against: peer, bound: bound}
}

// absolute returns a target for a figure of our variant.
func absolute(m load.Metric, bound float64) target { return target{metric: m, of: ours, bound: bound} }

// verdict says how far a target was met in one size.
type verdict struct {
	what     string
	bound    string
	measured float64
	score    float64 // 1 or more: the target is met
}

func (v verdict) met() bool { return v.score >= 1 }

// judge compares the measurements of a work with its targets. It skips targets that
// were not measured.
func (m *measured) judge() []verdict {
	var verdicts []verdict
	for _, t := range m.targets {
		for _, c := range m.cases {
			if t.size != "" && t.size != c.name {
				continue
			}
			if v, ok := m.verdict(t, c); ok {
				verdicts = append(verdicts, v)
			}
		}
	}
	return verdicts
}

func (m *measured) verdict(t target, c *measuredCase) (verdict, bool) {
	other := c
	if t.againstSize != "" {
		other = m.find(t.againstSize)
	}
	row, base := c.find(t.of), other.find(t.against)
	if row == nil || t.against != "" && base == nil {
		return verdict{}, false
	}
	v := verdict{what: fmt.Sprintf("%s: %s of %s", join(m.name, c.actual()), t.metric, t.of)}
	if t.against == "" {
		v.measured = row.median(t.metric)
		v.bound = figure(t.bound)
	} else {
		v.measured = ratio(row, base, t.metric)
		v.bound = fmt.Sprintf("%.2f×", t.bound)
		v.what += " ÷ " + t.against
		if other != c {
			v.what += " at " + other.actual()
		}
	}
	shown := math.Round(v.measured*100) / 100
	switch {
	case !t.metric.Less():
		v.bound, v.score = "≥ "+v.bound, shown/t.bound
	case shown > 0:
		v.bound, v.score = "≤ "+v.bound, t.bound/shown
	default: // zero or negative
		v.bound, v.score = "≤ "+v.bound, math.Inf(1)
	}
	return v, true
}

// worstFirst sorts verdicts so that those that miss their target by most come first.
func worstFirst(verdicts []verdict) {
	slices.SortStableFunc(verdicts, func(a, b verdict) int { return cmp.Compare(a.score, b.score) })
}

// ratio returns the median of the ratios of a to b in each round. Conditions differ
// between rounds, but hardly between the variants of one round.
func ratio(a, b *row, m load.Metric) float64 {
	var ratios []float64
	for n := range min(len(a.rounds), len(b.rounds)) {
		ratios = append(ratios, a.rounds[n][m]/b.rounds[n][m])
	}
	return median(ratios)
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	values = slices.Sorted(slices.Values(values))
	half := len(values) / 2
	if len(values)%2 == 0 {
		return (values[half-1] + values[half]) / 2
	}
	return values[half]
}
