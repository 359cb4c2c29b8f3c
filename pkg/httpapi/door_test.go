package httpapi

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
)

// TestEveryRouteAsksForItsPermission walks all routes as everybody there is.
func TestEveryRouteAsksForItsPermission(t *testing.T) {
	b := newBox(t)
	member := b.token(model.DefaultOrg, model.RoleMember)
	foreign := b.token("other", model.RoleOwner)
	roles := map[model.RoleName]string{
		model.RoleMember: member, model.RoleAdmin: b.token(model.DefaultOrg, model.RoleAdmin), model.RoleOwner: b.token(model.DefaultOrg, model.RoleOwner),
	}
	status := func(r route, token string) int {
		t.Helper()
		path := strings.NewReplacer("{org}", "default", "{app}", "shop", "{env}", "production", "{id}", "x", "{number}", "1", "{host}", "a.example.com", "{secret}", "x", "{$}", "").Replace(r.path)
		if path == "/v1/schedule" {
			path += "?schedule=@daily" // what it asks for besides a permission
		}
		req, err := http.NewRequestWithContext(t.Context(), r.method, b.tls.URL+path, strings.NewReader(`{`))
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := b.http().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		// A stream that was let in goes on: only the status counts.
		return res.StatusCode
	}
	guarded := 0
	for _, r := range b.api.routes {
		if r.guard.public != "" {
			if got := status(r, ""); got == http.StatusUnauthorized {
				t.Errorf("%s %s is public and answers %d", r.method, r.path, got)
			}
			continue
		}
		guarded++
		if got := status(r, ""); got != http.StatusUnauthorized {
			t.Errorf("%s %s answers nobody with %d, want 401", r.method, r.path, got)
		}
		if got := status(r, "pbx_wrong"); got != http.StatusUnauthorized {
			b.api.denied = identity.NewDenied()
			t.Errorf("%s %s answers a wrong token with %d, want 401", r.method, r.path, got)
		}
		b.api.denied = identity.NewDenied()

		want := http.StatusNotFound // the org of another is not there
		if !strings.Contains(r.path, "{org}") {
			want = http.StatusForbidden
		}
		got := status(r, foreign)
		if r.guard.permission == identity.BoxRead {
			want = http.StatusOK // anybody with a role anywhere
		}
		if got != want {
			t.Errorf("%s %s answers another org's owner with %d, want %d", r.method, r.path, got, want)
		}
		for role, token := range roles {
			may := identity.Authorize(model.Actor{ID: "x", Roles: map[string]model.RoleName{"o": role}}, r.guard.permission, "o") == nil
			got := status(r, token)
			if may && (got == http.StatusUnauthorized || got == http.StatusForbidden) || !may && got != http.StatusForbidden {
				t.Errorf("%s %s answers a token of the role %s with %d, and it may: %v", r.method, r.path, role, got, may)
			}
		}
	}
	if guarded < 30 {
		t.Errorf("only %d routes are guarded", guarded)
	}
}

// TestEveryOperationIsRegisteredWithAGuard compares the OpenAPI document with the routes that went through enter.
func TestEveryOperationIsRegisteredWithAGuard(t *testing.T) {
	b := newBox(t)
	known := map[string]bool{}
	for _, r := range b.api.routes {
		if err := r.guard.check(); err != nil {
			t.Errorf("%s %s: %v", r.method, r.path, err)
		}
		known[r.method+" "+r.path] = true
	}
	for path, item := range b.api.huma.OpenAPI().Paths {
		for method, o := range map[string]*huma.Operation{"GET": item.Get, "POST": item.Post, "PUT": item.Put, "PATCH": item.Patch, "DELETE": item.Delete} {
			if o != nil && !known[method+" "+path] {
				t.Errorf("%s %s is in the document and has no guard", method, path)
			}
		}
	}
}

