package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// row is one promise: what is measured, and the bar it must reach.
type row struct {
	name    string
	measure func(context.Context, *setup) (result, error)
	bar     float64
	better  direction
	unit    unit
}

type direction int

const (
	higher   direction = iota // at least the bar is good
	lower                     // at most the bar is good
	reported                  // no bar yet
)

type unit string

const (
	ratio  unit = ""
	millis unit = " ms"
	second unit = " s"
	mebi   unit = " MB" // 2^20 bytes
	count  unit = ""
)

// result is the value of a row. detail says how it came about; a broken result is short whatever its value.
type result struct {
	value  float64
	detail string
	broken bool
}

// line returns the row's one line: `bench NAME VALUE (bar BAR) ok|short`.
func (r row) line(res result) string {
	value, bar := number(res.value)+string(r.unit), number(r.bar)+string(r.unit)
	verdict := "ok"
	switch {
	case r.better == higher && res.value < r.bar, r.better == lower && res.value > r.bar, res.broken:
		verdict = "short"
	}
	switch r.better {
	case higher:
		bar = "≥ " + bar
	case lower:
		bar = "≤ " + bar
	case reported:
		bar = "none"
	}
	return fmt.Sprintf("bench %s %s (bar %s) %s", r.name, value, bar, verdict)
}

// number writes three digits that count.
func number(v float64) string {
	switch {
	case v == float64(int64(v)):
		return strconv.FormatInt(int64(v), 10)
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	default:
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
}

// median returns the middle value; of an even number the mean of the middle two. values must not be empty.
func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}

// percentile returns the value that the fraction p of values does not pass. values must not be empty.
func percentile(values []time.Duration, p float64) time.Duration {
	s := slices.Sorted(slices.Values(values))
	return s[min(int(p*float64(len(s))), len(s)-1)]
}
