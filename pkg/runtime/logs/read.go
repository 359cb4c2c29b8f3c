package logs

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/runtime/logs/segment"
)

const pollEvery = 200 * time.Millisecond

// Read hands the lines that q chooses to yield, from the directory of one workload (q.WorkloadID is not looked at),
// merged by time over its containers. With q.Follow it goes on, with containers that come later too, until ctx ends,
// which is no error then. An error of yield ends it and is returned as it is.
//
// Lines that are removed for the budget while they are being read are left out.
func Read(ctx context.Context, dir string, q model.LogQuery, yield func(model.LogLine) error) error {
	r := &reader{dir: dir, q: q, yield: yield, byContainer: map[string]*source{}}
	if err := r.begin(ctx); err != nil {
		return ended(ctx, q, err)
	}
	for {
		if err := r.drain(ctx); err != nil || !q.Follow {
			return ended(ctx, q, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pollEvery):
		}
		if err := r.look(); err != nil {
			return ended(ctx, q, err)
		}
	}
}

func ended(ctx context.Context, q model.LogQuery, err error) error {
	if q.Follow && err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

type reader struct {
	dir   string
	q     model.LogQuery
	yield func(model.LogLine) error

	byContainer map[string]*source
	idle        []*source // without a record now
}

// begin finds where each container's lines begin.
func (r *reader) begin(ctx context.Context) error {
	groups, err := r.list()
	if err != nil {
		return err
	}
	starts := map[string]position{}
	if r.q.Tail >= 0 {
		if starts, err = tail(ctx, r.dir, groups, r.q.Tail, r.q.Since); err != nil {
			return fmt.Errorf("reading logs backwards: %w", err)
		}
	}
	for container, segs := range groups {
		s := r.newSource(segs)
		if !r.q.Follow {
			s.end = s.size
		}
		if start, ok := starts[container]; ok {
			for len(s.segs) > 1 && s.segs[0].Sequence < start.sequence {
				s.segs = s.segs[1:]
			}
			s.off = start.offset
		} else {
			for len(s.segs) > 1 && s.segs[0].ModTime.Before(r.q.Since) {
				s.segs = s.segs[1:]
			}
		}
		r.byContainer[container] = s
		r.idle = append(r.idle, s)
	}
	return nil
}

func (r *reader) newSource(segs []segment.File) *source {
	return &source{dir: r.dir, segs: segs, size: segs[len(segs)-1].Size, end: -1}
}

// list returns the segments of the containers asked for.
func (r *reader) list() (map[string][]segment.File, error) {
	all, err := segment.List(r.dir)
	if err != nil {
		return nil, fmt.Errorf("listing logs: %w", err)
	}
	groups := map[string][]segment.File{}
	for _, f := range all {
		if (r.q.Process == "" || r.q.Process == f.Process) && (r.q.Release == 0 || r.q.Release == f.Release) &&
			(r.q.Container == "" || r.q.Container == f.Container) {
			groups[f.Container] = append(groups[f.Container], f)
		}
	}
	return groups, nil
}

// look adds what has come since: containers, and segments of known ones.
func (r *reader) look() error {
	groups, err := r.list()
	if err != nil {
		return err
	}
	r.idle = slices.DeleteFunc(r.idle, func(s *source) bool { // nothing of it is left
		container := s.segs[0].Container
		if groups[container] != nil {
			return false
		}
		delete(r.byContainer, container)
		return true
	})
	for container, segs := range groups {
		s, ok := r.byContainer[container]
		if !ok {
			s = r.newSource(segs)
			r.byContainer[container] = s
			r.idle = append(r.idle, s)
			continue
		}
		s.size = segs[len(segs)-1].Size
		if segs[len(segs)-1].Sequence < s.segs[0].Sequence { // all were removed, and a new writer began again
			s.segs, s.off, s.buf = segs, 0, nil
			continue
		}
		last := s.segs[len(s.segs)-1].Sequence
		for _, f := range segs {
			if f.Sequence > last {
				s.segs = append(s.segs, f)
			}
		}
	}
	return nil
}

// drain yields every line that is there now, oldest first.
func (r *reader) drain(ctx context.Context) error {
	h := &queue[*source]{first: byAge}
	idle := r.idle
	r.idle = nil
	for _, s := range idle {
		if s.stale() {
			r.idle = append(r.idle, s)
			continue
		}
		if err := r.advance(h, s); err != nil {
			return err
		}
	}
	heap.Init(h)
	for h.Len() > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		s := h.items[0]
		if !s.head.At.Before(r.q.Since) {
			if err := r.yield(lineOf(s.name, s.head)); err != nil {
				return err
			}
		}
		ok, err := s.next()
		if err != nil {
			return fmt.Errorf("reading logs: %w", err)
		}
		if ok {
			heap.Fix(h, 0)
		} else {
			heap.Pop(h)
			r.idle = append(r.idle, s)
		}
	}
	return nil
}

func (r *reader) advance(h *queue[*source], s *source) error {
	ok, err := s.next()
	if err != nil {
		return fmt.Errorf("reading logs: %w", err)
	}
	if ok {
		h.items = append(h.items, s)
	} else {
		r.idle = append(r.idle, s)
	}
	return nil
}

// tail finds where the last n lines not older than since begin, for every container.
func tail(ctx context.Context, dir string, groups map[string][]segment.File, n int, since time.Time) (map[string]position, error) {
	starts := map[string]position{}
	h := &queue[*backSource]{first: byYouth}
	for container, segs := range groups {
		s, err := newBackSource(dir, segs)
		if err != nil {
			return nil, err
		}
		starts[container] = s.pos
		if n == 0 {
			continue
		}
		ok, err := s.prev()
		if err != nil {
			return nil, err
		}
		if ok {
			h.items = append(h.items, s)
		}
	}
	heap.Init(h)
	for ; n > 0 && h.Len() > 0; n-- {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s := h.items[0]
		if s.at.Before(since) {
			break
		}
		starts[s.container()] = s.pos
		ok, err := s.prev()
		if err != nil {
			return nil, err
		}
		if ok {
			heap.Fix(h, 0)
		} else {
			heap.Pop(h)
		}
	}
	return starts, nil
}

func lineOf(n segment.Name, r segment.Record) model.LogLine {
	l := model.LogLine{At: r.At, Container: n.Container, Process: n.Process, Release: n.Release, Index: n.Index,
		Stream: "stdout", Text: string(r.Text), Partial: r.Partial}
	if r.Stderr {
		l.Stream = "stderr"
	}
	return l
}
