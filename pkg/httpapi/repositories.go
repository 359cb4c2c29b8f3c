package httpapi

import (
	"context"
	"net/http"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
)

// hookPath begins the paths of deploy hooks; the rest is a secret.
const hookPath = "/deploy-hooks/"

// OfApp asks for what belongs to one app.
type OfApp struct {
	InOrg
	App string `query:"app" maxLength:"40" doc:"only of this app"`
}

// NamedRepository names a repository.
type NamedRepository struct {
	InOrg
	Repository string `query:"repository" maxLength:"300" doc:"its id, or its name: acme/shop"`
}

func (a *API) registerRepositories() {
	const path, tag = "/v1/orgs/{org}/repositories", "repositories"
	handle(a, needs(identity.RepositoryManage), op{id: "connectRepository", method: http.MethodPost, path: appPath + "/repositories", tag: tag, summary: "Connect a repository at a forge; the answer tells its webhook's secret, once", status: http.StatusCreated},
		func(ctx context.Context, c caller, in *struct {
			InApp
			Body api.NewRepository
		}) (*body[api.Repository], error) {
			r, err := a.control.Repositories.Connect(ctx, c.Actor, in.Org, in.App, control.NewRepository(in.Body))
			return answer(api.Repository(r), err)
		})
	handle(a, needs(identity.AppRead), op{id: "listRepositories", method: http.MethodGet, path: path, tag: tag, summary: "List the repositories that are connected"},
		func(ctx context.Context, c caller, in *OfApp) (*body[api.Items[api.Repository]], error) {
			all, err := a.control.Repositories.List(ctx, c.Actor, in.Org, in.App)
			out := api.Items[api.Repository]{Items: []api.Repository{}}
			for _, r := range all {
				out.Items = append(out.Items, api.Repository(r))
			}
			return answer(out, err)
		})
	handle(a, needs(identity.AppRead), op{id: "listDeliveries", method: http.MethodGet, path: path + "/deliveries", tag: tag, summary: "List what a forge told of, newest first"},
		func(ctx context.Context, c caller, in *NamedRepository) (*body[api.Items[api.Delivery]], error) {
			all, err := a.control.Repositories.Deliveries(ctx, c.Actor, in.Org, in.Repository)
			if all == nil {
				all = []model.Delivery{}
			}
			return answer(api.Items[api.Delivery]{Items: all}, err)
		})
	handle(a, needs(identity.RepositoryManage), op{id: "removeRepository", method: http.MethodDelete, path: path, tag: tag, summary: "Forget a repository; its webhook is not answered any more", status: http.StatusNoContent},
		func(ctx context.Context, c caller, in *NamedRepository) (*struct{}, error) {
			return nil, a.control.Repositories.Remove(ctx, c.Actor, in.Org, in.Repository)
		})
	a.registerGitHubApps()
	a.registerDeployHooks()
	if a.config.Hooks != nil {
		for _, at := range []string{"/hooks/{id}", hookPath + "{secret}"} {
			a.page(public("a forge signs what it sends, and the address of a deploy hook is its secret: the handler checks both"), http.MethodPost, at, a.config.Hooks.ServeHTTP)
		}
	}
}

func (a *API) registerGitHubApps() {
	const path, tag = "/v1/orgs/{org}/github-apps", "repositories"
	handle(a, needs(identity.RepositoryManage), op{id: "addGitHubApp", method: http.MethodPost, path: path, tag: tag, summary: "Keep a GitHub App; the answer tells its webhook's secret, once", status: http.StatusCreated},
		func(ctx context.Context, c caller, in *struct {
			InOrg
			Body api.NewGitHubApp
		}) (*body[api.GitHubApp], error) {
			g, err := a.control.GitHubApps.Add(ctx, c.Actor, in.Org, control.NewGitHubApp(in.Body))
			return answer(api.GitHubApp(g), err)
		})
	handle(a, needs(identity.AppRead), op{id: "listGitHubApps", method: http.MethodGet, path: path, tag: tag, summary: "List GitHub Apps"},
		func(ctx context.Context, c caller, in *InOrg) (*body[api.Items[api.GitHubApp]], error) {
			all, err := a.control.GitHubApps.List(ctx, c.Actor, in.Org)
			out := api.Items[api.GitHubApp]{Items: []api.GitHubApp{}}
			for _, g := range all {
				out.Items = append(out.Items, api.GitHubApp(g))
			}
			return answer(out, err)
		})
	handle(a, needs(identity.RepositoryManage), op{id: "removeGitHubApp", method: http.MethodDelete, path: path + "/{name}", tag: tag, summary: "Forget a GitHub App that no repository is opened with", status: http.StatusNoContent},
		func(ctx context.Context, c caller, in *struct {
			InOrg
			Name string `path:"name" maxLength:"40"`
		}) (*struct{}, error) {
			return nil, a.control.GitHubApps.Remove(ctx, c.Actor, in.Org, in.Name)
		})
}

func (a *API) registerDeployHooks() {
	const tag = "deploy hooks"
	handle(a, needs(identity.HookManage), op{id: "createDeployHook", method: http.MethodPost, path: envPath + "/deploy-hooks", tag: tag, summary: "Make an address that deploys when it is asked; it is told once", status: http.StatusCreated},
		func(ctx context.Context, c caller, in *struct {
			InEnv
			Body api.NewDeployHook
		}) (*body[api.DeployHook], error) {
			h, err := a.control.DeployHooks.Create(ctx, c.Actor, in.ref(), in.Body.Name)
			return answer(api.DeployHook(h), err)
		})
	handle(a, needs(identity.AppRead), op{id: "listDeployHooks", method: http.MethodGet, path: "/v1/orgs/{org}/deploy-hooks", tag: tag, summary: "List deploy hooks, without their addresses"},
		func(ctx context.Context, c caller, in *OfApp) (*body[api.Items[api.DeployHook]], error) {
			all, err := a.control.DeployHooks.List(ctx, c.Actor, in.Org, in.App)
			out := api.Items[api.DeployHook]{Items: []api.DeployHook{}}
			for _, h := range all {
				out.Items = append(out.Items, api.DeployHook{DeployHook: h})
			}
			return answer(out, err)
		})
	handle(a, needs(identity.HookManage), op{id: "removeDeployHook", method: http.MethodDelete, path: envPath + "/deploy-hooks/{hook}", tag: tag, summary: "End a deploy hook", status: http.StatusNoContent},
		func(ctx context.Context, c caller, in *struct {
			InEnv
			Hook string `path:"hook" maxLength:"100" doc:"its id or name"`
		}) (*struct{}, error) {
			return nil, a.control.DeployHooks.Remove(ctx, c.Actor, in.ref(), in.Hook)
		})
}
