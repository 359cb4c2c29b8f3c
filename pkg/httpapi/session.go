package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/model"
)

const (
	startTimeout = 30 * time.Second // from the upgrade to the first message
	endTimeout   = 5 * time.Second  // for the last message
)

// session is one command over a WebSocket; api.ExecProtocol says how.
type session struct {
	conn  *websocket.Conn
	stdin *intake
	sizes chan model.TermSize // holds the newest only

	reading sync.WaitGroup // until the connection ends
}

func newSession(conn *websocket.Conn) *session {
	return &session{conn: conn, stdin: newIntake(api.ExecWindow), sizes: make(chan model.TermSize, 1)}
}

// run reads what to do and does it. A caller who goes away, or breaks the protocol, ends the command. end must follow.
func (s *session) run(ctx context.Context, do func(context.Context, api.ExecStart, model.ExecSpec) (int, error)) (int, error) {
	start, err := s.start(ctx)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	spec := model.ExecSpec{
		Command: start.Command, Env: start.Env, TTY: start.TTY,
		Stdout: output{ctx, s, api.FrameStdout}, Stderr: output{ctx, s, api.FrameStderr},
	}
	if start.Stdin {
		spec.Stdin = &stdin{ctx: ctx, session: s}
	}
	if start.TTY {
		spec.Resize = s.sizes
		if start.Size != nil {
			s.resize(*start.Size)
		}
	}
	// Not ctx: coder/websocket closes a connection whose reader's context ends, and the last message is still to come.
	s.reading.Go(func() { cancel(s.read(context.WithoutCancel(ctx))) })
	code, err := do(ctx, start, spec)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return code, err
}

// start reads the first message.
func (s *session) start(ctx context.Context) (api.ExecStart, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var start api.ExecStart
	_, b, err := s.conn.Read(ctx)
	if err != nil {
		return start, model.Errorf(model.KindCanceled, "the caller went away").Wrap(err)
	}
	if len(b) == 0 || b[0] != api.FrameStart {
		return start, violation("the first message does not say what to run")
	}
	if err := json.Unmarshal(b[1:], &start); err != nil {
		return start, violation("the first message is no JSON: %s", err)
	}
	return start, nil
}

// read takes what the caller sends until that ends, which is an error.
func (s *session) read(ctx context.Context) error {
	for {
		_, b, err := s.conn.Read(ctx)
		if err != nil {
			return model.Errorf(model.KindCanceled, "the caller went away").Wrap(err)
		}
		if len(b) == 0 {
			continue
		}
		switch content := b[1:]; b[0] {
		case api.FrameStdin:
			if !s.stdin.put(content) {
				return violation("more stdin than the window allows")
			}
		case api.FrameEOF:
			s.stdin.close()
		case api.FrameResize:
			var size api.TermSize
			if err := json.Unmarshal(content, &size); err != nil {
				return violation("a terminal's size is no JSON: %s", err)
			}
			s.resize(size)
		default:
			return violation("a message of the unknown kind %q", b[0])
		}
	}
}

// resize leaves a size for the command, in place of one not yet taken. Only the reader and run call it, one after the
// other.
func (s *session) resize(size api.TermSize) {
	select {
	case <-s.sizes:
	default:
	}
	s.sizes <- model.TermSize{Cols: size.Cols, Rows: size.Rows}
}

// send writes one message.
func (s *session) send(ctx context.Context, kind byte, content []byte) error {
	return s.conn.Write(ctx, websocket.MessageBinary, append([]byte{kind}, content...))
}

// end writes the last message, closes the connection and waits until nothing reads from it.
func (s *session) end(ctx context.Context, kind byte, v any) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	b, _ := json.Marshal(v) // strings and numbers
	if s.send(ctx, kind, b) == nil {
		_ = s.conn.Close(websocket.StatusNormalClosure, "") // the caller may be gone already
	}
	_ = s.conn.CloseNow()
	s.reading.Wait()
}

func violation(format string, args ...any) error {
	return model.Invalid("the exec protocol was broken").WithWhy(format, args...).WithHint("it is described in docs/api.md (%s)", api.ExecProtocol)
}

// output is the command's stdout or stderr.
type output struct {
	ctx     context.Context // an io.Writer has no other way to one
	session *session
	kind    byte
}

func (o output) Write(b []byte) (int, error) {
	for sent := 0; sent < len(b); {
		n := min(len(b)-sent, api.ExecMaxFrame/2)
		if err := o.session.send(o.ctx, o.kind, b[sent:sent+n]); err != nil {
			return sent, fmt.Errorf("sending output: %w", err)
		}
		sent += n
	}
	return len(b), nil
}
