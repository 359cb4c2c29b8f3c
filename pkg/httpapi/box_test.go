package httpapi

import (
	"bytes"
	"context"
	"encoding/pem"
	"io"

	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// deadline is how long a test waits for what must happen.
const deadline = time.Minute

// box is a real store and control behind the API on a Unix socket and on TLS, with fakes for what needs a runtime.
type box struct {
	t       testing.TB
	store   *store.Store
	control *control.Control
	api     *API
	socket  string
	tls     *httptest.Server
	ca      []byte
	log     *buffer

	images *fakeImages
	runner *fakeRunner
	logs   *fakeLogs

	functions *fakeFunctions
}

func newBox(t testing.TB, change ...func(*Config)) *box {
	t.Helper()
	dir := t.TempDir()
	b := &box{t: t, socket: filepath.Join(dir, "s"), log: &buffer{}, images: &fakeImages{}, runner: &fakeRunner{}, logs: &fakeLogs{}, functions: &fakeFunctions{}}
	var err error
	if b.store, err = store.Open(filepath.Join(dir, "db"), store.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.store.Close() })
	kv, err := store.OpenKV(filepath.Join(dir, "kv"), store.KVOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kv.Close() })
	b.control, err = control.New(t.Context(), control.Config{
		Store: b.store, KeyFile: filepath.Join(dir, "keys", "master"), DataDir: dir, BaseDomain: "box.test", URL: "https://box.test",
		Version: "1.2.3", Instance: "abcd", Images: b.images, Runner: b.runner, Logs: b.logs, Certs: fakeCerts{},
		Functions: b.functions, KV: kv,
	})
	if err != nil {
		t.Fatal(err)
	}
	config := Config{Control: b.control, Logger: zerolog.New(b.log).Level(zerolog.DebugLevel), MaxImage: 8 << 20, Heartbeat: 20 * time.Millisecond}
	for _, f := range change {
		f(&config)
	}
	if b.api, err = New(config); err != nil {
		t.Fatal(err)
	}
	b.serve()
	return b
}

// serve listens on the socket and on TLS until the test ends.
func (b *box) serve() {
	b.t.Helper()
	l, err := ListenUnix(b.socket)
	if err != nil {
		b.t.Fatal(err)
	}
	srv := &http.Server{Handler: b.api.Handler(), ConnContext: ConnContext, ReadHeaderTimeout: deadline}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	b.tls = httptest.NewUnstartedServer(b.api.Handler())
	b.tls.EnableHTTP2 = true
	b.tls.Config.ConnContext = ConnContext
	b.tls.Config.ErrorLog = nil
	b.tls.StartTLS()
	b.ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b.tls.Certificate().Raw})
	b.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		if err := b.api.Shutdown(ctx); err != nil {
			b.t.Error(err)
		}
		_ = srv.Close()
		<-done
		b.tls.Close()
	})
}

// root returns a client on the socket.
func (b *box) root() *client.Client { return b.client("unix://"+b.socket, "") }

// remote returns a client over TLS with a token.
func (b *box) remote(token string) *client.Client { return b.client(b.tls.URL, token) }

func (b *box) client(address, token string) *client.Client {
	b.t.Helper()
	c, err := client.New(client.Config{Address: address, Token: token, CA: b.ca})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(c.Close)
	return c
}

// http returns a plain HTTP client that trusts the box.
func (b *box) http() *http.Client { return b.tls.Client() }

// token makes a token of an org, which is made where it is not there.
func (b *box) token(org string, role model.RoleName) string {
	b.t.Helper()
	root := model.Actor{ID: "root", Name: "root", Root: true}
	if org != model.DefaultOrg {
		err := b.store.Update(b.t.Context(), func(tx *store.Tx) error {
			if _, err := tx.OrgNamed(org); err == nil {
				return nil
			}
			return tx.PutOrg(model.Org{ID: model.NewID("org", time.Now()), Name: org, CreatedAt: time.Now()})
		})
		if err != nil {
			b.t.Fatal(err)
		}
	}
	_, secret, err := b.control.Tokens.Create(b.t.Context(), root, org, control.NewToken{Name: string(role), Role: role})
	if err != nil {
		b.t.Fatal(err)
	}
	return secret
}

