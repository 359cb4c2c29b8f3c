package httpapi

import (
	"context"
	"net/http"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
)

func (a *API) registerTokens() {
	const path, tag = "/v1/orgs/{org}/tokens", "tokens"
	handle(a, needs(identity.TokenManage), op{id: "createToken", method: http.MethodPost, path: path, tag: tag, summary: "Make a token; its secret is told this once", status: http.StatusCreated},
		func(ctx context.Context, c caller, in *struct {
			InOrg
			Keyed
			Body api.NewToken
		}) (*body[api.IssuedToken], error) {
			t, secret, err := a.control.Tokens.Create(ctx, c.Actor, in.Org, control.NewToken{
				Name: in.Body.Name, Role: in.Body.Role, ExpiresAt: in.Body.ExpiresAt, IdempotencyKey: in.Key,
			})
			return answer(api.IssuedToken{Token: wireToken(t), Secret: secret}, err)
		})
	handle(a, needs(identity.TokenRead), op{id: "listTokens", method: http.MethodGet, path: path, tag: tag, summary: "List the org's tokens, newest first"},
		func(ctx context.Context, c caller, in *struct {
			InOrg
			Paged
		}) (*body[api.List[api.Token]], error) {
			l, err := a.control.Tokens.List(ctx, c.Actor, in.Org, in.page())
			return answer(listOf(l, wireToken), err)
		})
	handle(a, needs(identity.TokenManage), op{id: "revokeToken", method: http.MethodDelete, path: path + "/{id}", tag: tag, summary: "End a token at once", status: http.StatusNoContent},
		func(ctx context.Context, c caller, in *struct {
			InOrg
			ID string `path:"id" maxLength:"100"`
		}) (*struct{}, error) {
			return nil, a.control.Tokens.Revoke(ctx, c.Actor, in.Org, in.ID)
		})
}

// wireToken leaves the hash out.
func wireToken(t model.Token) api.Token {
	return api.Token{
		ID: t.ID, OrgID: t.OrgID, Name: t.Name, Role: t.Role, CreatedBy: t.CreatedBy, CreatedAt: t.CreatedAt, LastUsed: t.LastUsed, ExpiresAt: t.ExpiresAt,
	}
}
