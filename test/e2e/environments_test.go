package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/test/box"
)

// member returns a client of a member of the default org.
func (w *world) member() *client.Client {
	w.Helper()
	return w.over(strings.TrimSpace(w.cli(0, "tokens", "create", "ci", "--role", "member").Out))
}

// answersAt insists on what a host answers.
func (w *world) answersAt(host, want string) {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), http.MethodGet, "https://"+host+"/", nil)
	if err != nil {
		w.Fatal(err)
	}
	res, err := w.http.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body := make([]byte, 200)
	n, _ := res.Body.Read(body)
	if got := string(body[:n]); res.StatusCode != http.StatusOK || got != want {
		w.Fatalf("%s answers %d %q, not %q", host, res.StatusCode, got, want)
	}
}

// TestFromStagingToProduction promotes what was built and tried, past an approval.
func TestFromStagingToProduction(t *testing.T) {
	f := start(t).folder("shop")
	f.run(0, nil, "deploy")
	f.answers("shop", "/", "shop 1")
	f.dockerfile("2")
	f.run(0, nil, "deploy", "-e", "staging")
	f.answersAt("shop-staging."+box.Base, "shop 2")
	f.answers("shop", "/", "shop 1")
	f.run(0, nil, "env", "set", "COLOUR=red", "-e", "staging")

	built := f.newest()
	f.run(0, []string{`^  shop: v2 of staging to production, in the place of v1$`, `^    warning: set in staging and not in production: COLOUR$`}, "promote", "staging", "production", "--yes")
	f.answers("shop", "/", "shop 2")
	if b := f.newest(); b.ID != built.ID {
		t.Errorf("the promote built %+v", b)
	}
	from, err := f.api.Release(t.Context(), client.Ref{App: "shop", Env: "staging"}, 2)
	if err != nil {
		t.Fatal(err)
	}
	to, err := f.api.Release(t.Context(), client.Ref{App: "shop"}, 2)
	if err != nil || to.Image.Digest != from.Image.Digest || to.Revision == nil {
		t.Errorf("%+v is not what staging runs: %+v (%v)", to.Image, from.Image, err)
	}

	f.run(0, nil, "protect")
	m := f.member()
	d, err := m.Promote(t.Context(), client.Ref{App: "shop"}, api.Promote{From: "staging"})
	if err != nil || d.Approval == "" || d.ID != "" {
		t.Fatalf("a member's promote is %+v, %v", d, err)
	}
	n := api.NewDeploy{Image: f.image(), Variables: map[string]string{"VERSION": "3"}}
	d, err = m.CreateDeploy(t.Context(), client.Ref{App: "shop"}, n)
	if err != nil || d.Approval == "" {
		t.Fatalf("a member's deploy is %+v, %v", d, err)
	}
	if _, err := m.Approve(t.Context(), d.Approval); model.KindOf(err) != model.KindForbidden {
		t.Errorf("a member approves: %v", err)
	}
	f.answers("shop", "/", "shop 2")
	if out := f.run(0, nil, "approvals", "--all").Out; !strings.Contains(out, "superseded") || !strings.Contains(out, "waiting") {
		t.Errorf("approvals are\n%s", out)
	}
	f.run(0, nil, "approvals", "approve", d.Approval)
	f.answers("shop", "/", "shop 3")
	f.run(1, []string{`does not wait any more: it is approved`}, "approvals", "approve", d.Approval)
	if out := f.run(0, nil, "audit").Out; !strings.Contains(out, "approval.approve") {
		t.Errorf("the audit says\n%s", out)
	}
	f.run(0, nil, "track", "develop", "-e", "staging", "--dir", "web")
	if out := f.run(0, nil, "track").Out; !strings.Contains(out, "main, master") || !strings.Contains(out, "develop") {
		t.Errorf("tracked is\n%s", out)
	}
}
