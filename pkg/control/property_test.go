package control

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// world is a box and what must be true of it after any sequence of use cases.
type world struct {
	*box
	rt       *rapid.T
	actors   []model.Actor
	orgs     []string
	releases map[string]int // greatest number seen, by workload
	events   uint64
	audits   int
}

func TestAnySequenceOfUseCases(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "box")
		if err != nil {
			rt.Fatal(err)
		}
		b := &box{t: t, dir: dir, parts: &parts{}}
		b.start()
		defer func() { _ = b.kv.Close(); _ = b.store.Close(); _ = os.RemoveAll(dir) }()
		w := &world{box: b, rt: rt, releases: map[string]int{}, orgs: []string{model.DefaultOrg, "other"}}
		w.actors = []model.Actor{root, b.member(model.RoleMember), b.org("other", model.RoleOwner), nobody}
		w.audits = w.auditCount()
		rt.Repeat(map[string]func(*rapid.T){
			"deploy":   w.act(w.deploy),
			"set":      w.act(w.set),
			"scale":    w.act(w.scale),
			"rollback": w.act(w.rollback),
			"restart":  w.act(w.restart),
			"cancel":   w.act(w.cancel),
			"domain":   w.act(w.domain),
			"undomain": w.act(w.undomain),
			"destroy":  w.act(w.destroy),
			"settle":   w.reconcile,
			"reopen":   w.reopen,
			"":         w.invariants,
		})
	})
}

func (w *world) ref(rt *rapid.T) Ref {
	return Ref{
		Org: rapid.SampledFrom(w.orgs).Draw(rt, "org"),
		App: rapid.SampledFrom([]string{"shop", "shop-qa", "blog"}).Draw(rt, "app"),
		Env: rapid.SampledFrom([]string{"", "qa"}).Draw(rt, "env"),
	}
}

// act runs a use case by somebody. A refused one must change nothing, a done one that changed something must be in the
// audit.
func (w *world) act(do func(*rapid.T, model.Actor) error) func(*rapid.T) {
	return func(rt *rapid.T) {
		before, audits := w.fingerprint(), w.auditCount()
		actor := rapid.SampledFrom(w.actors).Draw(rt, "actor")
		err := do(rt, actor)
		changed := w.fingerprint() != before
		switch {
		case err != nil && changed:
			rt.Fatalf("refused (%v), yet something changed", err)
		case err != nil && w.auditCount() != audits:
			rt.Fatalf("refused (%v), yet in the audit", err)
		case err != nil && model.KindOf(err) == model.KindInternal:
			rt.Fatalf("a defect: %v", err)
		case changed && w.auditCount() == audits:
			rt.Fatal("changed something that is not in the audit")
		case changed && actor.ID == "":
			rt.Fatal("nobody changed something")
		}
	}
}

func (w *world) deploy(rt *rapid.T, a model.Actor) error {
	n := NewDeploy{Image: image(fmt.Sprint(rapid.IntRange(1, 3).Draw(rt, "tag")))}
	if rapid.Bool().Draw(rt, "with a domain") {
		n.Domains = []string{w.host(rt)}
	}
	if rapid.Bool().Draw(rt, "with a variable") {
		n.Variables = map[string]string{"A": fmt.Sprint(rapid.IntRange(1, 2).Draw(rt, "value"))}
	}
	if rapid.IntRange(0, 3).Draw(rt, "with a requirement") == 0 {
		n.Required = []string{"B"}
	}
	n.IdempotencyKey = rapid.SampledFrom([]string{"", "k1", "k2"}).Draw(rt, "key")
	_, err := w.Deploys.Create(context.Background(), a, w.ref(rt), n)
	return err
}

func (w *world) host(rt *rapid.T) string {
	return rapid.SampledFrom([]string{"a.example.com", "*.example.com", "b.example.org", base, "shop." + base, "bad host"}).Draw(rt, "host")
}

func (w *world) set(rt *rapid.T, a model.Actor) error {
	ch := VariableChange{Set: map[string]string{rapid.SampledFrom([]string{"A", "B"}).Draw(rt, "name"): fmt.Sprint(rapid.IntRange(1, 2).Draw(rt, "value"))}}
	if rapid.Bool().Draw(rt, "unset") {
		ch = VariableChange{Unset: []string{"A"}}
	}
	_, err := w.Variables.Set(context.Background(), a, w.ref(rt), ch)
	return err
}

