package forge

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/source"
	"github.com/pandabox/pandabox/pkg/store"
)

// hooked is a box with a repository of Gitea and a deploy hook.
type hooked struct {
	*testing.T
	server             *Server
	log                *strings.Builder
	hook, call, secret string // paths, and the secret of the first
}

func newHooked(t *testing.T) *hooked {
	t.Helper()
	dir := t.TempDir()
	st, err := store.Open(control.StoreFile(dir), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	c, err := control.New(t.Context(), control.Config{
		Store: st, KeyFile: control.KeyFile(dir), DataDir: dir, BaseDomain: "box.test", URL: "https://box.test", Version: "test", Instance: "abcd",
	})
	if err != nil {
		t.Fatal(err)
	}
	root := model.Actor{ID: "root", Name: "root on this box", Root: true}
	made, err := c.Repositories.Connect(t.Context(), root, "", "shop", control.NewRepository{URL: "https://git.test/acme/shop", Forge: model.ForgeGitea})
	if err != nil {
		t.Fatal(err)
	}
	h, err := c.DeployHooks.Create(t.Context(), root, control.Ref{App: "shop"}, "ci")
	if err != nil {
		t.Fatal(err)
	}
	s, err := source.New(source.Config{Control: c, TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	out := &hooked{T: t, log: &strings.Builder{}, hook: made.Hook[strings.Index(made.Hook, "/hooks/"):], secret: made.Signed, call: h.Address[strings.Index(h.Address, "/deploy-hooks/"):]}
	if out.server, err = New(Config{Control: c, Source: s, Logger: zerolog.New(zerolog.SyncWriter(out.log))}); err != nil {
		t.Fatal(err)
	}
	return out
}

// post sends a message from an address, signed with the secret, and returns the answer.
func (h *hooked) post(from, path, secret string, body io.Reader) (int, reply, http.Header) {
	h.Helper()
	r := httptest.NewRequest(http.MethodPost, path, body)
	r.RemoteAddr = from
	r.Header.Set("X-Gitea-Event", "star") // which is passed over, once it is signed
	r.Header.Set("X-Gitea-Delivery", "1")
	r.Header.Set("X-Gitea-Signature", sumWith(secret, sha256.New, "{}"))
	w := httptest.NewRecorder()
	h.server.ServeHTTP(w, r)
	var out reply
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		h.Errorf("%s answers %q: %v", path, w.Body, err)
	}
	return w.Code, out, w.Header()
}

func (h *hooked) status(from, path, secret string) int {
	h.Helper()
	code, _, _ := h.post(from, path, secret, strings.NewReader("{}"))
	return code
}

const (
	bad   = "192.0.2.1:1000"
	other = "192.0.2.2:1000"
)

// unread fails the test when it is read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("a message is read that is refused for its address")
	return 0, io.EOF
}

func TestWrongSignaturesAreLimited(t *testing.T) {
	h := newHooked(t)
	limited := 0
	for range 3 * identity.DeniedBurst {
		switch code := h.status(bad, h.hook, "wrong"); code {
		case http.StatusUnauthorized:
		case http.StatusTooManyRequests:
			limited++
		default:
			t.Fatalf("a wrong signature is answered %d", code)
		}
	}
	if limited < identity.DeniedBurst {
		t.Errorf("of %d wrong signatures %d are limited", 3*identity.DeniedBurst, limited)
	}
	h.server.refused = spent(bad, strings.TrimPrefix(h.hook, "/hooks/")) // the clock may have given one back
	code, out, header := h.post(bad, h.hook, h.secret, unread{t})
	if code != http.StatusTooManyRequests || header.Get("Retry-After") == "" || out.State != "error" || out.Detail == "" || out.Hint == "" {
		t.Errorf("too many are answered %d, %+v, %v", code, out, header)
	}
	for range 4 * identity.DeniedBurst { // a forge's burst, from elsewhere
		if code := h.status(other, h.hook, h.secret); code != http.StatusOK {
			t.Fatalf("a good message is answered %d", code)
		}
	}
}

// TestWrongSignaturesFromEverywhereAreLimited sends them from as many addresses as there are messages.
func TestWrongSignaturesFromEverywhereAreLimited(t *testing.T) {
	h := newHooked(t)
	h.server.refused = spent(everywhere, strings.TrimPrefix(h.hook, "/hooks/"))
	h.log.Reset()
	if code := h.status(bad, h.hook, "wrong"); code != http.StatusTooManyRequests {
		t.Errorf("a wrong signature is answered %d", code)
	}
	if h.log.Len() > 0 {
		t.Errorf("the log is filled: %s", h.log)
	}
	for range 2 * identity.DeniedBurst {
		if code := h.status(bad, h.hook, h.secret); code != http.StatusOK {
			t.Fatalf("a good message is answered %d", code)
		}
	}
}

func TestGuessingHooksIsLimited(t *testing.T) {
	for name, path := range map[string]struct {
		path string
		code int
	}{
		"hooks": {"/hooks/repo-0000", http.StatusNotFound}, "GitHub Apps": {"/hooks/githubapp-0000", http.StatusNotFound},
		"deploy hooks": {"/deploy-hooks/hook_wrong", http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHooked(t)
			if code := h.status(bad, path.path, ""); code != path.code {
				t.Errorf("one that is none is answered %d", code)
			}
			h.server.refused = spent(bad, "")
			if code, out, header := h.post(bad, path.path, "", unread{t}); code != http.StatusTooManyRequests || header.Get("Retry-After") == "" || out.Detail == "" {
				t.Errorf("too many are answered %d, %+v", code, out)
			}
			if code := h.status(other, path.path, ""); code != path.code {
				t.Errorf("another address is answered %d", code)
			}
			// The address may be a forge's, and of all its customers.
			for range 2 * identity.DeniedBurst {
				if code := h.status(bad, h.hook, h.secret); code != http.StatusOK {
					t.Fatalf("a good message is answered %d", code)
				}
				if code := h.status(bad, h.call, ""); code != http.StatusAccepted {
					t.Fatalf("a good deploy hook is answered %d", code)
				}
			}
		})
	}
}

