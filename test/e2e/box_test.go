package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/test/box"
)

func asError(t *testing.T, err error) *model.Error {
	t.Helper()
	var e *model.Error
	if !errors.As(err, &e) {
		t.Fatalf("not a typed error: %v", err)
	}
	return e
}

// over returns a client of the API over HTTPS, as from outside.
func (w *world) over(token string) *client.Client {
	w.Helper()
	ca, err := w.box.RootCA()
	if err != nil {
		w.Fatal(err)
	}
	_, port, _ := strings.Cut(w.box.HTTPS, ":")
	c, err := client.New(client.Config{Address: "https://localhost:" + port, Token: token, CA: ca})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(c.Close)
	return c
}

// TestFirstVisitor tries to take a box nobody has claimed, and to use a claim link twice.
func TestFirstVisitor(t *testing.T) {
	w := start(t)
	stranger := w.over("")
	if _, err := stranger.Apps(t.Context(), api.Page{}); model.KindOf(err) != model.KindUnauthenticated {
		t.Fatalf("without a token: %v", err)
	}
	for _, guess := range []string{"", "admin", "pandabox", "owner"} {
		if _, err := stranger.Claim(t.Context(), guess, "me"); err == nil {
			t.Fatalf("claimed with %q", guess)
		}
		if _, err := w.over(guess).Apps(t.Context(), api.Page{}); guess != "" && model.KindOf(err) != model.KindUnauthenticated {
			t.Fatalf("token %q: %v", guess, err)
		}
	}
	link, err := w.api.NewClaim(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	token, err := stranger.Claim(t.Context(), link.Secret, "me")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.Claim(t.Context(), link.Secret, "me too"); err == nil {
		t.Fatal("a claim link worked twice")
	}
	if _, err := w.over(token.Secret).Apps(t.Context(), api.Page{}); err != nil {
		t.Fatalf("the owner: %v", err)
	}
}

// TestLogFlood lets an app print far more than its budget beside another that must not notice.
func TestLogFlood(t *testing.T) {
	w := start(t)
	img := w.image()
	w.succeed("loud", vars(img, "VERSION=1"))
	w.succeed("quiet", vars(img, "VERSION=1"))
	const rate, seconds = 10_000, 90
	done := make(chan error, 1)
	go func() {
		code, _, err := w.do(http.MethodPost, "loud", fmt.Sprintf("/log/%d/%d", rate, seconds), "")
		if err == nil && code != http.StatusOK && code != http.StatusGatewayTimeout {
			err = fmt.Errorf("status %d", code)
		}
		done <- err
	}()
	size := func() (n int64) {
		_ = filepath.Walk(filepath.Join(w.box.DataDir, "logs"), func(_ string, i os.FileInfo, err error) error {
			if err == nil && i.Mode().IsRegular() {
				n += i.Size()
			}
			return nil
		})
		return n
	}
	const budget = 64 << 20
	last := fmt.Sprintf("line %d of a flood", rate*seconds-1)
	var most int64
	w.eventually2(10*time.Minute, "the last line", func() bool {
		most = max(most, size())
		if code, body, err := w.get("quiet", "/"); err != nil || code != http.StatusOK || body != "quiet 1" {
			t.Fatalf("the neighbour: %d %q %v", code, body, err)
		}
		seen := false
		err := w.api.Logs(t.Context(), ref("loud"), api.LogQuery{Tail: 3}, func(l model.LogLine) error {
			seen = seen || strings.HasPrefix(l.Text, last)
			return nil
		})
		return err == nil && seen
	})
	t.Log("the flood ended with:", <-done)
	if most > budget*5/4+4<<20 {
		t.Errorf("%d MB of log, the budget is %d MB", most>>20, budget>>20)
	}
	t.Logf("at most %d MB of log on disk", most>>20)
}

// eventually2 waits longer than patience.
func (w *world) eventually2(wait time.Duration, what string, ok func() bool) {
	w.Helper()
	for deadline := time.Now().Add(wait); !ok(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("%s never came", what)
		}
	}
}

