package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"math"
)

// Sizes in the chart, in pixels.
const (
	chartWidth  = 760
	labelWidth  = 170
	valueWidth  = 60 // to the right of the longest bar
	barHeight   = 16
	lineHeight  = 22
	groupHeight = 34 // the title of a group and the gap before it
	margin      = 16
)

// chartStyle has colours that are visible on white and on black. It uses the reader's
// fonts.
const chartStyle = `<style>
text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 }
.label { text-anchor: end }
.tick { text-anchor: middle }
.axis { stroke: #57606a }
.grid { stroke: #8c959f; stroke-opacity: .35 }
.better { fill: #2da07a }
.worse { fill: #d9733a }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.axis { stroke: #9da7b3 }
}
</style>
`

// writeChart draws a bar for each comparison, to the right of 1 if gateway is better,
// to the left if it is worse. Twice as good is as far from 1 as half as good.
func (r *report) writeChart(w io.Writer) error {
	least, most := -1.0, 1.0 // limits of the axis, as powers of 2
	height := 2*margin + lineHeight
	for _, g := range r.bars {
		height += groupHeight + lineHeight*len(g.bars)
		for _, b := range g.bars {
			if p := math.Log2(b.times); !math.IsNaN(p) && !math.IsInf(p, 0) {
				least, most = min(least, math.Floor(p)), max(most, math.Ceil(p))
			}
		}
	}
	c := &chart{least: least, unit: (chartWidth - labelWidth - valueWidth - 2*margin) / (most - least)}
	fmt.Fprintf(&c.b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" role="img">`+"\n", chartWidth, height)
	c.b.WriteString("<title>How many times better gateway is</title>\n" + chartStyle)
	for p := least; p <= most; p++ {
		class := "grid"
		if p == 0 {
			class = "axis"
		}
		fmt.Fprintf(&c.b, `<line class="%s" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>`+"\n", class, c.x(p), c.x(p), margin+lineHeight, height-margin)
		c.text(c.x(p), margin+lineHeight-8, "tick", fmt.Sprintf("%g×", math.Exp2(p)))
	}
	y := margin + lineHeight
	for _, g := range r.bars {
		y += groupHeight
		c.text(margin, y-10, "title", g.title)
		for _, b := range g.bars {
			c.bar(y, b)
			y += lineHeight
		}
	}
	c.b.WriteString("</svg>\n")
	_, err := w.Write(c.b.Bytes())
	return err
}

// chart is a picture that is being drawn.
type chart struct {
	b           bytes.Buffer
	least, unit float64 // left end of the axis, as a power of 2; pixels for a factor of 2
}

// x returns the position of a power of 2.
func (c *chart) x(power float64) float64 { return margin + labelWidth + (power-c.least)*c.unit }

func (c *chart) bar(y int, b bar) {
	power := math.Log2(b.times)
	if math.IsNaN(power) || math.IsInf(power, 0) {
		return
	}
	class := "better"
	if power < 0 {
		class = "worse"
	}
	from, to := c.x(min(0, power)), c.x(max(0, power))
	c.text(margin+labelWidth-8, y+12, "label", b.label)
	fmt.Fprintf(&c.b, `<rect class="%s" x="%.1f" y="%d" width="%.1f" height="%d" rx="2"/>`+"\n", class, from, y, max(1, to-from), barHeight)
	c.text(to+6, y+12, "value", fmt.Sprintf("%.2f×", b.times))
}

func (c *chart) text(x float64, y int, class, text string) {
	fmt.Fprintf(&c.b, `<text class="%s" x="%.1f" y="%d">`, class, x, y)
	_ = xml.EscapeText(&c.b, []byte(text)) // a bytes.Buffer never fails
	c.b.WriteString("</text>\n")
}
