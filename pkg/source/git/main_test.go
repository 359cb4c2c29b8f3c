package git

import (
	"context"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/source"
)

const token = "pbx_good"

// platform is a Box that keeps what is deployed to it.
type platform struct {
	mu      sync.Mutex
	id      string
	key     string
	targets func(Push) Targets
	deploy  func(ctx context.Context, a source.Arrival, say func(string)) (Outcome, error)
	got     []arrived
	pushes  []Push
}

type arrived struct {
	source.Arrival
	files map[string]string
}

func (p *platform) Authenticate(_ context.Context, got string) (model.Actor, error) {
	if got != token {
		return model.Actor{}, model.Errorf(model.KindUnauthenticated, "nobody is signed in").WithHint("pandabox login")
	}
	return model.Actor{ID: "token-1", Name: "ann"}, nil
}

func (p *platform) Key(_ context.Context, public []byte) (model.Actor, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.key == "" || string(public) != p.key {
		return model.Actor{}, model.Errorf(model.KindUnauthenticated, "nobody is signed in")
	}
	return model.Actor{ID: "key-1", Name: "ann@laptop"}, nil
}

// admit makes public the one key that is let in.
func (p *platform) admit(public string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.key = public
}

// answers makes f answer for what arrives; nil and an empty answer mean that it is deployed.
func (p *platform) answers(f func(context.Context, source.Arrival, func(string)) (Outcome, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deploy = f
}

// goes makes f say where a push goes.
func (p *platform) goes(f func(Push) Targets) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.targets = f
}

// asked returns the pushes that were asked about.
func (p *platform) asked() []Push {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.pushes)
}

func (p *platform) App(_ context.Context, _ model.Actor, org, _ string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if org != model.DefaultOrg {
		return "", model.NotFound("there is no such org, or you are not in it").WithHint("pandabox login")
	}
	return p.id, nil
}

func (p *platform) Targets(_ context.Context, _ model.Actor, _, _ string, push Push) (Targets, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pushes = append(p.pushes, push)
	if p.targets != nil {
		return p.targets(push), nil
	}
	if push.Branch != "main" {
		return Targets{Skipped: "no environment tracks the branch " + push.Branch}, nil
	}
	return Targets{Envs: []Target{{Env: "production"}}, Tracked: true}, nil
}

func (p *platform) Deploy(ctx context.Context, _ model.Actor, a source.Arrival, say func(string)) (Outcome, error) {
	files := map[string]string{}
	err := filepath.WalkDir(a.Tree, func(at string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, _ := filepath.Rel(a.Tree, at)
		if e.Type()&os.ModeSymlink != 0 {
			to, err := os.Readlink(at)
			files[name] = "-> " + to
			return err
		}
		b, err := os.ReadFile(at)
		files[name] = string(b)
		return err
	})
	if err != nil {
		return Outcome{}, err
	}
	say("[1/2] building")
	p.mu.Lock()
	deploy := p.deploy
	p.mu.Unlock()
	if deploy != nil {
		if out, err := deploy(ctx, a, say); err != nil || out != (Outcome{}) {
			return out, err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.id = "app-1"
	p.got = append(p.got, arrived{a, files})
	return Outcome{Release: len(p.got), URL: "https://shop.example.com"}, nil
}

func (p *platform) last(t *testing.T) arrived {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.got) == 0 {
		t.Fatal("nothing was deployed")
	}
	return p.got[len(p.got)-1]
}

func (p *platform) deploys() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.got)
}

// world is a server, and a folder with a repository of a person's.
type world struct {
	*platform
	t      *testing.T
	server *Server
	url    string // of HTTP, with the token in it
	dir    string // the person's repository
}

func newWorld(t *testing.T, c Config) *world {
	t.Helper()
	p := &platform{}
	var err error
	if c.Repositories, err = Open(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	c.Box, c.Logger, c.Version = p, zerolog.New(zerolog.NewTestWriter(t)), "test"
	if c.Keep == 0 {
		c.Keep = 50 * time.Millisecond
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	w := &world{platform: p, t: t, server: s, dir: t.TempDir()}
	w.url = strings.Replace(h.URL, "http://", "http://x:"+token+"@", 1) + "/git/shop.git"
	w.must("init", "-q", "-b", "main")
	return w
}

// git runs git in the person's folder and returns all it said.
func (w *world) git(args ...string) (string, error) {
	w.t.Helper()
	return gitIn(w.t, w.dir, nil, args...)
}

func gitIn(t *testing.T, dir string, env []string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_TERMINAL_PROMPT=0", "GIT_ALLOW_PROTOCOL=http:ssh:file",
		"GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@example.com", "GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@example.com", "LC_ALL=C")
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (w *world) must(args ...string) string {
	w.t.Helper()
	out, err := w.git(args...)
	if err != nil {
		w.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// commit writes files and commits all there is.
func (w *world) commit(message string, files map[string]string) {
	w.t.Helper()
	for name, text := range files {
		at := filepath.Join(w.dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			w.t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			w.t.Fatal(err)
		}
	}
	w.must("add", "-A")
	w.must("commit", "-q", "--allow-empty", "-m", message)
}

// rejected pushes and expects that to be refused, with all of says.
func (w *world) rejected(says []string, args ...string) {
	w.t.Helper()
	out, err := w.git(args...)
	if err == nil {
		w.t.Fatalf("the push was taken:\n%s", out)
	}
	for _, s := range says {
		if !strings.Contains(out, s) {
			w.t.Errorf("the push does not say %q:\n%s", s, out)
		}
	}
	w.clean()
}

// clean fails the test if something of a push is left beside the repositories.
func (w *world) clean() {
	w.t.Helper()
	left, err := os.ReadDir(filepath.Join(w.server.dir, incoming))
	if err != nil || len(left) > 0 {
		w.t.Errorf("%v is left (%v)", left, err)
	}
}

// has tells what the repository on the box has, by name.
func (w *world) has() map[string]string {
	w.t.Helper()
	refs, err := openRepo(w.server.dirOf("app-1")).refs()
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]string{}
	for name, h := range refs {
		out[name] = h.String()
	}
	return out
}

func (w *world) rev(name string) string { return strings.TrimSpace(w.must("rev-parse", name)) }

var errBuild = &Rejection{"build failed", model.Invalid("the build failed").WithWhy("exit code 1").WithHint("pandabox builds log")}

func same(a, b map[string]string) bool { return maps.Equal(a, b) }
