package git

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/source"
)

func TestPush(t *testing.T) {
	w := newWorld(t, Config{})
	w.commit("Sell more\n\nand cheaper", map[string]string{"index.html": "<h1>1</h1>", "deep/er/file.txt": "x"})
	if err := os.Symlink("index.html", filepath.Join(w.dir, "home")); err != nil {
		t.Fatal(err)
	}
	w.commit("A link", nil)
	out := w.must("push", w.url, "main")
	for _, s := range []string{"remote: → shop, production", "remote: [1/2] building", "remote: https://shop.example.com  release v1", "main -> main"} {
		if !strings.Contains(out, s) {
			t.Errorf("the push does not say %q:\n%s", s, out)
		}
	}
	got := w.last(t)
	if want := map[string]string{"index.html": "<h1>1</h1>", "deep/er/file.txt": "x", "home": "-> index.html"}; !same(got.files, want) {
		t.Errorf("deployed were %q", got.files)
	}
	if r := got.Revision; r.Commit != w.rev("main") || r.Branch != "main" || r.Subject != "A link" || r.Author != "Ann" {
		t.Errorf("the revision is %+v", r)
	}
	if w.asked()[0].Changed != nil || w.asked()[0].Message != "A link\n" {
		t.Errorf("the first push was told as %+v", w.asked()[0])
	}
	w.clean()

	w.commit("More", map[string]string{"index.html": "<h1>2</h1>", "deep/new.txt": "y"})
	w.must("push", w.url, "main")
	if got := w.last(t); got.files["index.html"] != "<h1>2</h1>" {
		t.Errorf("deployed were %q", got.files)
	}
	if c := strings.Join(w.asked()[1].Changed, " "); len(w.asked()[1].Changed) != 2 || !strings.Contains(c, "index.html") || !strings.Contains(c, "deep/new.txt") {
		t.Errorf("changed are %q", c)
	}
	if names, err := packsIn(openRepo(w.server.dirOf("app-1")).packDir()); err != nil || len(names) != 2 {
		t.Errorf("the packs are %q (%v)", names, err)
	}
	if out := w.must("push", w.url, "main"); !strings.Contains(out, "up-to-date") {
		t.Errorf("a push of nothing says %q", out)
	}
	fsck(t, w.server.dirOf("app-1"))
}

func fsck(t *testing.T, dir string) {
	t.Helper()
	if out, err := gitIn(t, dir, nil, "fsck", "--full", "--strict"); err != nil || strings.Contains(out, "missing") {
		t.Errorf("git fsck of the box's repository: %v\n%s", err, out)
	}
}

func TestAFailingBuildRejectsThePush(t *testing.T) {
	w := newWorld(t, Config{})
	w.commit("one", map[string]string{"a": "1"})
	w.must("push", w.url, "main")
	good := w.rev("main")
	w.commit("two", map[string]string{"a": "2"})
	w.answers(func(context.Context, source.Arrival, func(string)) (Outcome, error) { return Outcome{}, errBuild })
	w.rejected([]string{"! [remote rejected] main -> main (build failed)", "remote: error: the build failed", "remote:   exit code 1", "remote:   try: pandabox builds log"}, "push", w.url, "main")
	if h := w.has(); h["refs/heads/main"] != good {
		t.Errorf("the box has %v", h)
	}
	if names, _ := packsIn(openRepo(w.server.dirOf("app-1")).packDir()); len(names) != 1 {
		t.Errorf("the objects of a refused push are kept: %q", names)
	}
	w.answers(nil)
	w.commit("three", map[string]string{"a": "3"})
	w.must("push", w.url, "main")
	if got := w.last(t); got.files["a"] != "3" {
		t.Errorf("deployed were %q", got.files)
	}
}

