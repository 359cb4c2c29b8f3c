package httpapi

import (
	"context"
	"net/http"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/identity"
)

func (a *API) registerVariables() {
	const path, tag = envPath + "/variables", "variables"
	handle(a, needs(identity.VariableRead), op{id: "listVariables", method: http.MethodGet, path: path, tag: tag, summary: "List a workload's variables by name; secrets without their values"},
		func(ctx context.Context, c caller, in *InEnv) (*body[api.Items[api.Variable]], error) {
			v, err := a.control.Variables.List(ctx, c.Actor, in.ref())
			return answer(itemsOf(v, func(v control.Variable) api.Variable { return api.Variable(v) }), err)
		})
	handle(a, needs(identity.VariableWrite), op{id: "setVariables", method: http.MethodPatch, path: path, tag: tag, summary: "Set and unset variables in one step"},
		func(ctx context.Context, c caller, in *struct {
			InEnv
			Body api.VariableChange
		}) (*body[api.VariablesChanged], error) {
			done, err := a.control.Variables.Set(ctx, c.Actor, in.ref(), control.VariableChange{Set: in.Body.Set, Secrets: in.Body.Secrets, Unset: in.Body.Unset})
			return answer(api.VariablesChanged{Version: done.Version, Deploy: (*api.Deploy)(done.Deploy)}, err)
		})
}
