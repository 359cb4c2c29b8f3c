package proxy

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// accessQueue is how many entries may wait for the sink; a burst beyond is dropped and counted.
const accessQueue = 8192

// AccessEntry is one request that was answered.
type AccessEntry struct {
	At         time.Time
	Duration   time.Duration // until the last byte
	RequestID  string
	WorkloadID string // "" where no app was reached
	App        string
	Backend    string // the replica's name; "" where none was reached
	RemoteIP   string
	Proto      string // "HTTP/2.0"
	Method     string
	Host       string
	Path       string // without the query, which may hold secrets
	Status     int    // 0: the client went away before there was one
	Bytes      int64  // of answer body
	UserAgent  string
}

// accessLog hands entries to a sink without ever making a request wait.
type accessLog struct {
	sink    func(AccessEntry)
	queue   chan AccessEntry
	dropped atomic.Int64
	log     zerolog.Logger
}

func newAccessLog(sink func(AccessEntry), log zerolog.Logger) *accessLog {
	a := &accessLog{sink: sink, log: log}
	if sink != nil {
		a.queue = make(chan AccessEntry, accessQueue)
	}
	return a
}

func (a *accessLog) on() bool { return a.sink != nil }

func (a *accessLog) add(e AccessEntry) {
	select {
	case a.queue <- e:
	default:
		a.dropped.Add(1)
	}
}

// run feeds the sink until ctx ends, and what is queued then.
func (a *accessLog) run(ctx context.Context) {
	if !a.on() {
		return
	}
	report := time.NewTicker(time.Minute)
	defer report.Stop()
	for {
		select {
		case e := <-a.queue:
			a.sink(e)
		case <-report.C:
			if n := a.dropped.Swap(0); n > 0 {
				a.log.Warn().Int64("entries", n).Msg("the access log could not keep up")
			}
		case <-ctx.Done():
			for {
				select {
				case e := <-a.queue:
					a.sink(e)
				default:
					return
				}
			}
		}
	}
}
