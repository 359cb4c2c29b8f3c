package httpapi

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/proxy"
)

// TestThroughTheIngress uses everything that streams through the real proxy, as a box serves it.
func TestThroughTheIngress(t *testing.T) {
	b := running(t)
	p, err := proxy.New(proxy.Config{
		BaseDomain: "box.test", HTTPAddr: "127.0.0.1:0", HTTPSAddr: "127.0.0.1:0", APIHandler: b.api.Handler(), Storage: b.store,
		ACME: proxy.ACME{Disabled: true}, Logger: zerolog.Nop(), AccessLog: func(proxy.AccessEntry) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Config{Address: "https://" + p.HTTPSAddr().String(), Token: b.token(model.DefaultOrg, model.RoleOwner), CA: p.RootCA()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx := t.Context()

	if _, err := c.Info(ctx); err != nil {
		t.Fatal(err)
	}
	b.runner.exec = func(_ context.Context, _ string, spec model.ExecSpec) (int, error) {
		_, err := io.Copy(spec.Stdout, spec.Stdin)
		return 7, err
	}
	var out bytes.Buffer
	data := bytes.Repeat([]byte("0123456789"), 100_000)
	if code, err := c.Exec(ctx, shop, "", 0, model.ExecSpec{Command: []string{"cat"}, Stdin: bytes.NewReader(data), Stdout: &out}); err != nil || code != 7 || !bytes.Equal(out.Bytes(), data) {
		t.Errorf("exec: %d, %v, %d bytes", code, err, out.Len())
	}
	if _, err := c.ImportImage(ctx, io.LimitReader(zeros{}, 5<<20), nil); err != nil {
		t.Errorf("upload: %v", err)
	}
	_, err = c.ImportImage(ctx, io.LimitReader(zeros{}, 64<<20), nil)
	wantKind(t, err, model.KindTooLarge)
	if err := c.Backup(ctx, io.Discard); err != nil {
		t.Errorf("backup: %v", err)
	}

	// An event and a line of log arrive while their streams stand, not at the end.
	w, err := c.Workload(ctx, shop)
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.Restart(ctx, shop, api.DeployOptions{})
	if err != nil {
		t.Fatal(err)
	}
	first := true
	last, err := c.WatchDeploy(ctx, shop, d.ID, func(api.Deploy) error {
		if first {
			first = false
			b.healthy(w.ID)
		}
		return nil
	})
	if err != nil || last.State != model.DeploySucceeded {
		t.Errorf("watching: %v, %v", last.State, err)
	}
	b.logs.read = func(ctx context.Context, _ model.LogQuery, yield func(model.LogLine) error) error {
		if err := yield(model.LogLine{At: time.Now(), Text: "now"}); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	}
	follow, cancel := context.WithCancel(ctx)
	defer cancel()
	err = c.Logs(follow, shop, api.LogQuery{Follow: true}, func(model.LogLine) error { cancel(); return nil })
	wantKind(t, err, model.KindCanceled)
}
