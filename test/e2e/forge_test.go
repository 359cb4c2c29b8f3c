package e2e

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/test/box"
)

// forge stands for GitHub, GitLab or Gitea: a real git server over HTTP with the repository acme/shop, and an API that
// writes down what it is told.
type forge struct {
	*folder
	kind   model.Forge
	server *httptest.Server
	bare   string // folder of the forge's repository
	hook   string // path of the webhook
	secret string

	app *rsa.PublicKey // of a GitHub App: it is given the token

	mu    sync.Mutex
	told  []string // "POST /repos/acme/shop/statuses/… success"
	count int
}

const forgeToken = "forge-token-of-the-test"

// forge connects the folder's repository.
func (f *folder) forge(kind model.Forge) *forge {
	f.Helper()
	root := f.TempDir()
	bare := filepath.Join(root, "acme", "shop.git")
	f.git("init", "-q", "--bare", bare)
	f.git("push", "-q", bare, "main")
	g := &forge{folder: f, kind: kind, bare: bare}
	backend, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		f.Fatal(err)
	}
	git := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(backend)), "git-http-backend"), Root: "/",
		Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1"},
	}
	g.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/") {
			g.listen(w, r)
			return
		}
		if _, password, _ := r.BasicAuth(); password != forgeToken {
			w.Header().Set("WWW-Authenticate", "Basic")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		git.ServeHTTP(w, r)
	}))
	f.Cleanup(g.server.Close)
	r := f.box.RunIn(f.Context(), f.dir, forgeToken+"\n", "repos", "connect", g.server.URL+"/acme/shop", "--forge", string(kind), "--token", "-", "--json")
	var made api.Repository
	if err := json.Unmarshal([]byte(r.Out), &made); err != nil || made.Signed == "" {
		f.Fatalf("connecting says %s%s (%v)", r.Out, r.Err, err)
	}
	g.hook, g.secret = made.Hook[strings.Index(made.Hook, "/hooks/"):], made.Signed
	return g
}

// listen is the forge's API.
func (g *forge) listen(w http.ResponseWriter, r *http.Request) {
	var body map[string]any
	_ = json.NewDecoder(r.Body).Decode(&body)
	auth := r.Header.Get("Authorization") + r.Header.Get("PRIVATE-TOKEN")
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.app != nil && !strings.HasSuffix(auth, forgeToken) {
		g.install(w, r, strings.TrimPrefix(auth, "Bearer "))
		return
	}
	if !strings.HasSuffix(auth, forgeToken) {
		g.told = append(g.told, "without a token")
	}
	g.told = append(g.told, fmt.Sprintf("%s %s %v%v %v", r.Method, r.URL.EscapedPath(), body["state"], body["status"], body["environment"]))
	if g.count++; g.count == 1 {
		w.WriteHeader(http.StatusBadGateway) // a forge that hiccups is told again
		return
	}
	if r.Method == http.MethodGet {
		_, _ = io.WriteString(w, `[{"id": 7}]`)
		return
	}
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, `{"id": 7}`)
}

