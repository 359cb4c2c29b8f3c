package e2e

import (
	"compress/gzip"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/model"
)

// website is a folder of files; names end in / for folders of their own.
func (w *world) website(name string, files map[string]string) *folder {
	w.Helper()
	f := &folder{w, filepath.Join(w.TempDir(), name)}
	f.files(files)
	return f
}

func (f *folder) files(files map[string]string) {
	f.Helper()
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(f.dir, name)), 0o755); err != nil {
			f.Fatal(err)
		}
		f.write(name, text)
	}
}

// ask requests a path of an app with headers "Name", "value", and returns the answer with its body read.
func (w *world) ask(app, path string, headers ...string) (*http.Response, string) {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), http.MethodGet, "https://"+host(app)+path, nil)
	if err != nil {
		w.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := w.http.Transport.RoundTrip(req)
	if err != nil {
		w.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.Fatal(err)
	}
	return res, string(body)
}

// sites returns what is on the disk of sites: of those that are served, and of all.
func (w *world) sites() (served, all []string) {
	w.Helper()
	root := filepath.Join(w.box.DataDir, "sites")
	err := filepath.WalkDir(root, func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, p)
			if filepath.Dir(p) == filepath.Join(root, "started") {
				served = append(served, p)
			}
		}
		return err
	})
	if err != nil {
		w.Fatal(err)
	}
	return served, all
}

var long = strings.Repeat("<p>a panda in a box</p>\n", 500)

