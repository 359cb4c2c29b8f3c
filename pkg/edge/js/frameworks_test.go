//go:build linux

package js_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/js"
	"github.com/pandabox/pandabox/pkg/edge/js/jstest"
)

const frameworks = "testdata/frameworks"

// modules returns a directory with the packages of testdata/frameworks/package-lock.json, which npm checks by hash. They
// are kept in the user's cache directory by what the lock file says.
func modules(t *testing.T) string {
	t.Helper()
	h := sha256.New()
	for _, name := range []string{"package.json", "package-lock.json"} {
		b, err := os.ReadFile(filepath.Join(frameworks, name))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = h.Write(b)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "pandabox", "npm", hex.EncodeToString(h.Sum(nil))[:32])
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	lock, err := os.Create(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Close() }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "done")); err == nil {
		return filepath.Join(dir, "node_modules")
	}
	if err := os.CopyFS(filepath.Join(dir, "from"), os.DirFS(frameworks)); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
	npm := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = filepath.Join(dir, "from")
	if out, err := npm.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	if err := os.Rename(filepath.Join(dir, "from", "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "done"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "node_modules")
}

func framework(t *testing.T, file string) guest.Code {
	t.Helper()
	r := api.Build(api.BuildOptions{
		EntryPoints: []string{filepath.Join(frameworks, file)}, NodePaths: []string{modules(t)}, Bundle: true,
		Format: api.FormatESModule, Conditions: []string{"worker"}, MainFields: []string{"module", "main"}, Target: api.ES2023,
	})
	if len(r.Errors) > 0 {
		t.Fatal(r.Errors)
	}
	return guest.Code{Main: r.OutputFiles[0].Contents, Env: map[string]string{"GREETING": "hi"}, Function: jstest.Code("").Function}
}

type exchange struct{ method, path, kind, body, want string }

func TestHonoRuns(t *testing.T) {
	check(t, "hono.ts", []exchange{
		{"GET", "/", "", "", "200 text/plain;charset=UTF-8 hello"},
		{"GET", "/greet/Ada%20L?q=1", "", "", "200 text/plain;charset=UTF-8 hi Ada L 1"},
		{"POST", "/api/echo", "application/json", `{"a":[1]}`, `201 application/json {"got":{"a":[1]}}`},
		{"GET", "/store/k", "", "", `200 application/json "kept"`},
		{"GET", "/stream", "", "", "200 text/plain; charset=UTF-8 abc"},
		{"GET", "/forbidden", "", "", "403 text/plain;charset=UTF-8 no"},
		{"GET", "/go", "", "", "302  "},
		{"POST", "/form", "application/x-www-form-urlencoded", "a=b+c", "200 text/plain;charset=UTF-8 b c"},
		{"GET", "/none", "", "", "404 text/plain; charset=UTF-8 nothing here"},
		{"OPTIONS", "/api/echo", "", "", "204  "},
	})
}

func TestIttyRouterRuns(t *testing.T) {
	check(t, "itty.ts", []exchange{
		{"GET", "/", "", "", `200 application/json; charset=utf-8 "hello"`},
		{"GET", "/greet/Ada?q=1", "", "", `200 application/json; charset=utf-8 {"name":"Ada","q":"1"}`},
		{"POST", "/echo", "application/json", `{"a":1}`, `201 application/json; charset=utf-8 {"a":1}`},
		{"GET", "/fail", "", "", `418 application/json; charset=utf-8 {"status":418,"error":"teapot"}`},
		{"GET", "/broken", "", "", `400 application/json; charset=utf-8 {"status":400,"error":"bad"}`},
		{"GET", "/none", "", "", `404 application/json; charset=utf-8 {"status":404,"error":"Not Found"}`},
	})
}

func check(t *testing.T, file string, all []exchange) {
	t.Helper()
	p, err := jstest.Engine(t, js.Prelude{}).Open(t.Context(), framework(t, file))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: a snapshot of %d bytes", file, p.Snapshot())
	i, err := p.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d := open(t, i, nil)
	client := *d.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, x := range all {
		r, err := http.NewRequestWithContext(t.Context(), x.method, d.URL+x.path, strings.NewReader(x.body))
		if err != nil {
			t.Fatal(err)
		}
		if x.kind != "" {
			r.Header.Set("Content-Type", x.kind)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatalf("%s: %v\n%s", x.path, err, d.world.Text())
		}
		b, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if got := fmt.Sprintf("%d %s %s", resp.StatusCode, resp.Header.Get("Content-Type"), b); err != nil || got != x.want {
			t.Errorf("%s %s: got %q, want %q (%v)\n%s", x.method, x.path, got, x.want, err, d.world.Text())
		}
	}
}
