package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

const base = "box.example.net"

var (
	root   = model.Actor{ID: "root", Name: "root on this box", Root: true}
	nobody = model.Actor{}
)

// box is a Control over a real store, with parts outside that a test can look into.
type box struct {
	*Control
	t      testing.TB
	dir    string
	store  *store.Store
	kv     *store.KV
	host   functionHost
	engine buildEngine
	parts  *parts
	mu     sync.Mutex
	offset time.Duration
}

func (b *box) now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Now().Add(b.offset)
}

func (b *box) pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.offset += d
}

func newBox(t testing.TB) *box {
	t.Helper()
	b := &box{t: t, dir: t.TempDir(), parts: &parts{}}
	b.start()
	return b
}

// start opens the store and makes the Control; stop closes the store.
func (b *box) start() {
	b.t.Helper()
	s, err := store.Open(StoreFile(b.dir), store.Options{Now: b.now})
	if err != nil {
		b.t.Fatal(err)
	}
	b.store = s
	b.t.Cleanup(func() { _ = s.Close() })
	kv, err := store.OpenKV(KVFile(b.dir), store.KVOptions{Now: b.now})
	if err != nil {
		b.t.Fatal(err)
	}
	b.kv = kv
	b.t.Cleanup(func() { _ = kv.Close() })
	if b.Control, err = New(b.t.Context(), b.config()); err != nil {
		b.t.Fatal(err)
	}
}

func (b *box) config() Config {
	return Config{
		Store: b.store, KeyFile: KeyFile(b.dir), DataDir: b.dir, BaseDomain: base, URL: "https://" + base, Version: "1.2.3", Instance: "ab12",
		Images: b.parts, Runner: b.parts, Logs: b.parts, Certs: b.parts, Functions: &b.host, KV: b.kv, Sources: &b.engine, Builder: &b.engine, Now: b.now,
	}
}

func (b *box) stop() {
	b.t.Helper()
	if err := errors.Join(b.kv.Close(), b.store.Close()); err != nil {
		b.t.Fatal(err)
	}
}

// org makes another org and returns an actor with the role in it.
func (b *box) org(name string, role model.RoleName) model.Actor {
	b.t.Helper()
	o := model.Org{ID: b.newID("org"), Name: name}
	if err := b.store.Update(b.t.Context(), func(tx *store.Tx) error { return tx.PutOrg(o) }); err != nil {
		b.t.Fatal(err)
	}
	return model.Actor{ID: "token-" + name, Name: name, Roles: map[string]model.RoleName{o.ID: role}}
}