func (w *world) scale(rt *rapid.T, a model.Actor) error {
	s := model.Scale{MilliCPU: rapid.SampledFrom([]int{0, 100, 200}).Draw(rt, "cpu")}
	if rapid.Bool().Draw(rt, "replicas too") {
		n := rapid.IntRange(-1, 2).Draw(rt, "replicas")
		s.Replicas = &n
	}
	_, err := w.Scale.Set(context.Background(), a, w.ref(rt), map[string]model.Scale{"web": s})
	return err
}

func (w *world) rollback(rt *rapid.T, a model.Actor) error {
	_, err := w.Deploys.Rollback(context.Background(), a, w.ref(rt), rapid.IntRange(0, 3).Draw(rt, "number"), DeployOptions{})
	return err
}

func (w *world) restart(rt *rapid.T, a model.Actor) error {
	_, err := w.Deploys.Restart(context.Background(), a, w.ref(rt), DeployOptions{})
	return err
}

func (w *world) cancel(rt *rapid.T, a model.Actor) error {
	ref := w.ref(rt)
	l, err := w.Deploys.List(context.Background(), a, ref, Page{Limit: 1})
	if err != nil || len(l.Items) == 0 {
		return err
	}
	_, err = w.Deploys.Cancel(context.Background(), a, ref, l.Items[0].ID)
	return err
}

func (w *world) domain(rt *rapid.T, a model.Actor) error {
	_, err := w.Domains.Add(context.Background(), a, w.ref(rt), w.host(rt), model.TLSAuto)
	return err
}

func (w *world) undomain(rt *rapid.T, a model.Actor) error {
	return w.Domains.Remove(context.Background(), a, w.ref(rt), w.host(rt))
}

func (w *world) destroy(rt *rapid.T, a model.Actor) error {
	return w.Apps.Destroy(context.Background(), a, w.ref(rt), rapid.Bool().Draw(rt, "whole app"))
}

// reconcile settles one workload, or removes it when it is to be.
func (w *world) reconcile(rt *rapid.T) {
	all := w.desired()
	if len(all.Workloads) == 0 {
		return
	}
	d := all.Workloads[rapid.IntRange(0, len(all.Workloads)-1).Draw(rt, "workload")]
	if d.Workload.Deleting {
		if err := w.store.Record(context.Background(), []model.WorkloadUpdate{{WorkloadID: d.Workload.ID, Removed: true}}); err != nil {
			rt.Fatal(err)
		}
		return
	}
	w.settle(d.Workload.ID, rapid.Bool().Draw(rt, "healthy"))
}

// reopen is a crash between two use cases: all that was acknowledged is there, and the view is built from nothing.
func (w *world) reopen(rt *rapid.T) {
	before := w.fingerprint()
	if err := errors.Join(w.kv.Close(), w.store.Close()); err != nil {
		rt.Fatal(err)
	}
	w.start()
	if w.fingerprint() != before {
		rt.Fatal("the view differs from what is on the disk")
	}
}

func (w *world) desired() model.Desired {
	d, err := w.store.Desired(context.Background())
	if err != nil {
		w.rt.Fatal(err)
	}
	return d
}

func (w *world) fingerprint() string { return jsonText(w.t, w.desired()) }

func (w *world) auditCount() int {
	n := 0
	for _, org := range w.orgs {
		l, err := w.Audit.List(context.Background(), root, org, Page{Limit: MaxPageLimit})
		if err != nil {
			w.rt.Fatal(err)
		}
		n += len(l.Items)
	}
	return n
}

func (w *world) invariants(rt *rapid.T) {
	all := w.desired()
	owner := map[string]string{}
	for _, d := range all.Workloads {
		id := d.Workload.ID
		if d.App.OrgID != d.Workload.OrgID || d.Env.OrgID != d.Workload.OrgID || d.Env.ProjectID != d.App.ProjectID {
			rt.Fatalf("%s is in several orgs or projects", id)
		}
		if d.Workload.LastRelease < w.releases[id] {
			rt.Fatalf("%s: release %d after %d", id, d.Workload.LastRelease, w.releases[id])
		}
		w.releases[id] = d.Workload.LastRelease
		if (d.Want == nil) != d.Workload.Want.IsZero() || (d.Good == nil) != d.Workload.Good.IsZero() {
			rt.Fatalf("%s wants a release that is not there", id)
		}
		for _, one := range d.Domains {
			if owner[one.Host] != "" || one.WorkloadID != id || one.OrgID != d.Workload.OrgID {
				rt.Fatalf("%s is a domain of %s and of %s", one.Host, owner[one.Host], id)
			}
			owner[one.Host] = id
			if one.Host == base {
				rt.Fatal("the box's own name was given away")
			}
		}
		w.deploysOf(rt, d)
	}
	err := w.store.View(context.Background(), func(tx *store.Tx) error {
		if last := tx.LastEvent(); last < w.events {
			rt.Fatalf("event %d after %d", last, w.events)
		} else {
			w.events = last
		}
		return nil
	})
	if err != nil {
		rt.Fatal(err)
	}
	if n := w.auditCount(); n < w.audits {
		rt.Fatalf("%d audit events after %d", n, w.audits)
	}
	w.audits = w.auditCount()
}

