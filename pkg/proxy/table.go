package proxy

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/pandabox/pandabox/pkg/model"
)

// table is one published state of all routes. It never changes once it is published.
type table struct {
	exact map[string]*route // by host
	wild  map[string]*route // by what follows "*."
	over  map[string]*route // in place of what exact has for the host; see Patch
	paths map[string]paths  // by host as in Route.Host; only of hosts that have some
}

// route is a model.Route made ready for serving.
type route struct {
	model.Route
	backends []*backend // of Backends, those that can be used
	maxBody  int64      // bytes; -1: no limit
	timeout  time.Duration
	headers  [][2]string // canonical name and value, set on every answer
	seen     uint64      // the last table it is part of; Proxy.mu
}

// find returns the route of a host in its stored form, or nil.
func (t *table) find(host string) *route {
	if len(t.over) > 0 {
		if r, ok := t.over[host]; ok {
			return r
		}
	}
	if r, ok := t.exact[host]; ok {
		return r
	}
	if len(t.wild) > 0 {
		if _, parent, ok := strings.Cut(host, "."); ok {
			return t.wild[parent]
		}
	}
	return nil
}

// all yields every route.
func (t *table) all(yield func(*route) bool) {
	for host, r := range t.exact {
		if now, ok := t.over[host]; ok {
			r = now
		}
		if !yield(r) {
			return
		}
	}
	for _, r := range t.wild {
		if !yield(r) {
			return
		}
	}
	for _, ps := range t.paths {
		for _, r := range ps {
			if !yield(r) {
				return
			}
		}
	}
}

// size returns the number of routes.
func (t *table) size() int {
	n := len(t.exact) + len(t.wild)
	for _, ps := range t.paths {
		n += len(ps)
	}
	return n
}

// at returns the route of exactly this host and path, or nil.
func (t *table) at(host, path string) *route {
	if path != "" {
		return t.paths[host].at(path)
	}
	if r, ok := t.over[host]; ok {
		return r
	}
	slot, key := t.slot(host)
	return slot[key]
}

// slot returns where a host's route stands.
func (t *table) slot(host string) (map[string]*route, string) {
	if parent, ok := strings.CutPrefix(host, "*."); ok {
		return t.wild, parent
	}
	return t.exact, host
}

// builder makes the next table. Most routes do not change from one table to the next: for them it does no more than a
// look-up and a comparison, so that a deploy among 10,000 hosts takes about a millisecond.
type builder struct {
	prev     *table
	next     *table
	turn     uint64 // marks the routes of next
	reserved string // a host no app may have
	get      func(model.Backend) *backend
	problems []error
}

// build makes the next table from routes; turn counts tables. What is wrong with single routes is returned beside it
// and costs only those routes: a host, or a path of it, that two workloads claim stays with the one that has it, or else
// goes to the first.
func build(prev *table, routes []model.Route, turn uint64, reserved string, get func(model.Backend) *backend) (*table, []error) {
	b := &builder{prev: prev, turn: turn, reserved: reserved, get: get}
	var owners, others []*model.Route // changed: by who has the host already, and the rest
	kept, replaced := 0, 0
	for i := range routes {
		in := &routes[i]
		old := prev.at(in.Host, in.Path)
		if old == nil { // new, or not written in the stored form
			if host, err := model.CheckHost(in.Host); err == nil {
				old = prev.at(host, in.Path)
			}
		}
		switch {
		case old != nil && old.seen != turn && old.same(in):
			old.seen = turn
			kept++
		case old != nil && old.WorkloadID == in.WorkloadID:
			owners = append(owners, in)
		default:
			others = append(others, in)
		}
	}
	b.next = &table{exact: maps.Clone(prev.exact), wild: maps.Clone(prev.wild), paths: clonePaths(prev.paths)}
	maps.Copy(b.next.exact, prev.over)
	for _, in := range append(owners, others...) {
		if b.add(in) {
			replaced++
		}
	}
	if kept+replaced < prev.size() {
		gone := func(_ string, r *route) bool { return r.seen != turn }
		maps.DeleteFunc(b.next.exact, gone)
		maps.DeleteFunc(b.next.wild, gone)
		b.next.paths = onlySeen(b.next.paths, turn)
	}
	return b.next, b.problems
}