// install gives a GitHub App that proves who it is the token of its installation.
func (g *forge) install(w http.ResponseWriter, r *http.Request, claim string) {
	token, err := jwt.ParseWithClaims(claim, &jwt.RegisteredClaims{}, func(*jwt.Token) (any, error) { return g.app, nil }, jwt.WithValidMethods([]string{"RS256"}), jwt.WithIssuer("4711"))
	if err != nil || !token.Valid {
		g.told = append(g.told, "a false claim: "+err.Error())
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	switch r.URL.Path {
	case "/api/v3/repos/acme/shop/installation":
		_, _ = io.WriteString(w, `{"id": 9}`)
	case "/api/v3/app/installations/9/access_tokens":
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprintf(w, `{"token":%q,"expires_at":%q}`, forgeToken, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	default:
		w.WriteHeader(http.StatusForbidden)
	}
}

// heard tells whether the forge was told something.
func (g *forge) heard(pattern string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return regexp.MustCompile(pattern).MatchString(strings.Join(g.told, "\n"))
}

// rev returns the hash of a revision.
func (f *folder) rev(name string) string {
	f.Helper()
	out, err := exec.CommandContext(f.Context(), "git", "-C", f.dir, "rev-parse", name).Output()
	if err != nil {
		f.Fatalf("git rev-parse %s: %v", name, err)
	}
	return strings.TrimSpace(string(out))
}

// push commits what the folder holds and pushes it to references of the forge's repository.
func (g *forge) push(message string, refs ...string) (after, before string) {
	g.Helper()
	before = g.rev("HEAD")
	g.commit(message)
	for _, ref := range refs {
		g.git("push", "-q", "-f", g.bare, "HEAD:"+ref)
	}
	return g.rev("HEAD"), before
}

// pushed is what the forge sends after a push; pulled after a pull request changed.
func (g *forge) pushed(branch, after, before, message string, changed ...string) (event, body string) {
	paths, _ := json.Marshal(changed)
	text, _ := json.Marshal(message)
	if g.kind == model.ForgeGitLab {
		return "Push Hook", fmt.Sprintf(`{"object_kind":"push","event_name":"push","before":%q,"after":%q,"ref":"refs/heads/%s","checkout_sha":%q,"user_name":"Ada","project_id":15,
"project":{"id":15,"name":"Shop","path_with_namespace":"acme/shop","default_branch":"main"},"total_commits_count":1,
"commits":[{"id":%q,"message":%s,"title":%s,"timestamp":"2026-11-23T05:00:00+00:00","url":"https://forge.example.com/c","author":{"name":"Ada","email":"ada@example.com"},"added":[],"modified":%s,"removed":[]}]}`,
			before, after, branch, after, after, text, text, paths)
	}
	return "push", fmt.Sprintf(`{"ref":"refs/heads/%s","before":%q,"after":%q,"created":false,"deleted":%v,"forced":false,"compare":"https://forge.example.com/compare",
"commits":[{"id":%q,"message":%s,"timestamp":"2026-11-23T05:00:00Z","url":"https://forge.example.com/c","author":{"name":"Ada","email":"ada@example.com"},"added":[],"removed":[],"modified":%s}],
"head_commit":{"id":%q,"message":%s,"url":"https://forge.example.com/c","author":{"name":"Ada","email":"ada@example.com"},"added":[],"removed":[],"modified":%s},
"repository":{"id":1,"name":"shop","full_name":"acme/shop","owner":{"login":"acme"},"default_branch":"main"},"pusher":{"name":"ada"},"sender":{"login":"ada","id":1}}`,
		branch, before, after, strings.Trim(after, "0") == "", after, text, paths, after, text, paths)
}

func (g *forge) pulled(action, head, from string, number int) (event, body string) {
	if g.kind == model.ForgeGitLab {
		source := 15
		if from != "acme/shop" {
			source = 16
		}
		return "Merge Request Hook", fmt.Sprintf(`{"object_kind":"merge_request","event_type":"merge_request","user":{"name":"Ada"},"project":{"id":15,"path_with_namespace":"acme/shop"},
"object_attributes":{"id":99,"iid":%d,"target_branch":"main","source_branch":"cart","source_project_id":%d,"target_project_id":15,"title":"Carts","state":"opened","url":"https://forge.example.com/mr",
"last_commit":{"id":%q,"message":"Carts","title":"Carts"},"action":%q}}`, number, source, head, map[string]string{"opened": "open", "closed": "merge"}[action])
	}
	return "pull_request", fmt.Sprintf(`{"action":%q,"number":%d,"pull_request":{"number":%d,"title":"Carts","html_url":"https://forge.example.com/pull","user":{"login":"ada"},
"head":{"ref":"cart","sha":%q,"repo":{"full_name":%q}},"base":{"ref":"main","repo":{"full_name":"acme/shop"}}},"repository":{"full_name":"acme/shop"}}`, action, number, number, head, from)
}

// send sends a message as the forge does, signed with a secret, and returns the answer.
func (g *forge) send(id, event, body, secret string) (int, string) {
	g.Helper()
	req, err := http.NewRequestWithContext(g.Context(), http.MethodPost, "https://"+box.Base+g.hook, strings.NewReader(body))
	if err != nil {
		g.Fatal(err)
	}
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte(body))
	sum := hex.EncodeToString(mac.Sum(nil))
	req.Header.Set("Content-Type", "application/json")
	for name, value := range map[model.Forge]map[string]string{
		model.ForgeGitHub: {"X-GitHub-Event": event, "X-GitHub-Delivery": id, "X-Hub-Signature-256": "sha256=" + sum},
		model.ForgeGitLab: {"X-Gitlab-Event": event, "X-Gitlab-Event-UUID": id, "X-Gitlab-Token": secret},
		model.ForgeGitea:  {"X-Gitea-Event": event, "X-Gitea-Delivery": id, "X-Gitea-Signature": sum},
	}[g.kind] {
		req.Header.Set(name, value)
	}
	return g.call(req)
}

func (w *world) call(req *http.Request) (int, string) {
	w.Helper()
	res, err := w.http.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// settled waits until the forge's newest message is done, and returns what became of it.
func (g *forge) settled() model.Delivery {
	g.Helper()
	var d model.Delivery
	g.eventually("the end of what the forge told of", func() bool {
		all, err := g.api.Deliveries(g.Context(), "acme/shop")
		if err != nil || len(all) == 0 {
			g.Fatalf("deliveries: %+v, %v", all, err)
		}
		d = all[0]
		return d.State != model.DeliveryPending
	})
	return d
}

func (g *forge) becomes(state model.DeliveryState, detail string) {
	g.Helper()
	if d := g.settled(); d.State != state || !regexp.MustCompile(detail).MatchString(d.Detail) {
		g.Fatalf("it became %s: %s; not %s: %s", d.State, d.Detail, state, detail)
	}
}

// TestForges is a day with each forge: a merge to main, what is not to be deployed, a pull request, and forgers.
func TestForges(t *testing.T) {
	for _, kind := range []model.Forge{model.ForgeGitHub, model.ForgeGitLab, model.ForgeGitea} {
		t.Run(string(kind), func(t *testing.T) { start(t).folder("shop").forge(kind).day() })
	}
}

func (g *forge) day() {
	zero := strings.Repeat("0", 40)
	first := g.rev("HEAD")
	event, body := g.pushed("main", first, zero, "The first")
	for name, forged := range map[string]string{"another secret": g.secret + "x", "no secret": ""} {
		if code, text := g.send("a", event, body, forged); code != http.StatusUnauthorized {
			g.Fatalf("signed with %s: %d %s", name, code, text)
		}
	}
	if code, text := g.send("a", event, body, g.secret); code != http.StatusAccepted {
		g.Fatalf("a push: %d %s", code, text)
	}
	g.becomes(model.DeliveryDone, "^production: v1 serves$")
	g.answers("shop", "/", "shop 1")
	r, err := g.api.Release(g.Context(), client.Ref{App: "shop"}, 1)
	if err != nil || r.Revision == nil || r.Revision.Commit != first || r.Revision.Subject != "The first" {
		g.Errorf("the release is of %+v (%v)", r.Revision, err)
	}
	status, deployment := "POST /api/v3/repos/acme/shop/statuses/"+first+" success", "POST /api/v3/repos/acme/shop/deployments/7/statuses success"
	switch g.kind {
	case model.ForgeGitLab:
		status, deployment = "POST /api/v4/projects/acme%2Fshop/statuses/"+first+" success", "PUT /api/v4/projects/acme%2Fshop/deployments/7 .*success"
	case model.ForgeGitea:
		status, deployment = "POST /api/v1/repos/acme/shop/statuses/"+first+" success", "."
	}
	g.eventually("the report to the forge", func() bool { return g.heard(status) && g.heard(deployment) })
	if g.heard("without a token") {
		g.Error("the forge was told something without the token")
	}

	if code, text := g.send("a", event, body, g.secret); code != http.StatusOK || !strings.Contains(text, "seen") {
		g.Errorf("the same again: %d %s", code, text)
	}
	event, body = g.pushed("main", zero, first, "")
	if code, text := g.send("b", event, body, g.secret); code != http.StatusOK || !strings.Contains(text, "deleted") {
		g.Errorf("a deleted branch: %d %s", code, text)
	}
	if code, text := g.send("c", "issues", `{"action":"opened"}`, g.secret); code != http.StatusOK || !strings.Contains(text, "ignored") {
		g.Errorf("another event: %d %s", code, text)
	}
	if code, text := g.send("d", event, "{", g.secret); code != http.StatusBadRequest {
		g.Errorf("no JSON: %d %s", code, text)
	}
	event, body = g.pushed("main", first, zero, "x")
	if code, text := g.send("e", event, strings.ReplaceAll(body, "acme/shop", "evil/shop"), g.secret); code != http.StatusOK || !strings.Contains(text, "not acme/shop") {
		g.Errorf("another repository: %d %s", code, text)
	}

	g.dockerfile("2")
	after, before := g.push("Mend [skip deploy]", "refs/heads/main")
	event, body = g.pushed("main", after, before, "Mend [skip deploy]", "Dockerfile")
	g.send("f", event, body, g.secret)
	g.becomes(model.DeliveryIgnored, `the commit says \[skip deploy\]`)
	event, body = g.pushed("main", first, zero, "The first")
	g.send("g", event, body, g.secret)
	g.becomes(model.DeliveryIgnored, "a newer commit is there")
	g.dockerfile("3", `RUN ["/testapp", "exit", "7"]`)
	after, before = g.push("Break", "refs/heads/main")
	event, body = g.pushed("main", after, before, "Break", "Dockerfile")
	g.send("h", event, body, g.secret)
	g.becomes(model.DeliveryFailed, "^production: release v2 of shop could not be built, v1 is still serving")
	g.answers("shop", "/", "shop 1")
	g.eventually("the report of the failure", func() bool { return g.heard("statuses/" + after + " fail") })

	g.preview()
	g.deployHook()
}

// TestAGitHubApp fetches with an installation's token, and survives the end of the daemon between taking and doing.
func TestAGitHubApp(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	f := start(t).folder("shop")
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), 0o600); err != nil {
		t.Fatal(err)
	}
	f.run(2, []string{`is no private key of a GitHub App`}, "repos", "app", "add", "acme", "--id", "4711", "--private-key", "Dockerfile")
	var app api.GitHubApp
	if err := json.Unmarshal([]byte(f.run(0, nil, "repos", "app", "add", "acme", "--id", "4711", "--private-key", file, "--json").Out), &app); err != nil {
		t.Fatal(err)
	}
	g := f.forge(model.ForgeGitHub)
	f.run(0, nil, "repos", "rm", "acme/shop") // connected with a token; with the app it is another
	g.app, g.hook, g.secret = &key.PublicKey, app.Hook[strings.Index(app.Hook, "/hooks/"):], app.Signed
	f.run(0, nil, "repos", "connect", g.server.URL+"/acme/shop", "--forge", "github", "--github-app", "acme")
	f.run(1, []string{`acme/shop is opened with the GitHub App acme`}, "repos", "app", "rm", "acme")

	event, body := g.pushed("main", g.rev("HEAD"), strings.Repeat("0", 40), "The first")
	if code, text := g.send("a", event, strings.ReplaceAll(body, "acme/shop", "acme/other"), g.secret); code != http.StatusOK || !strings.Contains(text, "acme/other is not connected") {
		t.Errorf("a repository that is not connected: %d %s", code, text)
	}
	if code, text := g.send("b", event, body, "x"); code != http.StatusUnauthorized {
		t.Errorf("forged: %d %s", code, text)
	}
	if code, text := g.send("c", event, body, g.secret); code != http.StatusAccepted {
		t.Fatalf("a push: %d %s", code, text)
	}
	if err := f.box.Signal(syscall.SIGKILL); err != nil { // what was answered with 202 is done all the same
		t.Fatal(err)
	}
	if err := f.box.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.becomes(model.DeliveryDone, "^production: v1 serves$")
	f.answers("shop", "/", "shop 1")
	if g.heard("a false claim") || !g.heard("statuses/"+g.rev("HEAD")+" success") {
		t.Errorf("the forge was told\n%s", strings.Join(g.told, "\n"))
	}
	if all, err := f.api.Deploys(t.Context(), client.Ref{App: "shop"}, api.Page{}); err != nil || len(all.Items) != 1 {
		t.Errorf("one push made %d deploys (%v)", len(all.Items), err)
	}
}