// member returns an actor with a role in the default org.
func (b *box) member(role model.RoleName) model.Actor {
	b.t.Helper()
	_, secret, err := b.Tokens.Create(b.t.Context(), root, "", NewToken{Name: string(role), Role: role})
	if err != nil {
		b.t.Fatal(err)
	}
	a, err := b.Tokens.Authenticate(b.t.Context(), secret)
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

func image(tag string) model.Image { return model.Image{Ref: "registry.example.com/shop:" + tag} }

// deploy deploys an image of the tag.
func (b *box) deploy(app, tag string) Deploy {
	b.t.Helper()
	d, err := b.Deploys.Create(b.t.Context(), root, Ref{App: app}, NewDeploy{Image: image(tag)})
	if err != nil {
		b.t.Fatal(err)
	}
	return d
}

// settle does what the reconciler would: the deploy on its way becomes healthy, or fails and is rolled back.
func (b *box) settle(workloadID string, healthy bool) {
	b.t.Helper()
	all, err := b.store.Desired(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	for _, d := range all.Workloads {
		if d.Workload.ID != workloadID || d.Deploy == nil {
			continue
		}
		u := model.WorkloadUpdate{WorkloadID: workloadID, Settled: d.Deploy.ID, ReleaseID: d.Want.ID}
		u.Image = &model.Image{Digest: "sha256:" + strings.Repeat("a", 64), Config: &model.ImageConfig{}}
		deploy, target := *d.Deploy, d.Workload.Want
		st := d.Status
		switch {
		case healthy:
			deploy.State, u.Good = model.DeploySucceeded, &target
			st.State, st.Serving = model.WorkloadRunning, target
		case d.Workload.Good.IsZero():
			deploy.State, u.RollBackTo = model.DeployFailed, &model.Target{}
			st.State = model.WorkloadDown
		default:
			deploy.State, u.RollBackTo = model.DeployRolledBack, &d.Workload.Good
		}
		st.UpdatedAt = time.Now()
		u.Deploy, u.Status = &deploy, &st
		if err := b.store.Record(b.t.Context(), []model.WorkloadUpdate{u}); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *box) status(app string) Workload {
	b.t.Helper()
	w, err := b.Workloads.Status(b.t.Context(), root, Ref{App: app})
	if err != nil {
		b.t.Fatal(err)
	}
	return w
}

// actions returns the actions of the audit, newest first.
func (b *box) actions() []string {
	b.t.Helper()
	var out []string
	for after := ""; ; {
		l, err := b.Audit.List(b.t.Context(), root, "", Page{Limit: MaxPageLimit, After: after})
		if err != nil {
			b.t.Fatal(err)
		}
		for _, e := range l.Items {
			out = append(out, e.Action)
		}
		if after = l.Next; after == "" {
			return out
		}
	}
}

// parts stands for runtime and proxy.
type parts struct {
	usage  map[string]model.Usage
	execs  []string
	ran    []model.ContainerSpec
	certs  map[string]model.CertificateStatus
	failed error
}

var (
	_ ImageStore   = (*parts)(nil)
	_ Runner       = (*parts)(nil)
	_ LogReader    = (*parts)(nil)
	_ Certificates = (*parts)(nil)
)

func (p *parts) Import(_ context.Context, r io.Reader) (model.Image, error) {
	n, err := io.Copy(io.Discard, r)
	return model.Image{Digest: fmt.Sprintf("sha256:%064x", n)}, err
}

func (p *parts) Exec(_ context.Context, container string, spec model.ExecSpec) (int, error) {
	p.execs = append(p.execs, container+" "+strings.Join(spec.Command, " "))
	return 7, p.failed
}

func (p *parts) Run(_ context.Context, c model.ContainerSpec, _ model.ExecSpec) (int, error) {
	p.ran = append(p.ran, c)
	return 3, p.failed
}

func (p *parts) Usage(context.Context, []string) (map[string]model.Usage, error) {
	return p.usage, p.failed
}

func (p *parts) Logs(_ context.Context, q model.LogQuery, yield func(model.LogLine) error) error {
	return yield(model.LogLine{Text: q.WorkloadID + " " + q.Process})
}

func (p *parts) SetCertificate(_ context.Context, host string, _, _ []byte) error {
	if p.failed != nil {
		return p.failed
	}
	if p.certs == nil {
		p.certs = map[string]model.CertificateStatus{}
	}
	p.certs[host] = model.CertificateStatus{Host: host, Issuer: "brought"}
	return nil
}

func (p *parts) RemoveCertificate(_ context.Context, host string) error {
	delete(p.certs, host)
	return p.failed
}

func (p *parts) Certificate(_ context.Context, host string) (model.CertificateStatus, error) {
	return p.certs[host], nil
}

// wantKind checks an error's kind, and that it has a hint.
func wantKind(t testing.TB, err error, kind model.Kind) {
	t.Helper()
	_ = told(t, err, kind)
}

// told is wantKind that returns what a person is told.
func told(t testing.TB, err error, kind model.Kind) *model.Error {
	t.Helper()
	var e *model.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a *model.Error of kind %s", err, kind)
	}
	if e.Kind != kind {
		t.Fatalf("got %s %v, want %s", e.Kind, e, kind)
	}
	if e.Hint == "" && kind != model.KindNotFound {
		t.Errorf("%v has no hint", e)
	}
	return e
}

// call is one use case, made by an actor in an org.
type call func(b *box, a model.Actor, org string) error

// calls is every use case that is somebody's to do, with the least role in the org for it; "" means any role anywhere.
func calls() map[string]struct {
	least model.RoleName
	do    call
} {
	type row = struct {
		least model.RoleName
		do    call
	}
	ctx := context.Background
	shop := func(org string) Ref { return Ref{Org: org, App: "shop"} }
	m, a, o := model.RoleMember, model.RoleAdmin, model.RoleOwner
	return map[string]row{
		"apps.list": {m, func(b *box, ac model.Actor, org string) error {
			_, err := b.Apps.List(ctx(), ac, org, Page{})
			return err
		}},
		"apps.get":        {m, func(b *box, ac model.Actor, org string) error { _, err := b.Apps.Get(ctx(), ac, shop(org)); return err }},
		"apps.destroy":    {a, func(b *box, ac model.Actor, org string) error { return b.Apps.Destroy(ctx(), ac, shop(org), false) }},
		"apps.destroyAll": {a, func(b *box, ac model.Actor, org string) error { return b.Apps.Destroy(ctx(), ac, shop(org), true) }},
		"images.import": {m, func(b *box, ac model.Actor, org string) error {
			_, err := b.Images.Import(ctx(), ac, org, strings.NewReader("x"))
			return err
		}},
		"functions.import": {m, func(b *box, ac model.Actor, org string) error {
			_, err := b.Functions.Import(ctx(), ac, org, strings.NewReader("x"))
			return err
		}},
		"functions.invoke": {m, func(b *box, ac model.Actor, org string) error {
			_, err := b.Functions.Invoke(ctx(), ac, Ref{Org: org, App: "api"}, httptest.NewRequest(http.MethodGet, "/", nil))
			return err
		}},
		"kv.get": {m, func(b *box, ac model.Actor, org string) error {
			_, err := b.KV.Get(ctx(), ac, shop(org), "kept")
			return err
		}},
		"kv.list": {m, func(b *box, ac model.Actor, org string) error {
			_, err := b.KV.List(ctx(), ac, shop(org), "", Page{})
			return err
		}},
		"kv.put":    {m, func(b *box, ac model.Actor, org string) error { return b.KV.Put(ctx(), ac, shop(org), "new", nil, 0) }},
		"kv.delete": {m, func(b *box, ac model.Actor, org string) error { return b.KV.Delete(ctx(), ac, shop(org), "kept") }},
		"deploys.create": {m, func(b *box, ac model.Actor, org string) error {
			_, err := b.Deploys.Create(ctx(), ac, shop(org), NewDeploy{Image: image("9")})
			return err
		}},
		"deploys.create, invalid": {m, func(b *box, ac model.Actor, org string) error {
			_, err := b.Deploys.Create(ctx(), ac, shop(org), NewDeploy{})
			if model.KindOf(err) == model.KindInvalid {
				return nil
			}
			return err
		}},
		"deploys.list": {m, func(b *box, ac model.Actor, org string) error {
			_, err := b.Deploys.List(ctx(), ac, shop(org), Page{})
			return err
		}},
		"deploys.get": {m, func(b *box, ac model.Actor, org string) error {
			_, err := b.Deploys.Get(ctx(), ac, Ref{Org: org}, b.parts.execs[0])
			return err
		}},
		"deploys.cancel": {m, func(b *box, ac model.Actor, org string) error {
			_, err := b.Deploys.Cancel(ctx(), ac, Ref{Org: org}, b.parts.execs[1])
			return err
		}},
		"deploys.rollback": {m, func(b *box, ac model.Actor, org string) error {
			_, err := b.Deploys.Rollback(ctx(), ac, shop(org), 1, DeployOptions{})
			return err
		}},
		"deploys.restart": {m, func(b *box, ac model.Actor, org string) error {
			_, err := b.Deploys.Restart(ctx(), ac, shop(org), DeployOptions{})
			return err
		}},
		"releases.list": {m, func(b *box, ac model.Actor, org string) error {
			_, err := b.Releases.List(ctx(), ac, shop(org), Page{})
			return err
		}},
		"releases.get": {m, func(b *box, ac model.Actor, org string) error {
			_, err := b.Releases.Get(ctx(), ac, shop(org), 1)
			return err
		}},
		"scale.set": {m, func(b *box, ac model.Actor, org string) error {
			_, err := b.Scale.Set(ctx(), ac, shop(org), map[string]model.Scale{"web": {MilliCPU: 100}})
			return err
		}},
		"variables.list": {m, func(b *box, ac model.Actor, org string) error {
			_, err := b.Variables.List(ctx(), ac, shop(org))
			return err
		}},
		"variables.set": {m, func(b *box, ac model.Actor, org string) error {
			_, err := b.Variables.Set(ctx(), ac, shop(org), VariableChange{Set: map[string]string{"A": ac.ID}})
			return err
		}},
		"domains.list": {m, func(b *box, ac model.Actor, org string) error {
			_, err := b.Domains.List(ctx(), ac, shop(org))
			return err
		}},
		"domains.add": {m, func(b *box, ac model.Actor, org string) error {
			_, err := b.Domains.Add(ctx(), ac, shop(org), "new.example.com", "")
			return err
		}},
		"domains.remove": {m, func(b *box, ac model.Actor, org string) error {
			return b.Domains.Remove(ctx(), ac, shop(org), "shop.example.com")
		}},
		"domains.cert": {a, func(b *box, ac model.Actor, org string) error {
			cert, key := selfSigned(b.t, b.now(), "shop.example.com")
			_, err := b.Domains.SetCertificate(ctx(), ac, shop(org), "shop.example.com", cert, key)
			return err
		}},
		"workloads.status": {m, func(b *box, ac model.Actor, org string) error {
			_, err := b.Workloads.Status(ctx(), ac, shop(org))
			return err
		}},
		"workloads.list": {m, func(b *box, ac model.Actor, org string) error {
			_, err := b.Workloads.List(ctx(), ac, org, Page{})
			return err
		}},
		"logs.read": {m, func(b *box, ac model.Actor, org string) error {
			return b.Logs.Read(ctx(), ac, shop(org), model.LogQuery{}, func(model.LogLine) error { return nil })
		}},
		"exec.exec": {m, func(b *box, ac model.Actor, org string) error {
			_, err := b.Exec.Exec(ctx(), ac, shop(org), "", 0, model.ExecSpec{Command: []string{"sh"}})
			return err
		}},
		"exec.run": {m, func(b *box, ac model.Actor, org string) error {
			_, err := b.Exec.Run(ctx(), ac, shop(org), model.ExecSpec{Command: []string{"sh"}})
			return err
		}},
		"events.stream": {m, func(b *box, ac model.Actor, org string) error {
			stop := errors.New("enough")
			err := b.Events.Stream(ctx(), ac, org, 0, func(model.Event) error { return stop })
			if errors.Is(err, stop) {
				return nil
			}
			return err
		}},
		"audit.list": {a, func(b *box, ac model.Actor, org string) error {
			_, err := b.Audit.List(ctx(), ac, org, Page{})
			return err
		}},
		"tokens.list": {a, func(b *box, ac model.Actor, org string) error {
			_, err := b.Tokens.List(ctx(), ac, org, Page{})
			return err
		}},
		"tokens.create": {a, func(b *box, ac model.Actor, org string) error {
			_, _, err := b.Tokens.Create(ctx(), ac, org, NewToken{Name: "x"})
			return err
		}},
		"tokens.create admin": {a, func(b *box, ac model.Actor, org string) error {
			_, _, err := b.Tokens.Create(ctx(), ac, org, NewToken{Name: "x", Role: a})
			return err
		}},
		"tokens.create owner": {o, func(b *box, ac model.Actor, org string) error {
			_, _, err := b.Tokens.Create(ctx(), ac, org, NewToken{Name: "x", Role: o})
			return err
		}},
		"tokens.revoke": {a, func(b *box, ac model.Actor, org string) error {
			return b.Tokens.Revoke(ctx(), ac, org, b.parts.execs[2])
		}},
		"tokens.revoke owner": {o, func(b *box, ac model.Actor, org string) error {
			return b.Tokens.Revoke(ctx(), ac, org, b.parts.execs[3])
		}},
		"box.doctor":   {a, func(b *box, ac model.Actor, _ string) error { _, err := b.Box.Doctor(ctx(), ac); return err }},
		"box.backup":   {o, func(b *box, ac model.Actor, _ string) error { return b.Box.Backup(ctx(), ac, io.Discard) }},
		"box.info":     {"", func(b *box, ac model.Actor, _ string) error { _, err := b.Box.Info(ctx(), ac); return err }},
		"box.rotate":   {o, func(b *box, ac model.Actor, _ string) error { return b.Box.RotateKey(ctx(), ac) }},
		"box.newclaim": {"root", func(b *box, ac model.Actor, _ string) error { _, err := b.Box.NewClaim(ctx(), ac); return err }},
	}
}

// furnish makes what calls works on in the default org.
func (b *box) furnish() {
	b.t.Helper()
	first := b.deploy("shop", "1")
	b.settle(first.WorkloadID, true)
	if _, err := b.Domains.Add(b.t.Context(), root, Ref{App: "shop"}, "shop.example.com", ""); err != nil {
		b.t.Fatal(err)
	}
	st := model.WorkloadStatus{State: model.WorkloadRunning, Serving: first.Target, Replicas: []model.ReplicaStatus{
		{Name: "c1", Replica: model.Replica{Process: "web", Index: 1}, State: model.ReplicaHealthy},
	}}
	if err := b.store.Record(b.t.Context(), []model.WorkloadUpdate{{WorkloadID: first.WorkloadID, Status: &st}}); err != nil {
		b.t.Fatal(err)
	}
	b.load(b.deployFunction("api", model.Function{}))
	if err := b.KV.Put(b.t.Context(), root, Ref{App: "shop"}, "kept", []byte("value"), 0); err != nil {
		b.t.Fatal(err)
	}
	second := b.deploy("shop", "2")
	member, _, err := b.Tokens.Create(b.t.Context(), root, "", NewToken{Name: "m"})
	if err != nil {
		b.t.Fatal(err)
	}
	owner, _, err := b.Tokens.Create(b.t.Context(), root, "", NewToken{Name: "o", Role: model.RoleOwner})
	if err != nil {
		b.t.Fatal(err)
	}
	b.parts.execs = []string{first.ID, second.ID, member.ID, owner.ID}
}

func TestWhoMayDoWhat(t *testing.T) {
	if n := len(calls()); n < len(identity.Permissions()) {
		t.Fatalf("%d calls for %d permissions", n, len(identity.Permissions()))
	}
	for name, c := range calls() {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			b.furnish()
			stranger := b.org("other", model.RoleOwner)
			before := b.dump()
			wantKind(t, c.do(b, nobody, ""), model.KindUnauthenticated)
			wantKind(t, c.do(b, model.Actor{Name: "no id", Roles: b.everyRole()}, ""), model.KindUnauthenticated)
			switch err := c.do(b, stranger, ""); {
			case c.least == "":
				if err != nil {
					t.Errorf("a stranger: %v", err)
				}
			case strings.HasPrefix(name, "box."):
				wantKind(t, err, model.KindForbidden)
			default:
				wantKind(t, err, model.KindNotFound)
				// The same words as for an org that does not exist.
				if gone := c.do(b, stranger, "no-such-org"); gone.Error() != err.Error() {
					t.Errorf("a stranger is told %q, and of an org that is not there %q", err, gone)
				}
			}
			roles := []model.RoleName{model.RoleMember, model.RoleAdmin, model.RoleOwner}
			var actors []model.Actor
			for _, role := range roles {
				actors = append(actors, model.Actor{ID: "token-" + string(role), Roles: map[string]model.RoleName{b.defaultOrg(): role}})
			}
			for i, actor := range actors {
				if c.least == "root" || (c.least != "" && !identity.AtLeast(roles[i], c.least)) {
					wantKind(t, c.do(b, actor, ""), model.KindForbidden)
				}
			}
			if name != "box.info" && b.dump() != before {
				t.Error("somebody who was refused changed something")
			}
			allowed := root
			if i := slices.Index(roles, c.least); i >= 0 {
				allowed = actors[i]
			}
			if err := c.do(b, allowed, ""); err != nil {
				t.Errorf("%s %s: %v", allowed.ID, name, err)
			}
		})
	}
}

