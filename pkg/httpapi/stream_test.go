package httpapi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// emit writes n events of the default org, and one of another.
func (b *box) emit(n int) {
	b.t.Helper()
	err := b.store.Update(context.WithoutCancel(b.t.Context()), func(tx *store.Tx) error {
		org, err := tx.OrgNamed(model.DefaultOrg)
		if err != nil {
			return err
		}
		if err := tx.Emit(model.Event{Kind: "app", OrgID: "org-of-another"}); err != nil {
			return err
		}
		for range n {
			if err := tx.Emit(model.Event{Kind: "deploy", OrgID: org.ID, DeployID: "d", State: "starting"}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

func TestEventsGoOnWhereTheyBroke(t *testing.T) {
	b := newBox(t)
	// A wire between client and box that the test can cut.
	w := newWire(t, b.tls.Listener.Addr().String())
	c, err := client.New(client.Config{Address: "https://" + w.addr, Token: b.token(model.DefaultOrg, model.RoleMember), CA: b.ca})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b.emit(2)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got := make(chan api.Event, 100)
	ended := make(chan error, 1)
	go func() {
		ended <- c.Events(ctx, 0, func(e api.Event) error { got <- e; return nil })
	}()
	last := uint64(0)
	take := func(n int) {
		t.Helper()
		for range n {
			e := <-got
			if e.Seq <= last || e.DeployID != "d" {
				t.Fatalf("got %+v after %d", e, last)
			}
			last = e.Seq
		}
	}
	take(2)
	for range 3 {
		w.cut()
		b.emit(3) // while nobody listens
		w.mend()
		take(3)
		b.emit(1)
		take(1)
	}
	if len(got) != 0 {
		t.Errorf("%d events came twice", len(got))
	}
	cancel()
	wantKind(t, <-ended, model.KindCanceled)
}

func TestEventsEndWithTheCallersError(t *testing.T) {
	b := newBox(t)
	b.emit(1)
	enough := errors.New("enough")
	if err := b.root().Events(t.Context(), 0, func(api.Event) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
	err := b.remote("pbx_wrong").Events(t.Context(), 0, nil)
	wantKind(t, err, model.KindUnauthenticated)
}

func TestEventsAsTheyAreOnTheWire(t *testing.T) {
	b := newBox(t)
	b.emit(1)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.tls.URL+"/v1/orgs/default/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+b.token(model.DefaultOrg, model.RoleMember))
	res, err := b.http().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if got := res.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("the content type is %q", got)
	}
	lines := bufio.NewScanner(res.Body)
	next := func() string { lines.Scan(); return lines.Text() }
	var first uint64
	if _, err := fmt.Sscanf(next(), "id: %d", &first); err != nil || first == 0 {
		t.Fatalf("the stream does not say where it begins: %v", err)
	}
	if got := next(); got != "data: {}" {
		t.Errorf("got %q", got)
	}
	next()
	if got := next(); got != ": alive" {
		t.Errorf("a quiet stream says %q", got)
	}
	b.emit(1)
	var text []string
	for line := next(); len(text) < 3; line = next() {
		if line != "" && line != ": alive" {
			text = append(text, line)
		}
	}
	if text[0] != fmt.Sprintf("id: %d", first+2) || text[1] != "event: deploy" || !strings.HasPrefix(text[2], `data: {"seq":`) {
		t.Errorf("after %d the message is %q", first, text)
	}
}

func TestWatchDeploySeesTheEnd(t *testing.T) {
	b, ctx := newBox(t), t.Context()
	c := b.root()
	d, err := c.CreateDeploy(ctx, shop, api.NewDeploy{Image: image})
	if err != nil {
		t.Fatal(err)
	}
	var states []model.DeployState
	var once sync.Once
	last, err := c.WatchDeploy(ctx, shop, d.ID, func(d api.Deploy) error {
		states = append(states, d.State)
		once.Do(func() { b.healthy(d.WorkloadID) })
		return nil
	})
	if err != nil || last.State != model.DeploySucceeded || states[0] != model.DeployPending {
		t.Errorf("got %v, %v after %v", last.State, err, states)
	}
	if last, err = c.WatchDeploy(ctx, shop, d.ID, func(api.Deploy) error { return nil }); err != nil || last.State != model.DeploySucceeded {
		t.Errorf("of a deploy that is over: %v, %v", last.State, err)
	}
	_, err = c.WatchDeploy(ctx, shop, "d-none", func(api.Deploy) error { return nil })
	wantKind(t, err, model.KindNotFound)
}

func TestLogs(t *testing.T) {
	b, ctx := newBox(t), t.Context()
	c := b.remote(b.token(model.DefaultOrg, model.RoleMember))
	if _, err := c.CreateDeploy(ctx, shop, api.NewDeploy{Image: image}); err != nil {
		t.Fatal(err)
	}
	var asked model.LogQuery
	var after error
	b.logs.read = func(_ context.Context, q model.LogQuery, yield func(model.LogLine) error) error {
		asked = q
		for i := range 3 {
			if err := yield(model.LogLine{Text: fmt.Sprint("line ", i, " <&>"), Process: "web", Stream: "stdout"}); err != nil {
				return err
			}
		}
		return after
	}
	var got []string
	collect := func(l model.LogLine) error { got = append(got, l.Text); return nil }
	if err := c.Logs(ctx, shop, api.LogQuery{Process: "web", Release: 2, Tail: 5}, collect); err != nil {
		t.Fatal(err)
	}
	if strings.Join(got, ",") != "line 0 <&>,line 1 <&>,line 2 <&>" || asked.Process != "web" || asked.Release != 2 || asked.Tail != 5 || asked.WorkloadID == "" || asked.Follow {
		t.Errorf("got %q for %+v", got, asked)
	}
	got, after = nil, model.Errorf(model.KindUnavailable, "the log broke").WithHint("try again")
	err := c.Logs(ctx, shop, api.LogQuery{Tail: -1}, collect)
	wantKind(t, err, model.KindUnavailable)
	if len(got) != 3 || asked.Tail != -1 || !strings.Contains(err.Error(), "the log broke") {
		t.Errorf("got %d lines and %v", len(got), err)
	}
	enough := errors.New("enough")
	if err := c.Logs(ctx, shop, api.LogQuery{}, func(model.LogLine) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
	wantKind(t, c.Logs(ctx, client.Ref{App: "other"}, api.LogQuery{}, collect), model.KindNotFound)
}

func TestFollowedLogEndsWithItsReader(t *testing.T) {
	b := newBox(t)
	if _, err := b.root().CreateDeploy(t.Context(), shop, api.NewDeploy{Image: image}); err != nil {
		t.Fatal(err)
	}
	let := make(chan struct{})
	ended := make(chan struct{})
	b.logs.read = func(ctx context.Context, _ model.LogQuery, yield func(model.LogLine) error) error {
		defer close(ended)
		<-let // a quiet app: signs of life only
		if err := yield(model.LogLine{Text: "at last"}); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	res := make(chan error, 1)
	seen := make(chan string, 1)
	go func() {
		res <- b.root().Logs(ctx, shop, api.LogQuery{Follow: true}, func(l model.LogLine) error { seen <- l.Text; return nil })
	}()
	close(let)
	if got := <-seen; got != "at last" {
		t.Errorf("got %q", got)
	}
	cancel()
	wantKind(t, <-res, model.KindCanceled)
	<-ended
}

// TestFollowedLogGoesOnWhereItBroke cuts the wire between lines that share their moment.
func TestFollowedLogGoesOnWhereItBroke(t *testing.T) {
	b := newBox(t)
	if _, err := b.root().CreateDeploy(t.Context(), shop, api.NewDeploy{Image: image}); err != nil {
		t.Fatal(err)
	}
	began := time.Now().UTC()
	line := func(i int) model.LogLine { // three at a time, two of them the same
		return model.LogLine{At: began.Add(time.Duration(i/3) * time.Second), Text: fmt.Sprint(i / 3 * 3 / (1 + i%3/2))}
	}
	var mu sync.Mutex
	printed := 0
	b.logs.read = func(ctx context.Context, q model.LogQuery, yield func(model.LogLine) error) error {
		for i := 0; ; {
			mu.Lock()
			n := printed
			mu.Unlock()
			for ; i < n; i++ {
				if l := line(i); !l.At.Before(q.Since) {
					if err := yield(l); err != nil {
						return err
					}
				}
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(time.Millisecond):
			}
		}
	}
	w := newWire(t, b.tls.Listener.Addr().String())
	c, err := client.New(client.Config{Address: "https://" + w.addr, Token: b.token(model.DefaultOrg, model.RoleMember), CA: b.ca})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got := make(chan model.LogLine, 100)
	ended := make(chan error, 1)
	go func() {
		ended <- c.Logs(ctx, shop, api.LogQuery{Follow: true, Tail: -1}, func(l model.LogLine) error { got <- l; return nil })
	}()
	next := 0
	show := func(n int) {
		mu.Lock()
		printed += n
		mu.Unlock()
	}
	take := func(n int) {
		t.Helper()
		for range n {
			if l := <-got; l != line(next) {
				t.Fatalf("got %+v, want %+v", l, line(next))
			}
			next++
		}
	}
	show(4)
	take(4)
	for range 4 {
		w.cut()
		show(3)
		w.mend()
		take(3)
		show(1)
		take(1)
	}
	if len(got) != 0 {
		t.Errorf("%d lines came twice", len(got))
	}
	cancel()
	wantKind(t, <-ended, model.KindCanceled)
}

// wire forwards connections to a box until it is cut.
type wire struct {
	addr   string
	target string
	mu     sync.Mutex
	isCut  bool
	conns  map[net.Conn]bool
}

func newWire(t *testing.T, target string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{addr: l.Addr().String(), target: target, conns: map[net.Conn]bool{}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { w.forward(c) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); w.cut(); wg.Wait() })
	return w
}

func (w *wire) forward(c net.Conn) {
	up, err := net.Dial("tcp", w.target)
	if err != nil {
		_ = c.Close()
		return
	}
	w.mu.Lock()
	if w.isCut {
		_, _ = c.Close(), up.Close()
		w.mu.Unlock()
		return
	}
	w.conns[c], w.conns[up] = true, true
	w.mu.Unlock()
	var wg sync.WaitGroup
	copyTo := func(dst, src net.Conn) { _, _ = io.Copy(dst, src); _, _ = dst.Close(), src.Close() }
	wg.Go(func() { copyTo(up, c) })
	wg.Go(func() { copyTo(c, up) })
	wg.Wait()
}

// cut breaks every connection, and any new one until mend.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = true
	for c := range w.conns {
		_ = c.Close()
	}
	clear(w.conns)
}

func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = false
}