// healthy writes what the controller would of a workload with one healthy replica of what is wanted.
func (b *box) healthy(workloadID string) {
	b.t.Helper()
	desired, err := b.store.Desired(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	for _, d := range desired.Workloads {
		if d.Workload.ID != workloadID {
			continue
		}
		target := d.Workload.Want
		u := model.WorkloadUpdate{WorkloadID: workloadID, Good: &target, Status: &model.WorkloadStatus{
			WorkloadID: workloadID, State: model.WorkloadRunning, Serving: target, UpdatedAt: time.Now().UTC(),
			Replicas: []model.ReplicaStatus{{
				Name: "replica-1", State: model.ReplicaHealthy, Since: time.Now().UTC(),
				Replica: model.Replica{Role: model.RoleReplica, WorkloadID: workloadID, ReleaseID: target.ReleaseID, Release: d.Want.Number, Generation: target.Generation, Process: "web", Index: 1},
			}},
		}, ReleaseID: target.ReleaseID, Image: &model.Image{Ref: d.Want.Image.Ref, Digest: digest, Config: &model.ImageConfig{}}}
		if d.Deploy != nil {
			done := *d.Deploy
			done.State, done.FinishedAt = model.DeploySucceeded, time.Now().UTC()
			u.Deploy, u.Settled = &done, done.ID
		}
		if err := b.store.Record(b.t.Context(), []model.WorkloadUpdate{u}); err != nil {
			b.t.Fatal(err)
		}
		return
	}
	b.t.Fatalf("there is no workload %s", workloadID)
}

const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// eventually waits until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

// wantKind fails unless err is of a kind and says what to do.
func wantKind(t testing.TB, err error, kind model.Kind) {
	t.Helper()
	if got := model.KindOf(err); got != kind {
		t.Fatalf("got an error of kind %q (%v), want %q", got, err, kind)
	}
}

type fakeImages struct {
	mu   sync.Mutex
	size int64
	err  error
}

func (f *fakeImages) Import(_ context.Context, r io.Reader) (model.Image, error) {
	n, err := io.Copy(io.Discard, r)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.size = n
	if err == nil {
		err = f.err
	}
	return model.Image{Digest: digest, Config: &model.ImageConfig{Cmd: []string{"/app"}}}, err
}

type fakeCerts struct{}

func (fakeCerts) SetCertificate(context.Context, string, []byte, []byte) error { return nil }

func (fakeCerts) RemoveCertificate(context.Context, string) error { return nil }

func (fakeCerts) Certificate(_ context.Context, host string) (model.CertificateStatus, error) {
	return model.CertificateStatus{Host: host, Issuer: "test"}, nil
}

type fakeRunner struct {
	exec func(ctx context.Context, container string, spec model.ExecSpec) (int, error)
	run  func(ctx context.Context, c model.ContainerSpec, spec model.ExecSpec) (int, error)
}

func (f *fakeRunner) Exec(ctx context.Context, container string, spec model.ExecSpec) (int, error) {
	return f.exec(ctx, container, spec)
}

func (f *fakeRunner) Run(ctx context.Context, c model.ContainerSpec, spec model.ExecSpec) (int, error) {
	return f.run(ctx, c, spec)
}

func (f *fakeRunner) Usage(_ context.Context, containers []string) (map[string]model.Usage, error) {
	out := map[string]model.Usage{}
	for _, name := range containers {
		out[name] = model.Usage{Memory: 1 << 20}
	}
	return out, nil
}

type fakeLogs struct {
	read func(ctx context.Context, q model.LogQuery, yield func(model.LogLine) error) error
}

func (f *fakeLogs) Logs(ctx context.Context, q model.LogQuery, yield func(model.LogLine) error) error {
	return f.read(ctx, q, yield)
}
