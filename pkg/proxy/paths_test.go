package proxy

import (
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pandabox/pandabox/pkg/model"
)

// pathsOf makes the routes of one host, each of a workload of its own that has the path's name.
func pathsOf(all ...string) paths {
	var ps paths
	for _, p := range all {
		ps = ps.with(&route{Route: model.Route{Path: p, WorkloadID: p}})
	}
	return ps
}

func found(ps paths, target string, past ...string) string {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return err.Error()
	}
	if r := ps.find(u, past); r != nil {
		return r.Path
	}
	return ""
}

func TestTheLongestPathCounts(t *testing.T) {
	ps := pathsOf("/*", "/api/*", "/api/v1/*", "/api/v1", "/health", "/a/b")
	for target, want := range map[string]string{
		"/": "/*", "/x": "/*", "/apis": "/*", "/api": "/api/*", "/api/": "/api/*", "/api?x=/api/v1": "/api/*", "/api/v2": "/api/*",
		"/api/v1": "/api/v1", "/api/v1/": "/api/v1", "/api/v1/x": "/api/v1/*", "/api/v10": "/api/*", "/health": "/health", "/health/x": "/*",
		"/HEALTH": "/*", "/a": "/*", "/a/b": "/a/b", "/a/b/c": "/*", "http://other.example.com/api/v1": "/api/v1",
	} {
		if got := found(ps, target); got != want {
			t.Errorf("%s goes to %q, want %q", target, got, want)
		}
	}
	if got := found(ps, "/api/v1/x", "/api/v1/*"); got != "/api/*" {
		t.Errorf("behind the longest comes %q", got)
	}
	if got := found(pathsOf("/api/*"), "/x"); got != "" {
		t.Errorf("a path that nobody has goes to %q", got)
	}
}

// TestNoWritingDodgesAPath: whatever some program behind the proxy takes for /admin or something below it, the function
// in front of /admin sees.
func TestNoWritingDodgesAPath(t *testing.T) {
	ps := pathsOf("/admin/*")
	for _, target := range []string{
		"/admin", "/admin/", "/admin/x", "/%61dmin/x", "/admin%2fx", "/admin%2Fx", "//admin/x", "/./admin/x", "/x/../admin", "/x/%2e%2e/admin",
		"/x/%2e./admin", "/x/..%2fadmin", "/x%2f../admin", "/x%2fy/../admin/z", "/admin/../x", "/admin/%2e%2e/x", "/admin/..%2fx", "/admin//x", "/admin/.",
		`/admin\x`, "/admin%5cx", "/x%5c..%5cadmin", "///admin", "/admin%2f..%2fx", "/%2fadmin", "/%2e/admin", "/..//admin", "/../admin",
		"/a/b/../../admin", "/a%2fb%2f..%2f..%2fadmin", "/admin/%2e", "/x/.%2e/admin/y",
	} {
		if found(ps, target) == "" {
			t.Errorf("%s passes by", target)
		}
	}
	for _, target := range []string{"/", "/administration", "/x/admin", "/x/../administration", "/x%2fadmin", "/.admin", "/admin.", "/x/.well-known/admin", "/a%252fdmin"} {
		if got := found(ps, target); got != "" {
			t.Errorf("%s goes to the function", target)
		}
	}
}

// TestReadingsAgreeWithNaivePrograms: programs that split on slashes in the usual ways find /admin only where the
// function in front of it does too.
func TestReadingsAgreeWithNaivePrograms(t *testing.T) {
	ps := pathsOf("/admin/*")
	resolve := func(segments []string) string {
		var out []string
		for _, s := range segments {
			switch s {
			case "", ".":
			case "..":
				out = out[:max(0, len(out)-1)]
			default:
				out = append(out, s)
			}
		}
		return "/" + strings.Join(out, "/")
	}
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOfN(rapid.SampledFrom([]string{"/", "/", "%2f", "%2F", "%5c", "admin", "%61dmin", "x", ".", "..", "%2e", "%2e%2e", ".%2E"}), 1, 9).Draw(t, "pieces")
		target := "/" + strings.Join(pieces, "")
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Fatal(err)
		}
		decoded := strings.ReplaceAll(u.Path, `\`, "/")
		raw := strings.Split(u.EscapedPath(), "/")
		for i, s := range raw {
			raw[i], _ = url.PathUnescape(s)
		}
		for program, sees := range map[string]string{
			"decodes, then resolves":    resolve(strings.Split(decoded, "/")),
			"decodes, resolves nothing": decoded,
			"resolves, then decodes":    resolve(raw),
		} {
			if (sees == "/admin" || strings.HasPrefix(sees, "/admin/")) && ps.find(u, nil) == nil {
				t.Fatalf("%s: a program that %s sees %s, the function sees nothing", target, program, sees)
			}
		}
	})
}

func TestPathsOfWildcards(t *testing.T) {
	at := func(host, path string) model.Route { r := owned(host, host+path); r.Path = path; return r }
	table, problems := build(newTable(), []model.Route{
		at("*.x.io", ""), at("*.x.io", "/api/*"), at("own.x.io", ""), at("bare.y.io", "/api/*"), at("*.z.io", "/api/*"),
	}, 1, "box.io", backends())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	u := &url.URL{Path: "/api/x"}
	for host, want := range map[string]string{
		"any.x.io": "*.x.io/api/*", "own.x.io": "", "bare.y.io": "bare.y.io/api/*", "other.y.io": "", "any.z.io": "*.z.io/api/*",
	} {
		got := ""
		if r := table.pathOf(host, table.find(host), u, nil); r != nil {
			got = r.WorkloadID
		}
		if got != want {
			t.Errorf("%s/api/x goes to %q, want %q", host, got, want)
		}
	}
}

// BenchmarkPaths finds a path of a host that has three.
func BenchmarkPaths(b *testing.B) {
	ps := pathsOf("/api/*", "/health", "/admin/*")
	u := &url.URL{Path: "/products/17"}
	for b.Loop() {
		if ps.find(u, nil) != nil {
			b.Fatal("found")
		}
	}
}
