package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"example.com/gateway/benchmarks/load"
)

// target is a ratio that the project aims for, or a figure.
type target struct {
	metric            load.Metric
	of, against       string  // labels of entries; against nothing: the figure itself
	bound             float64 // the least, or the most where less is better
	size, againstSize string  // names of scenarios; "": every one, against the same
}

// against is a target of ours, in every size of a work.
func against(peer string, m load.Metric, bound float64) target {
	return target{metric: m, of: ours, against: peer, bound: bound}
}

// absolute is a target for a figure of ours.
func absolute(m load.Metric, bound float64) target { return target{metric: m, of: ours, bound: bound} }

// verdict is how a target fared in one size.
type verdict struct {
	what     string
	bound    string
	measured float64
	score    float64 // 1 or more: met
}

func (v verdict) met() bool { return v.score >= 1 }

// judge compares what was measured with the targets of a work. What was not
// measured is not judged.
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
	default: // less than nothing
		v.bound, v.score = "≤ "+v.bound, math.Inf(1)
	}
	return v, true
}

// worstFirst sorts verdicts: those first that miss their target by most.
func worstFirst(verdicts []verdict) {
	slices.SortStableFunc(verdicts, func(a, b verdict) int { return cmp.Compare(a.score, b.score) })
}

// ratio is the median of what a is to b in each round: the rounds are apart, the
// variants of a round are not.
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
