package control

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

func (b *box) preview(pr model.PullRequest) string {
	b.t.Helper()
	env, err := b.Previews.Ensure(b.t.Context(), b.member(model.RoleMember), "", "shop", pr)
	if err != nil {
		b.t.Fatal(err)
	}
	return env
}

// left returns the environments of the app's previews that stay, newest first.
func (b *box) left() string {
	b.t.Helper()
	all, err := b.Previews.List(b.t.Context(), root, "", "shop")
	if err != nil {
		b.t.Fatal(err)
	}
	var out []string
	for _, p := range all {
		if !p.Deleting {
			out = append(out, p.Env)
		}
	}
	return strings.Join(out, " ")
}

// vars returns a preview's variables.
func (b *box) vars(env string) string {
	b.t.Helper()
	all, err := b.store.Desired(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	for _, d := range all.Workloads {
		if d.Env.Name == env {
			vars, err := b.Environ(b.t.Context(), d.Workload.ID, d.Workload.ConfigVersion)
			if err != nil {
				b.t.Fatal(err)
			}
			return strings.Join(vars, " ")
		}
	}
	b.t.Fatalf("there is no %s", env)
	return ""
}

func TestAPreviewFromOpenToClosed(t *testing.T) {
	b := newBox(t)
	if _, err := b.Previews.Ensure(t.Context(), root, "", "shop", model.PullRequest{Number: 1}); model.KindOf(err) != model.KindNotFound {
		t.Errorf("of an app that is not there: %v", err)
	}
	b.deploy("shop", "1")
	set := VariableChange{Set: map[string]string{"LEVEL": "staging", "KEY": "hush"}, Secrets: []string{"KEY"}}
	if _, err := b.Variables.Set(t.Context(), root, Ref{App: "shop", Env: "staging"}, set); err != nil {
		t.Fatal(err)
	}
	env := b.preview(model.PullRequest{Number: 12, Branch: "cart", Title: "Carts\x1b[2J", URL: "https://forge.example.com/12"})
	all, err := b.Previews.List(t.Context(), root, "", "shop")
	if err != nil || len(all) != 1 || env != "pr-12" || all[0].Title != "Carts[2J" || all[0].Address != "https://shop-pr-12."+base {
		t.Fatalf("%+v, %v", all, err)
	}
	if got := b.vars(env); got != "LEVEL=staging" {
		t.Errorf("it begins with %q", got)
	}
	jobs := []model.JobSpec{{Name: "nightly", Schedule: "@daily", Path: "/"}}
	d, err := b.Deploys.Create(t.Context(), root, Ref{App: "shop", Env: env}, NewDeploy{Image: image("2"), Jobs: &jobs})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := b.Releases.Get(t.Context(), root, Ref{App: "shop", Env: env}, d.Release); err != nil || len(r.Jobs) > 0 {
		t.Errorf("jobs run in a preview: %+v (%v)", r.Jobs, err)
	}
	if got := b.targets("shop", Push{Branch: "cart"}); got != "no environment tracks the branch cart" {
		t.Errorf("a preview tracks a branch: %s", got)
	}
	b.pass(6 * 24 * time.Hour)
	b.preview(model.PullRequest{Number: 12, Branch: "cart"}) // a push
	b.pass(6 * 24 * time.Hour)
	if next, err := b.Previews.Reap(t.Context()); err != nil || b.left() != env || next.Before(b.now()) {
		t.Errorf("after 12 days with a push in between %q is left, next %s (%v)", b.left(), next, err)
	}
	for range 2 {
		if err := b.Previews.Close(t.Context(), b.member(model.RoleMember), "", "shop", 12); err != nil || b.left() != "" {
			t.Errorf("closed, %q is left (%v)", b.left(), err)
		}
	}
}

func TestPreviewsEndByThemselves(t *testing.T) {
	b := newBox(t)
	b.deploy("shop", "1")
	if err := b.Previews.Configure(t.Context(), root, "", "shop", model.Previewing{Max: 2, Days: 3}); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		b.preview(model.PullRequest{Number: n + 1})
		b.pass(time.Hour)
	}
	if b.left() != "pr-3 pr-2" {
		t.Errorf("of three %s are left", b.left())
	}
	b.pass(3*24*time.Hour - 90*time.Minute)
	if _, err := b.Previews.Reap(t.Context()); err != nil || b.left() != "pr-3" {
		t.Errorf("%q is left (%v)", b.left(), err)
	}
	b.pass(time.Hour)
	if next, err := b.Previews.Reap(t.Context()); err != nil || b.left() != "" || !next.IsZero() {
		t.Errorf("%q is left, next %s (%v)", b.left(), next, err)
	}
	if s, err := b.Workloads.Status(t.Context(), root, Ref{App: "shop"}); err != nil || s.Workload.Deleting {
		t.Errorf("production went too: %v", err)
	}
}

