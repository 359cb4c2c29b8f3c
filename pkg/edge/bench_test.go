package edge

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/model"
)

// BenchmarkServe is the host's own part of a request: the guest code does nothing.
func BenchmarkServe(b *testing.B) {
	e := &theatre{actors: map[string]actor{"nothing": func(context.Context, *played, *guest.Call) (func(context.Context) error, error) { return nil, nil }}}
	h, name := benchHost(b, "// nothing\nexport default {}", func(c *Config) { c.Engines = map[model.FunctionRuntime]Engine{model.RuntimeJS: e} }, func(*model.ContainerSpec) {})
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
	b.ReportAllocs()
	for b.Loop() {
		h.Serve(name, w, r, nil)
	}
}

func BenchmarkJavaScript(b *testing.B) {
	for name, change := range map[string]func(*model.ContainerSpec){
		"reuse":   func(*model.ContainerSpec) {},
		"request": func(c *model.ContainerSpec) { c.Function.Isolation = model.IsolationRequest },
	} {
		b.Run(name, func(b *testing.B) {
			h, f := benchHost(b, helloScript, real, change)
			b.ReportAllocs()
			for b.Loop() {
				w := httptest.NewRecorder()
				h.Serve(f, w, httptest.NewRequest(http.MethodGet, "/", nil), nil)
				if w.Code != 200 {
					b.Fatal(w.Code)
				}
			}
		})
	}
}

func benchHost(b *testing.B, main string, config func(*Config), change func(*model.ContainerSpec)) (*Host, string) {
	b.Helper()
	c := Config{
		DataDir: b.TempDir(), KV: func(string) guest.KV { return nil }, Log: func(model.Replica, string, string) {},
		Seal: func(x []byte) ([]byte, error) { return x, nil }, Open: func(x []byte) ([]byte, error) { return x, nil },
	}
	config(&c)
	c.Resolve = func(context.Context, string, string) ([]netip.AddrPort, error) { return nil, nil }
	h, err := New(b.Context(), c)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(b.Context()), time.Second)
		defer cancel()
		if err := h.Close(ctx); err != nil {
			b.Error(err)
		}
	})
	bundle, err := h.Import(b.Context(), bytes.NewReader(tarOf(main)))
	if err != nil {
		b.Fatal(err)
	}
	spec := model.ContainerSpec{Name: "bench", Function: &model.Function{Digest: bundle.Digest, Runtime: model.RuntimeJS}}
	change(&spec)
	if _, err := h.Start(b.Context(), spec); err != nil {
		b.Fatal(fmt.Errorf("starting: %w", err))
	}
	return h, "bench"
}