// deploysOf checks that one deploy at most is on its way and that no two have one target.
func (w *world) deploysOf(rt *rapid.T, d model.DesiredWorkload) {
	err := w.store.View(context.Background(), func(tx *store.Tx) error {
		ds, _, err := tx.Deploys(d.Workload.ID, "", 0)
		if err != nil {
			return err
		}
		targets := map[model.Target]bool{}
		for i, one := range ds {
			if !one.State.Final() && (one.ID != d.Workload.DeployID || i != 0) {
				rt.Fatalf("%s is on its way besides %q", one.ID, d.Workload.DeployID)
			}
			if targets[one.Target] {
				rt.Fatalf("two deploys have the target %+v", one.Target)
			}
			targets[one.Target] = true
		}
		if d.Workload.DeployID != "" && (len(ds) == 0 || ds[0].State.Final() || d.Workload.Deleting) {
			rt.Fatalf("deploy %s is over, yet waited for", d.Workload.DeployID)
		}
		rs, _, err := tx.Releases(d.Workload.ID, "", 0)
		var numbers []int
		for _, r := range rs {
			numbers = append(numbers, r.Number)
			if _, err := tx.Config(r.WorkloadID, r.ConfigVersion); err != nil {
				rt.Fatalf("v%d has no configuration: %v", r.Number, err)
			}
		}
		if !slices.IsSortedFunc(numbers, func(a, b int) int { return b - a }) || len(slices.Compact(numbers)) != len(rs) {
			rt.Fatalf("releases are %v", numbers)
		}
		return err
	})
	if err != nil {
		rt.Fatal(err)
	}
}

// TestUseCasesAtOnce runs use cases from many goroutines; -race looks on.
func TestUseCasesAtOnce(t *testing.T) {
	b := newBox(t)
	const writers, rounds = 4, 15
	done := make(chan error, writers+2)
	for i := range writers {
		go func() {
			for range rounds {
				if _, err := b.Deploys.Create(context.Background(), root, Ref{App: fmt.Sprintf("app-%d", i%2)}, NewDeploy{Image: image("1")}); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range 2 {
		go func() {
			for range 10 * rounds {
				l, err := b.Workloads.List(context.Background(), root, "", Page{})
				if err != nil {
					done <- err
					return
				}
				for _, w := range l.Items {
					if w.DeployView == nil || w.DeployView.Release != w.WantNumber {
						done <- fmt.Errorf("a torn workload: %+v", w)
						return
					}
				}
			}
			done <- nil
		}()
	}
	for range writers + 2 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2 {
		if n := b.status(fmt.Sprintf("app-%d", i)).Workload.LastRelease; n != writers/2*rounds {
			t.Errorf("%d releases", n)
		}
	}
}

func BenchmarkWorkloadsList2000(b *testing.B) { benchLists(b, false) }

func BenchmarkAppsList2000(b *testing.B) { benchLists(b, true) }

func benchLists(b *testing.B, apps bool) {
	bx := newBox(b)
	org := bx.defaultOrg()
	err := bx.store.Update(b.Context(), func(tx *store.Tx) error {
		for i := range 2000 {
			pl, err := bx.ensure(tx, root, model.Org{ID: org, Name: model.DefaultOrg}, Ref{App: fmt.Sprintf("app-%04d", i)}, "", "")
			if err != nil {
				return err
			}
			r, err := bx.newRelease(tx, root, &pl, model.Release{Image: image("1")})
			if err != nil {
				return err
			}
			if _, err := bx.moveTo(tx, root, &pl, model.DeployRelease, r.ID, ""); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		n := 0
		for p := (Page{Limit: MaxPageLimit}); ; {
			if apps {
				l, err := bx.Apps.List(b.Context(), root, "", p)
				if err != nil {
					b.Fatal(err)
				}
				n, p.After = n+len(l.Items), l.Next
			} else {
				l, err := bx.Workloads.List(b.Context(), root, "", p)
				if err != nil {
					b.Fatal(err)
				}
				n, p.After = n+len(l.Items), l.Next
			}
			if p.After == "" {
				break
			}
		}
		if n != 2000 {
			b.Fatalf("%d listed", n)
		}
	}
}
