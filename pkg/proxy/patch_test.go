package proxy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pandabox/pandabox/pkg/model"
)

func nth(workload string, n int) model.Backend {
	return model.Backend{Name: fmt.Sprintf("%s-%d", workload, n), Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 9, 0, byte(n)}), 8080)}
}

// TestPatch: whatever is published and patched in turn, the table says what was said last of each host, and exactly the
// replicas it names are in use.
func TestPatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, err := New(Config{Storage: newMemory(), BaseDomain: "box.x.io"})
		if err != nil {
			t.Fatal(err)
		}
		hosts := map[string][]string{"a": {"a.x.io", "www.a.x.io"}, "b": {"b.x.io"}, "w": {"*.w.x.io"}, "f": {"a.x.io/api/*", "*.w.x.io/health", "f.x.io"}}
		now := map[string]model.Route{}
		published := false
		draw := func(workload string) (out []model.Route) {
			var to []model.Backend
			for range rapid.IntRange(0, 2).Draw(t, "replicas") {
				if b := nth(workload, rapid.IntRange(1, 4).Draw(t, "replica")); !slices.Contains(to, b) {
					to = append(to, b)
				}
			}
			for _, h := range hosts[workload] {
				host, path, _ := strings.Cut(h, "/")
				r := owned(host, workload)
				if path != "" {
					r.Path = "/" + path
				}
				if r.Backends = to; len(to) > 0 {
					r.State = model.RouteServing
				}
				out = append(out, r)
			}
			return out
		}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			if workload := rapid.SampledFrom([]string{"", "a", "b", "w", "f"}).Draw(t, "patch"); workload != "" {
				routes := draw(workload)
				switch err := p.Patch(t.Context(), routes); {
				case !published || workload == "w":
					if !errors.Is(err, ErrPublish) {
						t.Fatalf("a patch of %s before it was there: %v", workload, err)
					}
				case err != nil:
					t.Fatal(err)
				default:
					for _, r := range routes {
						now[r.Host+r.Path] = r
					}
				}
			} else {
				var all []model.Route
				for _, workload := range []string{"a", "b", "w", "f"} {
					all = append(all, draw(workload)...)
				}
				if err := p.Publish(t.Context(), all); err != nil {
					t.Fatal(err)
				}
				for _, r := range all {
					now[r.Host+r.Path] = r
				}
				published = true
			}
			table, used, n := p.table.Load(), map[model.Backend]bool{}, 0
			for r := range table.all {
				n++
				want := now[r.Host+r.Path]
				if !r.same(&model.Route{Host: r.Host, Path: r.Path, WorkloadID: r.WorkloadID, App: r.App, State: want.State, Backends: want.Backends}) || table.at(r.Host, r.Path) != r {
					t.Fatalf("%s%s is %+v, want %+v", r.Host, r.Path, r.Route, want)
				}
				for _, b := range r.backends {
					used[b.Backend] = true
				}
			}
			if n != len(now) || n != table.size() {
				t.Fatalf("%d routes, want %d", n, len(now))
			}
			if len(p.backends) != len(used) {
				t.Fatalf("%d backends are kept, %d are used", len(p.backends), len(used))
			}
			for key, b := range p.backends {
				if !used[key] || b.retired.Load() {
					t.Fatalf("%s: used %v, retired %v", key.Name, used[key], b.retired.Load())
				}
			}
		}
	})
}

func TestPatchRefuses(t *testing.T) {
	p, err := New(Config{Storage: newMemory()})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Publish(t.Context(), []model.Route{owned("a.x.io", "a"), owned("b.x.io", "b")}); err != nil {
		t.Fatal(err)
	}
	tls := owned("a.x.io", "a")
	tls.TLS = model.TLSOff
	path := owned("b.x.io", "a")
	path.Path = "/api/*"
	for name, r := range map[string]model.Route{"path": path, "unknown": owned("c.x.io", "a"), "another's": owned("b.x.io", "a"), "other certificate": tls} {
		if err := p.Patch(t.Context(), []model.Route{owned("a.x.io", "a"), r}); !errors.Is(err, ErrPublish) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(p.table.Load().over) != 0 {
		t.Error("a patch that was refused changed something")
	}
}

// BenchmarkPatch changes one of 10,000 routes.
func BenchmarkPatch(b *testing.B) {
	p, err := New(Config{Storage: newMemory()})
	if err != nil {
		b.Fatal(err)
	}
	routes := hosts(10_000)
	if err := p.Publish(b.Context(), routes); err != nil {
		b.Fatal(err)
	}
	one := routes[7:8]
	for i := 0; b.Loop(); i++ {
		one[0].Backends = []model.Backend{{Name: fmt.Sprint("new-", i), Addr: routes[8].Backends[0].Addr}}
		if err := p.Patch(b.Context(), one); err != nil {
			b.Fatal(err)
		}
	}
}
