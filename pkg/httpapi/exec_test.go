package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
)

// running is a box with an app that has one healthy replica.
func running(t *testing.T) *box {
	t.Helper()
	b := newBox(t)
	d, err := b.root().CreateDeploy(t.Context(), shop, api.NewDeploy{Image: image, Variables: map[string]string{"COLOUR": "red"}})
	if err != nil {
		t.Fatal(err)
	}
	b.healthy(d.WorkloadID)
	return b
}

func TestExecCarriesEveryStream(t *testing.T) {
	for _, over := range []string{"socket", "tls"} {
		t.Run(over, func(t *testing.T) {
			b := running(t)
			c := b.root()
			if over == "tls" {
				c = b.remote(b.token(model.DefaultOrg, model.RoleMember))
			}
			var in string
			b.runner.exec = func(_ context.Context, container string, spec model.ExecSpec) (int, error) {
				text, err := io.ReadAll(spec.Stdin)
				if err != nil {
					return 0, err
				}
				in = fmt.Sprintln(container, spec.Command, spec.Env, spec.TTY, string(text))
				_, _ = io.WriteString(spec.Stdout, "out")
				_, _ = io.WriteString(spec.Stderr, "err")
				return 42, nil
			}
			var out, errs bytes.Buffer
			code, err := c.Exec(t.Context(), shop, "web", 1, model.ExecSpec{
				Command: []string{"sh", "-c", "x"}, Env: []string{"A=b"}, Stdin: strings.NewReader("hello"), Stdout: &out, Stderr: &errs,
			})
			if err != nil || code != 42 || out.String() != "out" || errs.String() != "err" {
				t.Errorf("got %d, %v, %q, %q", code, err, &out, &errs)
			}
			if want := "replica-1 [sh -c x] [A=b] false hello"; strings.TrimSpace(in) != want {
				t.Errorf("the runner got %q, want %q", in, want)
			}
		})
	}
}

// TestExecMovesMuch sends more than any window both ways at once, with a command that reads slowly.
func TestExecMovesMuch(t *testing.T) {
	b := running(t)
	const size = 12 << 20
	data := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data)
	b.runner.exec = func(_ context.Context, _ string, spec model.ExecSpec) (int, error) {
		n, err := io.CopyBuffer(struct{ io.Writer }{spec.Stdout}, struct{ io.Reader }{spec.Stdin}, make([]byte, 100_000))
		if n != size {
			return 1, err
		}
		return 0, err
	}
	sum := sha256.New()
	code, err := b.remote(b.token(model.DefaultOrg, model.RoleMember)).Exec(t.Context(), shop, "", 0, model.ExecSpec{
		Command: []string{"cat"}, Stdin: bytes.NewReader(data), Stdout: sum,
	})
	if want := sha256.Sum256(data); err != nil || code != 0 || !bytes.Equal(sum.Sum(nil), want[:]) {
		t.Errorf("got %d, %v", code, err)
	}
}

func TestRunWithTerminal(t *testing.T) {
	b := running(t)
	var ran model.ContainerSpec
	b.runner.run = func(ctx context.Context, c model.ContainerSpec, spec model.ExecSpec) (int, error) {
		ran = c
		for range 2 {
			select {
			case size := <-spec.Resize:
				_, _ = fmt.Fprintf(spec.Stdout, "%dx%d;", size.Cols, size.Rows)
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}
		return 0, nil
	}
	sizes := make(chan model.TermSize, 1)
	sizes <- model.TermSize{Cols: 80, Rows: 24}
	var out bytes.Buffer
	code, err := b.root().Run(t.Context(), shop, model.ExecSpec{
		Command: []string{"top"}, TTY: true, Resize: sizes,
		Stdout: writerFunc(func(p []byte) (int, error) {
			if out.Len() == 0 {
				sizes <- model.TermSize{Cols: 100, Rows: 30} // once the first has arrived
			}
			return out.Write(p)
		}),
	})
	if err != nil || code != 0 || out.String() != "80x24;100x30;" {
		t.Errorf("got %d, %v, %q", code, err, &out)
	}
	if !slices.Contains(ran.Env, "COLOUR=red") || ran.Image != digest {
		t.Errorf("it ran %+v", ran)
	}
}

// TestCallerWhoLeavesEndsTheCommand also covers one that never reads its stdin.
func TestCallerWhoLeavesEndsTheCommand(t *testing.T) {
	b := running(t)
	began, ended := make(chan struct{}), make(chan error, 1)
	b.runner.exec = func(ctx context.Context, _ string, _ model.ExecSpec) (int, error) {
		close(began)
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return 0, ctx.Err()
	}
	ctx, cancel := context.WithCancel(t.Context())
	res := make(chan error, 1)
	go func() {
		_, err := b.root().Exec(ctx, shop, "", 0, model.ExecSpec{Command: []string{"sleep"}, Stdin: zeros{}})
		res <- err
	}()
	<-began
	cancel()
	wantKind(t, <-res, model.KindCanceled)
	wantKind(t, <-ended, model.KindCanceled)
}

func TestShutdownEndsCommands(t *testing.T) {
	b := running(t)
	began := make(chan struct{})
	b.runner.exec = func(ctx context.Context, _ string, _ model.ExecSpec) (int, error) {
		close(began)
		<-ctx.Done()
		return 0, ctx.Err()
	}
	res := make(chan error, 1)
	go func() {
		_, err := b.root().Exec(t.Context(), shop, "", 0, model.ExecSpec{Command: []string{"sleep"}})
		res <- err
	}()
	<-began
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := b.api.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	wantKind(t, <-res, model.KindUnavailable)
}

func TestExecThatCannotBe(t *testing.T) {
	b := running(t)
	b.runner.exec = func(context.Context, string, model.ExecSpec) (int, error) {
		return 0, model.Invalid("there is no program %q", "nope").WithHint("is it in the image?")
	}
	c := b.root()
	for name, k := range map[string]struct {
		kind model.Kind
		ref  client.Ref
		proc string
		spec model.ExecSpec
	}{
		"no such app":     {model.KindNotFound, client.Ref{App: "other"}, "", model.ExecSpec{Command: []string{"x"}}},
		"no such env":     {model.KindNotFound, client.Ref{App: "shop", Env: "staging"}, "", model.ExecSpec{Command: []string{"x"}}},
		"no such process": {model.KindConflict, shop, "worker", model.ExecSpec{Command: []string{"x"}}},
		"no command":      {model.KindInvalid, shop, "", model.ExecSpec{}},
		"no such program": {model.KindInvalid, shop, "", model.ExecSpec{Command: []string{"nope"}}},
		"too long":        {model.KindTooLarge, shop, "", model.ExecSpec{Command: []string{strings.Repeat("x", 70_000)}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.Exec(t.Context(), k.ref, k.proc, 0, k.spec)
			wantKind(t, err, k.kind)
			var e *model.Error
			if !errors.As(err, &e) || e.Hint == "" {
				t.Errorf("%v has no hint", err)
			}
		})
	}
	_, err := b.remote("").Exec(t.Context(), shop, "", 0, model.ExecSpec{Command: []string{"x"}})
	wantKind(t, err, model.KindUnauthenticated)
}

// dial opens the WebSocket as something else than our client would.
func (b *box) dial(t *testing.T, path string, header http.Header) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	base, ok := b.http().Transport.(*http.Transport)
	if !ok {
		t.Fatalf("the transport is a %T", b.http().Transport)
	}
	transport := base.Clone()
	transport.Protocols = new(http.Protocols)
	transport.Protocols.SetHTTP1(true)
	transport.TLSClientConfig.NextProtos = nil
	t.Cleanup(transport.CloseIdleConnections)
	return websocket.Dial(t.Context(), b.tls.URL+path, &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport}, HTTPHeader: header, Subprotocols: []string{api.ExecProtocol},
	})
}