func TestRefs(t *testing.T) {
	w := newWorld(t, Config{})
	w.commit("one", map[string]string{"a": "1"})
	w.rejected([]string{"! [remote rejected] main -> feature (no environment tracks feature)", "try: push another: git push pandabox feature:main"}, "push", w.url, "main:feature")
	w.must("push", w.url, "main")
	w.must("tag", "-a", "-m", "first", "v1")
	if out := w.must("push", w.url, "v1"); !strings.Contains(out, "remote: v1 is kept; tags are not deployed") {
		t.Errorf("a tag says %q", out)
	}
	w.rejected([]string{"only branches and tags are kept"}, "push", w.url, "main:refs/notes/x")
	w.rejected([]string{"cannot both be"}, "push", w.url, "main:refs/heads/main/x")
	n := w.deploys()

	w.commit("amended", map[string]string{"a": "2"})
	w.must("reset", "-q", "--hard", "HEAD~1")
	w.commit("forced", map[string]string{"a": "3"})
	w.must("commit", "-q", "--amend", "-m", "forced again")
	w.must("push", "--force", w.url, "main")
	if got := w.last(t); got.files["a"] != "3" || w.deploys() != n+1 {
		t.Errorf("a forced push deployed %q", got.files)
	}
	before := w.has()
	w.commit("both", map[string]string{"a": "4"})
	w.rejected([]string{"another of the same push was refused"}, "push", "--atomic", w.url, "main", "main:feature")
	if !same(before, w.has()) || w.deploys() != n+1 {
		t.Errorf("an atomic push was taken in part: %v", w.has())
	}
	if out, err := w.git("push", w.url, "main", "main:feature"); err == nil || !strings.Contains(out, "main -> main\n") || !strings.Contains(out, "[remote rejected] main -> feature") {
		t.Errorf("a push of two branches says %q (%v)", out, err)
	}
	if out := w.must("push", w.url, "--delete", "main", "v1"); !strings.Contains(out, "what was deployed of it goes on") {
		t.Errorf("deleting says %q", out)
	}
	if h := w.has(); len(h) != 0 {
		t.Errorf("after deleting the box has %v", h)
	}
	w.goes(func(Push) Targets { return Targets{Skipped: "the commit says [skip deploy]", Tracked: true} })
	if out := w.must("push", w.url, "main"); !strings.Contains(out, "not deployed: the commit says [skip deploy]") {
		t.Errorf("a skipped deploy says %q", out)
	}
	fsck(t, w.server.dirOf("app-1"))
}

func TestApprovalAcceptsThePush(t *testing.T) {
	w := newWorld(t, Config{})
	w.commit("one", map[string]string{"a": "1"})
	w.answers(func(context.Context, source.Arrival, func(string)) (Outcome, error) {
		return Outcome{Approval: "approval-7"}, nil
	})
	if out := w.must("push", w.url, "main"); !strings.Contains(out, "pandabox approvals approve approval-7") {
		t.Errorf("the push says %q", out)
	}
	w.clean()
}

func TestWhoMayNotPush(t *testing.T) {
	w := newWorld(t, Config{})
	w.commit("one", map[string]string{"a": "1"})
	w.rejected([]string{"Authentication failed"}, "push", strings.Replace(w.url, token, "pbx_bad", 1), "main")
	w.rejected([]string{"could not read Username"}, "push", strings.Replace(w.url, "x:"+token+"@", "", 1), "main")
	w.rejected([]string{"there is no such org"}, "push", strings.Replace(w.url, "/git/", "/git/other/", 1), "main")
	w.rejected([]string{"is not a name for an org"}, "push", strings.Replace(w.url, "shop", "..%2fshop", 1), "main")
	if w.deploys() != 0 {
		t.Error("something was deployed")
	}
	bearer := strings.Replace(w.url, "x:"+token+"@", "", 1)
	w.must("-c", "http.extraHeader=Authorization: Bearer "+token, "push", bearer, "main")
}

func TestLargePushes(t *testing.T) {
	w := newWorld(t, Config{MaxPack: 3 << 20, MaxBlob: 1 << 20})
	big := make([]byte, 900<<10)
	chance := rand.NewChaCha8([32]byte{1})
	for i := range 3 { // larger than git's buffer, so that it is sent in chunks after a first empty request
		_, _ = chance.Read(big)
		w.commit("more", map[string]string{fmt.Sprintf("big%d", i): string(big)})
	}
	w.must("push", w.url, "main")
	if n := len(w.last(t).files); n != 3 {
		t.Errorf("%d files arrived", n)
	}
	for i := range 3 {
		_, _ = chance.Read(big)
		w.commit("more", map[string]string{fmt.Sprintf("more%d", i): string(big)})
	}
	_, _ = chance.Read(big)
	w.commit("even more", map[string]string{"more4": string(big)})
	w.rejected([]string{"the push is larger than 3 MB", "(too large)", "git clone --depth 1"}, "push", w.url, "main")
	w.must("reset", "-q", "--hard", "HEAD~4")
	w.commit("one file", map[string]string{"huge": strings.Repeat("all the same\n", 200<<10)})
	w.rejected([]string{"a file in the push is 2 MB", "(too large)"}, "push", w.url, "main")
	w.must("reset", "-q", "--hard", "HEAD~1")
	w.commit("small", map[string]string{"small": "x"})
	w.must("push", w.url, "main")
}