// preview opens, and closes, a pull request.
func (g *forge) preview() {
	head := "refs/pull/12/head"
	if g.kind == model.ForgeGitLab {
		head = "refs/merge-requests/12/head"
	}
	g.dockerfile("cart")
	after, _ := g.push("Carts", head)
	event, body := g.pulled("opened", after, "mallory/shop", 12)
	g.send("p1", event, body, g.secret)
	g.becomes(model.DeliveryIgnored, "pull requests from forks make no previews")
	event, body = g.pulled("opened", after, "acme/shop", 12)
	g.send("p2", event, body, g.secret)
	g.becomes(model.DeliveryDone, "^pr-12: v1 serves$")
	g.answersAt("shop-pr-12."+box.Base, "shop cart")
	if out := g.run(0, nil, "previews", "-a", "shop").Out; !strings.Contains(out, "#12 Carts") {
		g.Errorf("previews are\n%s", out)
	}
	event, body = g.pulled("closed", after, "acme/shop", 12)
	g.send("p3", event, body, g.secret)
	g.becomes(model.DeliveryDone, "the preview is removed")
	retired := map[model.Forge]string{
		model.ForgeGitHub: "GET /api/v3/repos/acme/shop/deployments [^$]*POST /api/v3/repos/acme/shop/deployments/7/statuses inactive",
		model.ForgeGitLab: "POST /api/v4/projects/acme%2Fshop/environments/7/stop",
	}[g.kind]
	if !g.heard(retired) {
		g.Errorf("the forge was told\n%s", strings.Join(g.told, "\n"))
	}
	g.eventually("the end of the preview", func() bool {
		all, err := g.api.Previews(g.Context(), "shop")
		return err == nil && len(all) == 0
	})
}

