package httpapi

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/model"
)

// browse requests a page as a browser would.
func (b *box) browse(method, path string) (*http.Response, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.tls.URL+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html,*/*;q=0.8")
	res, err := b.http().Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return res, string(body)
}

func TestClaimPageMakesTheVisitorOwner(t *testing.T) {
	b := newBox(t)
	link, err := b.root().NewClaim(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	path := strings.TrimPrefix(link.URL, "https://box.test")
	if _, home := b.browse("GET", "/"); !strings.Contains(home, "Nobody owns this box yet") || strings.Contains(home, link.Secret) {
		t.Errorf("the home page of a fresh box says %s", home)
	}
	// Looking, as link previews do, uses nothing up and shows the same for any link.
	var before string
	for _, p := range []string{path, path, "/claim/wrong"} {
		res, page := b.browse("GET", p)
		if res.StatusCode != http.StatusOK || !strings.Contains(page, `<form method="post">`) || before != "" && page != before {
			t.Errorf("GET %s answers %d %s", p, res.StatusCode, page)
		}
		before = page
	}
	res, page := b.browse("POST", path)
	token := regexp.MustCompile(`pbx_[a-z2-7]+`).FindString(page)
	if res.StatusCode != http.StatusOK || token == "" || !strings.Contains(page, "pandabox login https://box.test") {
		t.Fatalf("POST answers %d %s", res.StatusCode, page)
	}
	if _, err := b.remote(token).CreateToken(t.Context(), api.NewToken{Name: "x", Role: model.RoleOwner}); err != nil {
		t.Errorf("the token shown is no owner's: %v", err)
	}
	for _, p := range []string{path, "/claim/wrong"} {
		if res, page := b.browse("POST", p); res.StatusCode != http.StatusForbidden || !strings.Contains(page, "does not work") || !strings.Contains(page, "sudo pandabox claim") {
			t.Errorf("POST of a dead link answers %d %s", res.StatusCode, page)
		}
	}
	if _, home := b.browse("GET", "/"); strings.Contains(home, "Nobody owns") || !strings.Contains(home, "pandabox login") || strings.Contains(home, token) {
		t.Errorf("the home page of an owned box says %s", home)
	}
	if log := b.log.String(); strings.Contains(log, link.Secret) || strings.Contains(log, token) || !strings.Contains(log, `"path":"/claim/…"`) {
		t.Errorf("the log is %s", log)
	}
}

// TestPagesLoadNothing looks for anything a browser would fetch or run besides what the policy names.
func TestPagesLoadNothing(t *testing.T) {
	b := newBox(t)
	for _, path := range []string{"/", "/claim/x"} {
		res, page := b.browse("GET", path)
		if found := regexp.MustCompile(`(?i)\b(src|srcset|data-src|action|poster)=|<link|<iframe|@import|url\(|\bon[a-z]+=`).FindString(page); found != "" {
			t.Errorf("%s holds %q", path, found)
		}
		policy := res.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'", hash(between(page, "<style>", "</style>")), hash(between(page, "<script>", "</script>"))} {
			if !strings.Contains(policy, want) {
				t.Errorf("the policy of %s lacks %s: %s", path, want, policy)
			}
		}
		if res.Header.Get("Referrer-Policy") != "no-referrer" || res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("the header of %s is %v", path, res.Header)
		}
	}
}

func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}

func TestClaimingIsLimited(t *testing.T) {
	b := newBox(t)
	for range claimBurst {
		_, err := b.remote("").Claim(t.Context(), "claim_guess", "")
		wantKind(t, err, model.KindForbidden)
	}
	eventually(t, "guessing is limited", func() bool {
		res, _ := b.browse("POST", "/claim/guess")
		return res.StatusCode == http.StatusTooManyRequests && res.Header.Get("Retry-After") != ""
	})
	if res, _ := b.browse("GET", "/claim/guess"); res.StatusCode != http.StatusOK {
		t.Errorf("looking is limited too: %d", res.StatusCode)
	}
}

func TestHostileHostIsNotEchoedAsMarkup(t *testing.T) {
	b := newBox(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.tls.URL+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "a'b&c"
	res, err := b.http().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	page, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(page), "a'b&c") {
		t.Errorf("the page is %s", page)
	}
}

func TestHealth(t *testing.T) {
	b := newBox(t)
	if res, body := b.browse("GET", "/healthz"); res.StatusCode != http.StatusOK || body != "ok\n" {
		t.Errorf("got %d %q", res.StatusCode, body)
	}
	if res, body := b.browse("GET", "/openapi.json"); res.StatusCode != http.StatusOK || body != string(b.api.spec) || !strings.HasPrefix(body, "{") {
		t.Errorf("got %d %q", res.StatusCode, body[:min(100, len(body))])
	}
}
