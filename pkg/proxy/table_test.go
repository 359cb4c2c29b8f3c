package proxy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pandabox/pandabox/pkg/model"
)

func backends() func(model.Backend) *backend {
	all := map[model.Backend]*backend{}
	return func(b model.Backend) *backend {
		if all[b] == nil {
			all[b] = newBackend(b)
		}
		return all[b]
	}
}

func newTable() *table { return &table{exact: map[string]*route{}, wild: map[string]*route{}} }

func owned(host, workload string) model.Route {
	return model.Route{Host: host, WorkloadID: workload, App: workload, State: model.RouteStarting}
}

// TestOneBadRoute: what is wrong with one route takes nothing from another.
func TestOneBadRoute(t *testing.T) {
	first, problems := build(newTable(), []model.Route{owned("a.example.com", "a"), owned("b.example.com", "b")}, 1, "box.example.com", backends())
	if len(problems) != 0 {
		t.Fatal(problems)
	}
	broken := owned("c.example.com", "c")
	broken.State, broken.Backends = model.RouteServing, []model.Backend{{Name: "c-1"}, {Name: "c-2", Addr: netip.MustParseAddrPort("127.0.0.1:1")}}
	broken.Limits.Headers = map[string]string{"X-Good": "1", "Bad Name": "2", "Connection": "close", "X-Bad": "a\r\nb"}
	next, problems := build(first, []model.Route{
		owned("a.example.com", "thief"), // before its owner
		owned("a.example.com", "a"), owned("b.example.com", "b"), owned("B.example.com.", "b"), owned("b.example.com", "thief"),
		owned("not a host", "x"), owned("", "x"), owned("box.example.com", "thief"), broken, owned("*.w.example.com", "w"),
	}, 2, "box.example.com", backends())
	for host, owner := range map[string]string{"a.example.com": "a", "b.example.com": "b", "c.example.com": "c", "x.w.example.com": "w"} {
		if r := next.find(host); r == nil || r.WorkloadID != owner {
			t.Errorf("%s is served by %+v, want %s", host, r, owner)
		}
	}
	for _, host := range []string{"box.example.com", "w.example.com", "y.x.w.example.com", "example.com"} {
		if r := next.find(host); r != nil {
			t.Errorf("%s is served by %s", host, r.WorkloadID)
		}
	}
	if c := next.find("c.example.com"); len(c.backends) != 1 || len(c.headers) != 1 {
		t.Errorf("c has %d backends and the headers %v", len(c.backends), c.headers)
	}
	if len(problems) != 10 {
		t.Errorf("%d problems, want 10: %v", len(problems), problems)
	}
}

func TestHostOf(t *testing.T) {
	for in, want := range map[string]string{
		"shop.example.com": "shop.example.com", "Shop.Example.com.": "shop.example.com", "shop.example.com:443": "shop.example.com",
		"127.0.0.1:80": "127.0.0.1", "[::1]:443": "::1", "[::1]": "::1", "": "", ":80": "", "[": "[",
	} {
		if got := hostOf(in); got != want {
			t.Errorf("hostOf(%q) = %q, want %q", in, got, want)
		}
	}
}

// TestOwnersStay: whatever is published, a host never goes from a workload that still wants it to another.
func TestOwnersStay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		get, prev := backends(), newTable()
		for turn := range rapid.IntRange(1, 6).Draw(t, "tables") {
			var routes []model.Route
			for range rapid.IntRange(0, 8).Draw(t, "routes") {
				host := rapid.SampledFrom([]string{"a.x.io", "b.x.io", "*.x.io", "A.x.io", "bad_host", "box.x.io"}).Draw(t, "host")
				r := owned(host, rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, "owner"))
				r.Path = rapid.SampledFrom([]string{"", "", "/*", "/api/*", "api"}).Draw(t, "path")
				routes = append(routes, r)
			}
			next, _ := build(prev, routes, uint64(turn+1), "box.x.io", get)
			for old := range prev.all {
				wants := false
				for _, r := range routes {
					wants = wants || strings.ToLower(r.Host) == old.Host && r.Path == old.Path && r.WorkloadID == old.WorkloadID
				}
				if now := next.at(old.Host, old.Path); wants && (now == nil || now.WorkloadID != old.WorkloadID) {
					t.Fatalf("%s was taken from %s", old.Host, old.WorkloadID)
				}
			}
			for _, r := range routes {
				host, err := model.CheckHost(r.Host)
				if err == nil && host != "box.x.io" && r.Path != "api" && next.at(host, r.Path) == nil {
					t.Fatalf("nobody has %s%s", host, r.Path)
				}
			}
			for host, ps := range next.paths {
				if !slices.IsSortedFunc(ps, moreExact) || len(ps) == 0 {
					t.Fatalf("the paths of %s are %v", host, ps)
				}
			}
			prev = next
		}
	})
}

// hosts returns n routes with a replica each.
func hosts(n int) []model.Route {
	out := make([]model.Route, n)
	for i := range out {
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 87, byte(i >> 8), byte(i)}), 8080)
		out[i] = serving(fmt.Sprintf("app-%d.example.com", i), model.Backend{Name: fmt.Sprintf("app-%d-1", i), Addr: addr})
	}
	return out
}

// BenchmarkPublish changes one of 10,000 routes.
func BenchmarkPublish(b *testing.B) {
	p, err := New(Config{Storage: newMemory()})
	if err != nil {
		b.Fatal(err)
	}
	routes := hosts(10_000)
	for i := 0; b.Loop(); i++ {
		routes[7].Backends = []model.Backend{{Name: fmt.Sprint("new-", i), Addr: routes[8].Backends[0].Addr}}
		if err := p.Publish(b.Context(), routes); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFind looks hosts up among one and among 10,000.
func BenchmarkFind(b *testing.B) {
	for _, n := range []int{1, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			t, _ := build(newTable(), hosts(n), 1, "", backends())
			host := fmt.Sprintf("app-%d.example.com", n-1)
			for b.Loop() {
				if t.find(host) == nil {
					b.Fatal("not found")
				}
			}
		})
	}
}
