package proxy

import (
	"cmp"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"
)

// paths are the routes of a host's paths, the most exact first: a longer path before a shorter one, and a path itself
// before everything below it. A list never changes once it is published.
type paths []*route

// at returns the route of exactly this path, or nil.
func (ps paths) at(path string) *route {
	for _, r := range ps {
		if r.Path == path {
			return r
		}
	}
	return nil
}

// with returns the list with r in it, in the place of the route of the same path.
func (ps paths) with(r *route) paths {
	out := make(paths, 0, len(ps)+1)
	for _, have := range ps {
		if have.Path != r.Path {
			out = append(out, have)
		}
	}
	at, _ := slices.BinarySearchFunc(out, r, moreExact)
	return slices.Insert(out, at, r)
}

func moreExact(a, b *route) int {
	x, below := strings.CutSuffix(a.Path, "/*")
	y, also := strings.CutSuffix(b.Path, "/*")
	switch {
	case len(x) != len(y):
		return cmp.Compare(len(y), len(x))
	case below != also && below:
		return 1
	case below != also:
		return -1
	}
	return cmp.Compare(a.Path, b.Path)
}

// find returns the most exact route for a request's path that none of the workloads past has, or nil.
func (ps paths) find(u *url.URL, past []string) *route {
	plain, others := readings(u)
	for _, r := range ps {
		if slices.Contains(past, r.WorkloadID) {
			continue
		}
		bare, below := strings.CutSuffix(r.Path, "/*")
		if under(plain, bare, below) || slices.ContainsFunc(others, func(p string) bool { return under(p, bare, below) }) {
			return r
		}
	}
	return nil
}

// under tells whether path is bare or, where below is set, anything below it.
func under(path, bare string, below bool) bool {
	return path == bare || below && (bare == "" || len(path) > len(bare) && path[len(bare)] == '/' && path[:len(bare)] == bare)
}

// readings returns the paths that a program behind the proxy may take a request's path for. Most have one. Where it
// holds dot segments, empty segments, backslashes or slashes written as %2F, programs differ in what they make of it; a
// function in front of /admin must see a request that any of them takes for /admin, so that a route matches when it
// matches one of the readings:
//
//   - decoded, then cleaned: /x/..%2fadmin is /admin
//   - decoded, dot segments left alone: /admin/../x is below /admin
//   - cleaned, then decoded: /x%2fy/../admin is /admin
//
// A slash at the end counts for nothing.
func readings(u *url.URL) (plain string, others []string) {
	p := u.Path
	if u.RawPath == "" && !strings.Contains(p, "//") && !strings.Contains(p, "/.") && strings.IndexByte(p, '\\') < 0 {
		if len(p) > 1 && p[len(p)-1] == '/' {
			p = p[:len(p)-1]
		}
		return p, nil
	}
	decoded := strings.ReplaceAll(p, `\`, "/")
	kept := slices.DeleteFunc(strings.Split(decoded, "/"), func(s string) bool { return s == "" })
	segments := strings.Split(u.EscapedPath(), "/")
	for i, s := range segments {
		if one, err := url.PathUnescape(s); err == nil && (one == "." || one == "..") {
			segments[i] = one // written as %2e
		}
	}
	cleaned, err := url.PathUnescape(path.Clean("/" + strings.Join(segments, "/")))
	if err != nil {
		cleaned = "/"
	}
	return path.Clean("/" + decoded), []string{"/" + strings.Join(kept, "/"), strings.ReplaceAll(cleaned, `\`, "/")}
}

// pathOf returns the route of a path of the host, or nil. whole is the route of the host itself, if there is one: the
// paths of a wildcard are no paths of a host that has a route of its own.
func (t *table) pathOf(host string, whole *route, u *url.URL, past []string) *route {
	if whole != nil {
		return t.paths[whole.Host].find(u, past)
	}
	if ps, ok := t.paths[host]; ok {
		return ps.find(u, past)
	}
	if _, parent, ok := strings.Cut(host, "."); ok {
		return t.paths["*."+parent].find(u, past)
	}
	return nil
}

// clonePaths copies the index, not the lists in it.
func clonePaths(all map[string]paths) map[string]paths {
	if all == nil {
		return map[string]paths{}
	}
	return maps.Clone(all)
}

// onlySeen drops the routes that are not part of the table turn.
func onlySeen(all map[string]paths, turn uint64) map[string]paths {
	out := make(map[string]paths, len(all))
	for host, ps := range all {
		left := slices.DeleteFunc(slices.Clone(ps), func(r *route) bool { return r.seen != turn })
		if len(left) > 0 {
			out[host] = left
		}
	}
	return out
}