func TestRouteWithoutPermissionIsRefused(t *testing.T) {
	for name, g := range map[string]guard{
		"none": {}, "unknown": needs("no.such"), "both": {permission: identity.AppRead, public: "why"},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := New(Config{Control: &control.Control{}, Logger: zerolog.Nop()})
			if err != nil {
				t.Fatal(err)
			}
			a.page(g, http.MethodGet, "/x", func(http.ResponseWriter, *http.Request) {})
			handle(a, g, op{id: "x", method: http.MethodGet, path: "/v1/x"}, func(context.Context, caller, *struct{}) (*struct{}, error) { return nil, nil })
			if len(a.faults) != 2 {
				t.Errorf("got %v, want a fault for each", a.faults)
			}
		})
	}
}

func TestSocketKnowsRootAndNobodyElse(t *testing.T) {
	b := newBox(t)
	if info, err := os.Stat(b.socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the socket's mode is %v (%v), want 0600", info.Mode(), err)
	}
	if _, err := b.root().NewClaim(t.Context()); err != nil {
		t.Errorf("root: %v", err)
	}
	// Were the file open to all, the kernel's word would still count.
	dir := filepath.Dir(b.socket)
	for path, mode := range map[string]os.FileMode{b.socket: 0o666, dir: 0o755, filepath.Dir(dir): 0o755} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"/v1/box", "/", "/healthz"} {
		answer := asUser(t, 65534, b.socket, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if !strings.HasPrefix(answer, "HTTP/1.1 403 ") || !strings.Contains(answer, `"forbidden"`) {
			t.Errorf("%s answered user 65534 with %q", path, answer)
		}
	}
}

// asUser sends a request from a thread of another user.
func asUser(t *testing.T, uid int, socket, request string) string {
	t.Helper()
	var conn net.Conn
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if _, _, e := syscall.RawSyscall(syscall.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); e != 0 {
			err = e
			return
		}
		var fd int
		if fd, err = syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0); err != nil {
			return
		}
		f := os.NewFile(uintptr(fd), "socket")
		defer func() { _ = f.Close() }()
		if err = syscall.Connect(fd, &syscall.SockaddrUnix{Name: socket}); err == nil {
			conn, err = net.FileConn(f)
		}
	}()
	<-done
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTokenOnTheSocketCountsMoreThanRoot(t *testing.T) {
	b := newBox(t)
	c := b.client("unix://"+b.socket, b.token(model.DefaultOrg, model.RoleMember))
	if _, err := c.NewClaim(t.Context()); model.KindOf(err) != model.KindForbidden {
		t.Errorf("got %v, want forbidden", err)
	}
}

func TestTooManyFailedAttemptsAreLimited(t *testing.T) {
	b := newBox(t)
	good := b.remote(b.token(model.DefaultOrg, model.RoleMember))
	bad := b.remote("pbx_wrong")
	for i := range identity.DeniedBurst {
		if _, err := bad.Info(t.Context()); model.KindOf(err) != model.KindUnauthenticated {
			t.Fatalf("attempt %d: %v", i, err)
		}
	}
	eventually(t, "failed attempts are limited", func() bool {
		_, err := bad.Info(t.Context())
		return model.KindOf(err) == model.KindRateLimited
	})
	if _, err := b.root().Info(t.Context()); err != nil {
		t.Errorf("root on the socket is limited too: %v", err)
	}
	b.api.denied = identity.NewDenied()
	for range identity.DeniedBurst * 3 {
		if _, err := good.Info(t.Context()); err != nil {
			t.Fatalf("a good token is limited: %v", err)
		}
	}
}

func TestRevokedTokenIsOutAtOnce(t *testing.T) {
	b := newBox(t)
	owner := b.remote(b.token(model.DefaultOrg, model.RoleOwner))
	issued, err := owner.CreateToken(t.Context(), api.NewToken{Name: "ci"})
	if err != nil {
		t.Fatal(err)
	}
	ci := b.remote(issued.Secret)
	if _, err := ci.Apps(t.Context(), api.Page{}); err != nil {
		t.Fatal(err)
	}
	if err := owner.RevokeToken(t.Context(), issued.ID); err != nil {
		t.Fatal(err)
	}
	_, err = ci.Apps(t.Context(), api.Page{})
	wantKind(t, err, model.KindUnauthenticated)
}
