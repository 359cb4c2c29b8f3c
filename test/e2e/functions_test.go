package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/edge/bundle"
	"github.com/pandabox/pandabox/pkg/model"
)

// function bundles and uploads a module, and returns a deploy of it.
func (w *world) function(script string, change ...func(*model.Function)) api.NewDeploy {
	w.Helper()
	dir := w.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "index.js"), []byte(script), 0o600); err != nil {
		w.Fatal(err)
	}
	b, err := bundle.Build(w.Context(), dir, bundle.Options{})
	if err != nil {
		w.Fatal(err)
	}
	var tar bytes.Buffer
	if err := b.Write(&tar); err != nil {
		w.Fatal(err)
	}
	up, err := w.api.ImportFunction(w.Context(), &tar)
	if err != nil {
		w.Fatal(err)
	}
	f := model.Function{Digest: up.Digest, Runtime: up.Runtime}
	for _, edit := range change {
		edit(&f)
	}
	return api.NewDeploy{Function: &f}
}

// onWeb puts a function on paths of the app web.
func onWeb(middleware bool, routes ...string) func(*model.Function) {
	return func(f *model.Function) { f.On, f.Routes, f.Middleware = "web", routes, middleware }
}

const greeter = `export default {
  async fetch(request, env) {
    const url = new URL(request.url)
    console.log("asked for", url.pathname)
    if (url.pathname === "/count") {
      const n = Number(await env.KV.get("n") ?? 0) + 1
      await env.KV.put("n", String(n))
      return new Response(String(n))
    }
    if (url.pathname === "/neighbour") return fetch("http://web.internal/")
    return new Response(VERSION + " " + env.GREETING + " to " + request.headers.get("X-Forwarded-For"))
  }
}`

func greeting(version string) string {
	return strings.ReplaceAll(greeter, "VERSION", fmt.Sprintf("%q", version))
}

