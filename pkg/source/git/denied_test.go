package git

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/pandabox/pandabox/pkg/identity"
)

// slow gives so many failed attempts, and none back while a test runs.
func slow(n int) *identity.Attempts { return identity.NewAttempts(1<<62, n) }

func TestFailedTokensAreLimited(t *testing.T) {
	w := newWorld(t, Config{Denied: slow(3)})
	w.commit("one", map[string]string{"a": "1"})
	w.must("push", w.url, "main")
	get := func(token string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/info/refs?service=git-receive-pack", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.URL.User = nil
		if token != "" {
			r.SetBasicAuth("x", token)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode, res.Header.Get("Retry-After")
	}
	for range 10 { // which is how git begins
		if code, _ := get(""); code != http.StatusUnauthorized {
			t.Fatalf("no token is answered %d", code)
		}
	}
	for range 3 {
		if code, _ := get("pbx_wrong"); code != http.StatusUnauthorized {
			t.Errorf("a wrong token is answered %d", code)
		}
	}
	for _, one := range []string{"pbx_wrong", token} {
		if code, after := get(one); code != http.StatusTooManyRequests || after == "" {
			t.Errorf("one attempt too many is answered %d, again in %q s", code, after)
		}
	}
	w.commit("two", map[string]string{"a": "2"})
	if out, err := w.git("push", w.url, "main"); err == nil || !strings.Contains(out, "429") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestFailedKeysAreLimited(t *testing.T) {
	denied := slow(3)
	d := newDoorOf(t, Config{Denied: denied})
	wrong := ssh.PublicKeys(d.newKey(d.key+"1"), d.newKey(d.key+"2"))
	dial := func(auth ...ssh.AuthMethod) (banner string, err error) {
		t.Helper()
		c, err := ssh.Dial("tcp", d.addr, &ssh.ClientConfig{
			User: "git", Auth: auth, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
			BannerCallback: func(text string) error { banner = text; return nil },
		})
		if err == nil {
			_ = c.Close()
		}
		return banner, err
	}
	both := ssh.PublicKeys(d.newKey(d.key+"3"), d.signer)
	for range 10 { // an agent's keys: the right one is not the first
		if _, err := dial(both); err != nil {
			t.Fatalf("a good key behind another: %v", err)
		}
		if _, err := dial(); err == nil { // a scanner
			t.Error("no key is enough")
		}
	}
	for n := range 3 {
		if banner, err := dial(wrong); err == nil || banner != "" {
			t.Errorf("wrong keys, %d: %v %q", n, err, banner)
		}
	}
	for end := time.Now().Add(10 * time.Second); !denied.Spent(d.addr, ""); time.Sleep(5 * time.Millisecond) { // the box counts once it sees the end
		if time.Now().After(end) {
			t.Fatal("wrong keys do not count")
		}
	}
	d.commit("one", map[string]string{"a": "1"})
	if out, err := d.run("push", d.url, "main"); err == nil || !strings.Contains(out, "too many failed attempts from your address") || !strings.Contains(out, "try: wait half a minute") {
		t.Errorf("%v\n%s", err, out)
	}
}
