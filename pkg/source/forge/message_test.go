package forge

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/model"
)

const secret = "the secret of the test"

func repo(f model.Forge) control.OpenRepository {
	return control.OpenRepository{Repository: model.Repository{Forge: f, Name: "acme/shop"}, Secret: secret}
}

func sum(h func() hash.Hash, body string) string { return sumWith(secret, h, body) }

func sumWith(secret string, h func() hash.Hash, body string) string {
	mac := hmac.New(h, []byte(secret))
	_, _ = mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

func sent(body string, header map[string]string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/hooks/x", strings.NewReader(body))
	for name, value := range header {
		r.Header.Set(name, value)
	}
	return r
}

func TestOnlyWhatIsSignedIsRead(t *testing.T) {
	const body = `{"ref":"refs/heads/main"}`
	good := sum(sha256.New, body)
	for name, c := range map[string]struct {
		forge  model.Forge
		header map[string]string
		kind   model.Kind // "" is good
	}{
		"GitHub":                 {model.ForgeGitHub, map[string]string{"X-GitHub-Event": "push", "X-GitHub-Delivery": "1", "X-Hub-Signature-256": "sha256=" + good}, ""},
		"GitHub, SHA-1 alone":    {model.ForgeGitHub, map[string]string{"X-GitHub-Event": "push", "X-GitHub-Delivery": "1", "X-Hub-Signature": "sha1=" + sum(sha1.New, body)}, model.KindUnauthenticated},
		"GitHub, SHA-1 as 256":   {model.ForgeGitHub, map[string]string{"X-GitHub-Event": "push", "X-GitHub-Delivery": "1", "X-Hub-Signature-256": "sha1=" + good}, model.KindUnauthenticated},
		"GitHub, another body":   {model.ForgeGitHub, map[string]string{"X-GitHub-Event": "push", "X-GitHub-Delivery": "1", "X-Hub-Signature-256": "sha256=" + sum(sha256.New, body+" ")}, model.KindUnauthenticated},
		"GitHub, none":           {model.ForgeGitHub, map[string]string{"X-GitHub-Event": "push", "X-GitHub-Delivery": "1"}, model.KindUnauthenticated},
		"GitHub, empty":          {model.ForgeGitHub, map[string]string{"X-GitHub-Event": "push", "X-GitHub-Delivery": "1", "X-Hub-Signature-256": "sha256="}, model.KindUnauthenticated},
		"GitHub, no id":          {model.ForgeGitHub, map[string]string{"X-GitHub-Event": "push", "X-Hub-Signature-256": "sha256=" + good}, model.KindInvalid},
		"GitHub, a form":         {model.ForgeGitHub, map[string]string{"X-GitHub-Event": "push", "X-GitHub-Delivery": "1", "Content-Type": "application/x-www-form-urlencoded", "X-Hub-Signature-256": "sha256=" + good}, model.KindInvalid},
		"GitLab":                 {model.ForgeGitLab, map[string]string{"X-Gitlab-Event": "Push Hook", "X-Gitlab-Event-UUID": "1", "X-Gitlab-Token": secret}, ""},
		"GitLab, another token":  {model.ForgeGitLab, map[string]string{"X-Gitlab-Event": "Push Hook", "X-Gitlab-Event-UUID": "1", "X-Gitlab-Token": secret + "x"}, model.KindUnauthenticated},
		"GitLab, GitHub's way":   {model.ForgeGitLab, map[string]string{"X-GitHub-Event": "push", "X-GitHub-Delivery": "1", "X-Hub-Signature-256": "sha256=" + good}, model.KindUnauthenticated},
		"Gitea":                  {model.ForgeGitea, map[string]string{"X-Gitea-Event": "push", "X-Gitea-Delivery": "1", "X-Gitea-Signature": good}, ""},
		"Forgejo":                {model.ForgeGitea, map[string]string{"X-Forgejo-Event": "push", "X-Forgejo-Delivery": "1", "X-Forgejo-Signature": good}, ""},
		"Gitea, none":            {model.ForgeGitea, map[string]string{"X-Gitea-Event": "push", "X-Gitea-Delivery": "1"}, model.KindUnauthenticated},
		"Gitea, no hexadecimals": {model.ForgeGitea, map[string]string{"X-Gitea-Event": "push", "X-Gitea-Delivery": "1", "X-Gitea-Signature": "zz"}, model.KindUnauthenticated},
	} {
		m, err := read(sent(body, c.header), repo(c.forge))
		if got := model.KindOf(err); err != nil && got != c.kind || err == nil && (c.kind != "" || m.id != "1" || string(m.payload) != body) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	if _, err := read(sent(strings.Repeat("x", maxMessage+1), nil), repo(model.ForgeGitHub)); model.KindOf(err) != model.KindTooLarge {
		t.Errorf("a message without end: %v", err)
	}
}

func TestWhatMessagesTellOf(t *testing.T) {
	head := strings.Repeat("a", 40)
	push := func(more string) string {
		return fmt.Sprintf(`{"ref":"refs/heads/main","before":%q,"after":%q,"repository":{"full_name":"Acme/Shop"},"head_commit":{"id":%q,"message":"Mend"},%s}`, strings.Repeat("b", 40), head, head, more)
	}
	commits := func(n int) string {
		return `"commits":[` + strings.TrimSuffix(strings.Repeat(`{"id":"c","added":["a"],"modified":["m"],"removed":["r"]},`, n), ",") + `]`
	}
	for name, c := range map[string]struct {
		event, body string
		want        string // "main aaaaaaa 3 false", or what is said in place
	}{
		"a push":             {"push", push(commits(1)), "main 3 false"},
		"a forced push":      {"push", push(`"forced":true,` + commits(1)), "main 0 true"},
		"a new branch":       {"push", push(`"created":true,` + commits(1)), "main 0 true"},
		"a push of many":     {"push", push(commits(toldCommits)), "main 0 true"},
		"a push of none":     {"push", push(`"commits":[]`), "main 0 true"},
		"a tag":              {"push", strings.Replace(push(commits(1)), "refs/heads/main", "refs/tags/v1", 1), "refs/tags/v1 is no branch"},
		"a ping":             {"ping", `{"zen":"x"}`, "pong"},
		"stars":              {"star", `{}`, "messages about star are not needed"},
		"another repository": {"push", strings.Replace(push(commits(1)), "Acme/Shop", "acme/shop2", 1), "it is about acme/shop2, not acme/shop"},
		"an odd branch":      {"push", strings.Replace(push(commits(1)), "refs/heads/main", "refs/heads/--upload-pack=x", 1), "is not a branch"},
		"an odd commit":      {"push", strings.Replace(push(commits(1)), `"after":"`+head, `"after":"; rm -rf /`, 1), "is not a commit"},
		"no JSON":            {"push", "{", "cannot be read"},
		"a label":            {"pull_request", `{"action":"labeled","number":3,"pull_request":{"head":{"ref":"x"}},"repository":{"full_name":"acme/shop"}}`, "labeled changes nothing"},
		"no number":          {"pull_request", `{"action":"opened","pull_request":{"head":{"ref":"x"}},"repository":{"full_name":"acme/shop"}}`, "cannot be read"},
	} {
		a, err := message{"1", c.event, []byte(c.body)}.arrival(repo(model.ForgeGitHub))
		got := fmt.Sprint(a.Branch, " ", len(a.Changed), " ", a.All)
		var none nothing
		if err != nil {
			got = err.Error()
			if errors.As(err, &none) {
				got = none.why
			}
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s tells of %q, not %q", name, got, c.want)
		}
	}
}

// TestWhatGiteaLeavesOut are commits: it tells of the first few.
func TestWhatGiteaLeavesOut(t *testing.T) {
	push := func(told int, more string) string {
		commits := strings.TrimSuffix(strings.Repeat(`{"id":"c","added":["a"]},`, told), ",")
		return fmt.Sprintf(`{"ref":"refs/heads/main","before":%q,"after":%q,"repository":{"full_name":"acme/shop"},"commits":[%s]%s}`,
			strings.Repeat("b", 40), strings.Repeat("a", 40), commits, more)
	}
	for body, all := range map[string]bool{
		push(5, `,"total_commits":6`): true, push(5, `,"total_commits":5`): false, push(10, `,"total_commits":10`): false, push(4, ""): false, push(5, ""): true,
	} {
		a, err := message{"1", "push", []byte(body)}.arrival(repo(model.ForgeGitea))
		if err != nil || a.All != all || (len(a.Changed) == 0) != all {
			t.Errorf("%s tells of all: %t, %d paths (%v)", body, a.All, len(a.Changed), err)
		}
	}
}

func FuzzMessages(f *testing.F) {
	f.Add("push", `{"ref":"refs/heads/main","after":"a"}`)
	f.Add("pull_request", `{"action":"opened","pull_request":null}`)
	f.Add("Push Hook", `{"project":{},"commits":[null]}`)
	f.Add("Merge Request Hook", `{"object_attributes":{"action":"open"}}`)
	f.Fuzz(func(t *testing.T, event, body string) {
		for _, kind := range []model.Forge{model.ForgeGitHub, model.ForgeGitLab, model.ForgeGitea} {
			a, err := message{"1", event, []byte(body)}.arrival(repo(kind))
			if err == nil && (model.CheckBranch(a.Branch) != nil || a.Ref == "" || a.Commit != "" && !isHash(a.Commit)) {
				t.Errorf("%s takes %+v", kind, a)
			}
		}
	})
}
