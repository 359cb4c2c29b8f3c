package control

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// functionHost stands for pkg/edge.
type functionHost struct {
	bundles map[string]model.Bundle
	asked   []string
}

var _ FunctionHost = (*functionHost)(nil)

func (h *functionHost) Import(_ context.Context, r io.Reader) (model.Bundle, error) {
	raw, err := io.ReadAll(r)
	b := model.Bundle{Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(raw)), Size: int64(len(raw)), Runtime: model.RuntimeJS}
	if h.bundles == nil {
		h.bundles = map[string]model.Bundle{}
	}
	h.bundles[b.Digest] = b
	return b, err
}

func (h *functionHost) Bundle(_ context.Context, digest string) (model.Bundle, error) {
	if b, ok := h.bundles[digest]; ok {
		return b, nil
	}
	return model.Bundle{}, model.NotFound("no such bundle")
}

func (h *functionHost) Invoke(_ context.Context, name string, r *http.Request) (*http.Response, error) {
	h.asked = append(h.asked, name+" "+r.URL.String())
	return &http.Response{StatusCode: http.StatusTeapot, Body: http.NoBody}, nil
}

func (h *functionHost) Scheduled(_ context.Context, name string, e model.ScheduledEvent) error {
	h.asked = append(h.asked, name+" at "+e.Cron)
	return nil
}

// function uploads code and returns f with its digest and runtime.
func (b *box) function(code string, f model.Function) *model.Function {
	b.t.Helper()
	up, err := b.Functions.Import(b.t.Context(), root, "", strings.NewReader(code))
	if err != nil {
		b.t.Fatal(err)
	}
	f.Digest, f.Runtime = up.Digest, up.Runtime
	return &f
}

func (b *box) deployFunction(app string, f model.Function) Deploy {
	b.t.Helper()
	d, err := b.Deploys.Create(b.t.Context(), root, Ref{App: app}, NewDeploy{Function: b.function("code of "+app, f)})
	if err != nil {
		b.t.Fatal(err)
	}
	return d
}

// load does what the reconciler would: the deploy's function is loaded and serves.
func (b *box) load(d Deploy) {
	b.t.Helper()
	b.settle(d.WorkloadID, true)
	r := model.Replica{Role: model.RoleReplica, WorkloadID: d.WorkloadID, ReleaseID: d.Target.ReleaseID, Release: d.Release, Generation: d.Target.Generation, Process: "web", Index: 1}
	st := model.WorkloadStatus{State: model.WorkloadRunning, Serving: d.Target, Replicas: []model.ReplicaStatus{{Name: r.Name(), Replica: r, State: model.ReplicaHealthy}}}
	if err := b.store.Record(b.t.Context(), []model.WorkloadUpdate{{WorkloadID: d.WorkloadID, Status: &st}}); err != nil {
		b.t.Fatal(err)
	}
}

func TestDeployOfAFunction(t *testing.T) {
	b := newBox(t)
	b.settle(b.deploy("shop", "1").WorkloadID, true)
	d := b.deployFunction("api", model.Function{On: "shop", Routes: []string{"/api/*"}})
	w := b.status("api")
	if w.App.Kind != model.KindFunction || w.Project != "shop" || w.URL != "https://api."+base || w.Want.Function.Size != int64(len("code of api")) {
		t.Errorf("it is %+v, %+v", w.App, w.Want.Function)
	}
	if w.Want.Description != "Deploy js function "+w.Want.Function.Digest[7:19] || d.Release != 1 {
		t.Errorf("it is called %q, v%d", w.Want.Description, d.Release)
	}
	if !slices.ContainsFunc(w.On["shop"], func(d model.Domain) bool { return d.Host == "shop."+base }) {
		t.Errorf("it is on %v", w.On)
	}
	b.load(d)

	// A new variable makes a release of the same code; going back brings the old one.
	changed, err := b.Variables.Set(t.Context(), root, Ref{App: "api"}, VariableChange{Set: map[string]string{"A": "1"}})
	if err != nil || changed.Deploy == nil {
		t.Fatal(changed, err)
	}
	if w := b.status("api"); w.WantNumber != 2 || w.Want.Function == nil || w.Want.Function.On != "shop" {
		t.Errorf("with a variable it is %+v", w.Want)
	}
	b.load(*changed.Deploy)
	if back, err := b.Deploys.Rollback(t.Context(), root, Ref{App: "api"}, 0, DeployOptions{}); err != nil || back.Release != 1 {
		t.Errorf("back to v%d, %v", back.Release, err)
	}
	if again, err := b.Deploys.Restart(t.Context(), root, Ref{App: "api"}, DeployOptions{}); err != nil || again.Target.Generation < 2 {
		t.Errorf("restarted as %+v, %v", again.Target, err)
	}
}

