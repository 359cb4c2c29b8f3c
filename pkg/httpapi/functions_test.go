package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/model"
)

var hello = client.Ref{App: "hello"}

// fakeFunctions holds bundles of any content; every function is handle.
type fakeFunctions struct {
	size   int64
	handle http.HandlerFunc
}

var _ control.FunctionHost = (*fakeFunctions)(nil)

func (f *fakeFunctions) Import(_ context.Context, r io.Reader) (model.Bundle, error) {
	n, err := io.Copy(io.Discard, r)
	f.size = n
	return model.Bundle{Digest: digest, Size: n, Runtime: model.RuntimeJS}, err
}

func (f *fakeFunctions) Bundle(context.Context, string) (model.Bundle, error) {
	return model.Bundle{Digest: digest, Size: f.size, Runtime: model.RuntimeJS}, nil
}

func (f *fakeFunctions) Scheduled(context.Context, string, model.ScheduledEvent) error { return nil }

// Invoke answers as a pipe does: the head with the first byte, the rest as it is written.
func (f *fakeFunctions) Invoke(_ context.Context, name string, r *http.Request) (*http.Response, error) {
	if name != "replica-1" {
		return nil, fmt.Errorf("no replica %s", name)
	}
	pr, pw := io.Pipe()
	w := &pipeWriter{w: pw, header: http.Header{}, head: make(chan int, 1)}
	go func() {
		defer func() {
			if p := recover(); p != nil {
				_ = pw.CloseWithError(errors.New("the isolate was thrown away"))
				return
			}
			w.WriteHeader(http.StatusOK)
			_ = pw.Close()
		}()
		f.handle(w, r)
	}()
	return &http.Response{StatusCode: <-w.head, Header: w.header, Body: pr}, nil
}

type pipeWriter struct {
	w      io.Writer
	header http.Header
	head   chan int
	begun  bool
}

func (p *pipeWriter) Header() http.Header { return p.header }

func (p *pipeWriter) WriteHeader(status int) {
	if !p.begun {
		p.begun = true
		p.head <- status
	}
}

func (p *pipeWriter) Write(b []byte) (int, error) {
	p.WriteHeader(http.StatusOK)
	return p.w.Write(b)
}

// deployHello uploads a bundle and deploys it.
func (b *box) deployHello(c *client.Client) {
	b.t.Helper()
	ctx := b.t.Context()
	bundle, err := c.ImportFunction(ctx, io.LimitReader(zeros{}, 3<<20))
	if err != nil || bundle.Size != 3<<20 || bundle.Runtime != model.RuntimeJS {
		b.t.Fatalf("got %+v, %v", bundle, err)
	}
	d, err := c.CreateDeploy(ctx, hello, api.NewDeploy{Function: &model.Function{Digest: bundle.Digest, Runtime: bundle.Runtime}})
	if err != nil {
		b.t.Fatal(err)
	}
	b.healthy(d.WorkloadID)
}

func TestStoryOfAFunction(t *testing.T) {
	b, ctx := newBox(t), t.Context()
	c := b.remote(b.token(model.DefaultOrg, model.RoleMember))
	_, err := c.ImportFunction(ctx, io.LimitReader(zeros{}, model.MaxFunctionBundle+1))
	wantKind(t, err, model.KindTooLarge)
	b.deployHello(c)
	w, err := c.Workload(ctx, hello)
	if err != nil || w.Kind != model.KindFunction || w.Function == nil || w.Function.Runtime != model.RuntimeJS || w.Function.Size != 3<<20 {
		t.Errorf("got %+v, %v", w, err)
	}

	b.functions.handle = func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		w.Header().Add("X-Two", "ä")
		w.Header().Add("X-Two", "b")
		w.WriteHeader(http.StatusTeapot)
		_, _ = fmt.Fprintf(w, "%s %s %s %s %s %q %s %v", r.Method, r.RequestURI, r.URL.Query().Get("name"), r.Host, r.URL.Scheme, r.Header.Values("X-One"), body, err)
	}
	for over, c := range map[string]*client.Client{"tls": c, "socket": b.root()} {
		res, err := c.Invoke(ctx, hello, api.Invocation{
			Method: http.MethodPut, Path: "/greet?name=A%20da", Headers: http.Header{"X-One": {"1", "2"}, "Host": {"a.example.com"}},
		}, strings.NewReader("hello"))
		if err != nil {
			t.Fatal(over, err)
		}
		got, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if want := `PUT /greet?name=A%20da A da a.example.com https ["1" "2"] hello <nil>`; err != nil || string(got) != want || res.StatusCode != http.StatusTeapot || fmt.Sprint(res.Header.Values("X-Two")) != "[ä b]" {
			t.Errorf("%s: got %d %q %v %v", over, res.StatusCode, got, res.Header, err)
		}
		res, err = c.Invoke(ctx, hello, api.Invocation{}, nil)
		if err != nil {
			t.Fatal(over, err)
		}
		got, _ = io.ReadAll(res.Body)
		_ = res.Body.Close()
		if want := `GET /  hello.box.test https []  <nil>`; string(got) != want {
			t.Errorf("%s: got %q", over, got)
		}
	}
	_, err = c.Invoke(ctx, client.Ref{App: "none"}, api.Invocation{}, nil)
	wantKind(t, err, model.KindNotFound)
	for _, bad := range []api.Invocation{{Path: "greet"}, {Path: "//evil.example.com/"}, {Path: "http://x/"}, {Method: "G T"}, {Path: "/\n"}} {
		_, err = c.Invoke(ctx, hello, bad, nil)
		wantKind(t, err, model.KindInvalid)
	}
}

// TestInvokeStreams answers each line only when the one before was read, in both directions.
func TestInvokeStreams(t *testing.T) {
	b, ctx := newBox(t), t.Context()
	c := b.remote(b.token(model.DefaultOrg, model.RoleMember))
	b.deployHello(c)
	b.functions.handle = func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }
	for over, c := range map[string]*client.Client{"tls": c, "socket": b.root()} {
		pr, pw := io.Pipe()
		sent := make(chan error, 1)
		go func() { _, err := pw.Write([]byte("one")); sent <- err }()
		res, err := c.Invoke(ctx, hello, api.Invocation{Method: http.MethodPost}, pr)
		if err != nil {
			t.Fatal(over, err)
		}
		buf := make([]byte, 3)
		for _, line := range []string{"one", "two", "end"} {
			if line != "one" {
				go func() { _, err := pw.Write([]byte(line)); sent <- err }()
			}
			if _, err := io.ReadFull(res.Body, buf); err != nil || string(buf) != line || <-sent != nil {
				t.Fatalf("%s: got %q, %v", over, buf, err)
			}
		}
		_ = pw.Close()
		if n, err := res.Body.Read(buf); n != 0 || err != io.EOF {
			t.Errorf("%s: after the end: %d, %v", over, n, err)
		}
		_ = res.Body.Close()
	}
}

// TestBrokenAnswerIsNotWhole wants an error where a function's answer ends early.
func TestBrokenAnswerIsNotWhole(t *testing.T) {
	b, ctx := newBox(t), t.Context()
	c := b.remote(b.token(model.DefaultOrg, model.RoleMember))
	b.deployHello(c)
	b.functions.handle = func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("half"))
		panic("out of memory")
	}
	res, err := c.Invoke(ctx, hello, api.Invocation{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var got bytes.Buffer
	if _, err := got.ReadFrom(res.Body); err == nil || got.String() != "half" {
		t.Errorf("got %q, %v", got.String(), err)
	}
}
