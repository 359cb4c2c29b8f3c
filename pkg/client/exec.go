package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/coder/websocket"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/model"
)

// Exec runs a command in a running replica and returns its exit code: process "" means web or else the first, index 0
// the lowest that is healthy. Ending ctx ends the command. A Read of spec.Stdin that blocks may outlive Exec, for it
// cannot be interrupted.
func (c *Client) Exec(ctx context.Context, r Ref, process string, index int, spec model.ExecSpec) (int, error) {
	return c.session(ctx, c.workload(r, "exec"), api.ExecStart{Process: process, Index: index}, spec)
}

// Run runs a command in a fresh container of the release that serves, and returns its exit code; otherwise like Exec.
func (c *Client) Run(ctx context.Context, r Ref, spec model.ExecSpec) (int, error) {
	return c.session(ctx, c.workload(r, "run"), api.ExecStart{}, spec)
}

func (c *Client) session(ctx context.Context, path string, start api.ExecStart, spec model.ExecSpec) (int, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	header := http.Header{}
	c.headers(header)
	conn, res, err := websocket.Dial(ctx, c.base.String()+path, &websocket.DialOptions{ //nolint:bodyclose // it says that nobody needs to
		HTTPClient: c.ws, HTTPHeader: header, Subprotocols: []string{api.ExecProtocol},
	})
	if err != nil {
		if res != nil && res.StatusCode >= 300 {
			return 0, c.refused(res)
		}
		return 0, c.failed(ctx, err)
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(api.ExecMaxFrame)

	start.Command, start.Env, start.TTY, start.Stdin = spec.Command, spec.Env, spec.TTY, spec.Stdin != nil
	s := &session{conn: conn, spec: spec, window: newWindow(api.ExecWindow)}
	if err := s.sendJSON(ctx, api.FrameStart, start); err != nil {
		return 0, c.failed(ctx, err)
	}
	if spec.Stdin != nil {
		go s.stdin(ctx)
	}
	if spec.Resize != nil {
		var resizing sync.WaitGroup
		resizing.Go(func() { s.resize(ctx) })
		defer func() { cancel(); resizing.Wait() }()
	}
	code, err := s.output(ctx)
	if err != nil {
		return 0, c.failed(ctx, err)
	}
	return code, nil
}

// session is one exec or run under way.
type session struct {
	conn   *websocket.Conn
	spec   model.ExecSpec
	window *window
}

// output writes what comes from the command until its end.
func (s *session) output(ctx context.Context) (int, error) {
	for {
		_, b, err := s.conn.Read(ctx)
		if err != nil {
			return 0, fmt.Errorf("the connection to the command broke: %w", err)
		}
		if len(b) == 0 {
			continue
		}
		switch content := b[1:]; b[0] {
		case api.FrameStdout:
			err = write(s.spec.Stdout, content)
		case api.FrameStderr:
			err = write(s.spec.Stderr, content)
		case api.FrameTaken:
			var t api.ExecTaken
			if err = json.Unmarshal(content, &t); err == nil {
				s.window.open(t.Bytes)
			}
		case api.FrameExit:
			var e api.ExecExit
			if err = json.Unmarshal(content, &e); err == nil {
				_ = s.conn.Close(websocket.StatusNormalClosure, "")
				return e.Code, nil
			}
		case api.FrameProblem:
			var p api.Problem
			if err = json.Unmarshal(content, &p); err == nil {
				return 0, p.Err()
			}
		}
		if err != nil {
			return 0, err
		}
	}
}

func write(w io.Writer, b []byte) error {
	if w == nil {
		return nil
	}
	if _, err := w.Write(b); err != nil {
		return model.Errorf(model.KindCanceled, "the command's output could not be written").Wrap(err)
	}
	return nil
}

// stdin sends what the caller gives, as far as the box takes it. The end of it, and an error, is told as its end; a
// broken connection is output's to report.
func (s *session) stdin(ctx context.Context) {
	b := make([]byte, 32<<10)
	for {
		n, err := s.spec.Stdin.Read(b)
		for sent := 0; sent < n; {
			k, werr := s.window.take(ctx, n-sent)
			if werr != nil {
				return
			}
			frame := append([]byte{api.FrameStdin}, b[sent:sent+k]...)
			if s.conn.Write(ctx, websocket.MessageBinary, frame) != nil {
				return
			}
			sent += k
		}
		if err != nil {
			_ = s.conn.Write(ctx, websocket.MessageBinary, []byte{api.FrameEOF})
			return
		}
	}
}

func (s *session) resize(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case size, ok := <-s.spec.Resize:
			if !ok {
				return
			}
			if s.sendJSON(ctx, api.FrameResize, api.TermSize{Cols: size.Cols, Rows: size.Rows}) != nil {
				return
			}
		}
	}
}

func (s *session) sendJSON(ctx context.Context, kind byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("writing a message: %w", err)
	}
	if len(b) >= api.ExecMaxFrame {
		return model.Errorf(model.KindTooLarge, "the command line is %d bytes long", len(b)).WithHint("at most %d bytes fit; send more through stdin", api.ExecMaxFrame)
	}
	return s.conn.Write(ctx, websocket.MessageBinary, append([]byte{kind}, b...))
}
