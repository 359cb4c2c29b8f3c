package edge

import (
	"context"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/pandabox/pandabox/pkg/edge/egress"
	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/model"
)

// A request that a function makes has gone through it: CDN-Loop (RFC 8586) counts that, which guests can neither remove
// nor add to.
const (
	loopHeader = "Cdn-Loop"
	loopToken  = "pandabox"
	maxHops    = 16
)

// hops returns how many functions a request went through.
func hops(h http.Header) int {
	n := 0
	for _, line := range h[loopHeader] {
		for entry := range strings.SplitSeq(line, ",") {
			if id, _, _ := strings.Cut(strings.TrimSpace(entry), ";"); id == loopToken {
				n++
			}
		}
	}
	return n
}

func setHops(h http.Header, n int) {
	h[loopHeader] = []string{strings.TrimSuffix(strings.Repeat(loopToken+", ", n), ", ")}
}

var _ guest.World = (*call)(nil)

// Fetch implements guest.World.
func (c *call) Fetch(ctx context.Context, r *http.Request) (*http.Response, error) {
	if c.fetches.Add(1) > int64(c.f.limits.Subrequests) {
		return nil, model.Errorf(model.KindForbidden, "the function made more than %d requests in one call", c.f.limits.Subrequests).
			WithHint("limits = { subrequests = … } in [function] raises it, to %d at most", model.MaxFunctionSubrequests)
	}
	out := r.Clone(ctx)
	setHops(out.Header, c.hops+1)
	return c.f.client().RoundTrip(out)
}

// KV implements guest.World.
func (c *call) KV() guest.KV { return c.f.host.cfg.KV(c.f.spec.Replica.EnvID) }

// Log implements guest.World.
func (c *call) Log(stream, text string) {
	c.logged.Lock()
	defer c.logged.Unlock()
	if c.logged.full {
		return
	}
	if c.logged.bytes += int64(len(text)) + 1; c.logged.bytes > c.f.limits.Log {
		c.logged.full = true
		c.f.log("the rest of this call's output is left out: it printed more than %s", size(c.f.limits.Log))
		return
	}
	c.f.host.cfg.Log(c.f.spec.Replica, stream, text)
}

// newClient makes what a function's outbound requests go through.
func (h *Host) newClient(f *function) *egress.Client {
	env := f.spec.Replica.EnvID
	return egress.New(egress.Config{
		Policy:  f.policy,
		Resolve: func(ctx context.Context, host string) ([]netip.AddrPort, error) { return h.cfg.Resolve(ctx, env, host) },
		Local: func(host string) http.RoundTripper {
			app, _, _ := strings.Cut(strings.ToLower(strings.TrimSuffix(host, ".")), ".internal")
			if to := h.internal(env, app); to != nil {
				return inside{to}
			}
			return nil
		},
		Own: h.box.Has,
	})
}

func size(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return strconv.FormatInt(n>>20, 10) + " MB"
	case n >= 1<<10 && n%(1<<10) == 0:
		return strconv.FormatInt(n>>10, 10) + " KB"
	}
	return strconv.FormatInt(n, 10) + " bytes"
}