// slow is a message that does not come.
type slow struct {
	begun chan struct{}
	ctx   context.Context
}

func (s slow) Read([]byte) (int, error) {
	s.begun <- struct{}{}
	<-s.ctx.Done()
	return 0, io.ErrUnexpectedEOF
}

func TestSlowMessagesKeepNobodyOut(t *testing.T) {
	h := newHooked(t)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	begun := make(chan struct{}, 1000)
	send := func(from string) {
		for range readers {
			r := httptest.NewRequestWithContext(ctx, http.MethodPost, h.hook, slow{begun, ctx})
			r.RemoteAddr = from
			wg.Go(func() { h.server.ServeHTTP(httptest.NewRecorder(), r) })
		}
	}
	begin := func(n int) {
		t.Helper()
		for range n {
			select {
			case <-begun:
			case <-time.After(waitTime / 2):
				t.Fatal("the slow messages are not read")
			}
		}
	}
	send(bad)
	begin(sendersOf)
	if code := h.status(other, h.hook, h.secret); code != http.StatusOK {
		t.Errorf("while one sends slowly, a good message from elsewhere is answered %d", code)
	}
	for i := range readers {
		send("198.51.100." + strconv.Itoa(i) + ":1000")
	}
	begin(readersOf - sendersOf)
	if code := h.status(other, h.call, ""); code != http.StatusAccepted {
		t.Errorf("while many send slowly to one hook, another is answered %d", code)
	}
}

// spent are the attempts of an address that has none left.
func spent(remote, at string) *identity.Attempts {
	a := identity.NewAttempts(1<<62, identity.DeniedBurst) // so that the clock gives none back
	for a.Take(remote, at) {
	}
	return a
}
