package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"code.gitea.io/sdk/gitea"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/test/box"
)

// giteaServer is a real Gitea with the private repository ann/shop, connected to the app shop of a box.
type giteaServer struct {
	*forge
	web, ssh string // addresses, "127.0.0.1:PORT"
	client   *gitea.Client
	token    string
	program  string
	config   string
}

const giteaConfig = `RUN_MODE = prod
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
WORK_PATH = %[1]s
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = %[2]s
ROOT_URL = http://127.0.0.1:%[2]s/
STATIC_ROOT_PATH = %[4]s
OFFLINE_MODE = true
START_SSH_SERVER = true
BUILTIN_SSH_SERVER_USER = git
SSH_DOMAIN = 127.0.0.1
SSH_LISTEN_HOST = 127.0.0.1
SSH_PORT = %[3]s
SSH_LISTEN_PORT = %[3]s
[database]
DB_TYPE = sqlite3
[security]
INSTALL_LOCK = true
[webhook]
ALLOWED_HOST_LIST = *
SKIP_TLS_VERIFY = true
PROXY_URL = %[5]s
PROXY_HOSTS = *
DELIVER_TIMEOUT = 30
[log]
LEVEL = Warn
[actions]
ENABLED = false
[packages]
ENABLED = false
`

// gitea starts one, pushes the folder to it as ann and connects it, with a webhook that Gitea sends by itself.
func (f *folder) gitea() *giteaServer {
	f.Helper()
	build := exec.CommandContext(f.Context(), "../gitea/build.sh")
	build.Stderr = os.Stderr
	out, err := build.Output()
	if err != nil {
		f.Fatalf("building Gitea: %v", err)
	}
	program := strings.TrimSpace(string(out))
	g := &giteaServer{forge: &forge{folder: f, kind: model.ForgeGitea}, program: filepath.Join(program, "gitea"), web: f.free(), ssh: f.free()}
	dir := f.TempDir()
	g.config = filepath.Join(dir, "app.ini")
	_, web, _ := net.SplitHostPort(g.web)
	_, ssh, _ := net.SplitHostPort(g.ssh)
	if err := os.WriteFile(g.config, fmt.Appendf(nil, giteaConfig, dir, web, ssh, program, f.way()), 0o600); err != nil {
		f.Fatal(err)
	}
	g.admin("migrate")
	g.admin("admin", "user", "create", "--username", "ann", "--password", "secret-of-ann", "--email", "ann@example.com", "--admin", "--must-change-password=false")
	said := strings.Fields(g.admin("admin", "user", "generate-access-token", "--username", "ann", "--token-name", "test", "--scopes", "all", "--raw"))
	g.token = said[len(said)-1]
	g.serve()
	if g.client, err = gitea.NewClient("http://"+g.web, gitea.SetToken(g.token)); err != nil {
		f.Fatal(err)
	}
	if _, _, err := g.client.CreateRepo(gitea.CreateRepoOption{Name: "shop", Private: true, DefaultBranch: "main"}); err != nil {
		f.Fatal(err)
	}
	g.git("push", "-q", g.address("ann", g.token), "main")

	r := f.box.RunIn(f.Context(), f.dir, g.token+"\n", "repos", "connect", "http://"+g.web+"/ann/shop", "--forge", "gitea", "--token", "-", "--json")
	var made api.Repository
	if err := json.Unmarshal([]byte(r.Out), &made); err != nil || made.Signed == "" {
		f.Fatalf("connecting says %s%s (%v)", r.Out, r.Err, err)
	}
	g.hook, g.secret = made.Hook, made.Signed
	g.webhook(g.secret)
	return g
}

// webhook enters the box's webhook in the place of the one that is there.
func (g *giteaServer) webhook(secret string) {
	g.Helper()
	old, _, err := g.client.ListRepoHooks("ann", "shop", gitea.ListHooksOptions{})
	if err != nil {
		g.Fatal(err)
	}
	for _, h := range old {
		if _, err := g.client.DeleteRepoHook("ann", "shop", h.ID); err != nil {
			g.Fatal(err)
		}
	}
	_, _, err = g.client.CreateRepoHook("ann", "shop", gitea.CreateHookOption{
		Type: gitea.HookTypeGitea, Active: true, Events: []string{"push", "pull_request", "pull_request_sync"},
		Config: map[string]string{"url": g.hook, "content_type": "json", "secret": secret},
	})
	if err != nil {
		g.Fatal(err)
	}
}