const execPath = "/v1/orgs/default/apps/shop/envs/production/exec"

func TestExecRefusesOtherOriginsAndTokensInTheAddress(t *testing.T) {
	b := running(t)
	token := b.token(model.DefaultOrg, model.RoleMember)
	bearer := http.Header{"Authorization": {"Bearer " + token}}
	foreign := bearer.Clone()
	foreign.Set("Origin", "https://evil.example")
	own := bearer.Clone()
	own.Set("Origin", b.tls.URL)
	for name, k := range map[string]struct {
		path   string
		header http.Header
		status int
	}{
		"no token":         {execPath, nil, 401},
		"token in address": {execPath + "?token=" + token, nil, 401},
		"another origin":   {execPath, foreign, 403},
		"its own origin":   {execPath, own, 101},
	} {
		t.Run(name, func(t *testing.T) {
			conn, res, err := b.dial(t, k.path, k.header)
			if res == nil || res.StatusCode != k.status {
				t.Fatalf("got %v, %v, want %d", res, err, k.status)
			}
			if conn != nil {
				_ = conn.CloseNow()
			}
		})
	}
}

func TestBrokenExecProtocolEndsTheCommand(t *testing.T) {
	b := running(t)
	b.runner.exec = func(ctx context.Context, _ string, _ model.ExecSpec) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	start := append([]byte{api.FrameStart}, `{"command":["sleep"],"stdin":true}`...)
	flood := func(conn *websocket.Conn) error {
		for range 2 + api.ExecWindow/30_000 {
			if err := conn.Write(t.Context(), websocket.MessageBinary, append([]byte{api.FrameStdin}, make([]byte, 30_000)...)); err != nil {
				return err
			}
		}
		return nil
	}
	send := func(b ...byte) func(*websocket.Conn) error {
		return func(conn *websocket.Conn) error { return conn.Write(t.Context(), websocket.MessageBinary, b) }
	}
	for name, steps := range map[string][]func(*websocket.Conn) error{
		"nothing first":     {send()},
		"stdin first":       {send(api.FrameStdin, 'x')},
		"no JSON":           {send(api.FrameStart, '{')},
		"unknown kind":      {send(start...), send('?')},
		"size is no JSON":   {send(start...), send(api.FrameResize, 'x')},
		"past the window":   {send(start...), flood},
		"start a 2nd time":  {send(start...), send(start...)},
		"empty, then wrong": {send(start...), send(), send('?')},
	} {
		t.Run(name, func(t *testing.T) {
			conn, _, err := b.dial(t, execPath, http.Header{"Authorization": {"Bearer " + b.token(model.DefaultOrg, model.RoleMember)}})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.CloseNow() }()
			for _, step := range steps {
				if err := step(conn); err != nil {
					t.Fatal(err)
				}
			}
			_, m, err := conn.Read(t.Context())
			if err != nil || m[0] != api.FrameProblem || !bytes.Contains(m, []byte("protocol")) {
				t.Errorf("got %q, %v", m, err)
			}
		})
	}
}
