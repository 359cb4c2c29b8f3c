package runtime_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/runtime/runtimetest"
	"github.com/pandabox/pandabox/pkg/runtime/runtimetest/boxtest"
)

// output is a buffer that may be read while it is written.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func TestExec(t *testing.T) {
	cfg := boxtest.Config(t)
	r := boxtest.Start(t, cfg)
	img := boxtest.Import(t, r, runtimetest.Image(t, runtimetest.ImageSpec{Env: []string{"FROM=image"}}))
	spec := boxtest.Spec(img, 1, "/app", "sleep")
	spec.Env = []string{"OURS=spec"}
	if _, err := r.Start(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		x    model.ExecSpec
		in   io.Reader
		code int
		out  string
	}{
		{"arguments", model.ExecSpec{Command: []string{"/app", "echo", "a", "b c"}}, nil, 0, "a b c\n"},
		{"exit code", model.ExecSpec{Command: []string{"/app", "exit", "42"}}, nil, 42, ""},
		{"the image's environment", model.ExecSpec{Command: []string{"/app", "env", "FROM"}}, nil, 0, "image\n"},
		{"the container's environment", model.ExecSpec{Command: []string{"/app", "env", "OURS"}}, nil, 0, "spec\n"},
		{"its own environment", model.ExecSpec{Command: []string{"/app", "env", "OURS"}, Env: []string{"OURS=exec"}}, nil, 0, "exec\n"},
		{"input", model.ExecSpec{Command: []string{"/app", "cat"}}, strings.NewReader(strings.Repeat("0123456789", 100_000)), 0, strings.Repeat("0123456789", 100_000)},
		{"no input", model.ExecSpec{Command: []string{"/app", "cat"}}, nil, 0, ""},
		{"much output", model.ExecSpec{Command: []string{"/app", "spam", "20000"}}, nil, 0, "line 19999\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out, errs output
			c.x.Stdin, c.x.Stdout, c.x.Stderr = c.in, &out, &errs
			code, err := r.Exec(t.Context(), spec.Name, c.x)
			if err != nil || code != c.code || !strings.HasSuffix(out.String(), c.out) {
				t.Errorf("code %d, %v, output of %d bytes, errors %q", code, err, len(out.String()), errs.String())
			}
		})
	}
	t.Run("output is optional", func(t *testing.T) {
		if code, err := r.Exec(t.Context(), spec.Name, model.ExecSpec{Command: []string{"/app", "echo", "x"}}); err != nil || code != 0 {
			t.Errorf("code %d, %v", code, err)
		}
	})
	t.Run("terminal", func(t *testing.T) {
		var out output
		in, keys := io.Pipe()
		sizes := make(chan model.TermSize, 1)
		sizes <- model.TermSize{Cols: 101, Rows: 33}
		ended := make(chan error, 1)
		go func() {
			_, err := r.Exec(t.Context(), spec.Name, model.ExecSpec{Command: []string{"/app", "tty"}, TTY: true, Stdin: in, Stdout: &out, Resize: sizes})
			ended <- err
		}()
		boxtest.Eventually(t, "the first size", func() bool { return strings.Contains(out.String(), "size 101x33") })
		sizes <- model.TermSize{Cols: 77, Rows: 22}
		boxtest.Eventually(t, "the second size", func() bool { return strings.Contains(out.String(), "size 77x22") })
		if _, err := keys.Write([]byte("q\n")); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Run("ends with its context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var out output
		time.AfterFunc(200*time.Millisecond, cancel)
		if _, err := r.Exec(ctx, spec.Name, model.ExecSpec{Command: []string{"/app", "stubborn"}, Stdout: &out}); model.KindOf(err) != model.KindCanceled {
			t.Errorf("%v", err)
		}
		for early := range 40 { // also while it starts
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(early)*3*time.Millisecond)
			if _, err := r.Exec(ctx, spec.Name, model.ExecSpec{Command: []string{"/app", "stubborn"}}); model.KindOf(err) != model.KindTimeout && model.KindOf(err) != model.KindCanceled {
				t.Errorf("after %d ms: %v, %s", early*3, err, model.KindOf(err))
			}
			cancel()
		}
		boxtest.Eventually(t, "the process is gone", func() bool {
			u, err := r.Usage(t.Context(), []string{spec.Name})
			return err == nil && u[spec.Name].Pids > 0 && u[spec.Name].Pids < 12 && !hasProcess(t, "/app stubborn")
		})
	})
	for name, c := range map[string]struct {
		container string
		command   []string
		kind      model.Kind
	}{
		"no such program":   {spec.Name, []string{"nowhere"}, model.KindInvalid},
		"no such file":      {spec.Name, []string{"/nowhere"}, model.KindInvalid},
		"not a program":     {spec.Name, []string{"/etc/hosts"}, model.KindInvalid},
		"no command":        {spec.Name, nil, model.KindInvalid},
		"no such container": {"never-was", []string{"/app"}, model.KindNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := r.Exec(t.Context(), c.container, model.ExecSpec{Command: c.command}); model.KindOf(err) != c.kind {
				t.Errorf("%v", err)
			} else {
				t.Log(err)
			}
		})
	}
	t.Run("not running", func(t *testing.T) {
		done := boxtest.Spec(img, 2, "/app", "exit", "0")
		if _, err := r.Start(t.Context(), done); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Wait(t.Context(), done.Name); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Exec(t.Context(), done.Name, model.ExecSpec{Command: []string{"/app"}}); model.KindOf(err) != model.KindConflict {
			t.Errorf("%v", err)
		}
	})
}

