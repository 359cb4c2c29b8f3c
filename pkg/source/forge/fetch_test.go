package forge

import (
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/model"
	sourcegit "github.com/pandabox/pandabox/pkg/source/git"
)

// forged is a box with a repository at a forge that git itself serves.
type forged struct {
	*hooked
	repo control.OpenRepository
	dir  string // a work tree of it
}

func newForged(t *testing.T) *forged {
	t.Helper()
	f := &forged{hooked: newHooked(t), dir: filepath.Join(t.TempDir(), "acme", "shop.git")}
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f.git("init", "-q", "-b", "main")
	at, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(&cgi.Handler{Path: at, Args: []string{"http-backend"}, Env: []string{"GIT_HTTP_EXPORT_ALL=1", "GIT_PROJECT_ROOT=" + filepath.Dir(filepath.Dir(f.dir))}})
	t.Cleanup(s.Close)
	root := model.Actor{ID: "root", Name: "root on this box", Root: true}
	made, err := f.server.cfg.Control.Repositories.Connect(t.Context(), root, "", "shop", control.NewRepository{URL: s.URL + "/acme/shop", Forge: model.ForgeGitea})
	if err != nil {
		t.Fatal(err)
	}
	if f.repo, err = f.server.cfg.Control.Repositories.Open(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *forged) git(args ...string) string {
	f.Helper()
	cmd := exec.CommandContext(f.Context(), "git", args...)
	cmd.Dir = f.dir
	cmd.Env = append(cmd.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@example.com", "GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		f.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes a file of so many bytes, and returns the commit with it.
func (f *forged) commit(name string, size int64) string {
	f.Helper()
	at := filepath.Join(f.dir, name)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		f.Fatal(err)
	}
	if err := os.WriteFile(at, nil, 0o644); err != nil {
		f.Fatal(err)
	}
	if err := os.Truncate(at, size); err != nil {
		f.Fatal(err)
	}
	f.git("add", "-A")
	f.git("commit", "-q", "-m", name)
	return f.git("rev-parse", "HEAD")
}

func TestFetch(t *testing.T) {
	f := newForged(t)
	f.commit("a/b", 3)
	got, err := f.server.fetch(t.Context(), f.repo, t.TempDir(), "refs/heads/none", "refs/heads/main")
	if err != nil {
		t.Fatal(err)
	}
	defer got.close()
	tree := t.TempDir()
	if err := got.tree(t.Context(), tree); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(tree, "a", "b")); err != nil || len(b) != 3 {
		t.Errorf("%q (%v)", b, err)
	}
}

// TestAFetchIsBounded has a file that is next to nothing in a pack: in memory it must never be.
func TestAFetchIsBounded(t *testing.T) {
	f := newForged(t)
	f.commit("large", sourcegit.DefaultMaxBlob+1)
	dir := t.TempDir()
	got, err := f.server.fetch(t.Context(), f.repo, dir, "refs/heads/main")
	if model.KindOf(err) != model.KindTooLarge {
		t.Errorf("a file that is too large is fetched: %v", err)
	}
	got.close()
	if left := sizeOf(filepath.Join(dir, "objects")); left > 0 {
		t.Errorf("%d bytes are left", left)
	}
}

// TestTwoPushesInARow has the second come before the first is looked at, and change nothing that counts.
func TestTwoPushesInARow(t *testing.T) {
	f := newForged(t)
	root := model.Actor{ID: "root", Name: "root on this box", Root: true}
	if _, err := f.server.cfg.Control.Trackings.Set(t.Context(), root, control.Ref{App: "shop"}, model.Tracking{Branch: "main", Paths: []string{"app/**"}}); err != nil {
		t.Fatal(err)
	}
	first := f.commit("app/Dockerfile", 0)
	second := f.commit("docs/page", 0)
	pushed := func(id, commit, path string) ([]ship, error) {
		return f.server.ship(t.Context(), f.repo, model.Delivery{ID: id, Arrival: &model.Arrival{Branch: "main", Ref: "refs/heads/main", Commit: commit, Message: path, Changed: []string{path}}})
	}
	shipped, err := pushed("1", first, "app/Dockerfile")
	if err != nil || len(shipped) != 1 || shipped[0].env != control.EnvProduction {
		t.Fatalf("the first push is lost: %+v, %v", shipped, err)
	}
	for name, path := range map[string]string{"what does not count": "docs/page", "what counts": "app/x"} {
		f.server.wentAhead(f.repo.ID, second, []ship{{env: control.EnvProduction}}) // had it been deployed
		if shipped, err := pushed(name, second, path); err == nil {
			t.Errorf("the second push, which changes %s, is deployed again: %+v", name, shipped)
		}
	}
	if shipped, err := pushed("3", second, "app/x"); err != nil || len(shipped) != 1 {
		t.Errorf("a push is lost: %+v, %v", shipped, err)
	}
}

// TestTwoPushesInARowOfAllPaths are one deploy, that of the second.
func TestTwoPushesInARowOfAllPaths(t *testing.T) {
	f := newForged(t)
	first := f.commit("app/Dockerfile", 0)
	f.commit("docs/page", 0)
	pushed := func(id string) ([]ship, error) {
		return f.server.ship(t.Context(), f.repo, model.Delivery{ID: id, Arrival: &model.Arrival{Branch: "main", Ref: "refs/heads/main", Commit: first, Changed: []string{"app/Dockerfile"}}})
	}
	if _, err := pushed("1"); err == nil || !strings.Contains(err.Error(), "a newer commit is there") {
		t.Errorf("the first is deployed: %v", err)
	}
	f.commit("[skip deploy]", 0)
	if shipped, err := pushed("2"); err != nil || len(shipped) != 1 {
		t.Errorf("the first is lost behind one that is not to be deployed: %+v, %v", shipped, err)
	}
	root := model.Actor{ID: "root", Name: "root on this box", Root: true}
	if _, err := f.server.cfg.Control.Deploys.Create(t.Context(), root, control.Ref{App: "shop"}, control.NewDeploy{Image: model.Image{Digest: "sha256:" + strings.Repeat("a", 64)}, Revision: &model.Revision{Commit: first}}); err != nil {
		t.Fatal(err)
	}
	if shipped, err := pushed("3"); err == nil {
		t.Errorf("the first is deployed again: %+v", shipped)
	}
}
