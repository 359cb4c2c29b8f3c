package control

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/secrets"
	"github.com/pandabox/pandabox/pkg/store"
)

func TestClaim(t *testing.T) {
	b := newBox(t)
	try := func(secret string) (model.Token, string, error) { return b.Box.Claim(t.Context(), secret, "ann") }
	// Nobody can claim a box that has no link, with whatever they think of.
	for _, secret := range []string{"", "claim_", "admin", "password", "root"} {
		_, _, err := try(secret)
		wantKind(t, err, model.KindForbidden)
	}
	old, err := b.Box.NewClaim(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	link, err := b.Box.NewClaim(t.Context(), root)
	if err != nil || link.URL != "https://"+base+"/claim/"+link.Secret {
		t.Fatalf("%+v, %v", link, err)
	}
	_, _, err = try(old.Secret)
	wantKind(t, err, model.KindForbidden)
	if info, err := b.Box.Info(t.Context(), root); err != nil || info.Claimed || info.Version != "1.2.3" || info.BaseDomain != base || info.CreatedAt.IsZero() {
		t.Fatalf("%+v, %v", info, err)
	}
	token, secret, err := try(link.Secret)
	if err != nil || token.Role != model.RoleOwner || token.Name != "ann" || token.Hash != nil {
		t.Fatalf("%+v, %v", token, err)
	}
	owner, err := b.Tokens.Authenticate(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := b.Box.Info(t.Context(), owner); err != nil || !info.Claimed {
		t.Fatalf("%+v, %v", info, err)
	}
	_, _, err = try(link.Secret)
	wantKind(t, err, model.KindForbidden)

	late, err := b.Box.NewClaim(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	b.pass(ClaimPeriod)
	_, _, err = try(late.Secret)
	wantKind(t, err, model.KindForbidden)
}

func TestTwoClaimsRace(t *testing.T) {
	b := newBox(t)
	link, err := b.Box.NewClaim(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var won, lost int
	var mu sync.Mutex
	for range 20 {
		wg.Go(func() {
			_, _, err := b.Box.Claim(t.Context(), link.Secret, "")
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won++
			case model.KindOf(err) == model.KindForbidden:
				lost++
			}
		})
	}
	wg.Wait()
	if won != 1 || lost != 19 {
		t.Fatalf("%d won, %d lost", won, lost)
	}
	l, err := b.Tokens.List(t.Context(), root, "", Page{})
	if err != nil || len(l.Items) != 1 || l.Items[0].Name != "owner" {
		t.Fatalf("%+v, %v", l, err)
	}
}

func TestTokens(t *testing.T) {
	b := newBox(t)
	admin := b.member(model.RoleAdmin)
	token, secret, err := b.Tokens.Create(t.Context(), admin, "", NewToken{Name: "ci", ExpiresAt: b.now().Add(time.Hour)})
	if err != nil || token.Role != model.RoleMember || token.CreatedBy != "admin" || token.Hash != nil || !strings.HasPrefix(secret, "pbx_") {
		t.Fatalf("%+v, %v", token, err)
	}
	actor, err := b.Tokens.Authenticate(t.Context(), secret)
	if err != nil || actor.ID != token.ID || actor.Root || actor.Roles[token.OrgID] != model.RoleMember {
		t.Fatalf("%+v, %v", actor, err)
	}
	l, err := b.Tokens.List(t.Context(), admin, "", Page{Limit: 1})
	if err != nil || l.Items[0].ID != token.ID || l.Items[0].LastUsed.IsZero() || l.Items[0].Hash != nil || l.Next == "" {
		t.Fatalf("%+v, %v", l, err)
	}
	b.pass(time.Hour)
	_, err = b.Tokens.Authenticate(t.Context(), secret)
	wantKind(t, err, model.KindUnauthenticated)
	if err := b.Tokens.Revoke(t.Context(), admin, "", actor.ID); err != nil {
		t.Fatal(err)
	}
	wantKind(t, b.Tokens.Revoke(t.Context(), admin, "", actor.ID), model.KindNotFound)
	if err := b.Tokens.Revoke(t.Context(), root, "", admin.ID); err != nil {
		t.Fatal(err)
	}
	// A token of another org is not there.
	stranger := b.org("other", model.RoleOwner)
	kept := b.member(model.RoleMember)
	wantKind(t, b.Tokens.Revoke(t.Context(), stranger, "other", kept.ID), model.KindNotFound)
	for name, n := range map[string]NewToken{
		"no name": {}, "blank": {Name: "  "}, "long": {Name: strings.Repeat("x", MaxTokenName+1)}, "control": {Name: "a\x1b[2J"},
		"odd role": {Name: "x", Role: "root"}, "past": {Name: "x", ExpiresAt: b.now()},
	} {
		if _, _, err := b.Tokens.Create(t.Context(), root, "", n); model.KindOf(err) != model.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBackupAndRestore(t *testing.T) {
	b := newBox(t)
	ref := Ref{App: "shop"}
	d := b.deploy("shop", "1")
	if _, err := b.Variables.Set(t.Context(), root, ref, VariableChange{Set: map[string]string{"A": "1"}}); err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := b.Box.Backup(t.Context(), root, &file); err != nil {
		t.Fatal(err)
	}
	if b.actions()[0] != "box.backup" {
		t.Errorf("the audit has %q", b.actions())
	}
	restore := func(dir string, raw []byte) error { return Restore(t.Context(), dir, bytes.NewReader(raw)) }
	wantKind(t, restore(b.dir, file.Bytes()), model.KindConflict) // the daemon runs

	check := func(other *box) {
		t.Helper()
		w := other.status("shop")
		env, err := other.Environ(t.Context(), w.Workload.ID, w.Workload.ConfigVersion)
		if err != nil || w.Workload.ID != d.WorkloadID || !slices.Equal(env, []string{"A=1"}) {
			t.Fatalf("%+v, %q, %v", w.Workload, env, err)
		}
	}
	fresh := &box{t: t, dir: t.TempDir() + "/data", parts: &parts{}}
	if err := restore(fresh.dir, file.Bytes()); err != nil {
		t.Fatal(err)
	}
	fresh.start()
	check(fresh)

	used := newBox(t) // with a key and apps of its own
	used.deploy("blog", "1")
	used.stop()
	for range 2 {
		if err := restore(used.dir, file.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	used.start()
	check(used)
	for _, kept := range []string{StoreFile(used.dir), KeyFile(used.dir)} {
		if info, err := os.Stat(kept + store.EndingBefore); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s is not kept: %v", kept, err)
		}
	}
	left, err := os.ReadDir(used.dir)
	if err != nil || len(left) != 5 { // keys, the stores, the stores before
		t.Errorf("there are %v, %v", left, err)
	}
}

// editBackup changes the files of a backup; one that is renamed to "" is left out.
func editBackup(t *testing.T, raw []byte, fn func(name string, content []byte) (string, []byte)) []byte {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	zout := gzip.NewWriter(&out)
	in, w := tar.NewReader(zip), tar.NewWriter(zout)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		if h.Name, content = fn(h.Name, content); h.Name == "" {
			continue
		}
		h.Size = int64(len(content))
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), zout.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestRestoreRefusesWhatIsNoBackup(t *testing.T) {
	b := newBox(t)
	b.deploy("shop", "1")
	var good bytes.Buffer
	if err := b.Box.Backup(t.Context(), root, &good); err != nil {
		t.Fatal(err)
	}
	b.stop()
	read := func() map[string]string {
		out := map[string]string{}
		for _, f := range []string{StoreFile(b.dir), KeyFile(b.dir)} {
			raw, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			out[f] = string(raw)
		}
		return out
	}
	before := read()
	foreign, err := secrets.Create(t.TempDir() + "/key")
	if err != nil {
		t.Fatal(err)
	}
	edit := func(fn func(name string, content []byte) (string, []byte)) []byte {
		return editBackup(t, good.Bytes(), fn)
	}
	bad := map[string][]byte{
		"nothing": nil, "text": []byte("hello"), "cut": good.Bytes()[:good.Len()-20], "half": good.Bytes()[:good.Len()/2],
		"another key": edit(func(n string, c []byte) (string, []byte) {
			if n == "keys/master" {
				c = foreign.Bytes()
			}
			return n, c
		}),
		"a path out of it": edit(func(n string, c []byte) (string, []byte) {
			if n == "keys/master" {
				n = "../keys/master"
			}
			return n, c
		}),
		"no sums": edit(func(n string, c []byte) (string, []byte) {
			if n == "SHA256SUMS" {
				n = ""
			}
			return n, c
		}),
		"a newer format": edit(func(n string, c []byte) (string, []byte) {
			if n == "backup.json" {
				c = []byte(`{"format":5}`)
			}
			return n, c
		}),
		"a bit": edit(func(n string, c []byte) (string, []byte) {
			if n == "pandabox.db" {
				c[len(c)/2] ^= 1
			}
			return n, c
		}),
	}
	for name, raw := range bad {
		err := Restore(t.Context(), b.dir, bytes.NewReader(raw))
		if err == nil {
			t.Errorf("%s: restored", name)
			continue
		}
		if e := told(t, err, model.KindInvalid); e.Why == "" {
			t.Errorf("%s: %v", name, err)
		}
		for f, content := range read() {
			if before[f] != content {
				t.Errorf("%s: %s was changed", name, f)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Restore(ctx, b.dir, bytes.NewReader(good.Bytes())); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if left, err := os.ReadDir(b.dir); err != nil || len(left) != 3 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	b.start()
}

func TestDoctor(t *testing.T) {
	b := newBox(t)
	d := b.deploy("shop", "1")
	cfg := b.config()
	cfg.Probes = []Probe{
		{"runtime", func(context.Context) (string, error) { return "containerd 2.4.2", nil }},
		{"ports", func(context.Context) (string, error) {
			return "", model.Errorf(model.KindUnavailable, "port 443 is in use").WithHint("stop nginx")
		}},
	}
	c, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	look := func() map[string]Check {
		t.Helper()
		checks, err := c.Box.Doctor(t.Context(), root)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]Check{}
		var names []string
		for _, c := range checks {
			out[c.Name] = c
			names = append(names, c.Name)
			if !c.OK && c.Hint == "" || c.Detail == "" {
				t.Errorf("%+v", c)
			}
		}
		if !slices.Equal(names, []string{"disk", "store", "runtime", "ports", "apps", "certificates", "clock"}) {
			t.Errorf("checks are %q", names)
		}
		return out
	}
	got := look()
	for name, ok := range map[string]bool{"store": true, "runtime": true, "ports": false, "apps": true, "certificates": true, "clock": true} {
		if got[name].OK != ok {
			t.Errorf("%+v", got[name])
		}
	}
	if got["ports"].Hint != "stop nginx" || got["runtime"].Detail != "containerd 2.4.2" {
		t.Errorf("%+v", got)
	}
	st := model.WorkloadStatus{State: model.WorkloadDown}
	if err := b.store.Record(t.Context(), []model.WorkloadUpdate{{WorkloadID: d.WorkloadID, Status: &st}}); err != nil {
		t.Fatal(err)
	}
	b.parts.certs = map[string]model.CertificateStatus{"shop." + base: {Problem: "DNS points to 192.0.2.1"}}
	b.pass(-time.Hour)
	got = look()
	for name, says := range map[string]string{"apps": "shop in production (down)", "certificates": "192.0.2.1", "clock": "the clock says"} {
		if got[name].OK || !strings.Contains(got[name].Detail, says) {
			t.Errorf("%+v", got[name])
		}
	}
}

func TestAProbeThatHangsIsNotWaitedFor(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	release := make(chan struct{})
	defer close(release)
	c := Probe{"runtime", func(context.Context) (string, error) { <-release; return "", nil }}.check(ctx)
	if c.OK || c.Hint == "" {
		t.Errorf("%+v", c)
	}
}
