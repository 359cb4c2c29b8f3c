package control

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// buildEngine stands for the daemon's builder.
type buildEngine struct {
	plan   model.BuildPlan
	refuse error
	build  func(context.Context, BuildRequest) (BuildResult, error)

	mu   sync.Mutex
	logs map[string][]model.BuildLine
	more chan struct{} // closed and made anew with each line
}

var (
	_ Sources     = (*buildEngine)(nil)
	_ BuildEngine = (*buildEngine)(nil)
)

func (e *buildEngine) Import(_ context.Context, _ string, r io.Reader) (model.Source, error) {
	raw, err := io.ReadAll(r)
	return model.Source{Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(raw)), Size: int64(len(raw))}, err
}

func (e *buildEngine) Plan(context.Context, string, model.BuildSpec, string, model.AppKind) (model.BuildPlan, error) {
	return e.plan, e.refuse
}

func (e *buildEngine) Build(ctx context.Context, r BuildRequest) (BuildResult, error) {
	return e.build(ctx, r)
}

func (e *buildEngine) say(id, text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.logs == nil {
		e.logs = map[string][]model.BuildLine{}
	}
	e.logs[id] = append(e.logs[id], model.BuildLine{Text: text})
	if e.more != nil {
		close(e.more)
	}
	e.more = make(chan struct{})
}

// BuildLog follows until ctx ends: that the build is over is not for it to know.
func (e *buildEngine) BuildLog(ctx context.Context, id string, follow bool, yield func(model.BuildLine) error) error {
	for n := 0; ; {
		e.mu.Lock()
		if e.more == nil {
			e.more = make(chan struct{})
		}
		lines, more := slices.Clone(e.logs[id]), e.more
		e.mu.Unlock()
		for ; n < len(lines); n++ {
			if err := yield(lines[n]); err != nil {
				return err
			}
		}
		if !follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-more:
		}
	}
}

func (e *buildEngine) PruneBuilds(context.Context) (int64, error) { return 7, nil }

// source uploads code and returns a deploy of it.
func (b *box) source(code string) NewDeploy {
	b.t.Helper()
	s, err := b.Sources.Import(b.t.Context(), root, "", strings.NewReader(code))
	if err != nil {
		b.t.Fatal(err)
	}
	return NewDeploy{Build: &model.BuildSpec{Source: s.Digest}, Revision: &model.Revision{Commit: "1a2b3c4d5e", Subject: "Sell more"}}
}

func (b *box) deploySource(app, code string) Deploy {
	b.t.Helper()
	d, err := b.Deploys.Create(b.t.Context(), root, Ref{App: app}, b.source(code))
	if err != nil {
		b.t.Fatal(err)
	}
	return d
}

func (b *box) build(app string) model.Build {
	b.t.Helper()
	one, err := b.Builds.Get(b.t.Context(), root, Ref{App: app}, "")
	if err != nil {
		b.t.Fatal(err)
	}
	return one
}

func built(digit string) BuildResult {
	return BuildResult{Image: model.Image{Digest: "sha256:" + strings.Repeat(digit, 64), Config: &model.ImageConfig{}}, Steps: 9, Cached: 3}
}

