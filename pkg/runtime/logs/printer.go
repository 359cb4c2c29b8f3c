package logs

import (
	"sync"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/runtime/logs/segment"
)

const (
	printFlush = 50 * time.Millisecond // a line is on disk at the latest
	printIdle  = 5 * time.Second       // after which a log that nobody prints to is closed
)

// Printer writes lines of functions, which run inside the daemon, into their workloads' logs: the same segments that the
// log writer makes for containers, under the replica's name. Its methods may be called from any goroutine.
type Printer struct {
	dir func(workloadID string) string

	mu   sync.Mutex
	logs map[string]*printed // by replica's name; those printed to lately
	on   bool                // run is under way: there is something to flush or to close
	stop bool
	done sync.WaitGroup
}

// printed is the log of one replica.
type printed struct {
	mu     sync.Mutex
	w      *segment.Writer
	closed bool
	last   time.Time // of a line
}

// NewPrinter returns a Printer for the directories that dir names.
func NewPrinter(dir func(workloadID string) string) *Printer {
	return &Printer{dir: dir, logs: map[string]*printed{}}
}

// Print adds one line, which may be long and may hold line breaks. stream is "stdout" or "stderr". It never fails: lines
// that cannot be written are counted, and a line says so later.
func (p *Printer) Print(r model.Replica, stream, text string) {
	for {
		l := p.log(r)
		if l == nil {
			return
		}
		l.mu.Lock()
		if l.closed { // at this very moment
			l.mu.Unlock()
			continue
		}
		l.last = time.Now()
		var split segment.Splitter
		emit := func(line []byte, partial bool) { l.w.Add(stream == "stderr", partial, line) }
		split.Split([]byte(text), emit)
		split.End(emit)
		if text == "" {
			emit(nil, false)
		}
		l.mu.Unlock()
		return
	}
}

// log returns the log of a replica, open; nil once the Printer is closed.
func (p *Printer) log(r model.Replica) *printed {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stop {
		return nil
	}
	name := r.Name()
	l, ok := p.logs[name]
	if !ok {
		l = &printed{last: time.Now(), w: segment.Open(p.dir(r.WorkloadID), segment.Name{Container: name, Process: r.Process, Release: r.Release, Index: r.Index}, DefaultMaxBytes)}
		p.logs[name] = l
	}
	if !p.on {
		p.on = true
		p.done.Go(p.run)
	}
	return l
}

// run flushes what was printed, and closes what nobody prints to, until nothing is open.
func (p *Printer) run() {
	tick := time.NewTicker(printFlush)
	defer tick.Stop()
	for range tick.C {
		if !p.tend(time.Now()) {
			return
		}
	}
}

// tend flushes and closes; false when nothing is left to tend.
func (p *Printer) tend(now time.Time) bool {
	p.mu.Lock()
	open := make(map[string]*printed, len(p.logs))
	for name, l := range p.logs {
		open[name] = l
	}
	stop := p.stop
	p.mu.Unlock()
	for name, l := range open {
		l.mu.Lock()
		if l.w.Buffered() || l.w.Dropping() {
			l.w.Flush()
		}
		if stop || now.Sub(l.last) > printIdle && !l.w.Dropping() {
			l.w.Close()
			l.closed = true
		}
		closed := l.closed
		l.mu.Unlock()
		if closed {
			p.mu.Lock()
			delete(p.logs, name)
			p.mu.Unlock()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.logs) > 0 {
		return true
	}
	p.on = false
	return false
}

// Close writes what was printed. Later lines are dropped.
func (p *Printer) Close() {
	p.mu.Lock()
	p.stop = true
	p.mu.Unlock()
	p.done.Wait()
}
