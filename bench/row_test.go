package main

import (
	"testing"
	"time"
)

func TestLine(t *testing.T) {
	for _, c := range []struct {
		row  row
		res  result
		want string
	}{
		{row{name: "a", bar: 0.95, better: higher}, result{value: 0.97123}, "bench a 0.971 (bar ≥ 0.95) ok"},
		{row{name: "a", bar: 0.95, better: higher}, result{value: 0.94}, "bench a 0.94 (bar ≥ 0.95) short"},
		{row{name: "b", bar: 5, better: lower, unit: millis}, result{value: 12.34}, "bench b 12.3 ms (bar ≤ 5 ms) short"},
		{row{name: "b", bar: 1, better: lower, unit: second}, result{value: 0.5, broken: true}, "bench b 0.5 s (bar ≤ 1 s) short"},
		{row{name: "c", better: reported}, result{value: 3.2}, "bench c 3.2 (bar none) ok"},
		{row{name: "d", better: lower}, result{}, "bench d 0 (bar ≤ 0) ok"},
		{row{name: "d", better: lower}, result{value: 1}, "bench d 1 (bar ≤ 0) short"},
	} {
		if got := c.row.line(c.res); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestStatistics(t *testing.T) {
	if m := median([]float64{3, 1, 2}); m != 2 {
		t.Errorf("median of three: %v", m)
	}
	if m := median([]float64{4, 1, 3, 2}); m != 2.5 {
		t.Errorf("median of four: %v", m)
	}
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(100-i))
	}
	if p := percentile(hundred, 0.99); p != 100 {
		t.Errorf("p99: %v", p)
	}
	if p := percentile(hundred[:1], 0.99); p != 100 {
		t.Errorf("p99 of one: %v", p)
	}
}