func TestRun(t *testing.T) {
	cfg := boxtest.Config(t)
	cfg.ImageGrace = time.Nanosecond
	r := boxtest.Start(t, cfg)
	img := boxtest.Import(t, r, runtimetest.Image(t, runtimetest.ImageSpec{}))
	spec := boxtest.Spec(img, 1)
	spec.Name = ""
	var out output
	code, err := r.Run(t.Context(), spec, model.ExecSpec{Command: []string{"/app", "cat"}, Stdin: strings.NewReader("in and out"), Stdout: &out})
	if err != nil || code != 0 || out.String() != "in and out" {
		t.Errorf("code %d, %v, output %q", code, err, out.String())
	}
	if code, err := r.Run(t.Context(), spec, model.ExecSpec{Command: []string{"/app", "exit", "7"}}); err != nil || code != 7 {
		t.Errorf("code %d, %v", code, err)
	}
	if code, err := r.Run(t.Context(), spec, model.ExecSpec{Command: []string{"nowhere"}}); model.KindOf(err) != model.KindInvalid {
		t.Errorf("code %d, %v", code, err)
	}
	t.Run("terminal", func(t *testing.T) {
		var out output
		in, keys := io.Pipe()
		sizes := make(chan model.TermSize, 1)
		sizes <- model.TermSize{Cols: 90, Rows: 30}
		ended := make(chan error, 1)
		go func() {
			_, err := r.Run(t.Context(), spec, model.ExecSpec{Command: []string{"/app", "tty"}, TTY: true, Stdin: in, Stdout: &out, Resize: sizes})
			ended <- err
		}()
		boxtest.Eventually(t, "the size", func() bool { return strings.Contains(out.String(), "size 90x30") })
		if _, err := keys.Write([]byte("q\n")); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	if _, err := r.Run(ctx, spec, model.ExecSpec{Command: []string{"/app", "stubborn"}}); model.KindOf(err) != model.KindCanceled {
		t.Errorf("%v", err)
	}
	if err := r.Reclaim(t.Context(), model.Keep{}); err != nil {
		t.Fatal(err)
	}
	boxtest.Leftovers(t, r, cfg)
}

// However early or late a one-off run is called off, nothing of it stays.
func TestRunCalledOff(t *testing.T) {
	cfg := boxtest.Config(t)
	cfg.ImageGrace = time.Nanosecond
	r := boxtest.Start(t, cfg)
	img := boxtest.Import(t, r, runtimetest.Image(t, runtimetest.ImageSpec{}))
	for i := range 12 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i*15)*time.Millisecond)
		spec := boxtest.Spec(img, i+1)
		spec.Name = ""
		_, err := r.Run(ctx, spec, model.ExecSpec{Command: []string{"/app", "stubborn"}})
		cancel()
		if k := model.KindOf(err); k != model.KindTimeout {
			t.Errorf("called off after %d ms: %s, %v", i*15, k, err)
		}
	}
	if err := r.Reclaim(t.Context(), model.Keep{}); err != nil {
		t.Fatal(err)
	}
	boxtest.Leftovers(t, r, cfg)
}