// TestDiskFull fills the disk the data lives on: apps serve on, the daemon stays, writes are refused with a hint, and
// everything works again once there is room.
func TestDiskFull(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "pbx-disk-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=256m,mode=711", "pandabox-test", dir).CombinedOutput(); err != nil {
		t.Fatalf("mounting: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("unmounting: %v\n%s", err, out)
		}
	})
	w := start(t, box.Options{DataDir: filepath.Join(dir, "data")})
	img := w.image()
	w.succeed("web", vars(img, "VERSION=1"))

	full, err := os.Create(filepath.Join(dir, "full"))
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 1<<20)
	for err == nil {
		_, err = full.Write(block)
	}
	for range 4096 { // the last few bytes
		if _, err := full.Write(block[:512]); err != nil {
			break
		}
	}
	_ = full.Close()

	for range 50 {
		w.answers("web", "/", "web 1")
	}
	refused := 0
	for i := range 40 {
		_, err := w.api.SetVariables(t.Context(), ref("other"), api.VariableChange{Set: map[string]string{fmt.Sprintf("V%d", i): strings.Repeat("x", 60_000)}})
		if err != nil {
			if e := asError(t, err); e.Kind != model.KindNoSpace || e.Hint == "" {
				t.Fatalf("on a full disk: %+v", e)
			}
			refused++
		}
	}
	if refused == 0 {
		t.Fatal("nothing was refused on a full disk")
	}
	checks, err := w.api.Doctor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	said := false
	for _, c := range checks {
		said = said || c.Name == "disk" && !c.OK && c.Hint != ""
	}
	if !said {
		t.Errorf("doctor does not say that the disk is full: %+v", checks)
	}
	w.answers("web", "/", "web 1")
	if err := os.Remove(full.Name()); err != nil {
		t.Fatal(err)
	}
	w.eventually("a deploy", func() bool {
		d, err := w.api.Restart(t.Context(), ref("web"), api.DeployOptions{})
		return err == nil && w.outcome("web", d.ID).State == model.DeploySucceeded
	})
}

