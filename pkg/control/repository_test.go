package control

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

func TestWhatARepositorysAddressMeans(t *testing.T) {
	for in, want := range map[string]string{
		"https://github.com/acme/shop":            "github acme/shop https://github.com/acme/shop.git",
		"github.com/acme/shop.git":                "github acme/shop https://github.com/acme/shop.git",
		"https://gitlab.example.com/a/b/c.git":    "gitlab a/b/c https://gitlab.example.com/a/b/c.git",
		"git@codeberg.org:acme/shop.git":          "gitea acme/shop ssh://git@codeberg.org/acme/shop.git",
		"ssh://git@gitlab.com:2222/acme/shop.git": "gitlab acme/shop ssh://git@gitlab.com:2222/acme/shop.git",
		"http://gitea.lan:3000/acme/shop":         "gitea acme/shop http://gitea.lan:3000/acme/shop.git",
	} {
		r, err := NewRepository{URL: in}.check()
		if got := string(r.Forge) + " " + r.Name + " " + r.URL; err != nil || got != want {
			t.Errorf("%s is %q (%v), not %q", in, got, err, want)
		}
	}
	for name, n := range map[string]NewRepository{
		"a file":               {URL: "file:///etc/passwd"},
		"a helper":             {URL: "ext::sh -c whoami"},
		"no repository":        {URL: "https://github.com/acme"},
		"a password in it":     {URL: "https://me:secret@github.com/acme/shop"},
		"a query":              {URL: "https://github.com/acme/shop?x=1"},
		"which forge":          {URL: "https://git.example.com/acme/shop"},
		"no forge":             {URL: "https://git.example.com/acme/shop", Forge: "svn"},
		"a token over ssh":     {URL: "git@github.com:acme/shop.git", Token: "x"},
		"a key over https":     {URL: "https://github.com/acme/shop", DeployKey: true},
		"an app and a token":   {URL: "https://github.com/acme/shop", Token: "x", GitHubApp: "acme"},
		"a newline":            {URL: "https://github.com/acme/shop\nx"},
		"a token that is huge": {URL: "https://github.com/acme/shop", Token: strings.Repeat("x", maxSecret+1)},
	} {
		if r, err := n.check(); model.KindOf(err) != model.KindInvalid {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

func TestARepositoryAndItsSecrets(t *testing.T) {
	b := newBox(t)
	if _, err := b.Repositories.Connect(t.Context(), b.member(model.RoleMember), "", "shop", NewRepository{URL: "https://github.com/acme/shop"}); model.KindOf(err) != model.KindForbidden {
		t.Errorf("a member connects: %v", err)
	}
	made, err := b.Repositories.Connect(t.Context(), root, "", "shop", NewRepository{URL: "https://github.com/acme/shop", Token: "hush"})
	if err != nil || made.Signed == "" || made.Hook != "https://"+base+"/hooks/"+made.ID || made.Token != nil || made.Secret != nil {
		t.Fatalf("%+v, %v", made, err)
	}
	key, err := b.Repositories.Connect(t.Context(), root, "", "shop", NewRepository{URL: "git@gitlab.com:acme/shop.git", DeployKey: true})
	if err != nil || !strings.HasPrefix(key.PublicKey, "ssh-ed25519 ") {
		t.Fatalf("%+v, %v", key, err)
	}
	if strings.Contains(b.dump(), "hush") || strings.Contains(b.dump(), made.Signed) || strings.Contains(b.dump(), "PRIVATE KEY") {
		t.Error("a secret stands in the store")
	}
	open, err := b.Repositories.Open(t.Context(), made.ID)
	if err != nil || open.Secret != made.Signed || open.Token != "hush" || open.App != "shop" || open.Org != model.DefaultOrg {
		t.Errorf("%+v, %v", open, err)
	}
	if open, err = b.Repositories.Open(t.Context(), key.ID); err != nil || !strings.Contains(open.Key, "PRIVATE KEY") {
		t.Errorf("%+v, %v", open, err)
	}
	for _, trust := range []string{"ssh-ed25519 one", "ssh-ed25519 two"} { // the first that is seen stays
		if err := b.Repositories.Trust(t.Context(), key.ID, trust); err != nil {
			t.Fatal(err)
		}
	}
	if open, err = b.Repositories.Open(t.Context(), key.ID); err != nil || open.HostKey != "ssh-ed25519 one" {
		t.Errorf("%q is trusted (%v)", open.HostKey, err)
	}
	if _, err := b.Repositories.Connect(t.Context(), root, "", "shop", NewRepository{URL: "github.com/acme/shop.git"}); model.KindOf(err) != model.KindConflict {
		t.Errorf("the same again: %v", err)
	}
	if l, err := b.Repositories.List(t.Context(), root, "", "shop"); err != nil || len(l) != 2 || l[0].Signed != "" || l[0].Secret != nil {
		t.Errorf("%+v, %v", l, err)
	}
	d := model.Delivery{ID: made.ID + "/1", RepositoryID: made.ID, State: model.DeliveryPending, Arrival: &model.Arrival{Branch: "main"}}
	for i := range 2 {
		if fresh, err := b.Repositories.Accept(t.Context(), d); err != nil || fresh != (i == 0) {
			t.Errorf("delivery %d is fresh: %v (%v)", i, fresh, err)
		}
	}
	if p, err := b.Repositories.Pending(t.Context()); err != nil || len(p) != 1 {
		t.Errorf("%+v, %v", p, err)
	}
	d.State, d.Detail = model.DeliveryDone, "v1 serves"
	if err := b.Repositories.End(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if all, err := b.Repositories.Deliveries(t.Context(), root, "", "acme/shop"); err != nil || len(all) != 1 || all[0].Detail != "v1 serves" || all[0].EndedAt.IsZero() {
		t.Errorf("%+v, %v", all, err)
	}
	if err := b.Repositories.Remove(t.Context(), root, "", made.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Repositories.Open(t.Context(), made.ID); model.KindOf(err) != model.KindNotFound {
		t.Errorf("removed: %v", err)
	}
	if err := b.Repositories.End(t.Context(), d); err != nil {
		t.Errorf("ending what is forgotten: %v", err)
	}
}

func TestGitHubApps(t *testing.T) {
	b := newBox(t)
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	key := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)}))
	for name, n := range map[string]NewGitHubApp{"no key": {"acme", 1, "x"}, "no id": {"acme", 0, key}, "no name": {"", 1, key}} {
		if _, err := b.GitHubApps.Add(t.Context(), root, "", n); model.KindOf(err) != model.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	made, err := b.GitHubApps.Add(t.Context(), root, "", NewGitHubApp{"acme", 4711, key})
	if err != nil || made.Signed == "" || !IsGitHubApp(made.ID) || made.Key != nil {
		t.Fatalf("%+v, %v", made, err)
	}
	if secret, err := b.GitHubApps.Secret(t.Context(), made.ID); err != nil || secret != made.Signed {
		t.Errorf("%q, %v", secret, err)
	}
	r, err := b.Repositories.Connect(t.Context(), root, "", "shop", NewRepository{URL: "https://github.com/acme/shop", GitHubApp: "acme"})
	if err != nil || r.Signed != "" || r.Hook != made.Hook {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := b.Repositories.Connect(t.Context(), root, "", "other", NewRepository{URL: "https://gitlab.com/acme/shop", GitHubApp: "acme"}); model.KindOf(err) != model.KindInvalid {
		t.Errorf("at GitLab: %v", err)
	}
	open, err := b.Repositories.Open(t.Context(), r.ID)
	if err != nil || open.AppKey != key || open.AppNumber != 4711 {
		t.Errorf("%+v, %v", open, err)
	}
	if id, err := b.GitHubApps.Repository(t.Context(), made.ID, "Acme/Shop"); err != nil || id != r.ID {
		t.Errorf("%s, %v", id, err)
	}
	if _, err := b.GitHubApps.Repository(t.Context(), made.ID, "acme/other"); model.KindOf(err) != model.KindNotFound {
		t.Errorf("not connected: %v", err)
	}
	if err := b.GitHubApps.Remove(t.Context(), root, "", "acme"); model.KindOf(err) != model.KindConflict {
		t.Errorf("in use: %v", err)
	}
	if err := b.Repositories.Remove(t.Context(), root, "", "acme/shop"); err != nil {
		t.Fatal(err)
	}
	if err := b.GitHubApps.Remove(t.Context(), root, "", "acme"); err != nil {
		t.Fatal(err)
	}
}

func TestADeployHook(t *testing.T) {
	b := newBox(t)
	d := b.deploy("shop", "1")
	b.settle(d.WorkloadID, true)
	made, err := b.DeployHooks.Create(t.Context(), root, Ref{App: "shop"}, "ci")
	if err != nil || made.Hash != nil {
		t.Fatalf("%+v, %v", made, err)
	}
	secret := made.Address[strings.LastIndex(made.Address, "/")+1:]
	if strings.Contains(b.dump(), secret) {
		t.Error("the secret stands in the store")
	}
	fire := func(c HookCall) (Fired, error) { return b.DeployHooks.Fire(t.Context(), secret, c) }
	for _, bad := range []string{"", "x", HookPrefix, secret + "x", strings.TrimPrefix(secret, HookPrefix)} {
		if _, err := b.DeployHooks.Fire(t.Context(), bad, HookCall{}); model.KindOf(err) != model.KindUnauthenticated {
			t.Errorf("%q: %v", bad, err)
		}
	}
	f, err := fire(HookCall{Image: "registry.example.com/shop:2", Message: "build 812"})
	if err != nil || f.Deploy.Actor != "deploy hook ci" || f.Deploy.Message != "build 812" || f.Deploy.Release != 2 {
		t.Fatalf("%+v, %v", f, err)
	}
	if f, err = fire(HookCall{}); err != nil || f.Deploy.Release != 3 {
		t.Fatalf("the same reference again: %+v, %v", f, err)
	}
	if r, err := b.Releases.Get(t.Context(), root, Ref{App: "shop"}, 3); err != nil || r.Image.Ref != "registry.example.com/shop:2" || r.Image.Digest != "" {
		t.Errorf("it deploys %+v (%v)", r.Image, err)
	}
	if _, err := fire(HookCall{Image: "UPPER CASE"}); model.KindOf(err) != model.KindInvalid {
		t.Errorf("no image: %v", err)
	}
	repo, err := b.Repositories.Connect(t.Context(), root, "", "shop", NewRepository{URL: "https://github.com/acme/shop"})
	if err != nil {
		t.Fatal(err)
	}
	if f, err = fire(HookCall{}); err != nil || f.Deploy.ID != "" || !strings.HasPrefix(f.Delivery, repo.ID+"/") {
		t.Errorf("with a repository: %+v, %v", f, err)
	}
	if p, err := b.Repositories.Pending(t.Context()); err != nil || len(p) != 1 || p[0].Arrival.Ref != "" || p[0].Arrival.Env != "production" {
		t.Errorf("to be fetched: %+v (%v)", p, err)
	}
	if _, err := b.Protections.Set(t.Context(), root, Ref{App: "shop"}, true); err != nil {
		t.Fatal(err)
	}
	if f, err = fire(HookCall{Image: "registry.example.com/shop:3"}); err != nil || f.Deploy.Approval == "" {
		t.Errorf("in a protected environment: %+v, %v", f, err)
	}
	if err := b.DeployHooks.Remove(t.Context(), root, Ref{App: "shop"}, "ci"); err != nil {
		t.Fatal(err)
	}
	if _, err := fire(HookCall{}); model.KindOf(err) != model.KindUnauthenticated {
		t.Errorf("removed: %v", err)
	}
}
