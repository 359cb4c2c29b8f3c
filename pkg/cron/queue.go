package cron

import (
	"container/heap"

	"github.com/pandabox/pandabox/pkg/model"
)

// queue is a heap of jobs by their next due time.
type queue []*entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].next.Before(q[j].next) }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push implements heap.Interface.
func (q *queue) Push(x any) {
	e := x.(*entry)
	e.index = len(*q)
	*q = append(*q, e)
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	e.index = -1
	return e
}

// pending is a run that waits for its moment or its turn.
type pending struct {
	run   model.JobRun
	entry *entry
	line  *line
	index int // in the line; -1: not there
}

// leave takes the run out of its line.
func (p *pending) leave() {
	if p.index >= 0 {
		heap.Remove(p.line, p.index)
	}
}

// line is a heap of runs by when they may start.
type line []*pending

func (l line) Len() int { return len(l) }
func (l line) Less(i, j int) bool {
	a, b := l[i].run, l[j].run
	if a.StartAt.Equal(b.StartAt) {
		return a.Number < b.Number
	}
	return a.StartAt.Before(b.StartAt)
}

func (l line) Swap(i, j int) {
	l[i], l[j] = l[j], l[i]
	l[i].index, l[j].index = i, j
}

// Push implements heap.Interface.
func (l *line) Push(x any) {
	p := x.(*pending)
	p.index = len(*l)
	*l = append(*l, p)
}

// Pop implements heap.Interface.
func (l *line) Pop() any {
	old := *l
	p := old[len(old)-1]
	*l = old[:len(old)-1]
	p.index = -1
	return p
}

// The classes of runs, each with a number of slots of its own.
const (
	calls = iota
	containers
)

func classOf(s model.JobSpec) int {
	if len(s.Command) > 0 {
		return containers
	}
	return calls
}