// TestForeignThingsStay reclaims space beside images, directories, links and rules that pandabox did not make.
func TestForeignThingsStay(t *testing.T) {
	w := start(t)
	img := w.image()
	if out, err := exec.Command("ip", "link", "add", "pbxforeign", "type", "bridge").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("ip", "link", "delete", "pbxforeign").Run() })
	if out, err := exec.Command("nft", "add", "table", "inet", "pandabox_foreign").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("nft", "delete", "table", "inet", "pandabox_foreign").Run() })
	for _, dir := range []string{"volumes/foreign/data", "logs/foreign"} {
		if err := os.MkdirAll(filepath.Join(w.box.DataDir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	w.succeed("web", vars(img, "VERSION=1"))
	if err := w.api.DestroyApp(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	w.eventually("the end of web", func() bool { return len(w.containers()) == 0 })
	if err := w.box.Signal(15); err != nil {
		t.Fatal(err)
	}
	w.cli(0, "stop", "--all", "--config", w.box.Config)
	for _, dir := range []string{"volumes/foreign/data", "logs/foreign"} {
		if _, err := os.Stat(filepath.Join(w.box.DataDir, dir)); err != nil {
			t.Error(err)
		}
	}
	if len(w.links("pbxforeign")) != 1 {
		t.Error("the foreign link is gone")
	}
	if out, err := exec.Command("nft", "list", "tables").Output(); err != nil || !strings.Contains(string(out), "pandabox_foreign") {
		t.Errorf("the foreign table is gone: %s %v", out, err)
	}
	if left := w.links("pbx" + w.instance); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := w.box.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestRequestLimits sets what one request may ask for, and a header of every answer.
func TestRequestLimits(t *testing.T) {
	w := start(t)
	n := vars(w.image(), "VERSION=1")
	n.Processes = grace("20s")
	n.Processes[0].HTTP = model.RouteLimits{MaxBody: 1000, Timeout: model.Duration(300 * time.Millisecond), Headers: map[string]string{"X-Frame-Options": "DENY"}}
	w.succeed("web", n)
	res, err := w.http.Get("https://" + host("web") + "/")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK || res.Header.Get("X-Frame-Options") != "DENY" {
		t.Fatalf("%d %v", res.StatusCode, res.Header)
	}
	if code, _, err := w.do(http.MethodPost, "web", "/", strings.Repeat("x", 1000)); err != nil || code != http.StatusOK {
		t.Fatalf("a body that fits: %d %v", code, err)
	}
	if code, _, err := w.do(http.MethodPost, "web", "/", strings.Repeat("x", 1001)); err != nil || code != http.StatusRequestEntityTooLarge {
		t.Fatalf("a body that does not: %d %v", code, err)
	}
	if code, _, err := w.get("web", "/slow/5000"); err != nil || code != http.StatusGatewayTimeout {
		t.Fatalf("a slow answer: %d %v", code, err)
	}
	n.Processes[0].HTTP = model.RouteLimits{}
	w.succeed("web", n)
	if code, _, err := w.do(http.MethodPost, "web", "/", strings.Repeat("x", 1001)); err != nil || code != http.StatusOK {
		t.Fatalf("after the limits are gone: %d %v", code, err)
	}
}

// TestDoctor looks at a box that is well, and at one with an app that is not.
func TestDoctor(t *testing.T) {
	w := start(t)
	w.succeed("web", vars(w.image(), "VERSION=1"))
	w.cli(0, "doctor")
	if d := w.deploy("bad", vars(w.image(), "MODE=exit")); d.State != model.DeployFailed {
		t.Fatalf("ended %s", d.State)
	}
	if r := w.cli(1, "doctor"); !strings.Contains(r.Out, "bad in production (down)") {
		t.Fatalf("%s%s", r.Out, r.Err)
	}
}

// TestNoSuchApp asks for a host nobody has, and for a known one over plain HTTP.
func TestNoSuchApp(t *testing.T) {
	w := start(t)
	w.succeed("web", vars(w.image(), "VERSION=1"))
	// Over HTTP an unknown host gets a page, over HTTPS it has no certificate.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://nobody."+box.Base+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := w.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if b, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusNotFound {
		t.Fatalf("%d %s", res.StatusCode, b)
	}
	if _, _, err := w.get("nobody", "/"); err == nil {
		t.Fatal("an unknown host has a certificate")
	}
	req, err = http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host("web")+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	res2, err := w.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res2.Body.Close() }()
	if res2.StatusCode != http.StatusPermanentRedirect && res2.StatusCode != http.StatusMovedPermanently || !strings.HasPrefix(res2.Header.Get("Location"), "https://"+host("web")) {
		t.Fatalf("no redirect: %d %s", res2.StatusCode, res2.Header.Get("Location"))
	}
}

// TestIsolation lets apps call each other: within an environment by name, across not at all, and never the box.
func TestIsolation(t *testing.T) {
	w := start(t)
	img := w.image()
	n := vars(img, "VERSION=1")
	n.Project = "shop"
	w.succeed("front", n)
	w.succeed("back", n)
	w.succeed("other", vars(img, "VERSION=1"))
	fetch := func(from, url string) (int, string) {
		code, body, err := w.get(from, "/fetch?url="+url)
		if err != nil {
			t.Fatal(err)
		}
		return code, body
	}
	if code, body := fetch("front", "http://back.internal:8080/"); code != http.StatusOK || body != "back 1" {
		t.Fatalf("a neighbour by name: %d %q", code, body)
	}
	if code, body := fetch("other", "http://back.internal:8080/"); code == http.StatusOK {
		t.Fatalf("another project's app by name: %q", body)
	}
	for _, r := range w.status("back").Replicas {
		addr, _, _ := strings.Cut(r.Addr, ":")
		if code, body := fetch("front", "http://"+addr+":8080/"); code != http.StatusOK {
			t.Fatalf("a neighbour by address: %d %q", code, body)
		}
		if code, body := fetch("other", "http://"+addr+":8080/"); code == http.StatusOK {
			t.Fatalf("another project's app by address: %q", body)
		}
	}
	l, err := w.listen()
	if err != nil {
		t.Fatal(err)
	}
	for _, gw := range w.gateways() {
		if code, body := fetch("front", fmt.Sprintf("http://%s:%d/", gw, l)); code == http.StatusOK {
			t.Fatalf("a port of the box: %q", body)
		}
	}
}
