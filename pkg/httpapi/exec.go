package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/coder/websocket"
	"github.com/danielgtaylor/huma/v2"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
)

func (a *API) registerExec() {
	describe := func(o *huma.Operation) {
		o.Description += " A WebSocket of the subprotocol " + api.ExecProtocol + "; see docs/api.md. The token goes into the header Authorization, never into the address."
		o.Responses["101"] = &huma.Response{Description: "the command's streams follow"}
	}
	stream(a, needs(identity.Exec), op{id: "exec", method: http.MethodGet, path: envPath + "/exec", tag: "exec", summary: "Run a command in a running replica"},
		describe, func(_ context.Context, c caller, in *InEnv) error {
			return a.session(c, in, func(ctx context.Context, start api.ExecStart, spec model.ExecSpec) (int, error) {
				return a.control.Exec.Exec(ctx, c.Actor, in.ref(), start.Process, start.Index, spec)
			})
		})
	stream(a, needs(identity.Exec), op{id: "run", method: http.MethodGet, path: envPath + "/run", tag: "exec", summary: "Run a command in a fresh container of the release that serves"},
		describe, func(_ context.Context, c caller, in *InEnv) error {
			return a.session(c, in, func(ctx context.Context, _ api.ExecStart, spec model.ExecSpec) (int, error) {
				return a.control.Exec.Run(ctx, c.Actor, in.ref(), spec)
			})
		})
}

// session upgrades a request to a WebSocket and runs one command over it.
func (a *API) session(c caller, in *InEnv, run func(context.Context, api.ExecStart, model.ExecSpec) (int, error)) error {
	if !upgrades(c.r) {
		c.w.Header().Set("Upgrade", "websocket")
		a.refuseWith(c.w, c.r, http.StatusUpgradeRequired, model.Invalid("this address speaks WebSocket only").
			WithHint("use pandabox exec, or a WebSocket of the subprotocol %s", api.ExecProtocol))
		return nil
	}
	if !sameOrigin(c.r) {
		return model.Errorf(model.KindForbidden, "pages of another origin may not run commands")
	}
	// What can be refused is refused before the upgrade, where it has a status.
	if _, err := a.control.Apps.Get(c.r.Context(), c.Actor, in.ref()); err != nil {
		return err
	}
	ctx, done, err := a.streaming(c.r)
	if err != nil {
		return err
	}
	defer done()
	conn, err := websocket.Accept(c.w, c.r, &websocket.AcceptOptions{
		Subprotocols: []string{api.ExecProtocol}, CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		note(c.r).err = err // Accept has answered
		return nil
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(api.ExecMaxFrame)
	s := newSession(conn)
	code, err := s.run(ctx, run)
	if err != nil {
		s.end(ctx, api.FrameProblem, fail(c.r, err).Problem)
		return nil
	}
	s.end(ctx, api.FrameExit, api.ExecExit{Code: code})
	return nil
}

// upgrades tells whether a request asks for the WebSocket that exec speaks.
func upgrades(r *http.Request) bool {
	for _, protocols := range r.Header.Values("Sec-WebSocket-Protocol") {
		for p := range strings.SplitSeq(protocols, ",") {
			if strings.TrimSpace(p) == api.ExecProtocol {
				return strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
			}
		}
	}
	return false
}

// sameOrigin tells whether a request comes from no page at all, or from one of this host.
func sameOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, r.Host)
}
