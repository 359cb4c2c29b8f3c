package httpapi

import (
	"context"
	"net/http"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
)

func (a *API) registerKeys() {
	const path, tag = "/v1/orgs/{org}/keys", "keys"
	handle(a, needs(identity.TokenManage), op{id: "addSSHKey", method: http.MethodPost, path: path, tag: tag, summary: "Let somebody push over SSH", status: http.StatusCreated},
		func(ctx context.Context, c caller, in *struct {
			InOrg
			Keyed
			Body api.NewKey
		}) (*body[api.Key], error) {
			k, err := a.control.Keys.Add(ctx, c.Actor, in.Org, control.NewKey{Name: in.Body.Name, Public: in.Body.Public, IdempotencyKey: in.Key})
			return answer(wireKey(k), err)
		})
	handle(a, needs(identity.TokenRead), op{id: "listSSHKeys", method: http.MethodGet, path: path, tag: tag, summary: "List the org's SSH keys, newest first"},
		func(ctx context.Context, c caller, in *struct {
			InOrg
			Paged
		}) (*body[api.List[api.Key]], error) {
			l, err := a.control.Keys.List(ctx, c.Actor, in.Org, in.page())
			return answer(listOf(l, wireKey), err)
		})
	handle(a, needs(identity.TokenManage), op{id: "removeSSHKey", method: http.MethodDelete, path: path + "/{id}", tag: tag, summary: "End an SSH key at once", status: http.StatusNoContent},
		func(ctx context.Context, c caller, in *struct {
			InOrg
			ID string `path:"id" maxLength:"100"`
		}) (*struct{}, error) {
			return nil, a.control.Keys.Remove(ctx, c.Actor, in.Org, in.ID)
		})
}

func wireKey(k model.Key) api.Key {
	return api.Key{
		ID: k.ID, OrgID: k.OrgID, Name: k.Name, Type: k.Type, Fingerprint: k.Fingerprint, CreatedBy: k.CreatedBy, CreatedAt: k.CreatedAt, LastUsed: k.LastUsed,
	}
}
