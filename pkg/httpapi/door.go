package httpapi

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
)

// caller is who sent a request, and the request itself for what huma does not cover.
type caller struct {
	model.Actor
	r *http.Request
	w http.ResponseWriter
}

type callerKey struct{}

func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

// admit refuses a peer on the Unix socket that is not root, before anything else is looked at.
func (a *API) admit(r *http.Request) error {
	p, unix := r.Context().Value(peerKey{}).(peer)
	if !unix || p.err == nil && p.uid == 0 {
		return nil
	}
	return model.Errorf(model.KindForbidden, "only root may use this socket").Wrap(p.err).
		WithHint("use sudo, or sign in over HTTPS: pandabox login https://HOST")
}

// authenticate returns who sent a request: the owner of its bearer token, else root on the Unix socket, else nobody.
func (a *API) authenticate(r *http.Request) (model.Actor, error) {
	_, unix := r.Context().Value(peerKey{}).(peer)
	header := r.Header.Get("Authorization")
	if header == "" {
		if unix { // admit saw that it is root
			return model.Actor{ID: "root", Name: "root on this box", Root: true}, nil
		}
		return model.Actor{}, nil
	}
	if !unix && a.denied.Spent(r.RemoteAddr, "") {
		return model.Actor{}, identity.TooMany()
	}
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		a.denied.Take(r.RemoteAddr, "")
		return model.Actor{}, model.Errorf(model.KindUnauthenticated, "nobody is signed in").
			WithWhy("the header Authorization holds no bearer token").WithHint("send it as Authorization: Bearer TOKEN")
	}
	actor, err := a.control.Tokens.Authenticate(r.Context(), strings.TrimSpace(token))
	if err != nil {
		if model.KindOf(err) == model.KindUnauthenticated {
			a.denied.Take(r.RemoteAddr, "")
		}
		return model.Actor{}, err
	}
	return actor, nil
}

// door is the middleware of one route: it knows the caller and asks for the route's permission, before the body is read.
func (a *API) door(g guard) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(ctx)
		c := caller{r: r, w: w}
		if g.public == "" {
			actor, err := a.authenticate(r)
			if err == nil {
				note(r).actor = actor.ID
				err = a.control.Authorize(r.Context(), actor, g.permission, r.PathValue("org"))
			}
			if err != nil {
				a.refuse(w, r, err)
				return
			}
			c.Actor = actor
		}
		next(huma.WithValue(ctx, callerKey{}, c))
	}
}
