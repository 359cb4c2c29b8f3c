package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
)

func (a *API) registerBox() {
	handle(a, needs(identity.BoxRead), op{id: "getBox", method: http.MethodGet, path: "/v1/box", tag: "box", summary: "Describe the box"},
		func(ctx context.Context, c caller, _ *struct{}) (*body[api.Box], error) {
			info, err := a.control.Box.Info(ctx, c.Actor)
			return answer(api.Box(info), err)
		})
	handle(a, public("the secret of a claim link is what lets in, and it works once"), op{
		id: "claimBox", method: http.MethodPost, path: "/v1/claim", tag: "box", summary: "Become the owner with the secret of a claim link", status: http.StatusCreated,
	}, func(ctx context.Context, c caller, in *body[api.Claim]) (*body[api.IssuedToken], error) {
		t, secret, err := a.claim(ctx, c.r, in.Body.Secret, in.Body.Name)
		return answer(api.IssuedToken{Token: wireToken(t), Secret: secret}, err)
	})
	handle(a, needs(identity.BoxClaim), op{
		id: "newClaim", method: http.MethodPost, path: "/v1/box/claim", tag: "box", summary: "Make a claim link; root on the box only", status: http.StatusCreated,
	}, func(ctx context.Context, c caller, _ *struct{}) (*body[api.ClaimLink], error) {
		link, err := a.control.Box.NewClaim(ctx, c.Actor)
		return answer(api.ClaimLink(link), err)
	})
	handle(a, needs(identity.BoxInspect), op{id: "doctor", method: http.MethodGet, path: "/v1/box/doctor", tag: "box", summary: "Look at everything the box needs to work"},
		func(ctx context.Context, c caller, _ *struct{}) (*body[api.Items[api.Check]], error) {
			checks, err := a.control.Box.Doctor(ctx, c.Actor)
			return answer(itemsOf(checks, wireCheck), err)
		})
	stream(a, needs(identity.BoxBackup), op{id: "backup", method: http.MethodGet, path: "/v1/box/backup", tag: "box", summary: "Download all control state, with the keys that open it"},
		func(o *huma.Operation) {
			o.Responses["200"] = streamResponse("application/octet-stream", "an archive for pandabox restore; volumes and images are not in it")
		}, a.backup)
}

// claim uses a claim link, at most as often as one address may try.
func (a *API) claim(ctx context.Context, r *http.Request, secret, name string) (model.Token, string, error) {
	if !a.claims.Take(r.RemoteAddr, "") {
		return model.Token{}, "", model.Errorf(model.KindRateLimited, "too many attempts from your address").WithHint("wait a minute")
	}
	if name == "" {
		name = "owner"
	}
	return a.control.Box.Claim(ctx, secret, name)
}

func (a *API) backup(_ context.Context, c caller, _ *struct{}) error {
	ctx, done, err := a.streaming(c.r)
	if err != nil {
		return err
	}
	defer done()
	f := newFlow(c.w, "application/octet-stream", func() {})
	c.w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="pandabox-%s.backup"`, time.Now().UTC().Format("20060102-150405")))
	err = a.control.Box.Backup(ctx, c.Actor, flowWriter{f})
	if err == nil {
		return nil
	}
	if !f.started() {
		c.w.Header().Del("Content-Disposition")
		return err
	}
	note(c.r).err = err
	panic(http.ErrAbortHandler) // the only way to tell the reader that what it has is not whole
}

// flowWriter is a flow as an io.Writer.
type flowWriter struct{ *flow }

func (w flowWriter) Write(b []byte) (int, error) {
	if err := w.write(b); err != nil {
		return 0, err
	}
	return len(b), nil
}