// TestFunctions deploys a function and does with it what is done with apps.
func TestFunctions(t *testing.T) {
	w := start(t)
	n := w.function(greeting("v1"))
	n.Variables = map[string]string{"GREETING": "hello"}
	d := w.succeed("api", n)
	var phases []string
	for _, p := range d.Phases {
		phases = append(phases, string(p.State)+" "+p.Detail)
	}
	if got := strings.Join(phases, "; "); !strings.HasPrefix(got, "starting js, ") || !strings.HasSuffix(got, " MB snapshot; draining ") {
		t.Errorf("phases are %q", got)
	}
	w.answers("api", "/", "v1 hello to 127.0.0.1")
	w.answers("api", "/count", "1")
	w.answers("api", "/count", "2")

	// Variables make a release, as for any app.
	if _, err := w.api.SetVariables(t.Context(), ref("api"), api.VariableChange{Set: map[string]string{"GREETING": "good day"}}); err != nil {
		t.Fatal(err)
	}
	w.eventually("the new greeting", func() bool {
		_, body, err := w.get("api", "/")
		return err == nil && body == "v1 good day to 127.0.0.1"
	})

	// What it prints is its log.
	w.eventually("its log", func() bool { return strings.Contains(w.cli(0, "logs", "-a", "api").Out, "asked for /count") })

	// Code that throws at its top level changes nothing.
	bad := w.deploy("api", w.function("export default { fetch() {} }\nundefinedThing()"))
	if bad.State != model.DeployRolledBack || !strings.Contains(bad.Error.Error(), "undefinedThing") || bad.Error.Hint == "" {
		t.Errorf("bad code ended %s: %v", bad.State, bad.Error)
	}
	if took := bad.FinishedAt.Sub(bad.CreatedAt); took.Seconds() > 10 {
		t.Errorf("it took %s to see that", took)
	}
	w.answers("api", "/", "v1 good day to 127.0.0.1")

	// The next release, and back.
	w.succeed("api", w.function(greeting("v2")))
	w.answers("api", "/", "v2 good day to 127.0.0.1")
	back, err := w.api.Rollback(t.Context(), ref("api"), api.Rollback{})
	if err != nil {
		t.Fatal(err)
	}
	if back = w.outcome("api", back.ID); back.State != model.DeploySucceeded {
		t.Fatalf("rolling back ended %s: %v", back.State, back.Error)
	}
	w.answers("api", "/", "v1 good day to 127.0.0.1")

	// Past domains and routes, with the token of a member.
	res, err := w.api.Invoke(t.Context(), ref("api"), api.Invocation{Path: "/count"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil || res.StatusCode != http.StatusOK || string(body) != "3" {
		t.Errorf("invoked: %d %q %v", res.StatusCode, body, err)
	}

	if s := w.status("api"); s.State != model.WorkloadRunning || len(s.Replicas) != 1 {
		t.Errorf("its status is %+v", s)
	}
	for _, args := range [][]string{{"scale", "web=2", "-a", "api"}, {"exec", "-a", "api", "--", "sh"}, {"run", "-a", "api", "--", "sh"}} {
		if r := w.box.Run(t.Context(), args...); r.Code == 0 || !strings.Contains(r.Err, "api is a function") {
			t.Errorf("%v: exit %d, %s", args, r.Code, r.Err)
		}
	}

	// Destroyed, nothing of it is left.
	if err := w.api.DestroyApp(t.Context(), "api"); err != nil {
		t.Fatal(err)
	}
	w.eventually("the end of it", func() bool { code, _, err := w.get("api", "/"); return err != nil || code == http.StatusNotFound })
	w.eventually("its files to go", func() bool { return len(w.loaded()) == 0 })
	w.eventually("its logs to go", func() bool {
		left, err := filepath.Glob(filepath.Join(w.box.DataDir, "logs", "*"))
		return err == nil && len(left) == 0
	})
}

// loaded returns what is on the disk of loaded functions.
func (w *world) loaded() []string {
	w.Helper()
	all, err := filepath.Glob(filepath.Join(w.box.DataDir, "functions", "[^.]*"))
	if err != nil {
		w.Fatal(err)
	}
	return all
}

// TestFunctionsOnAnApp puts functions on paths of a container app, as its own answer and in front of it.
func TestFunctionsOnAnApp(t *testing.T) {
	w := start(t)
	w.succeed("web", vars(w.image(), "VERSION=1"))
	n := w.function(greeting("f1"), onWeb(false, "/api/*"))
	n.Variables = map[string]string{"GREETING": "hello"}
	w.succeed("api", n)
	w.answers("web", "/api/x", "f1 hello to 127.0.0.1")
	w.answers("web", "/", "web 1")
	w.answers("api", "/neighbour", "web 1") // web.internal, in the same environment

	guard := `export default { async fetch(request, env, { next }) {
	  if (!request.headers.get("authorization")) return new Response("who are you?", { status: 401 })
	  const response = await next(request)
	  return new Response("guarded: " + await response.text(), response)
	} }`
	w.succeed("guard", w.function(guard, onWeb(true, "/env/*")))
	for _, path := range []string{"/env/VERSION", "/x/../env/VERSION", "/env%2fVERSION", "//env/VERSION"} {
		if code, body, err := w.get("web", path); err != nil || code != http.StatusUnauthorized || body != "who are you?" {
			t.Errorf("%s: %d %q %v", path, code, body, err)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+host("web")+"/env/VERSION", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "me")
	res, err := w.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil || res.StatusCode != http.StatusOK || string(body) != "guarded: 1" {
		t.Errorf("behind the guard: %d %q %v", res.StatusCode, body, err)
	}

	if _, err := w.api.CreateDeploy(t.Context(), ref("rival"), w.function(greeting("r"), onWeb(false, "/api/*"))); model.KindOf(err) != model.KindConflict {
		t.Errorf("a path that is taken: %v", err)
	}

	// New code while requests come: each is answered by one or the other.
	stop, done := make(chan struct{}), make(chan struct{})
	var asked, failed atomic.Int64
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			asked.Add(1)
			if code, body, err := w.get("web", "/api/x"); err != nil || code != http.StatusOK || !strings.HasSuffix(body, "hello to 127.0.0.1") {
				failed.Add(1)
			}
		}
	}()
	for i := 2; i <= 4; i++ {
		w.succeed("api", w.function(greeting(fmt.Sprint("f", i)), onWeb(false, "/api/*")))
		w.answers("web", "/api/x", fmt.Sprintf("f%d hello to 127.0.0.1", i))
	}
	close(stop)
	<-done
	if failed.Load() > 0 || asked.Load() < 10 {
		t.Errorf("%d of %d requests failed", failed.Load(), asked.Load())
	}

	// The app goes: its paths go with it, the function stays on its own domain.
	if err := w.api.DestroyApp(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	w.eventually("the end of web", func() bool { code, _, err := w.get("web", "/api/x"); return err != nil || code == http.StatusNotFound })
	w.answers("api", "/", "f4 hello to 127.0.0.1")
}

// TestDaemonKilledUnderFunctions kills the daemon while a function is asked, again and again.
func TestDaemonKilledUnderFunctions(t *testing.T) {
	w := start(t)
	n := w.function(greeting("v1"))
	n.Variables = map[string]string{"GREETING": "hello"}
	w.succeed("api", n)
	w.answers("api", "/", "v1 hello to 127.0.0.1")
	before := w.loaded()
	for i := range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			for ctx.Err() == nil {
				_, _, _ = w.get("api", "/count") // fails while the daemon is away
			}
		}()
		if err := w.box.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if err := w.box.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if code, body, err := w.get("api", "/"); err != nil || code != http.StatusOK || body != "v1 hello to 127.0.0.1" {
			t.Errorf("first request after restart %d: %d %q %v", i, code, body, err)
		}
		cancel()
		<-done
	}
	if after := w.loaded(); strings.Join(before, " ") != strings.Join(after, " ") {
		t.Errorf("loaded were %v, are %v", before, after)
	}
	w.succeed("api", w.function(greeting("v2")))
	w.answers("api", "/", "v2 hello to 127.0.0.1")
}

