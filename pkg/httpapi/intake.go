package httpapi

import (
	"context"
	"encoding/json"
	"io"
	"sync"

	"github.com/pandabox/pandabox/pkg/api"
)

// intake holds stdin between the connection and the command, at most a window's worth, so that the reader of the
// connection never waits for the command.
type intake struct {
	most int

	mu      sync.Mutex
	held    []byte
	ended   bool
	changed chan struct{} // one token: something was put, or the end
}

func newIntake(most int) *intake { return &intake{most: most, changed: make(chan struct{}, 1)} }

// put adds b and tells whether it fit. What comes after the end is dropped.
func (i *intake) put(b []byte) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.held)+len(b) > i.most {
		return false
	}
	if !i.ended {
		i.held = append(i.held, b...)
		i.signal()
	}
	return true
}

// close marks the end.
func (i *intake) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.ended = true
	i.signal()
}

func (i *intake) signal() {
	select {
	case i.changed <- struct{}{}:
	default:
	}
}

// take waits for something and moves it to b; io.EOF at the end.
func (i *intake) take(ctx context.Context, b []byte) (int, error) {
	for {
		i.mu.Lock()
		n := copy(b, i.held)
		i.held = i.held[n:]
		if len(i.held) == 0 {
			i.held = nil
		}
		more, ended := len(i.held) > 0, i.ended
		if n > 0 && (more || ended) || ended {
			i.signal() // for the next take
		}
		i.mu.Unlock()
		switch {
		case n > 0 || len(b) == 0:
			return n, nil
		case ended:
			return 0, io.EOF
		}
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-i.changed:
		}
	}
}

// stdin is an intake as the command reads it: what it takes, the caller may send anew.
type stdin struct {
	ctx     context.Context // an io.Reader has no other way to one
	session *session
}

func (s *stdin) Read(b []byte) (int, error) {
	n, err := s.session.stdin.take(s.ctx, b)
	if n > 0 {
		content, _ := json.Marshal(api.ExecTaken{Bytes: n}) // a number
		if err := s.session.send(s.ctx, api.FrameTaken, content); err != nil {
			return n, err
		}
	}
	return n, err
}