// add takes in a new or changed route; it tells whether that takes the place of one in prev.
func (b *builder) add(in *model.Route) (replaced bool) {
	host, err := model.CheckHost(in.Host)
	if err != nil {
		b.problems = append(b.problems, fmt.Errorf("route of %s: %w", in.App, err))
		return false
	}
	if host == b.reserved {
		b.problems = append(b.problems, model.Conflict("%s belongs to the box itself", host).WithHint("choose another domain for %s", in.App))
		return false
	}
	if in.Path != "" {
		return b.addPath(in, host)
	}
	slot, key := b.next.slot(host)
	if rival := slot[key]; rival != nil && rival.seen == b.turn {
		b.problems = append(b.problems, model.Conflict("%s is routed twice", host).
			WithWhy("%s has it, %s wants it too", rival.App, in.App).WithHint("remove the domain from one of them"))
		return false
	}
	_, replaced = slot[key]
	slot[key] = b.make(in, host)
	return replaced
}

// addPath is add for a path of a host.
func (b *builder) addPath(in *model.Route, host string) (replaced bool) {
	if err := model.CheckPath(in.Path); err != nil {
		b.problems = append(b.problems, fmt.Errorf("route of %s: %w", in.App, err))
		return false
	}
	rival := b.next.paths[host].at(in.Path)
	if rival != nil && rival.seen == b.turn {
		b.problems = append(b.problems, model.Conflict("%s%s is routed twice", host, in.Path).
			WithWhy("%s has it, %s wants it too", rival.App, in.App).WithHint("remove the path from the routes of one of them"))
		return false
	}
	b.next.paths[host] = b.next.paths[host].with(b.make(in, host))
	return rival != nil
}

// make makes a route of the next table.
func (b *builder) make(in *model.Route, host string) *route {
	r, problems := newRoute(in, host, b.get)
	r.seen = b.turn
	b.problems = append(b.problems, problems...)
	return r
}

// same tells whether publishing in again would change nothing.
func (r *route) same(in *model.Route) bool {
	if r.Host != in.Host || r.Path != in.Path || r.Middleware != in.Middleware || r.WorkloadID != in.WorkloadID || r.App != in.App || r.TLS != in.TLS || r.State != in.State ||
		r.Limits.MaxBody != in.Limits.MaxBody || r.Limits.Timeout != in.Limits.Timeout || len(r.Backends) != len(in.Backends) ||
		len(r.backends) != len(in.Backends) || !maps.Equal(r.Limits.Headers, in.Limits.Headers) {
		return false
	}
	for i := range r.Backends {
		if r.Backends[i] != in.Backends[i] || r.backends[i].retired.Load() {
			return false
		}
	}
	return true
}

// newRoute makes a route; what of it cannot be used is left out and returned as errors.
func newRoute(in *model.Route, host string, get func(model.Backend) *backend) (*route, []error) {
	r := &route{Route: *in, maxBody: in.Limits.MaxBody, timeout: in.Limits.Timeout.Std()}
	r.Host = host
	if r.maxBody == 0 {
		r.maxBody = DefaultMaxBody
	}
	if r.timeout <= 0 {
		r.timeout = DefaultTimeout
	}
	var problems []error
	for _, b := range in.Backends {
		if !b.Function && !b.Static && (!b.Addr.IsValid() || b.Addr.Port() == 0) {
			problems = append(problems, model.Invalid("%s has a replica without an address", host).WithWhy("%s is at %q", b.Name, b.Addr))
			continue
		}
		r.backends = append(r.backends, get(b))
	}
	for k, v := range in.Limits.Headers {
		if !httpguts.ValidHeaderFieldName(k) || !httpguts.ValidHeaderFieldValue(v) || hopByHop(http.CanonicalHeaderKey(k)) {
			problems = append(problems, model.Invalid("%s cannot answer with the header %q", host, k).WithHint("write it as Name: value; connection headers are set by the proxy"))
			continue
		}
		r.headers = append(r.headers, [2]string{http.CanonicalHeaderKey(k), v})
	}
	return r, problems
}

// hostOf returns the host of a Host header in its stored form: lower case, no port, no trailing dot.
func hostOf(s string) string {
	if strings.HasPrefix(s, "[") { // an IPv6 address
		if end := strings.IndexByte(s, ']'); end > 0 {
			return s[1:end]
		}
		return s
	}
	if i := strings.LastIndexByte(s, ':'); i >= 0 && strings.IndexByte(s, ':') == i {
		s = s[:i]
	}
	return strings.ToLower(strings.TrimSuffix(s, "."))
}
