package proxy

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/pandabox/pandabox/pkg/model"
)

// table is one published state of all routes. It never changes once it is published.
type table struct {
	exact map[string]*route // by host
	wild  map[string]*route // by what follows "*."
}

// route is a model.Route made ready for serving.
type route struct {
	model.Route
	backends []*backend // of Backends, those that can be used
	maxBody  int64      // bytes; -1: no limit
	timeout  time.Duration
	headers  [][2]string // canonical name and value, set on every answer
	turn     atomic.Uint32
}

// find returns the route of a host in its stored form, or nil.
func (t *table) find(host string) *route {
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
	for _, r := range t.exact {
		if !yield(r) {
			return
		}
	}
	for _, r := range t.wild {
		if !yield(r) {
			return
		}
	}
}

// slot returns where a host's route stands.
func (t *table) slot(host string) (map[string]*route, string) {
	if parent, ok := strings.CutPrefix(host, "*."); ok {
		return t.wild, parent
	}
	return t.exact, host
}

// build makes the next table from routes. What is wrong with single routes is returned beside it and costs only those
// routes: a host that two workloads claim stays with the one that has it in prev, or else goes to the first.
// Routes that did not change are taken over from prev. get returns the backend of a name and address.
func build(prev *table, routes []model.Route, reserved string, get func(model.Backend) *backend) (*table, []error) {
	next := &table{exact: make(map[string]*route, len(routes)), wild: map[string]*route{}}
	var problems []error
	for i := range routes {
		in := &routes[i]
		host, err := model.CheckHost(in.Host)
		if err != nil {
			problems = append(problems, fmt.Errorf("route of %s: %w", in.App, err))
			continue
		}
		if host == reserved {
			problems = append(problems, model.Conflict("%s belongs to the box itself", host).WithHint("choose another domain for %s", in.App))
			continue
		}
		slot, key := next.slot(host)
		old := prevRoute(prev, host)
		if rival, taken := slot[key]; taken {
			if rival.WorkloadID == in.WorkloadID || old == nil || old.WorkloadID != in.WorkloadID {
				problems = append(problems, model.Conflict("%s is routed twice", host).
					WithWhy("%s has it, %s wants it too", rival.App, in.App).WithHint("remove the domain from one of them"))
				continue
			}
			problems = append(problems, model.Conflict("%s is routed twice", host).
				WithWhy("%s has it, %s wants it too", in.App, rival.App).WithHint("remove the domain from one of them"))
		}
		if old != nil && old.same(in) {
			slot[key] = old
			continue
		}
		r, errs := newRoute(in, host, get)
		problems = append(problems, errs...)
		slot[key] = r
	}
	return next, problems
}

func prevRoute(prev *table, host string) *route {
	if prev == nil {
		return nil
	}
	slot, key := prev.slot(host)
	return slot[key]
}

// same tells whether publishing in again would change nothing.
func (r *route) same(in *model.Route) bool {
	if r.Host != in.Host || r.WorkloadID != in.WorkloadID || r.App != in.App || r.TLS != in.TLS || r.State != in.State ||
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
		if !b.Addr.IsValid() || b.Addr.Port() == 0 {
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