func TestFunctionsThatAreRefused(t *testing.T) {
	b := newBox(t)
	b.settle(b.deploy("shop", "1").WorkloadID, true)
	b.deployFunction("api", model.Function{On: "shop", Routes: []string{"/api/*"}})
	if _, err := b.Deploys.Create(t.Context(), root, Ref{App: "elsewhere"}, NewDeploy{Image: image("1"), Project: "other"}); err != nil {
		t.Fatal(err)
	}
	f := b.function("code", model.Function{})
	change := func(edit func(*model.Function)) *model.Function { c := *f; edit(&c); return &c }
	on := func(app string, routes ...string) *model.Function {
		return change(func(f *model.Function) { f.On, f.Routes = app, routes })
	}
	fresh := Ref{App: "fresh"}
	for name, c := range map[string]struct {
		ref  Ref
		n    NewDeploy
		kind model.Kind
		says string
	}{
		"no code":             {fresh, NewDeploy{Kind: model.KindFunction}, model.KindInvalid, "no code"},
		"another kind":        {fresh, NewDeploy{Kind: model.KindWorker, Function: f}, model.KindInvalid, "no image is named"},
		"an image too":        {fresh, NewDeploy{Function: f, Image: image("1")}, model.KindInvalid, "runs no image"},
		"processes":           {fresh, NewDeploy{Function: f, Processes: []model.Process{{Name: "web"}}}, model.KindInvalid, "no processes"},
		"scale":               {fresh, NewDeploy{Function: f, Scale: map[string]model.Scale{"web": {MilliCPU: 100}}}, model.KindInvalid, "no scale"},
		"volumes":             {fresh, NewDeploy{Function: f, Volumes: []model.Mount{{Volume: "data", Path: "/data"}}}, model.KindInvalid, "env.KV"},
		"unknown code":        {fresh, NewDeploy{Function: change(func(f *model.Function) { f.Digest = "sha256:" + strings.Repeat("0", 64) })}, model.KindInvalid, "not on this box"},
		"other runtime":       {fresh, NewDeploy{Function: change(func(f *model.Function) { f.Runtime = model.RuntimeWAGI })}, model.KindInvalid, "is for js"},
		"bad limits":          {fresh, NewDeploy{Function: change(func(f *model.Function) { f.Limits.Memory = 1 })}, model.KindInvalid, "limits.memory"},
		"a route twice":       {fresh, NewDeploy{Function: on("shop", "/x", "/x")}, model.KindInvalid, "twice"},
		"on nothing":          {fresh, NewDeploy{Function: on("shpo", "/x")}, model.KindNotFound, "no such app"},
		"on itself":           {fresh, NewDeploy{Function: on("fresh", "/x")}, model.KindNotFound, "no such app"},
		"on a function":       {fresh, NewDeploy{Function: on("api", "/x")}, model.KindInvalid, "function itself"},
		"not there":           {Ref{App: "fresh", Env: "staging"}, NewDeploy{Function: on("shop", "/x")}, model.KindNotFound, "does not run in staging"},
		"other project":       {fresh, NewDeploy{Function: on("shop", "/x"), Project: "other"}, model.KindInvalid, "belongs to the project shop"},
		"in another project":  {Ref{App: "api"}, NewDeploy{Function: on("elsewhere", "/x")}, model.KindConflict, "different projects"},
		"taken path":          {fresh, NewDeploy{Function: on("shop", "/y", "/api/*")}, model.KindConflict, "/api/* on shop is a route of api"},
		"a container's":       {Ref{App: "shop"}, NewDeploy{Function: f}, model.KindConflict, "cannot become"},
		"a function's, image": {Ref{App: "api"}, NewDeploy{Image: image("1")}, model.KindConflict, "cannot become"},
		"a function's, web":   {Ref{App: "api"}, NewDeploy{Image: image("1"), Kind: model.KindWeb}, model.KindConflict, "cannot become"},
	} {
		_, err := b.Deploys.Create(t.Context(), root, c.ref, c.n)
		e := told(t, err, c.kind)
		if e == nil || e.Hint == "" || !strings.Contains(e.Error()+" "+e.Hint, c.says) {
			t.Errorf("%s: %v does not say %q, or has no hint", name, e, c.says)
		}
	}
	for what, err := range map[string]error{
		"scale": func() error {
			_, err := b.Scale.Set(t.Context(), root, Ref{App: "api"}, map[string]model.Scale{"web": {MilliCPU: 1}})
			return err
		}(),
		"exec": func() error {
			_, err := b.Exec.Exec(t.Context(), root, Ref{App: "api"}, "", 0, model.ExecSpec{Command: []string{"sh"}})
			return err
		}(),
		"run": func() error {
			_, err := b.Exec.Run(t.Context(), root, Ref{App: "api"}, model.ExecSpec{Command: []string{"sh"}})
			return err
		}(),
	} {
		if e := told(t, err, model.KindInvalid); !strings.Contains(e.What, "api is a function") || e.Hint == "" {
			t.Errorf("%s: %v", what, e)
		}
	}
}

