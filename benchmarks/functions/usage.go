package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// usage is what a process and all its descendants use.
type usage struct {
	memory    float64 // bytes; what several processes share counts once
	cpu       time.Duration
	processes int
}

// usageOf asks /proc. On a system without it, all is zero.
func usageOf(pid int) (u usage) {
	children := map[int][]int{}
	all, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range all {
		if fields := statOf(name); len(fields) > 1 {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			parent, _ := strconv.Atoi(fields[1])
			children[parent] = append(children[parent], child)
		}
	}
	for next := []int{pid}; len(next) > 0; next = next[1:] {
		next = append(next, children[next[0]]...)
		fields := statOf(fmt.Sprintf("/proc/%d/stat", next[0]))
		if len(fields) < 13 {
			continue // it has ended
		}
		u.processes++
		u.memory += proportional(next[0])
		for _, ticks := range fields[11:13] { // user and system
			n, _ := strconv.Atoi(ticks)
			u.cpu += time.Duration(n) * time.Second / 100
		}
	}
	return u
}

// statOf returns the fields of a stat file from the state on.
func statOf(name string) []string {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil
	}
	return strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
}

// proportional returns the bytes of a process, with its share of what it has in common
// with others.
func proportional(pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(text, []byte("\nPss:"))
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kilobytes, _ := strconv.ParseFloat(string(fields[0]), 64)
	return kilobytes * 1024
}