// TestFunctionsFromABackup restores a box of functions on a fresh one: nothing is uploaded again.
func TestFunctionsFromABackup(t *testing.T) {
	w := start(t)
	n := w.function(greeting("v1"))
	n.Variables = map[string]string{"GREETING": "hello"}
	w.succeed("api", n)
	w.answers("api", "/count", "1")
	w.succeed("api", w.function(greeting("v2")))
	file := filepath.Join(t.TempDir(), "box.backup")
	w.cli(0, "backup", file)

	other := start(t)
	if err := other.box.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	other.cli(0, "restore", file, "--config", other.box.Config)
	if err := other.box.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	h, err := other.box.HTTPClient() // with the CA of the backup
	if err != nil {
		t.Fatal(err)
	}
	other.http = h
	other.eventually("the function's answer", func() bool {
		_, body, err := other.get("api", "/")
		return err == nil && body == "v2 hello to 127.0.0.1"
	})
	other.answers("api", "/count", "2")
	if _, err := other.api.Rollback(t.Context(), client.Ref{App: "api"}, api.Rollback{}); err != nil {
		t.Fatal(err)
	}
	other.eventually("the code before", func() bool {
		_, body, err := other.get("api", "/")
		return err == nil && body == "v1 hello to 127.0.0.1"
	})
}

// TestFunctionsFromContainers asks a function by its internal name from a container of its environment, and from another.
func TestFunctionsFromContainers(t *testing.T) {
	w := start(t)
	img := w.image()
	w.succeed("web", vars(img))
	n := w.function(greeting("v1"), onWeb(false, "/api/*"))
	n.Variables = map[string]string{"GREETING": "hello"}
	w.succeed("api", n)

	// The proxy has to listen where containers can reach it: at their gateway, on port 80.
	raw, err := os.ReadFile(w.box.Config)
	if err != nil {
		t.Fatal(err)
	}
	there := strings.Replace(string(raw), w.box.HTTP, w.gateways()[0]+":80", 1)
	if err := w.box.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.box.Config, []byte(there), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.box.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ask := func(app, url string) string {
		_, body, err := w.get(app, "/fetch?url="+url)
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	w.eventually("the function's answer", func() bool { return strings.HasPrefix(ask("web", "http://api.internal/x"), "v1 hello to 10.") })
	if body := ask("web", "http://web.api.internal/x"); !strings.HasPrefix(body, "v1 hello to 10.") {
		t.Errorf("by its long name: %q", body)
	}
	w.succeed("other", vars(img)) // a project of its own
	if body := ask("other", "http://api.internal/x"); strings.Contains(body, "hello") {
		t.Errorf("from another environment: %q", body)
	}
}