func TestABuildFromSourceToImage(t *testing.T) {
	b := newBox(t)
	b.engine.plan = model.BuildPlan{Name: "Go 1.26", Dockerfile: "FROM scratch"}
	n := b.source("package main")
	n.Build.Secrets = []string{"TOKEN"}
	n.Variables, n.Secrets = map[string]string{"PLAIN": "shown"}, []string{"TOKEN"}
	if _, err := b.Variables.Set(t.Context(), root, Ref{App: "shop"}, VariableChange{Set: map[string]string{"TOKEN": "hush", "OTHER": "quiet"}, Secrets: []string{"TOKEN", "OTHER"}}); err != nil {
		t.Fatal(err)
	}
	d, err := b.Deploys.Create(t.Context(), root, Ref{App: "shop"}, n)
	if err != nil {
		t.Fatal(err)
	}
	one := b.build("shop")
	if one.State != model.BuildQueued || one.Plan != "Go 1.26" || one.DeployID != d.ID || one.Release != 1 {
		t.Errorf("the new build is %+v", one)
	}
	r, err := b.Releases.Get(t.Context(), root, Ref{App: "shop"}, 1)
	if err != nil || r.Description != "Deploy 1a2b3c4 Sell more" || r.Built() {
		t.Errorf("the release is %+v (%v)", r, err)
	}
	b.engine.build = func(_ context.Context, q BuildRequest) (BuildResult, error) {
		slices.Sort(q.Mask)
		if string(q.Secrets["TOKEN"]) != "hush" || len(q.Secrets) != 1 || strings.Join(q.Mask, " ") != "hush quiet" || q.Kind != model.KindWeb || q.App != "shop" {
			t.Errorf("the engine is asked %+v", q)
		}
		if b.build("shop").State != model.BuildRunning {
			t.Error("the build does not run while it does")
		}
		return built("b"), nil
	}
	out, err := b.Builds.Build(t.Context(), d.Target.ReleaseID, nil)
	if err != nil || out.Image.Digest != built("b").Image.Digest || out.Detail != "Go 1.26, 3 of 9 cached" {
		t.Fatalf("built %+v, %v", out, err)
	}
	one = b.build("shop")
	if one.State != model.BuildSucceeded || one.Digest != out.Image.Digest || one.FinishedAt.IsZero() || one.Steps != 9 || one.Cached != 3 {
		t.Errorf("the build is over as %+v", one)
	}
}

func TestABuildThatFails(t *testing.T) {
	b := newBox(t)
	b.engine.plan = model.BuildPlan{Name: "Dockerfile", File: "Dockerfile"}
	d := b.deploySource("shop", "FROM nothing")
	for _, c := range []struct {
		fails error
		state model.BuildState
	}{
		{errors.New("containerd is away"), model.BuildQueued},
		{context.Canceled, model.BuildQueued},
		{model.Errorf(model.KindUnavailable, "the builder does not start"), model.BuildQueued},
		{model.Invalid("the build failed").WithWhy("exit 1"), model.BuildFailed},
	} {
		b.engine.build = func(context.Context, BuildRequest) (BuildResult, error) { return BuildResult{}, c.fails }
		if _, err := b.Builds.Build(t.Context(), d.Target.ReleaseID, nil); !errors.Is(err, c.fails) {
			t.Errorf("%v came back as %v", c.fails, err)
		}
		if one := b.build("shop"); one.State != c.state {
			t.Errorf("after %v the build is %s, not %s", c.fails, one.State, c.state)
		}
	}
	if one := b.build("shop"); one.Error == nil || one.Error.Why != "exit 1" {
		t.Errorf("the build does not say why: %+v", one)
	}
	// What failed for want of a variable is built again when that is set.
	over := d.Deploy
	over.State = model.DeployFailed
	if err := b.store.Record(t.Context(), []model.WorkloadUpdate{{WorkloadID: d.WorkloadID, Deploy: &over, Settled: over.ID, RollBackTo: &model.Target{}}}); err != nil {
		t.Fatal(err)
	}
	set, err := b.Variables.Set(t.Context(), root, Ref{App: "shop"}, VariableChange{Set: map[string]string{"A": "1"}})
	if err != nil || set.Deploy == nil {
		t.Fatalf("%+v, %v", set, err)
	}
	if one := b.build("shop"); one.State != model.BuildQueued || one.DeployID != set.Deploy.ID {
		t.Errorf("the next build is %+v", one)
	}
}