// TestAVariableBeforeTheFirstDeploy makes the app; what kind it is shows with its first release.
func TestAVariableBeforeTheFirstDeploy(t *testing.T) {
	b := newBox(t)
	if _, err := b.Variables.Set(t.Context(), root, Ref{App: "api"}, VariableChange{Set: map[string]string{"A": "1"}}); err != nil {
		t.Fatal(err)
	}
	b.deployFunction("api", model.Function{})
	if w := b.status("api"); w.App.Kind != model.KindFunction || w.Workload.ConfigVersion != 1 {
		t.Errorf("it is %+v", w.App)
	}
}

// TestARequiredVariableOfAFunctionOnAnApp is set before the first deploy, which then comes into the project of that app.
func TestARequiredVariableOfAFunctionOnAnApp(t *testing.T) {
	b := newBox(t)
	b.settle(b.deploy("shop", "1").WorkloadID, true)
	ref := Ref{App: "api"}
	n := NewDeploy{Function: b.function("code", model.Function{On: "shop", Routes: []string{"/api/*"}}), Required: []string{"KEY"}}
	_, err := b.Deploys.Create(t.Context(), root, ref, n)
	_ = told(t, err, model.KindInvalid)
	for _, r := range []Ref{ref, {App: "api", Env: "staging"}} {
		if _, err := b.Variables.Set(t.Context(), root, r, VariableChange{Set: map[string]string{"KEY": "1"}, Secrets: []string{"KEY"}}); err != nil {
			t.Fatal(err)
		}
	}
	before := b.status("api")
	if before.Project != "api" {
		t.Fatalf("it is in %s", before.Project)
	}
	if _, err := b.Deploys.Create(t.Context(), root, ref, n); err != nil {
		t.Fatal(err)
	}
	after := b.status("api")
	if after.Project != "shop" || after.Workload.ID != before.Workload.ID || after.Env.ID != b.status("shop").Env.ID || after.On["shop"] == nil {
		t.Errorf("it is %+v in %s", after.Workload, after.Project)
	}
	if env, err := b.Environ(t.Context(), after.Workload.ID, after.Workload.ConfigVersion); err != nil || !slices.Equal(env, []string{"KEY=1"}) {
		t.Errorf("its variables are %q, %v", env, err)
	}
	err = b.store.View(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.ProjectNamed(after.Workload.OrgID, "api"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the project it left: %v", err)
		}
		_, err := tx.Environment(before.Env.ID)
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the environment it left: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestRollbackToATakenPath(t *testing.T) {
	b := newBox(t)
	b.settle(b.deploy("shop", "1").WorkloadID, true)
	b.load(b.deployFunction("api", model.Function{On: "shop", Routes: []string{"/api/*"}}))
	b.load(b.deployFunction("api", model.Function{On: "shop", Routes: []string{"/v2/*"}}))
	b.load(b.deployFunction("rival", model.Function{On: "shop", Routes: []string{"/api/*"}}))
	_, err := b.Deploys.Rollback(t.Context(), root, Ref{App: "api"}, 1, DeployOptions{})
	if e := told(t, err, model.KindConflict); !strings.Contains(e.What, "route of rival") {
		t.Error(e)
	}
}

func TestInvoke(t *testing.T) {
	b := newBox(t)
	b.settle(b.deploy("shop", "1").WorkloadID, true)
	ask := func(app, target string) (*http.Response, error) {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		r.Host, r.URL.Host = "", ""
		return b.Functions.Invoke(t.Context(), root, Ref{App: app}, r)
	}
	d := b.deployFunction("api", model.Function{})
	_, err := ask("api", "/x")
	wantKind(t, err, model.KindUnavailable)
	_, err = ask("shop", "/x")
	wantKind(t, err, model.KindInvalid)
	_, err = ask("none", "/x")
	wantKind(t, err, model.KindNotFound)
	b.load(d)
	if res, err := ask("api", "/x?y=z"); err != nil || res.StatusCode != http.StatusTeapot {
		t.Fatal(res, err)
	}
	if want := d.WorkloadID + "-v1-g1-web-1 https://api." + base + "/x?y=z"; !slices.Equal(b.host.asked, []string{want}) {
		t.Errorf("asked %q, want %q", b.host.asked, want)
	}
}

func TestKV(t *testing.T) {
	b := newBox(t)
	b.deploy("shop", "1")
	if _, err := b.Deploys.Create(t.Context(), root, Ref{App: "shop", Env: "staging"}, NewDeploy{Image: image("1")}); err != nil {
		t.Fatal(err)
	}
	ref := Ref{App: "shop"}
	for _, key := range []string{"b", "a/1", "a/2", "a/3"} {
		if err := b.KV.Put(t.Context(), root, ref, key, []byte("value of "+key), 0); err != nil {
			t.Fatal(err)
		}
	}
	if v, err := b.KV.Get(t.Context(), root, ref, "a/2"); err != nil || string(v) != "value of a/2" {
		t.Errorf("%q, %v", v, err)
	}
	_, err := b.KV.Get(t.Context(), root, Ref{App: "shop", Env: "staging"}, "a/2")
	wantKind(t, err, model.KindNotFound)
	first, err := b.KV.List(t.Context(), root, ref, "a/", Page{Limit: 2})
	if err != nil || len(first.Items) != 2 || first.Next == "" {
		t.Fatal(first, err)
	}
	second, err := b.KV.List(t.Context(), root, ref, "a/", Page{Limit: 2, After: first.Next})
	if err != nil || len(second.Items) != 1 || second.Items[0].Name != "a/3" || second.Next != "" {
		t.Fatal(second, err)
	}
	if err := b.KV.Delete(t.Context(), root, ref, "a/2"); err != nil {
		t.Fatal(err)
	}
	_, err = b.KV.Get(t.Context(), root, ref, "a/2")
	wantKind(t, err, model.KindNotFound)
	wantKind(t, b.KV.Put(t.Context(), root, ref, "", nil, 0), model.KindInvalid)
	wantKind(t, b.KV.Put(t.Context(), root, ref, "k", nil, -1), model.KindInvalid)
	wantKind(t, b.KV.Put(t.Context(), root, ref, "k", make([]byte, MaxKVValue+1), 0), model.KindTooLarge)
}

// TestABackupHoldsFunctions restores code and keys on a fresh box, and a backup without them on one that has some.
func TestABackupHoldsFunctions(t *testing.T) {
	b := newBox(t)
	ref := Ref{App: "api"}
	b.deployFunction("api", model.Function{})
	if err := b.KV.Put(t.Context(), root, ref, "key", []byte("value"), 0); err != nil {
		t.Fatal(err)
	}
	bundles := filepath.Join(b.dir, bundlesDir)
	if err := os.MkdirAll(bundles, 0o700); err != nil {
		t.Fatal(err)
	}
	code := []byte("code of api")
	name := fmt.Sprintf("%x", sha256.Sum256(code))
	for file, content := range map[string][]byte{name: code, ".half-1": []byte("half")} {
		if err := os.WriteFile(filepath.Join(bundles, file), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var file bytes.Buffer
	if err := b.Box.Backup(t.Context(), root, &file); err != nil {
		t.Fatal(err)
	}
	fresh := &box{t: t, dir: t.TempDir() + "/data", parts: &parts{}}
	if err := Restore(t.Context(), fresh.dir, bytes.NewReader(file.Bytes())); err != nil {
		t.Fatal(err)
	}
	fresh.start()
	if got, err := os.ReadFile(filepath.Join(fresh.dir, bundlesDir, name)); err != nil || !bytes.Equal(got, code) {
		t.Errorf("the code is %q, %v", got, err)
	}
	if v, err := fresh.KV.Get(t.Context(), root, ref, "key"); err != nil || string(v) != "value" {
		t.Errorf("the value is %q, %v", v, err)
	}

	// What an older pandabox wrote: no key-value store, no bundles, format 1.
	old := editBackup(t, file.Bytes(), func(n string, c []byte) (string, []byte) {
		switch {
		case n == kvName || strings.HasPrefix(n, bundlesDir+"/"):
			n = ""
		case n == manifestFile:
			c = []byte(`{"format":1}`)
		case n == sumsFile:
			c = []byte(strings.Join(slices.Collect(strings.Lines(string(c)))[:2], ""))
		}
		return n, c
	})
	fresh.stop()
	if err := Restore(t.Context(), fresh.dir, bytes.NewReader(old)); err != nil {
		t.Fatal(err)
	}
	fresh.start()
	if v, err := fresh.KV.Get(t.Context(), root, ref, "key"); err != nil || string(v) != "value" {
		t.Errorf("after an old backup the value is %q, %v", v, err)
	}
	fresh.stop()

	// A bundle that is not what its name says is refused.
	lie := editBackup(t, file.Bytes(), func(n string, c []byte) (string, []byte) {
		if strings.HasPrefix(n, bundlesDir+"/") {
			c = []byte("other code")
		}
		return n, c
	})
	_ = told(t, Restore(t.Context(), fresh.dir, bytes.NewReader(lie)), model.KindInvalid)
}
