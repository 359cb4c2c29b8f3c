package edge

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/model"
)

func TestStartedFunctionsOutliveTheDaemon(t *testing.T) {
	s := newStage(t, map[string]actor{"hello": hello})
	spec := s.spec("hello", func(c *model.ContainerSpec) { c.Env = []string{"NAME=very secret"} })
	ctx, cancel := context.WithCancel(t.Context())
	events := s.Events(ctx)
	made, err := s.Start(t.Context(), spec)
	if err != nil || made.State != model.ContainerRunning || made.Replica != spec.Replica || made.Name != spec.Name {
		t.Fatalf("%+v, %v", made, err)
	}
	<-events
	cancel()
	for range events { // it is closed with its context
	}
	if again, err := s.Start(t.Context(), spec); err != nil || again != made || s.e.opened.Load() != 1 {
		t.Fatalf("started twice: %+v, %v", again, err)
	}
	sealed, err := os.ReadFile(filepath.Join(s.cfg.functionsDir(), spec.Name, specFile))
	if err != nil || bytes.Contains(sealed, []byte("very secret")) {
		t.Fatalf("the variables are readable on the disk, %v", err)
	}

	s.restart()
	made.Detail = "" // nobody knows it before the first request
	if all, err := s.List(t.Context()); err != nil || len(all) != 1 || all[0] != made {
		t.Fatalf("after a restart: %+v, %v", all, err)
	}
	if s.e.opened.Load() != 1 {
		t.Error("the code was opened before anybody asked")
	}
	if got := s.get(spec.Name).Body.String(); got != "hello from 1, call 1, very secret" {
		t.Errorf("answered %q", got)
	}

	ended := make(chan error, 1)
	go func() {
		exit, err := s.Wait(t.Context(), spec.Name)
		if err == nil && (exit.Code != 0 || !exit.Known) {
			err = errors.New(exit.String())
		}
		ended <- err
	}()
	for range 2 { // what is gone can be removed
		if err := s.Remove(t.Context(), spec.Name, time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Wait(t.Context(), spec.Name); !isKind(err, model.KindNotFound) {
		t.Errorf("waiting for what is gone: %v", err)
	}
	if err := <-ended; err != nil && !isKind(err, model.KindNotFound) { // it may have come too late
		t.Error(err)
	}
	s.restart()
	if all, err := s.List(t.Context()); err != nil || len(all) != 0 {
		t.Fatalf("after removal and a restart: %+v, %v", all, err)
	}
	if s.held.Load() != 0 || s.e.made.Load() != s.e.closed.Load() {
		t.Errorf("%d bytes are held; %d isolates made, %d closed", s.held.Load(), s.e.made.Load(), s.e.closed.Load())
	}
}

func TestCodeThatDoesNotStartLeavesNothing(t *testing.T) {
	s := newStage(t, map[string]actor{"hello": hello})
	spec := s.spec("hello")
	s.e.failOpen.Store(true)
	missing := spec
	missing.Function = &model.Function{Digest: "sha256:" + string(bytes.Repeat([]byte("0"), 64)), Runtime: model.RuntimeJS}
	unknown := spec
	unknown.Function = &model.Function{Digest: spec.Function.Digest, Runtime: "cobol"}
	outside := spec
	outside.Name = "../outside"
	container := spec
	container.Function = nil
	for _, bad := range []model.ContainerSpec{spec, missing, unknown, outside, container} {
		if _, err := s.Start(t.Context(), bad); err == nil {
			t.Errorf("%s was started", bad.Name)
		}
	}
	if _, err := s.Start(t.Context(), spec); !isKind(err, model.KindInvalid) {
		t.Errorf("code that throws: %v", err)
	}
	if _, err := s.Start(t.Context(), missing); !isKind(err, model.KindNotFound) {
		t.Errorf("code that is not there: %v", err)
	}
	s.e.failOpen.Store(false)
	if all, err := s.List(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
	s.restart()
	if all, err := s.List(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("after a restart %+v, %v", all, err)
	}
	if _, err := s.Start(t.Context(), spec); err != nil {
		t.Errorf("once it is mended: %v", err)
	}
}

func TestWhatACrashLeftIsRemoved(t *testing.T) {
	s := newStage(t, map[string]actor{"hello": hello})
	good, bad, moved := s.start("hello"), filepath.Join(s.cfg.functionsDir(), "bad"), filepath.Join(s.cfg.functionsDir(), "moved")
	half := filepath.Join(s.cfg.functionsDir(), ".half-123")
	s.close()
	for _, dir := range []string{bad, moved, half} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	whole, err := os.ReadFile(filepath.Join(s.cfg.functionsDir(), good, specFile))
	if err != nil {
		t.Fatal(err)
	}
	for path, data := range map[string][]byte{filepath.Join(bad, specFile): whole[:5], filepath.Join(moved, specFile): whole} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.open()
	all, err := s.List(t.Context())
	if err != nil || len(all) != 1 || all[0].Name != good {
		t.Fatalf("%+v, %v", all, err)
	}
	for _, dir := range []string{bad, moved, half} {
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", dir, err)
		}
	}
}

// TestRemoveLetsCallsEnd: requests on the old code finish, waitUntil included; the new code answers meanwhile; what takes
// longer than the grace is cut.
func TestRemoveLetsCallsEnd(t *testing.T) {
	began, finish, rest := make(chan struct{}), make(chan struct{}), make(chan struct{})
	cut := make(chan error, 1)
	s := newStage(t, map[string]actor{
		"hello": hello,
		"old": func(ctx context.Context, _ *played, c *guest.Call) (func(context.Context) error, error) {
			began <- struct{}{}
			<-finish
			_, err := c.Writer.Write([]byte("old"))
			return func(ctx context.Context) error {
				select {
				case <-rest:
					return nil
				case <-ctx.Done():
					cut <- c.World.(*call).ended()
					return ctx.Err()
				}
			}, err
		},
	})
	for _, patient := range []bool{true, false} {
		name, answered := s.start("old"), make(chan string)
		go func() { answered <- s.get(name).Body.String() }()
		<-began
		grace := time.Minute
		if !patient {
			grace = 10 * time.Millisecond
			finish <- struct{}{}
			if got := <-answered; got != "old" {
				t.Fatalf("answered %q", got)
			}
		}
		removed := make(chan error)
		go func() { removed <- s.Remove(t.Context(), name, grace) }()
		eventually(t, "the old code takes no requests", func() bool { f := s.find(name); return f == nil || f.isEnding() })
		if patient {
			if got := s.get(name); got.Code != 503 || got.Header().Get("Retry-After") == "" {
				t.Errorf("while it is removed: %d", got.Code)
			}
			if got := s.get(s.start("hello")); got.Code != 200 {
				t.Errorf("the new code: %d", got.Code)
			}
			finish <- struct{}{}
			if got := <-answered; got != "old" {
				t.Fatalf("answered %q", got)
			}
			rest <- struct{}{}
		} else if err := <-cut; !errors.Is(err, errCut) {
			t.Errorf("cut by %v", err)
		}
		if err := <-removed; err != nil {
			t.Fatal(err)
		}
	}
}

func (f *function) isEnding() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ending
}