func TestShallowClones(t *testing.T) {
	w := newWorld(t, Config{})
	for i := range 5 {
		w.commit("commit", map[string]string{"a": fmt.Sprint(i)})
	}
	whole := w.dir
	w.dir = t.TempDir()
	if out, err := gitIn(t, w.dir, nil, "clone", "-q", "--depth", "2", "file://"+whole, "."); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	w.must("push", w.url, "main")
	if got := w.last(t); got.files["a"] != "4" {
		t.Errorf("deployed were %q", got.files)
	}
	w.commit("next", map[string]string{"a": "5"})
	w.must("push", w.url, "main")
	fsck(t, w.server.dirOf("app-1"))
	shallow := w.dir
	// A whole clone thinks that the box has the parents of what it has.
	w.dir = whole
	w.must("pull", "-q", shallow, "main")
	w.rejected([]string{"the push lacks what refs/heads/main is to be"}, "push", "--force", w.url, "main~4:main")
	w.must("reset", "-q", "--hard", "main~4")
	w.commit("back", map[string]string{"a": "0"})
	w.rejected([]string{"the push lacks the object", "git push pandabox --delete"}, "push", "--force", w.url, "main")
	w.must("push", w.url, "--delete", "main")
	w.must("push", w.url, "main")
	if got := w.last(t); got.files["a"] != "0" {
		t.Errorf("deployed were %q", got.files)
	}
}

func TestCloneBack(t *testing.T) {
	w := newWorld(t, Config{})
	w.rejected([]string{"nothing was pushed to shop yet"}, "clone", w.url, filepath.Join(t.TempDir(), "x"))
	for i := range 20 {
		w.commit("commit", map[string]string{"a": strings.Repeat("line\n", i*100), "dir/b": fmt.Sprint(i)})
	}
	w.must("tag", "-a", "-m", "first", "v1")
	w.must("push", w.url, "main", "v1")
	clone := filepath.Join(t.TempDir(), "clone")
	w.must("clone", "-q", w.url, clone)
	if out, err := gitIn(t, clone, nil, "fsck", "--full"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if out, _ := gitIn(t, clone, nil, "rev-parse", "HEAD", "v1^{}"); strings.Count(out, w.rev("main")) != 2 {
		t.Errorf("the clone is at %q", out)
	}
	w.commit("next", map[string]string{"a": "new"})
	w.must("push", w.url, "main")
	if out, err := gitIn(t, clone, nil, "pull", "-q"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if out, _ := gitIn(t, clone, nil, "rev-parse", "HEAD"); strings.TrimSpace(out) != w.rev("main") {
		t.Errorf("after a pull the clone is at %q", out)
	}
}

func TestManyPacksBecomeOne(t *testing.T) {
	w := newWorld(t, Config{})
	text := strings.Repeat("a line of text that git makes a difference of\n", 200)
	for i := range MaxPacks + 2 {
		w.commit("commit", map[string]string{"a": text + fmt.Sprint(i)})
		w.must("push", "-q", w.url, "main")
	}
	dir := w.server.dirOf("app-1")
	if names, err := packsIn(openRepo(dir).packDir()); err != nil || len(names) != 2 {
		t.Errorf("the packs are %q (%v)", names, err)
	}
	fsck(t, dir)
	if out, err := gitIn(t, dir, nil, "log", "--oneline", "main"); err != nil || strings.Count(out, "\n") != MaxPacks+2 {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestAnInterruptedPushIsCanceled(t *testing.T) {
	w := newWorld(t, Config{})
	w.commit("one", map[string]string{"a": "1"})
	building, canceled := make(chan struct{}), make(chan struct{})
	w.answers(func(ctx context.Context, _ source.Arrival, _ func(string)) (Outcome, error) {
		close(building)
		<-ctx.Done()
		close(canceled)
		return Outcome{}, ctx.Err()
	})
	cmd := exec.CommandContext(t.Context(), "git", "push", w.url, "main")
	cmd.Dir = w.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-building
	if out, err := w.git("push", w.url, "main"); err == nil || !strings.Contains(out, "another push to shop is under way") || !strings.Contains(out, "(conflict)") {
		t.Errorf("a second push says %q (%v)", out, err)
	}
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil { // as the terminal does
		t.Fatal(err)
	}
	_ = cmd.Wait()
	<-canceled
	for end := time.Now().Add(10 * time.Second); w.busy(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the push is still under way")
		}
	}
	w.clean()
	if len(w.has()) != 0 {
		t.Error("the push is kept")
	}
}

func (w *world) busy() bool {
	w.server.busyMu.Lock()
	defer w.server.busyMu.Unlock()
	return len(w.server.busy) > 0
}

func TestReclaim(t *testing.T) {
	w := newWorld(t, Config{})
	w.commit("one", map[string]string{"a": "1"})
	w.must("push", w.url, "main")
	dir := w.server.dirOf("app-1")
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	later := info.ModTime().Add(1)
	if err := w.server.Reclaim(map[string]bool{"app-1": true}, later); err != nil {
		t.Fatal(err)
	}
	if err := w.server.Reclaim(nil, info.ModTime().Add(-1)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Errorf("the repository of an app that is there was removed: %v", err)
	}
	if err := w.server.Reclaim(nil, later); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the repository of an app that is gone is there: %v", err)
	}
}