func (b *box) defaultOrg() string {
	b.t.Helper()
	var id string
	err := b.store.View(b.t.Context(), func(tx *store.Tx) error {
		o, err := tx.OrgNamed(model.DefaultOrg)
		id = o.ID
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return id
}

func (b *box) everyRole() map[string]model.RoleName {
	return map[string]model.RoleName{b.defaultOrg(): model.RoleOwner}
}

// dump is a text that differs when anything in the store that a use case could change differs.
func (b *box) dump() string {
	b.t.Helper()
	d, err := b.store.Desired(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	tokens, err := b.Tokens.List(b.t.Context(), root, "", Page{})
	if err != nil {
		b.t.Fatal(err)
	}
	return fmt.Sprintf("%d audit events, %+v, %+v", len(b.actions()), tokens.Items, jsonText(b.t, d))
}

func TestNew(t *testing.T) {
	b := newBox(t)
	b.deploy("shop", "1")
	if _, err := b.Variables.Set(t.Context(), root, Ref{App: "shop"}, VariableChange{Set: map[string]string{"A": "1"}}); err != nil {
		t.Fatal(err)
	}
	b.stop()
	b.start() // the same key opens again
	w := b.status("shop")
	if env, err := b.Environ(t.Context(), w.Workload.ID, w.Workload.ConfigVersion); err != nil || !slices.Equal(env, []string{"A=1"}) {
		t.Fatalf("%q, %v", env, err)
	}
	key := KeyFile(b.dir)
	good, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	_, err = New(t.Context(), b.config())
	wantKind(t, err, model.KindInternal)
	if _, err := os.Stat(key); err == nil {
		t.Error("a new key was made for a store that has one")
	}
	other := newBox(t)
	foreign, err := os.ReadFile(KeyFile(other.dir))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, foreign, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = New(t.Context(), b.config())
	if e := told(t, err, model.KindInternal); !strings.Contains(e.What, "does not belong") {
		t.Errorf("got %v", e)
	}
	if err := os.WriteFile(key, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(t.Context(), b.config()); err != nil {
		t.Error(err)
	}
	for name, edit := range map[string]func(*Config){
		"no domain": func(c *Config) { c.BaseDomain = "" }, "odd domain": func(c *Config) { c.BaseDomain = "box" },
		"no URL": func(c *Config) { c.URL = "" }, "odd URL": func(c *Config) { c.URL = base },
	} {
		c := b.config()
		edit(&c)
		if _, err := New(t.Context(), c); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestSecretsAreNowhereInTheFiles(t *testing.T) {
	b := newBox(t)
	const secret, plain = "sk_live_0123456789", "plain-0123456789"
	ref := Ref{App: "shop"}
	_, err := b.Deploys.Create(t.Context(), root, ref, NewDeploy{
		Image: image("1"), Variables: map[string]string{"KEY": secret, "LEVEL": plain}, Secrets: []string{"KEY"}, IdempotencyKey: "k",
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Variables.Set(t.Context(), root, ref, VariableChange{Set: map[string]string{"KEY2": secret}}); err != nil {
		t.Fatal(err)
	}
	_, token, err := b.Tokens.Create(t.Context(), root, "", NewToken{Name: "ci", IdempotencyKey: "k"})
	if err != nil {
		t.Fatal(err)
	}
	claim, err := b.Box.NewClaim(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	b.stop()
	err = filepath.WalkDir(b.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		for _, s := range []string{secret, plain, token, claim.Secret} {
			if strings.Contains(string(raw), s) {
				t.Errorf("%s holds %q", path, s)
			}
		}
		if info, err := d.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", path, info.Mode(), err)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
