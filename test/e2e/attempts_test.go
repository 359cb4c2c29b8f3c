package e2e

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/test/box"
)

// from returns a client at another address of this machine.
func (w *world) from(addr string) *http.Client {
	w.Helper()
	c, err := w.box.HTTPClient()
	if err != nil {
		w.Fatal(err)
	}
	transport, ok := c.Transport.(*http.Transport)
	if !ok {
		w.Fatal("the client has another transport")
	}
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}, Timeout: 10 * time.Second}
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, w.box.HTTPS)
	}
	w.Cleanup(c.CloseIdleConnections)
	return c
}

// asked sends a request to the box, changed by change, and returns the answer.
func (w *world) asked(c *http.Client, method, path, body string, change func(*http.Request)) (*http.Response, string) {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), method, "https://"+box.Base+path, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	change(r)
	res, err := c.Do(r)
	if err != nil {
		w.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		w.Fatal(err)
	}
	return res, string(text)
}

// TestFailedLoginsAreLimitedAtEveryDoor fails over HTTPS as git does; what is used up there is used up at the API and over
// SSH.
func TestFailedLoginsAreLimitedAtEveryDoor(t *testing.T) {
	f, addr := startSSH(t)
	git := func(c *http.Client, token string) int {
		res, text := f.asked(c, http.MethodGet, "/git/shop.git/info/refs?service=git-receive-pack", "", func(r *http.Request) { r.SetBasicAuth("ci", token) })
		if res.StatusCode == http.StatusTooManyRequests && (res.Header.Get("Retry-After") == "" || !strings.Contains(text, "try: wait half a minute")) {
			t.Errorf("too many are answered %v\n%s", res.Header, text)
		}
		return res.StatusCode
	}
	token := strings.TrimSpace(f.cli(0, "tokens", "create", "git").Out)
	here, elsewhere := f.from("127.0.0.1"), f.from("127.0.0.2")
	exhaust := func() {
		t.Helper()
		for range 1000 {
			if git(here, "pbx_wrong") == http.StatusTooManyRequests {
				return
			}
		}
		t.Fatal("failed logins are not limited")
	}
	exhaust()
	if code := git(elsewhere, token); code == http.StatusTooManyRequests || code == http.StatusUnauthorized {
		t.Errorf("a good token from another address is answered %d", code)
	}
	f.eventually("the API's turn", func() bool { // an attempt may have come back in between
		exhaust()
		res, _ := f.asked(here, http.MethodGet, "/v1/box", "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) })
		return res.StatusCode == http.StatusTooManyRequests
	})
	key := f.keygen()
	f.run(0, nil, "keys", "add", key+".pub")
	env := []string{"GIT_SSH_COMMAND=ssh -F /dev/null -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -i " + key}
	f.eventually("the turn of SSH", func() bool {
		exhaust()
		out, err := f.push(env, "push", "ssh://git@"+addr+"/shop.git", "main")
		return err != nil && strings.Contains(out, "too many failed attempts from your address")
	})
}

// TestHooksAreLimited sends a webhook wrong signatures, and guesses hooks, while the forge sends what it has to say.
func TestHooksAreLimited(t *testing.T) {
	w := start(t)
	made, err := w.api.ConnectRepository(t.Context(), "shop", api.NewRepository{URL: "https://git.test/acme/shop", Forge: model.ForgeGitea})
	if err != nil {
		t.Fatal(err)
	}
	call, err := w.api.CreateDeployHook(t.Context(), client.Ref{App: "shop"}, "ci")
	if err != nil {
		t.Fatal(err)
	}
	hook := made.Hook[strings.Index(made.Hook, "/hooks/"):]
	send := func(c *http.Client, path, secret string) int {
		mac := hmac.New(sha256.New, []byte(secret))
		_, _ = mac.Write([]byte("{}"))
		res, text := w.asked(c, http.MethodPost, path, "{}", func(r *http.Request) {
			r.Header.Set("X-Gitea-Event", "star") // which changes nothing
			r.Header.Set("X-Gitea-Delivery", "1")
			r.Header.Set("X-Gitea-Signature", hex.EncodeToString(mac.Sum(nil)))
		})
		if res.StatusCode == http.StatusTooManyRequests && (res.Header.Get("Retry-After") == "" || !strings.Contains(text, `"detail":"too many failed attempts`)) {
			t.Errorf("too many are answered %v %s", res.Header, text)
		}
		return res.StatusCode
	}
	good, forge := call.Address[strings.Index(call.Address, "/deploy-hooks/"):], w.from("127.0.0.2")
	for addr, c := range map[string]struct {
		path string
		want int
	}{
		"127.0.0.3": {hook, http.StatusUnauthorized},
		"127.0.0.4": {"/hooks/repo-0", http.StatusNotFound},
		"127.0.0.5": {"/deploy-hooks/hook_x", http.StatusUnauthorized},
	} {
		hostile, seen := w.from(addr), map[int]int{}
		for range 200 {
			seen[send(hostile, c.path, "wrong")]++
			if code := send(forge, hook, made.Signed); code != http.StatusOK {
				t.Fatalf("what the forge sends meanwhile is answered %d", code)
			}
		}
		if seen[c.want] == 0 || seen[http.StatusTooManyRequests] < 50 || len(seen) != 2 {
			t.Errorf("%s was answered %v", c.path, seen)
		}
		if code := send(hostile, good, ""); code != http.StatusAccepted {
			t.Errorf("a good deploy hook is answered %d", code)
		}
	}
}