// deployHook has the tracked branch fetched again, by an address alone.
func (g *forge) deployHook() {
	g.dockerfile("4")
	g.push("Mend", "refs/heads/main")
	address := strings.TrimSpace(g.run(0, nil, "hooks", "add", "ci").Out)
	at := "https://" + box.Base + address[strings.Index(address, "/deploy-hooks/"):]
	for url, want := range map[string]int{at + "x": http.StatusUnauthorized, at: http.StatusAccepted} {
		req, err := http.NewRequestWithContext(g.Context(), http.MethodPost, url, strings.NewReader(`{"message":"from the CI","other":1}`))
		if err != nil {
			g.Fatal(err)
		}
		if code, text := g.call(req); code != want {
			g.Errorf("a deploy hook answers %d %s, not %d", code, text, want)
		}
	}
	g.becomes(model.DeliveryDone, "^production: v3 serves$")
	g.answers("shop", "/", "shop 4")
	if strings.Contains(g.box.Log(), address[strings.LastIndex(address, "/")+1:]) {
		g.Error("the secret of the deploy hook is in the daemon's log")
	}
	g.run(0, nil, "hooks", "rm", "ci")
	g.run(0, nil, "repos", "rm", "acme/shop")
	if code, text := g.send("z", "push", "{}", g.secret); code != http.StatusNotFound {
		g.Errorf("after repos rm the webhook answers %d %s", code, text)
	}
}