// TestStaticSite is the life of a plain folder.
func TestStaticSite(t *testing.T) {
	f := start(t).website("site", map[string]string{
		"index.html": "home 1", "about.html": long, "docs/index.html": "docs", "404.html": "lost", "assets/app-BqX3kZ9a.css": "body{}", ".env": "SECRET=1", ".git/config": "secret",
		".well-known/security.txt": "me", "_redirects": "/old/* /docs/:splat 302\n", "_headers": "/docs/*\n  X-Frame-Options: DENY\n",
	})
	f.run(0, []string{`^  → site, production$`, `^  ✓ upload `, `^  ✓ build     Static files`, `^  ✓ start     6 files, 11\.\d KB`}, "deploy")
	f.answers("site", "/", "home 1")
	f.answers("site", "/about", long)
	f.answers("site", "/docs/", "docs")
	f.answers("site", "/.well-known/security.txt", "me")
	for path, want := range map[string]string{
		"/.env": "404 lost", "/.git/config": "404 lost", "/_redirects": "404 lost", "/none": "404 lost", "/old/": "302 Moved to /docs/\n", "/about.html": "308 Moved to /about\n",
		"/docs": "308 Moved to /docs/\n", "/assets/../../../etc/passwd": "", "/%2e%2e/%2e%2e/etc/passwd": "",
	} {
		res, body := f.ask("site", path)
		if got := res.Status[:4] + body; want != "" && got != want || strings.Contains(body, "root:") {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	res, _ := f.ask("site", "/assets/app-BqX3kZ9a.css")
	if c := res.Header.Get("Cache-Control"); !strings.Contains(c, "immutable") {
		t.Errorf("a file with a fingerprint has Cache-Control %q", c)
	}
	res, body := f.ask("site", "/about", "Accept-Encoding", "gzip")
	unpacked, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(unpacked); err != nil || string(text) != long || res.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("compressed it is %d bytes, %v, %v", len(text), err, res.Header)
	}
	if res, body := f.ask("site", "/about", "If-None-Match", res.Header.Get("Etag"), "Accept-Encoding", "gzip"); res.StatusCode != http.StatusNotModified || body != "" {
		t.Errorf("asked again it answers %s", res.Status)
	}
	if res, body := f.ask("site", "/about", "Range", "bytes=3-9"); res.StatusCode != http.StatusPartialContent || body != "a panda" {
		t.Errorf("a part of it is %s %q", res.Status, body)
	}
	if res, _ := f.ask("site", "/docs/"); res.Header.Get("X-Frame-Options") != "DENY" {
		t.Errorf("its headers are %v", res.Header)
	}
	if code, _, err := f.do(http.MethodPost, "site", "/", "x"); err != nil || code != http.StatusMethodNotAllowed {
		t.Errorf("a POST is answered %d, %v", code, err)
	}
	if n := f.containers(); len(n) != 0 {
		t.Errorf("containers run: %v", n)
	}
	if s := f.status("site"); s.State != model.WorkloadRunning || len(s.Replicas) != 1 || s.Kind != model.KindStatic {
		t.Errorf("its status is %+v", s)
	}
	if out := f.run(0, nil, "status").Out; !strings.Contains(out, "web       6 files, 11.") {
		t.Errorf("status says\n%s", out)
	}
	for _, args := range [][]string{{"logs", "-a", "site"}, {"scale", "web=2", "-a", "site"}, {"exec", "-a", "site", "--", "sh"}, {"run", "-a", "site", "--", "sh"}} {
		if r := f.box.Run(t.Context(), args...); r.Code == 0 || !strings.Contains(r.Err, "site is a static site") {
			t.Errorf("%v: exit %d, %s", args, r.Code, r.Err)
		}
	}

	f.files(map[string]string{"index.html": "home 2", "pandabox.toml": "[static]\nspa = true\n[variables]\nA = \"1\"\n"})
	f.run(0, nil, "deploy")
	f.answers("site", "/", "home 2")
	f.answers("site", "/users/7", "home 2")
	if code, _, _ := f.get("site", "/none.js"); code != http.StatusNotFound {
		t.Errorf("a script that is not there is answered %d", code)
	}
	f.run(0, nil, "env", "set", "A=2")
	f.answers("site", "/users/7", "home 2")
	f.run(0, nil, "rollback", "v1")
	f.answers("site", "/", "home 1")
	if code, _, _ := f.get("site", "/users/7"); code != http.StatusNotFound {
		t.Errorf("v1 answers a path it has not with %d", code)
	}
	f.run(0, nil, "restart")
	f.answers("site", "/", "home 1")

	guard := `export default { async fetch(request, env, { next }) { return new Response("guarded: " + await (await next(request)).text()) } }`
	f.succeed("guard", f.function(guard, func(g *model.Function) { g.On, g.Routes, g.Middleware = "site", []string{"/docs/*"}, true }))
	f.answers("site", "/docs/", "guarded: docs")
	f.answers("site", "/", "home 1")
	if err := f.api.DestroyApp(t.Context(), "guard"); err != nil {
		t.Fatal(err)
	}

	if err := f.api.DestroyApp(t.Context(), "site"); err != nil {
		t.Fatal(err)
	}
	f.eventually("the end of it", func() bool { code, _, err := f.get("site", "/"); return err != nil || code == http.StatusNotFound })
	f.eventually("its replicas to go", func() bool { served, _ := f.sites(); return len(served) == 0 })
}

// TestStaticFromABackup restores a box of sites on a fresh one: what serves is built again of the source in the backup.
func TestStaticFromABackup(t *testing.T) {
	f := start(t).website("site", map[string]string{"index.html": "home 1"})
	f.run(0, nil, "deploy")
	f.write("index.html", "home 2")
	f.run(0, nil, "deploy")
	file := filepath.Join(t.TempDir(), "box.backup")
	f.cli(0, "backup", file)

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
	serves := func() bool { _, body, err := other.get("site", "/"); return err == nil && body == "home 2" }
	other.eventually("the site's answer", serves)
	back, err := other.api.Rollback(t.Context(), ref("site"), api.Rollback{})
	if err != nil {
		t.Fatal(err)
	}
	if back = other.outcome("site", back.ID); back.State != model.DeployRolledBack || back.Error == nil || back.Error.Hint == "" {
		t.Errorf("going back to what is not there ended %s: %v", back.State, back.Error)
	}
	if !serves() {
		t.Error("and took the site with it")
	}
}

// TestStaticPromoted moves the site that was seen in staging: nothing is built for production.
func TestStaticPromoted(t *testing.T) {
	f := start(t).website("site", map[string]string{"index.html": "seen in staging"})
	f.run(0, nil, "deploy", "-e", "staging")
	f.run(0, nil, "promote", "staging", "production", "--yes")
	f.answers("site", "/", "seen in staging")
	if b, err := f.api.Builds(t.Context(), ref("site"), api.Page{}); err != nil || len(b.Items) != 0 {
		t.Errorf("built for production: %+v, %v", b.Items, err)
	}
	if s := f.status("site"); s.Kind != model.KindStatic || s.Static == nil || s.Static.Files != 1 {
		t.Errorf("its status is %+v", s)
	}
}

// TestStaticFromADockerfile builds a site in one stage and takes it from it.
func TestStaticFromADockerfile(t *testing.T) {
	f := start(t).website("site", map[string]string{
		"src/index.html": "home", "src/a $b/c.txt": "c", "pandabox.toml": "kind = \"static\"\n",
		"Dockerfile": "FROM scratch AS build\nCOPY src /www\nFROM scratch\nCOPY --from=build /www /\n",
	})
	f.run(0, []string{`^  ✓ build     Dockerfile`, `^  ✓ start     2 files, `}, "deploy")
	f.answers("site", "/", "home")
	f.answers("site", "/a%20$b/c.txt", "c")
	f.write("pandabox.toml", "[static]\ndir = \"www/a $b\"\n[build]\ntarget = \"build\"\n")
	f.run(0, nil, "deploy")
	f.answers("site", "/c.txt", "c")
	f.write("pandabox.toml", "[static]\ndir = \"none\"\n")
	if r := f.box.RunIn(t.Context(), f.dir, "", "deploy"); r.Code == 0 || !strings.Contains(r.Err, "none") {
		t.Errorf("a folder that is not there: exit %d\n%s%s", r.Code, r.Out, r.Err)
	}
	f.answers("site", "/c.txt", "c")
}

// TestStaticNeighbours asks for a site by its name inside its environment.
func TestStaticNeighbours(t *testing.T) {
	f := start(t).website("site", map[string]string{"index.html": "home"})
	f.run(0, nil, "deploy")
	n := vars(f.image())
	n.Project = "site"
	f.succeed("web", n)
	raw, err := os.ReadFile(f.box.Config)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.box.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	there := strings.Replace(string(raw), f.box.HTTP, f.gateways()[0]+":80", 1) // where containers reach the proxy
	if err := os.WriteFile(f.box.Config, []byte(there), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.box.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.eventually("the site's answer", func() bool {
		_, body, err := f.get("web", "/fetch?url=http://site.internal/")
		return err == nil && body == "home"
	})
	f.succeed("other", vars(f.image())) // a project of its own
	if _, body, err := f.get("other", "/fetch?url=http://site.internal/"); err != nil || strings.Contains(body, "home") {
		t.Errorf("from another environment: %q, %v", body, err)
	}
}

// TestStaticUnderLoad puts release after release in place while requests come: each is answered by one or the other.
func TestStaticUnderLoad(t *testing.T) {
	f := start(t).website("site", map[string]string{"index.html": "v1 " + long})
	f.run(0, nil, "deploy")
	stop, done := make(chan struct{}), make(chan struct{})
	var asked, failed atomic.Int64
	for range 2 {
		go func() {
			defer func() { done <- struct{}{} }()
			for {
				select {
				case <-stop:
					return
				default:
				}
				asked.Add(1)
				if code, body, err := f.get("site", "/"); err != nil || code != http.StatusOK || !strings.HasSuffix(body, " "+long) {
					if failed.Add(1) < 5 {
						t.Errorf("a request is answered %d %.60q, %v", code, body, err)
					}
				}
			}
		}()
	}
	for _, version := range []string{"v2", "v3", "v4"} {
		f.write("index.html", version+" "+long)
		f.run(0, nil, "deploy", "-q")
	}
	f.run(0, nil, "rollback", "v2", "-q")
	close(stop)
	<-done
	<-done
	t.Logf("%d requests, %d lost", asked.Load(), failed.Load())
	if asked.Load() < 100 {
		t.Errorf("only %d requests", asked.Load())
	}
	f.answers("site", "/", "v2 "+long)
}

// TestStaticSurvives kills the daemon: the site is there as soon as anything is, and nothing is built again.
func TestStaticSurvives(t *testing.T) {
	f := start(t).website("site", map[string]string{"index.html": "home"})
	f.run(0, nil, "deploy")
	before, all := f.sites()
	build, err := f.api.Build(t.Context(), ref("site"), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.box.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := f.box.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.answers("site", "/", "home")
	after, now := f.sites()
	if strings.Join(before, " ") != strings.Join(after, " ") || len(all) != len(now) {
		t.Errorf("served were %v, are %v; %d files were there, %d are", before, after, len(all), len(now))
	}
	if again, err := f.api.Build(t.Context(), ref("site"), ""); err != nil || again.ID != build.ID {
		t.Errorf("it was built again: %+v, %v", again, err)
	}

	// Where the files are lost, as on a box restored from a backup, they are made of the source that is kept.
	if err := f.box.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(f.box.DataDir, "sites")); err != nil {
		t.Fatal(err)
	}
	if err := f.box.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.eventually("the site's answer", func() bool {
		code, body, err := f.get("site", "/")
		return err == nil && code == http.StatusOK && body == "home"
	})
}

// TestBadSites deploys what is no site: each is refused with a hint, what was there serves on, and nothing is left.
func TestBadSites(t *testing.T) {
	f := start(t).website("site", map[string]string{"index.html": "home"})
	f.run(0, nil, "deploy")
	served, all := f.sites()
	link := func(to string) func(*folder) {
		return func(f *folder) {
			if err := os.Symlink(to, filepath.Join(f.dir, "x.html")); err != nil {
				f.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		change func(*folder)
		says   string
	}{
		"a link out":       {link("/etc/passwd"), "x.html"},
		"a link up":        {link("../../../../../../etc/passwd"), "x.html"},
		"a link nowhere":   {link("none"), "x.html"},
		"bad redirects":    {func(f *folder) { f.write("_redirects", "/a /b 299\n") }, "_redirects line 1"},
		"bad headers":      {func(f *folder) { f.write("_headers", "X: y\n") }, "_headers line 1"},
		"no folder":        {func(f *folder) { f.write("pandabox.toml", "[static]\ndir = \"none\"\n") }, "none"},
		"a folder out":     {func(f *folder) { f.write("pandabox.toml", "[static]\ndir = \"../x\"\n") }, "../x"},
		"a site that is a": {func(f *folder) { f.write("pandabox.toml", "kind = \"static\"\n[process.web]\nport = 80\n") }, "no processes"},
		"huge": {func(f *folder) {
			file := filepath.Join(f.dir, "zeros.bin")
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				f.Fatal(err)
			}
			if err := os.Truncate(file, 600<<20); err != nil { // zeros: next to nothing when packed
				f.Fatal(err)
			}
		}, "is larger than 512 MB"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := f.with(t).website("site", map[string]string{"index.html": "bad"})
			c.change(bad)
			r := bad.box.RunIn(t.Context(), bad.dir, "", "deploy")
			if r.Code == 0 || !strings.Contains(r.Err, c.says) || !strings.Contains(r.Err, "error: ") {
				t.Errorf("exit %d\n%s%s", r.Code, r.Out, r.Err)
			}
			bad.answers("site", "/", "home")
			nowServed, nowAll := bad.sites()
			if strings.Join(served, " ") != strings.Join(nowServed, " ") || strings.Join(all, " ") != strings.Join(nowAll, " ") {
				t.Errorf("there were %v, are %v", all, nowAll)
			}
		})
	}
	if _, err := f.api.CreateDeploy(t.Context(), ref("site"), api.NewDeploy{Image: model.Image{Ref: "docker.io/library/nginx"}}); model.KindOf(err) != model.KindConflict {
		t.Errorf("an image in place of the site: %v", err)
	}
}