// free returns an address nobody listens at.
func (w *world) free() string {
	w.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// way is an HTTP proxy through which every host is the box: no name server of this machine knows the box's.
func (w *world) way() string {
	w.Helper()
	var open sync.WaitGroup
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		to, err := net.Dial("tcp", w.box.HTTPS)
		if err != nil || r.Method != http.MethodConnect {
			http.Error(rw, "there is no way", http.StatusBadGateway)
			return
		}
		from, _, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			_ = to.Close()
			return
		}
		_, _ = io.WriteString(from, "HTTP/1.1 200 OK\r\n\r\n")
		for a, b := range map[net.Conn]net.Conn{to: from, from: to} {
			open.Go(func() {
				_, _ = io.Copy(a, b) // ends when either end does
				_ = a.Close()
			})
		}
	}))
	w.Cleanup(func() {
		s.Close()
		open.Wait()
	})
	return s.URL
}

// admin runs one of Gitea's commands.
func (g *giteaServer) admin(args ...string) string {
	g.Helper()
	out, err := exec.CommandContext(g.Context(), g.program, append(args, "--config", g.config)...).Output()
	if err != nil {
		g.Fatalf("gitea %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// serve starts Gitea, and ends it with the test.
func (g *giteaServer) serve() {
	g.Helper()
	var log bytes.Buffer
	cmd := exec.Command(g.program, "web", "--config", g.config)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		g.Fatal(err)
	}
	g.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait() // it says little about why it ends
		late.Stop()
		if g.Failed() {
			g.Logf("Gitea's log:\n%s", log.String())
		}
	})
	g.eventually("Gitea", func() bool {
		res, err := http.Get("http://" + g.web + "/api/v1/version")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// address is where a person's copy of the repository is pushed to.
func (g *giteaServer) address(owner, token string) string {
	return (&url.URL{Scheme: "http", User: url.UserPassword("git", token), Host: g.web, Path: "/" + owner + "/shop.git"}).String()
}

// ends waits until the message about a commit is done, and insists on what became of it.
func (g *giteaServer) ends(event, commit string, state model.DeliveryState, detail string) {
	g.Helper()
	var d model.Delivery
	g.eventually("the end of "+event+" of "+commit, func() bool {
		all, err := g.api.Deliveries(g.Context(), "ann/shop")
		if err != nil {
			g.Fatal(err)
		}
		for _, one := range all {
			if one.Event == event && one.Arrival != nil && one.Arrival.Commit == commit && one.State != model.DeliveryPending && (one.State.Final() || state == model.DeliveryWaiting) {
				d = one
				return true
			}
		}
		return false
	})
	if d.State != state || !strings.Contains(d.Detail, detail) {
		g.Fatalf("it became %s: %s; not %s: %s", d.State, d.Detail, state, detail)
	}
}

// told waits until Gitea shows a status of a commit.
func (g *giteaServer) told(commit, context string, state gitea.StatusState, target string) {
	g.Helper()
	var all []*gitea.Status
	defer func() {
		if g.Failed() {
			g.Logf("the statuses of %s are %+v", commit, all)
		}
	}()
	g.eventually(context+" "+string(state)+" at Gitea", func() bool {
		var err error
		if all, _, err = g.client.ListStatuses("ann", "shop", commit, gitea.ListStatusesOption{}); err != nil {
			g.Fatal(err)
		}
		for _, s := range all {
			if s.Context == context && s.State == state && strings.Contains(s.TargetURL, target) {
				return true
			}
		}
		return false
	})
}

// change commits another version and pushes it to a branch of somebody's copy.
func (g *giteaServer) change(version, message, owner, token, branch string, lines ...string) string {
	g.Helper()
	g.dockerfile(version, lines...)
	g.commit(message)
	g.git("push", "-q", g.address(owner, token), "HEAD:"+branch)
	return g.rev("HEAD")
}

// TestGitea is a day with a real Gitea: merges to main, pull requests of a friend and of a stranger, a forger, a deploy key.
func TestGitea(t *testing.T) {
	g := start(t).folder("shop").gitea()

	one := g.change("one", "Say one", "ann", g.token, "main")
	g.ends("push", one, model.DeliveryDone, "production: v1 serves")
	g.answers("shop", "/", "shop one")
	g.told(one, "pandabox/shop/production", gitea.StatusSuccess, "https://shop."+box.Base)

	broken := g.change("two", "Break", "ann", g.token, "main", `RUN ["/testapp", "exit", "7"]`)
	g.ends("push", broken, model.DeliveryFailed, "could not be built, v1 is still serving")
	g.told(broken, "pandabox/shop/production", gitea.StatusFailure, "")
	g.answers("shop", "/", "shop one")
	skipped := g.change("three", "Mend [skip deploy]", "ann", g.token, "main")
	g.ends("push", skipped, model.DeliveryIgnored, "[skip deploy]")

	// A pull request: opened, pushed to, merged.
	cart := g.change("cart", "Carts", "ann", g.token, "cart")
	pull, _, err := g.client.CreatePullRequest("ann", "shop", gitea.CreatePullRequestOption{Head: "cart", Base: "main", Title: "Carts"})
	if err != nil {
		t.Fatal(err)
	}
	preview := fmt.Sprintf("pr-%d", pull.Index)
	g.ends("pull_request", cart, model.DeliveryDone, preview+": v1 serves")
	g.answersAt("shop-"+preview+"."+box.Base, "shop cart")
	g.told(cart, "pandabox/shop/"+preview, gitea.StatusSuccess, "https://shop-"+preview+"."+box.Base)
	fuller := g.change("fuller", "Fuller carts", "ann", g.token, "cart")
	g.ends("pull_request", fuller, model.DeliveryDone, preview+": v2 serves")
	g.answersAt("shop-"+preview+"."+box.Base, "shop fuller")
	g.answers("shop", "/", "shop one")
	if merged, _, err := g.client.MergePullRequest("ann", "shop", pull.Index, gitea.MergePullRequestOption{Style: gitea.MergeStyleMerge}); err != nil || !merged {
		t.Fatalf("merging: %v, %v", merged, err)
	}
	g.eventually("the merge in production, and the end of the preview", func() bool {
		all, err := g.api.Previews(t.Context(), "shop")
		_, body, failed := g.get("shop", "/")
		return err == nil && len(all) == 0 && failed == nil && body == "shop fuller"
	})
	g.git("pull", "-q", g.address("ann", g.token), "main")
	g.told(g.rev("HEAD"), "pandabox/shop/production", gitea.StatusSuccess, "https://shop."+box.Base)
	if r, err := g.api.Release(t.Context(), client.Ref{App: "shop"}, g.status("shop").Serving); err != nil || r.Revision == nil || r.Revision.Commit != g.rev("HEAD") {
		t.Errorf("what serves is %+v (%v)", r.Revision, err)
	}

	g.approval()
	g.stranger()
	g.forger()
	g.deployKey()
}

// approval has what is merged wait for an admin's word; Gitea is told of it, also across the end of the daemon.
func (g *giteaServer) approval() {
	g.Helper()
	g.run(0, nil, "protect")
	waiting := func(commit string) string {
		g.Helper()
		g.ends("push", commit, model.DeliveryWaiting, "production: waits for approval")
		g.told(commit, "pandabox/shop/production", gitea.StatusPending, "")
		all, err := g.api.Approvals(g.Context(), api.Page{Limit: 1})
		if err != nil || len(all.Items) != 1 || all.Items[0].State != model.ApprovalWaiting {
			g.Fatalf("what waits is %+v (%v)", all.Items, err)
		}
		return all.Items[0].ID
	}
	good := g.change("approved", "Please", "ann", g.token, "main")
	id := waiting(good)
	g.answers("shop", "/", "shop fuller")
	if err := g.box.Signal(syscall.SIGKILL); err != nil {
		g.Fatal(err)
	}
	if err := g.box.Start(g.Context()); err != nil {
		g.Fatal(err)
	}
	g.run(0, nil, "approvals", "approve", id)
	g.ends("push", good, model.DeliveryDone, "production: v")
	g.told(good, "pandabox/shop/production", gitea.StatusSuccess, "https://shop."+box.Base)
	g.answers("shop", "/", "shop approved")

	bad := g.change("bad", "Pretty please", "ann", g.token, "main")
	g.run(0, nil, "approvals", "refuse", waiting(bad))
	g.ends("push", bad, model.DeliveryFailed, "production: it was not approved: it is refused")
	g.told(bad, "pandabox/shop/production", gitea.StatusFailure, "")
	g.answers("shop", "/", "shop approved")
	g.run(0, nil, "unprotect", "--yes")
}

// stranger opens a pull request from a fork: no code of it runs.
func (g *giteaServer) stranger() {
	g.Helper()
	change := false
	if _, _, err := g.client.AdminCreateUser(gitea.CreateUserOption{Username: "mallory", Email: "mallory@example.com", Password: "secret-of-mallory", MustChangePassword: &change}); err != nil {
		g.Fatal(err)
	}
	private := false
	if _, _, err := g.client.EditRepo("ann", "shop", gitea.EditRepoOption{Private: &private}); err != nil {
		g.Fatal(err)
	}
	said := strings.Fields(g.admin("admin", "user", "generate-access-token", "--username", "mallory", "--token-name", "test", "--scopes", "all", "--raw"))
	token := said[len(said)-1]
	mallory, err := gitea.NewClient("http://"+g.web, gitea.SetToken(token))
	if err != nil {
		g.Fatal(err)
	}
	if _, _, err := mallory.CreateFork("ann", "shop", gitea.CreateForkOption{}); err != nil {
		g.Fatal(err)
	}
	evil := g.change("evil", "Trust me", "mallory", token, "evil")
	pull, _, err := mallory.CreatePullRequest("ann", "shop", gitea.CreatePullRequestOption{Head: "mallory:evil", Base: "main", Title: "Trust me"})
	if err != nil {
		g.Fatal(err)
	}
	g.ends("pull_request", evil, model.DeliveryIgnored, "pull requests from forks make no previews")
	if code, _, err := g.get("shop-"+fmt.Sprintf("pr-%d", pull.Index), "/"); err == nil && code == http.StatusOK {
		g.Error("the fork's code is served")
	}
	g.git("reset", "-q", "--hard", "HEAD~1")
}

// forger has Gitea sign with another secret: nothing is deployed, and what comes after the mending is.
func (g *giteaServer) forger() {
	g.Helper()
	g.webhook("another secret")
	forged := g.change("forged", "Forged", "ann", g.token, "main")
	g.eventually("the refusal in the daemon's log", func() bool { return strings.Contains(g.box.Log(), "wrong signature") })
	g.webhook(g.secret)
	g.change("mended", "Mended", "ann", g.token, "main")
	g.ends("push", g.rev("HEAD"), model.DeliveryDone, "production: v")
	g.answers("shop", "/", "shop mended")
	all, err := g.api.Deliveries(g.Context(), "ann/shop")
	if err != nil {
		g.Fatal(err)
	}
	for _, d := range all {
		if d.Arrival != nil && d.Arrival.Commit == forged {
			g.Errorf("what was forged became %s: %s", d.State, d.Detail)
		}
	}
}

// deployKey has the same repository opened over SSH with a key of its own.
func (g *giteaServer) deployKey() {
	g.Helper()
	private := true
	if _, _, err := g.client.EditRepo("ann", "shop", gitea.EditRepoOption{Private: &private}); err != nil {
		g.Fatal(err)
	}
	g.run(0, nil, "repos", "rm", "ann/shop")
	var made api.Repository
	if err := json.Unmarshal([]byte(g.run(0, nil, "repos", "connect", "ssh://git@"+g.ssh+"/ann/shop.git", "--forge", "gitea", "--deploy-key", "--json").Out), &made); err != nil || made.PublicKey == "" {
		g.Fatalf("connecting says %+v (%v)", made, err)
	}
	if _, _, err := g.client.CreateDeployKey("ann", "shop", gitea.CreateKeyOption{Title: "pandabox", Key: made.PublicKey, ReadOnly: true}); err != nil {
		g.Fatal(err)
	}
	g.hook = made.Hook
	g.webhook(made.Signed)
	last := g.change("keyed", "With a key", "ann", g.token, "main")
	g.ends("push", last, model.DeliveryDone, "production: v")
	g.answers("shop", "/", "shop keyed")
}
