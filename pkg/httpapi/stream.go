package httpapi

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// flow writes a stream: each write reaches the reader at once, a quiet stream shows signs of life, and a reader that
// takes nothing for stallTimeout is let go. Its methods may be called from any goroutine.
type flow struct {
	mu      sync.Mutex
	w       http.ResponseWriter
	rc      *http.ResponseController
	begun   bool
	touched time.Time // the last write
	err     error     // of the first write that failed; no other follows it
	lost    func()    // called with err
}

// newFlow prepares a stream of a content type. lost is called once when the reader is gone.
func newFlow(w http.ResponseWriter, contentType string, lost func()) *flow {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Accel-Buffering", "no") // what stands before the box may not hold it back
	return &flow{w: w, rc: http.NewResponseController(w), lost: lost}
}

// write sends b.
func (f *flow) write(b []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.send(b)
}

func (f *flow) send(b []byte) error {
	if f.err != nil {
		return f.err
	}
	f.begun, f.touched = true, time.Now()
	_ = f.rc.SetWriteDeadline(time.Now().Add(stallTimeout)) // not every writer has deadlines
	_, err := f.w.Write(b)
	if err == nil {
		err = f.rc.Flush()
	}
	if err != nil {
		f.err = err
		f.lost()
	}
	return err
}

// started tells whether anything was sent, so that an error can no longer be answered with a status.
func (f *flow) started() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.begun
}

// beat sends life whenever nothing was sent for every, until ctx ends.
func (f *flow) beat(ctx context.Context, every time.Duration, life []byte) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f.mu.Lock()
			if time.Since(f.touched) >= every {
				_ = f.send(life) // lost tells
			}
			f.mu.Unlock()
		}
	}
}

// run does work while f shows signs of life, and returns when both have ended.
func (f *flow) run(ctx context.Context, every time.Duration, life []byte, work func(context.Context) error) error {
	beating, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { f.beat(beating, every, life) })
	err := work(ctx)
	stop()
	wg.Wait()
	return err
}
