package git

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"golang.org/x/crypto/ssh"

	"github.com/pandabox/pandabox/pkg/model"
)

// TestWhoWaitsForARepositoryIsInNobodysWay fetches while a push holds the repository: the push may need to look through
// packs before it lets go.
func TestWhoWaitsForARepositoryIsInNobodysWay(t *testing.T) {
	w := newWorld(t, Config{})
	w.commit("one", map[string]string{"a": "1"})
	w.must("push", "-q", w.url, "main")
	unlock := w.server.lock("app-1")
	var wg sync.WaitGroup
	for range maxAtOnce {
		wg.Go(func() {
			_ = w.server.upload(t.Context(), model.Actor{}, place{model.DefaultOrg, "shop"}, strings.NewReader("0000"), io.Discard, true)
		})
	}
	for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if len(w.server.looks) > 0 {
			t.Error("who waits for the repository keeps the push from looking through its packs")
			break
		}
	}
	unlock()
	wg.Wait()
}

// TestSlowPushesKeepNobodyOut has as many of them as look through packs at once.
func TestSlowPushesKeepNobodyOut(t *testing.T) {
	w := newWorld(t, Config{})
	w.commit("one", map[string]string{"a": "1"})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for i := range maxAtOnce {
		r, body := io.Pipe()
		defer func() { _ = body.CloseWithError(io.ErrUnexpectedEOF) }()
		q, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.Replace(w.url, "shop", string(rune('a'+i)), 1)+"/git-receive-pack", r)
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Content-Type", "application/x-git-receive-pack-request")
		wg.Go(func() {
			if res, err := http.DefaultClient.Do(q); err == nil {
				_ = res.Body.Close()
			}
		})
		begins := line(plumbing.ZeroHash.String()+" "+strings.Repeat("1", 40)+" refs/heads/main") + "0000PACK"
		if _, err := io.WriteString(body, begins); err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(10 * time.Second); w.pushes() < maxAtOnce; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the slow pushes do not begin")
		}
	}
	w.must("push", "-q", w.url, "main")
}

// pushes is how many are under way.
func (w *world) pushes() int {
	w.server.busyMu.Lock()
	defer w.server.busyMu.Unlock()
	return len(w.server.busy)
}

func TestSilenceOverSSHEnds(t *testing.T) {
	d := newDoorOf(t, Config{Stall: 200 * time.Millisecond})
	d.commit("one", map[string]string{"a": "1"})
	if out, err := d.run("push", d.url, "main"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, service := range []string{uploadPack, receivePack} {
		c, err := ssh.Dial("tcp", d.addr, &ssh.ClientConfig{User: "git", Auth: []ssh.AuthMethod{ssh.PublicKeys(d.signer)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		s, err := c.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.StdinPipe(); err != nil { // nothing is ever sent, and no end
			t.Fatal(err)
		}
		if err := s.Start(service + " 'shop.git'"); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { defer close(ended); _ = c.Wait() }()
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Errorf("%s waits for who is silent", service)
		}
		_ = c.Close()
		<-ended
	}
}