func TestABuildEndsWithItsDeploy(t *testing.T) {
	b := newBox(t)
	b.engine.plan = model.BuildPlan{Name: "Dockerfile", File: "Dockerfile"}
	first := b.deploySource("shop", "one")
	old := b.build("shop")
	second := b.deploySource("shop", "two")
	got, err := b.Builds.Get(t.Context(), root, Ref{App: "shop"}, old.ID)
	if err != nil || got.State != model.BuildCanceled {
		t.Errorf("a superseded build is %+v (%v)", got, err)
	}
	// A newer deploy of the same release takes its build over.
	again, err := b.Deploys.Restart(t.Context(), root, Ref{App: "shop"}, DeployOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if one := b.build("shop"); one.State != model.BuildQueued || one.DeployID != again.ID || one.ReleaseID != second.Target.ReleaseID {
		t.Errorf("the build is %+v", one)
	}
	if _, err := b.Builds.Cancel(t.Context(), root, Ref{App: "shop"}, ""); err != nil {
		t.Fatal(err)
	}
	if d, err := b.Deploys.Get(t.Context(), root, Ref{App: "shop"}, again.ID); err != nil || !d.CancelAsked {
		t.Errorf("canceling the build does not cancel %+v (%v)", d, err)
	}
	over := again.Deploy
	over.State = model.DeployCanceled
	if err := b.store.Record(t.Context(), []model.WorkloadUpdate{{WorkloadID: first.WorkloadID, Deploy: &over, Settled: over.ID, RollBackTo: &model.Target{}}}); err != nil {
		t.Fatal(err)
	}
	if one := b.build("shop"); one.State != model.BuildCanceled {
		t.Errorf("with its deploy canceled the build is %s", one.State)
	}
	if _, err := b.Builds.Cancel(t.Context(), root, Ref{App: "shop"}, ""); model.KindOf(err) != model.KindConflict {
		t.Errorf("canceling what is over: %v", err)
	}
}

func TestASourceThatIsASite(t *testing.T) {
	b := newBox(t)
	b.engine.plan = model.BuildPlan{Name: "Static files", Output: "public"}
	d := b.deploySource("site", "<h1>")
	b.engine.build = func(_ context.Context, q BuildRequest) (BuildResult, error) {
		return BuildResult{Static: &model.Static{Digest: "sha256:" + strings.Repeat("c", 64), Files: 3, SPA: q.Static.SPA}}, nil
	}
	out, err := b.Builds.Build(t.Context(), d.Target.ReleaseID, nil)
	if err != nil || out.Detail != "Static files" || out.Static == nil {
		t.Fatalf("%+v, %v", out, err)
	}
	if s := b.status("site"); s.App.Kind != model.KindStatic {
		t.Errorf("the app is of the kind %s", s.App.Kind)
	}
	n := b.source("<h1>")
	n.Kind = model.KindWorker
	if _, err := b.Deploys.Create(t.Context(), root, Ref{App: "worker"}, n); model.KindOf(err) != model.KindInvalid {
		t.Errorf("a worker of a site's source: %v", err)
	}
}

func TestSourcesThatAreRefused(t *testing.T) {
	b := newBox(t)
	b.engine.plan = model.BuildPlan{Name: "Dockerfile", File: "Dockerfile"}
	for name, change := range map[string]func(*NewDeploy){
		"an image too":     func(n *NewDeploy) { n.Image = image("1") },
		"no digest":        func(n *NewDeploy) { n.Build.Source = "sha256:abc" },
		"a folder outside": func(n *NewDeploy) { n.Build.Dir = "../etc" },
		"a path outside":   func(n *NewDeploy) { n.Build.Dockerfile = "/etc/passwd" },
		"an odd argument":  func(n *NewDeploy) { n.Build.Args = map[string]string{"A B": "1"} },
		"an odd stage":     func(n *NewDeploy) { n.Build.Target = "a b" },
		"a long subject":   func(n *NewDeploy) { n.Revision.Subject = strings.Repeat("x", model.MaxRevisionField+1) },
		"a function too":   func(n *NewDeploy) { n.Function = b.function("export default {}", model.Function{}) },
	} {
		n := b.source("x")
		change(&n)
		if _, err := b.Deploys.Create(t.Context(), root, Ref{App: "shop"}, n); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	b.engine.refuse = model.Invalid("nobody knows how to build this folder")
	if _, err := b.Deploys.Create(t.Context(), root, Ref{App: "shop"}, b.source("x")); !errors.Is(err, b.engine.refuse) {
		t.Errorf("got %v", err)
	}
	if l, err := b.Apps.List(t.Context(), root, "", Page{}); err != nil || len(l.Items) > 0 {
		t.Errorf("something was made: %+v, %v", l, err)
	}
	stranger := b.org("other", model.RoleOwner)
	if _, err := b.Sources.Import(t.Context(), stranger, "", strings.NewReader("x")); model.KindOf(err) != model.KindNotFound {
		t.Errorf("a stranger uploads: %v", err)
	}
	if _, err := b.Builds.Prune(t.Context(), b.member(model.RoleMember)); model.KindOf(err) != model.KindForbidden {
		t.Errorf("a member prunes: %v", err)
	}
	if n, err := b.Builds.Prune(t.Context(), root); err != nil || n != 7 {
		t.Errorf("pruned %d, %v", n, err)
	}
}

func TestABuildsLogIsFollowedToItsEnd(t *testing.T) {
	b := newBox(t)
	b.engine.plan = model.BuildPlan{Name: "Dockerfile", File: "Dockerfile"}
	d := b.deploySource("shop", "one")
	got := make(chan string, 100)
	follow := func(skip int) <-chan error {
		done := make(chan error, 1)
		go func() {
			done <- b.Builds.Log(t.Context(), root, Ref{App: "shop"}, "", skip, true, func(l model.BuildLine) error {
				got <- l.Text
				return nil
			})
		}()
		return done
	}
	done := follow(0)
	b.engine.build = func(_ context.Context, q BuildRequest) (BuildResult, error) {
		for i := range 5 {
			b.engine.say(q.ID, fmt.Sprint("line ", i))
			if text := <-got; text != fmt.Sprint("line ", i) {
				t.Errorf("line %d is %q", i, text)
			}
		}
		b.engine.say(q.ID, "last")
		return built("b"), nil
	}
	if _, err := b.Builds.Build(t.Context(), d.Target.ReleaseID, nil); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("following does not end with the build")
	}
	if text := <-got; text != "last" || len(got) > 0 {
		t.Errorf("the last line is %q, and %d more", text, len(got))
	}
	if err := <-follow(5); err != nil || len(got) != 1 || <-got != "last" {
		t.Errorf("skipping five of six: %v, %d lines more", err, len(got))
	}
	if err := b.Builds.Log(t.Context(), nobody, Ref{App: "shop"}, "", 0, false, nil); model.KindOf(err) != model.KindUnauthenticated {
		t.Errorf("nobody reads it: %v", err)
	}
}

func TestWhatBuildsNeedIsKept(t *testing.T) {
	b := newBox(t)
	b.engine.plan = model.BuildPlan{Name: "Dockerfile", File: "Dockerfile"}
	d := b.deploySource("shop", "one")
	b.settle(d.WorkloadID, true)
	second := b.deploySource("shop", "two")
	keep, err := b.store.Keep(t.Context())
	if err != nil || len(keep.Sources) != 2 || len(keep.Builds) != 2 {
		t.Fatalf("%+v, %v", keep, err)
	}
	b.settle(second.WorkloadID, true)
	if keep, err = b.store.Keep(t.Context()); err != nil || len(keep.Sources) != 1 {
		t.Errorf("of %v one source is of use (%v)", keep.Sources, err)
	}
	err = b.store.Update(t.Context(), func(tx *store.Tx) error {
		for i := range 3 * store.KeepBuilds {
			if err := tx.PutBuild(model.Build{ID: fmt.Sprintf("build-a%03d", i), WorkloadID: d.WorkloadID, State: model.BuildFailed}); err != nil {
				return err
			}
		}
		return tx.Trim(d.WorkloadID)
	})
	if err != nil {
		t.Fatal(err)
	}
	if keep, err = b.store.Keep(t.Context()); err != nil || len(keep.Builds) != store.KeepBuilds {
		t.Errorf("%d builds are kept, not %d (%v)", len(keep.Builds), store.KeepBuilds, err)
	}
}
