package httpapi

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
)

var (
	shop  = client.Ref{App: "shop"}
	image = model.Image{Ref: "registry.test/shop:1"}
)

// TestStoryOfAnApp goes from the claim link to the end of an app, through the client over TLS.
func TestStoryOfAnApp(t *testing.T) {
	b, ctx := newBox(t), t.Context()
	link, err := b.root().NewClaim(ctx)
	if err != nil {
		t.Fatal(err)
	}
	owner, err := b.remote("").Claim(ctx, link.Secret, "")
	if err != nil {
		t.Fatal(err)
	}
	if owner.Role != model.RoleOwner || owner.Name != "owner" {
		t.Errorf("the owner's token is %+v", owner.Token)
	}
	_, err = b.remote("").Claim(ctx, link.Secret, "")
	wantKind(t, err, model.KindForbidden)
	c := b.remote(owner.Secret)
	info, err := c.Info(ctx)
	if err != nil || !info.Claimed || info.Version != "1.2.3" {
		t.Fatalf("got %+v, %v", info, err)
	}

	// The first deploy makes everything.
	d, err := c.CreateDeploy(ctx, shop, api.NewDeploy{
		Image: image, Variables: map[string]string{"LOG_LEVEL": "info"}, Message: "first", Domains: []string{"shop.example.com"},
		Processes: []model.Process{{Name: "web", Port: 3000}, {Name: "worker", Command: []string{"work"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if d.State != model.DeployPending || d.Release != 1 || d.App != "shop" || d.Env != "production" || d.Message != "first" {
		t.Errorf("the deploy is %+v", d)
	}
	w, err := c.Workload(ctx, shop)
	if err != nil {
		t.Fatal(err)
	}
	if w.Release != 1 || w.Serving != 0 || w.Deploy == nil || w.Deploy.ID != d.ID || len(w.Processes) != 2 || w.Processes[0].Port != 3000 || len(w.Domains) != 2 {
		t.Errorf("the workload is %+v", w)
	}
	if _, err := c.CancelDeploy(ctx, shop, d.ID); err != nil {
		t.Fatal(err)
	}
	b.healthy(w.ID)
	_, err = c.CancelDeploy(ctx, shop, d.ID)
	wantKind(t, err, model.KindConflict)
	if w, err = c.Workload(ctx, shop); err != nil || w.Serving != 1 || w.State != model.WorkloadRunning || w.Usage["replica-1"].Memory == 0 || w.Processes[0].Healthy != 1 || w.Deploy != nil {
		t.Errorf("the workload is %+v, %v", w, err)
	}

	// Variables make a release of their own.
	changed, err := c.SetVariables(ctx, shop, api.VariableChange{Set: map[string]string{"KEY": "s3cret", "COLOUR": "red"}, Secrets: []string{"KEY"}, Unset: []string{"LOG_LEVEL"}})
	if err != nil || changed.Deploy == nil || changed.Deploy.Release != 2 {
		t.Fatalf("got %+v, %v", changed, err)
	}
	vars, err := c.Variables(ctx, shop)
	if want := []api.Variable{{Name: "COLOUR", Value: "red"}, {Name: "KEY", Secret: true}}; err != nil || !slices.Equal(vars, want) {
		t.Errorf("the variables are %+v, %v", vars, err)
	}
	b.healthy(w.ID)

	// Scale, releases, rollback, restart.
	two := 2
	if w, err = c.Scale(ctx, shop, api.Scaling{Processes: map[string]model.Scale{"web": {Replicas: &two}}}); err != nil || w.Processes[0].Replicas != 2 {
		t.Errorf("got %+v, %v", w, err)
	}
	releases, err := c.Releases(ctx, shop, api.Page{})
	if err != nil || len(releases.Items) != 2 || !releases.Items[0].Serving || !releases.Items[1].Good {
		t.Errorf("the releases are %+v, %v", releases, err)
	}
	if r, err := c.Release(ctx, shop, 1); err != nil || r.Number != 1 || r.Serving {
		t.Errorf("got %+v, %v", r, err)
	}
	if d, err = c.Rollback(ctx, shop, api.Rollback{Release: 1, Message: "back"}); err != nil || d.Kind != model.DeployRollback || d.Release != 1 {
		t.Errorf("got %+v, %v", d, err)
	}
	b.healthy(w.ID)
	if d, err = c.Restart(ctx, shop, api.DeployOptions{}); err != nil || d.Kind != model.DeployRestart {
		t.Errorf("got %+v, %v", d, err)
	}
	if got, err := c.Deploy(ctx, shop, d.ID); err != nil || got.ID != d.ID {
		t.Errorf("got %+v, %v", got, err)
	}

	// Every page of a list, in order.
	var kinds []model.DeployKind
	var after string
	for {
		l, err := c.Deploys(ctx, shop, api.Page{Limit: 1, After: after})
		if err != nil || len(l.Items) != 1 {
			t.Fatalf("got %+v, %v", l, err)
		}
		kinds = append(kinds, l.Items[0].Kind)
		if after = l.Next; after == "" {
			break
		}
	}
	if want := []model.DeployKind{model.DeployRestart, model.DeployRollback, model.DeployConfig, model.DeployRelease}; !slices.Equal(kinds, want) {
		t.Errorf("the deploys are %v, want %v", kinds, want)
	}

	// Domains and certificates.
	if _, err := c.AddDomain(ctx, shop, api.NewDomain{Host: "www.example.com"}); err != nil {
		t.Fatal(err)
	}
	if err := c.RemoveDomain(ctx, shop, "shop.example.com"); err != nil {
		t.Fatal(err)
	}
	domains, err := c.Domains(ctx, shop)
	if err != nil || len(domains) != 2 || !domains[0].Default || domains[1].Host != "www.example.com" {
		t.Errorf("the domains are %+v, %v", domains, err)
	}
	cert, key := certificate(t, "other.example.com")
	_, err = c.SetCertificate(ctx, shop, "www.example.com", api.Certificate{Certificate: cert, Key: key})
	wantKind(t, err, model.KindInvalid)
	cert, key = certificate(t, "www.example.com")
	if d, err := c.SetCertificate(ctx, shop, "www.example.com", api.Certificate{Certificate: cert, Key: key}); err != nil || d.TLS != model.TLSCustom || d.Certificate == nil {
		t.Errorf("got %+v, %v", d, err)
	}

	// Lists of the org, the record, and the end.
	for app, err := range client.All(ctx, c.Apps) {
		if err != nil || app.Name != "shop" || len(app.Workloads) != 1 {
			t.Errorf("got %+v, %v", app, err)
		}
	}
	if l, err := c.Workloads(ctx, api.Page{}); err != nil || len(l.Items) != 1 || l.Items[0].App != "shop" {
		t.Errorf("got %+v, %v", l, err)
	}
	if app, err := c.App(ctx, "shop"); err != nil || app.Project != "shop" {
		t.Errorf("got %+v, %v", app, err)
	}
	if err := c.DestroyEnv(ctx, client.Ref{App: "shop", Env: "staging"}); model.KindOf(err) != model.KindNotFound {
		t.Errorf("got %v", err)
	}
	if err := c.DestroyApp(ctx, "shop"); err != nil {
		t.Fatal(err)
	}
	if app, err := c.App(ctx, "shop"); err != nil || !app.Workloads[0].Deleting {
		t.Errorf("got %+v, %v", app, err)
	}
	var actions []string
	for e, err := range client.All(ctx, c.Audit) {
		if err != nil {
			t.Fatal(err)
		}
		actions = append(actions, e.Action)
	}
	if len(actions) < 8 || !slices.Contains(actions, "deploy.create") || !slices.Contains(actions, "box.claim") {
		t.Errorf("the record is %v", actions)
	}
	if checks, err := c.Doctor(ctx); err != nil || len(checks) == 0 {
		t.Errorf("got %+v, %v", checks, err)
	}
	log := b.log.String()
	for what, secret := range map[string]string{"a claim link": link.Secret, "a token": owner.Secret, "a variable": "s3cret", "a query": "limit=", "a key": "PRIVATE KEY"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %s", what)
		}
	}
	if !strings.Contains(log, `"path":"/v1/claim"`) || !strings.Contains(log, owner.ID) {
		t.Error("the log does not say what was asked by whom")
	}
}

func TestSameKeySameAnswer(t *testing.T) {
	b, ctx := newBox(t), t.Context()
	c := b.remote(b.token(model.DefaultOrg, model.RoleMember))
	n := api.NewDeploy{Image: image, IdempotencyKey: "once"}
	first, err := c.CreateDeploy(ctx, shop, n)
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.CreateDeploy(ctx, shop, n)
	if err != nil || again.ID != first.ID {
		t.Errorf("got %s, %v, want %s", again.ID, err, first.ID)
	}
	n.Message = "another"
	_, err = c.CreateDeploy(ctx, shop, n)
	wantKind(t, err, model.KindConflict)
	n.IdempotencyKey = ""
	if fresh, err := c.CreateDeploy(ctx, shop, n); err != nil || fresh.ID == first.ID {
		t.Errorf("got %s, %v", fresh.ID, err)
	}
}

func TestBackupIsWholeOrAnError(t *testing.T) {
	b, ctx := newBox(t), t.Context()
	var whole strings.Builder
	if err := b.root().Backup(ctx, &whole); err != nil || whole.Len() == 0 {
		t.Fatalf("%d bytes, %v", whole.Len(), err)
	}
	full := errors.New("no space left")
	err := b.root().Backup(ctx, writerFunc(func([]byte) (int, error) { return 0, full }))
	if !errors.Is(err, full) {
		t.Errorf("got %v, want the writer's error", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestImageIsStreamed(t *testing.T) {
	for _, over := range []string{"socket", "tls"} {
		t.Run(over, func(t *testing.T) {
			b, ctx := newBox(t), t.Context()
			c := b.root()
			if over == "tls" {
				c = b.remote(b.token(model.DefaultOrg, model.RoleMember))
			}
			const size = 5 << 20
			var sent int64
			got, err := c.ImportImage(ctx, io.LimitReader(zeros{}, size), func(n int64) { sent = n })
			if err != nil || got.Digest != digest || b.images.size != size || sent != size {
				t.Errorf("got %+v, %v; %d bytes sent, %d arrived", got, err, sent, b.images.size)
			}
			_, err = c.ImportImage(ctx, io.LimitReader(zeros{}, 64<<20), nil)
			wantKind(t, err, model.KindTooLarge)

			b.images.err = model.Invalid("the archive holds no image").WithHint("docker save -o image.tar NAME")
			_, err = c.ImportImage(ctx, strings.NewReader("x"), nil)
			var e *model.Error
			if !errors.As(err, &e) || e.What != "the archive holds no image" || e.Hint == "" {
				t.Errorf("got %v", err)
			}
			gone := errors.New("the disk went away")
			_, err = c.ImportImage(ctx, io.MultiReader(io.LimitReader(zeros{}, 1<<20), failing{gone}), nil)
			if !errors.Is(err, gone) {
				t.Errorf("got %v, want the reader's error", err)
			}
		})
	}
}

// TestARefusedSenderHearsWhy goes on sending for a second after the image is too large, and only then reads.
func TestARefusedSenderHearsWhy(t *testing.T) {
	b := newBox(t)
	conn, err := net.Dial("unix", b.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "POST /v1/orgs/default/images HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	chunk := "80000\r\n" + strings.Repeat("x", 512<<10) + "\r\n"
	for sent, began := 0, time.Now(); sent < 20 || time.Since(began) < time.Second; sent++ { // the bound is 8 MB
		if _, err := io.WriteString(conn, chunk); err != nil {
			t.Fatalf("after %d chunks: %v", sent, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if text, err := io.ReadAll(res.Body); res.StatusCode != http.StatusRequestEntityTooLarge || err != nil || !strings.Contains(string(text), "larger than") {
		t.Errorf("%s, %s, %v", res.Status, text, err)
	}
}

// TestImageIsRefusedBeforeItIsSent counts what a client without permission sends.
func TestImageIsRefusedBeforeItIsSent(t *testing.T) {
	b := newBox(t)
	sent := int64(0)
	_, err := b.remote("pbx_wrong").ImportImage(t.Context(), io.LimitReader(zeros{}, 1<<30), func(n int64) { sent = n })
	wantKind(t, err, model.KindUnauthenticated)
	if sent != 0 {
		t.Errorf("%d bytes were sent to somebody who did not want them", sent)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestShutdownEndsStreams(t *testing.T) {
	b, ctx := newBox(t), t.Context()
	if _, err := b.root().CreateDeploy(ctx, shop, api.NewDeploy{Image: image}); err != nil {
		t.Fatal(err)
	}
	began := make(chan struct{})
	b.logs.read = func(ctx context.Context, _ model.LogQuery, yield func(model.LogLine) error) error {
		if err := yield(model.LogLine{Text: "x"}); err != nil {
			return err
		}
		close(began)
		<-ctx.Done()
		return ctx.Err()
	}
	ended := make(chan error, 1)
	reading, leave := context.WithCancel(ctx)
	defer leave()
	go func() {
		ended <- b.root().Logs(reading, shop, api.LogQuery{Follow: true, Tail: -1}, func(model.LogLine) error { return nil })
	}()
	<-began
	stop, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	if err := b.api.Shutdown(stop); err != nil {
		t.Fatal(err)
	}
	leave() // the client hoped for the box to come back
	wantKind(t, <-ended, model.KindCanceled)
	wantKind(t, b.root().Logs(ctx, shop, api.LogQuery{}, nil), model.KindUnavailable)
}

func certificate(t *testing.T, host string) (certPEM, keyPEM string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	k, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: k}))
}

// TestBadRequestsAreExplained sends what no client of ours would.
func TestBadRequestsAreExplained(t *testing.T) {
	b := newBox(t)
	token := b.token(model.DefaultOrg, model.RoleOwner)
	const deploys = "/v1/orgs/default/apps/shop/envs/production/deploys"
	for name, c := range map[string]struct {
		method, path, body, contentType string
		status                          int
		says                            string
	}{
		"unknown field":        {"POST", deploys, `{"image":{"ref":"a"},"imaeg":1}`, "application/json", 422, "imaeg"},
		"unknown nested field": {"POST", deploys, `{"image":{"reff":"a"}}`, "application/json", 422, "image.reff"},
		"no JSON":              {"POST", deploys, `{"image":`, "application/json", 400, "body"},
		"two values":           {"POST", deploys, `{"image":{"ref":"a"}} {}`, "application/json", 400, "body"},
		"wrong type":           {"POST", deploys, `{"image":5}`, "application/json", 422, "image"},
		"empty":                {"POST", deploys, ``, "application/json", 400, "required"},
		"other content":        {"POST", deploys, `image: a`, "application/yaml", 415, ""},
		"too large":            {"POST", deploys, `{"message":"` + strings.Repeat("x", 2<<20) + `"}`, "application/json", 413, ""},
		"bad duration":         {"POST", deploys, `{"image":{"ref":"a"},"processes":[{"name":"web","health":{"grace":"soon"}}]}`, "application/json", 422, "duration"},
		"bad name":             {"POST", strings.Replace(deploys, "shop", "Shop!", 1), `{"image":{"ref":"a"}}`, "application/json", 422, "Shop!"},
		"unknown query":        {"GET", "/v1/orgs/default/apps?limti=5", ``, "", 422, "limti"},
		"limit out of bounds":  {"GET", "/v1/orgs/default/apps?limit=5000", ``, "", 422, "1000"},
		"bad cursor":           {"GET", "/v1/orgs/default/apps?after=%21%21", ``, "", 422, ""},
		"no such route":        {"GET", "/v2/orgs", ``, "", 404, ""},
		"no such method":       {"PUT", "/v1/box", ``, "", 405, "GET"},
		"not a WebSocket":      {"GET", "/v1/orgs/default/apps/shop/envs/production/exec", ``, "", 426, "WebSocket"},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), c.method, b.tls.URL+c.path, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+token)
			if c.contentType != "" {
				req.Header.Set("Content-Type", c.contentType)
			}
			res, err := b.http().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = res.Body.Close() }()
			p := problemOf(t, res)
			if res.StatusCode != c.status || p.Status != c.status || !strings.Contains(fmt.Sprintln(p.Title, p.Detail, p.Hint), c.says) || p.Kind == "" || p.Hint == "" && c.status != 413 {
				t.Errorf("got %d %+v, want %d and a word of %q", res.StatusCode, p, c.status, c.says)
			}
			if res.Header.Get("X-Content-Type-Options") != "nosniff" || res.Header.Get("Content-Security-Policy") == "" || res.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("the header is %v", res.Header)
			}
		})
	}
	if l, err := b.root().Apps(t.Context(), api.Page{}); err != nil || len(l.Items) != 0 {
		t.Errorf("bad requests left %+v, %v behind", l, err)
	}
}