func TestForksGetNoSecrets(t *testing.T) {
	b := newBox(t)
	b.deploy("shop", "1")
	set := VariableChange{Set: map[string]string{"LEVEL": "production", "KEY": "hush"}, Secrets: []string{"KEY"}}
	if _, err := b.Variables.Set(t.Context(), root, Ref{App: "shop"}, set); err != nil {
		t.Fatal(err)
	}
	fork := model.PullRequest{Number: 1, Fork: true}
	if _, err := b.Previews.Ensure(t.Context(), root, "", "shop", fork); model.KindOf(err) != model.KindForbidden {
		t.Errorf("a fork's preview by default: %v", err)
	}
	if err := b.Previews.Configure(t.Context(), b.member(model.RoleMember), "", "shop", model.Previewing{Secrets: true}); model.KindOf(err) != model.KindForbidden {
		t.Errorf("a member gives secrets away: %v", err)
	}
	if err := b.Previews.Configure(t.Context(), root, "", "shop", model.Previewing{Secrets: true, Forks: true}); err != nil {
		t.Fatal(err)
	}
	if got := b.vars(b.preview(fork)); got != "LEVEL=production" {
		t.Errorf("a fork gets %q", got)
	}
	if got := b.vars(b.preview(model.PullRequest{Number: 2})); got != "KEY=hush LEVEL=production" {
		t.Errorf("a change of the repository's own gets %q", got)
	}
	if err := b.Previews.Configure(t.Context(), root, "", "shop", model.Previewing{Off: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Previews.Ensure(t.Context(), root, "", "shop", model.PullRequest{Number: 3}); model.KindOf(err) != model.KindForbidden {
		t.Errorf("with previews off: %v", err)
	}
}

func TestPreviewsThatAreRefused(t *testing.T) {
	b := newBox(t)
	b.deploy("shop", "1")
	if _, err := b.Deploys.Create(t.Context(), root, Ref{App: "shop", Env: "pr-7"}, NewDeploy{Image: image("1")}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Previews.Ensure(t.Context(), root, "", "shop", model.PullRequest{Number: 7}); model.KindOf(err) != model.KindConflict {
		t.Errorf("where an environment has the name: %v", err)
	}
	if err := b.Previews.Remove(t.Context(), root, Ref{App: "shop", Env: "pr-7"}); model.KindOf(err) != model.KindInvalid {
		t.Errorf("removing what is no preview: %v", err)
	}
	for _, how := range []model.Previewing{{Days: -1}, {Days: model.MaxPreviewDays + 1}, {Max: model.MaxPreviews + 1}, {Template: "No Such"}} {
		if err := b.Previews.Configure(t.Context(), root, "", "shop", how); model.KindOf(err) != model.KindInvalid {
			t.Errorf("%+v: %v", how, err)
		}
	}
	b.preview(model.PullRequest{Number: 8})
	if _, err := b.Protections.Set(t.Context(), root, Ref{App: "shop", Env: "pr-8"}, true); model.KindOf(err) != model.KindInvalid {
		t.Errorf("protecting a preview: %v", err)
	}
	if _, err := b.Trackings.Set(t.Context(), root, Ref{App: "shop", Env: "pr-8"}, model.Tracking{Branch: "x"}); model.KindOf(err) != model.KindInvalid {
		t.Errorf("tracking in a preview: %v", err)
	}
	if err := b.Previews.Remove(t.Context(), b.member(model.RoleMember), Ref{App: "shop", Env: "pr-8"}); err != nil || b.left() != "" {
		t.Errorf("%q is left (%v)", b.left(), err)
	}
	if slices.Contains(b.actions(), fmt.Sprint("preview.create ", 7)) {
		t.Error("a preview was recorded that was refused")
	}
}

func TestAPreviewTakesNoCustomDomain(t *testing.T) {
	b := newBox(t)
	b.deploy("shop", "1")
	env := b.preview(model.PullRequest{Number: 12})
	n := NewDeploy{Image: image("2"), Domains: []string{"login.example.org"}} // pandabox.toml of the change: [env.pr-12]
	if _, err := b.Deploys.Create(t.Context(), b.member(model.RoleMember), Ref{App: "shop", Env: env}, n); err != nil {
		t.Fatal(err)
	}
	ds, err := b.Domains.List(t.Context(), root, Ref{App: "shop", Env: env})
	if err != nil || len(ds) != 1 || !ds[0].Default {
		t.Errorf("it answers at %+v (%v)", ds, err)
	}
}

// An app may have two repositories, both with a change of that number.
func TestAForkTakesOverNoSecrets(t *testing.T) {
	b := newBox(t)
	b.deploy("shop", "1")
	set := VariableChange{Set: map[string]string{"LEVEL": "production", "KEY": "hush"}, Secrets: []string{"KEY"}}
	if _, err := b.Variables.Set(t.Context(), root, Ref{App: "shop"}, set); err != nil {
		t.Fatal(err)
	}
	if err := b.Previews.Configure(t.Context(), root, "", "shop", model.Previewing{Secrets: true, Forks: true}); err != nil {
		t.Fatal(err)
	}
	if got := b.vars(b.preview(model.PullRequest{Number: 1})); got != "KEY=hush LEVEL=production" {
		t.Fatalf("a change of the repository's own gets %q", got)
	}
	if got := b.vars(b.preview(model.PullRequest{Number: 1, Fork: true})); got != "LEVEL=production" {
		t.Errorf("a fork takes over %q", got)
	}
}

func TestAPullRequestClosedAndOpenedAgain(t *testing.T) {
	b := newBox(t)
	b.deploy("shop", "1")
	env := b.preview(model.PullRequest{Number: 12})
	st, err := b.Workloads.Status(t.Context(), root, Ref{App: "shop", Env: env})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Previews.Close(t.Context(), root, "", "shop", 12); err != nil {
		t.Fatal(err)
	}
	again := make(chan error, 1)
	go func() {
		_, err := b.Previews.Ensure(t.Context(), root, "", "shop", model.PullRequest{Number: 12})
		again <- err
	}()
	select {
	case err := <-again:
		t.Fatalf("it does not wait for the old one to be gone: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	if err := b.store.Record(t.Context(), []model.WorkloadUpdate{{WorkloadID: st.Workload.ID, Removed: true}}); err != nil {
		t.Fatal(err)
	}
	if err := <-again; err != nil || b.left() != env {
		t.Errorf("opened again, %q is there (%v)", b.left(), err)
	}
}

func TestCertificatesGoWithPreviews(t *testing.T) {
	b := newBox(t)
	b.deploy("shop", "1")
	if err := b.Previews.Configure(t.Context(), root, "", "shop", model.Previewing{Max: 1}); err != nil {
		t.Fatal(err)
	}
	for name, end := range map[string]func(ref Ref) error{
		"closed":  func(Ref) error { return b.Previews.Close(t.Context(), root, "", "shop", 1) },
		"by hand": func(ref Ref) error { return b.Previews.Remove(t.Context(), root, ref) },
		"too many": func(Ref) error {
			_, err := b.Previews.Ensure(t.Context(), root, "", "shop", model.PullRequest{Number: 2})
			return err
		},
		"too old": func(Ref) error {
			b.pass(30 * 24 * time.Hour)
			_, err := b.Previews.Reap(t.Context())
			return err
		},
	} {
		ref := Ref{App: "shop", Env: b.preview(model.PullRequest{Number: 1})}
		st, err := b.Workloads.Status(t.Context(), root, ref)
		if err != nil {
			t.Fatal(err)
		}
		host := "pr.example.org"
		if _, err := b.Domains.Add(t.Context(), root, ref, host, ""); err != nil {
			t.Fatal(err)
		}
		cert, key := selfSigned(t, b.now(), host)
		if _, err := b.Domains.SetCertificate(t.Context(), root, ref, host, cert, key); err != nil {
			t.Fatal(err)
		}
		if err := end(ref); err != nil {
			t.Fatal(err)
		}
		if _, kept := b.parts.certs[host]; kept {
			t.Errorf("%s, its certificate and key are kept", name)
		}
		if err := b.store.Record(t.Context(), []model.WorkloadUpdate{{WorkloadID: st.Workload.ID, Removed: true}}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestForksHaveCachesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range []model.Environment{{}, {Preview: &model.Preview{}}, {Preview: &model.Preview{Fork: true}}} {
		seen[caches("org-1", e)] = true
	}
	if len(seen) != 3 {
		t.Errorf("production, previews and forks share: %v", seen)
	}
}
