package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/pandabox/pandabox/pkg/api"
)

// ConnectRepository connects a repository of an app at a forge. What it returns tells the webhook's secret, this once.
func (c *Client) ConnectRepository(ctx context.Context, app string, n api.NewRepository) (api.Repository, error) {
	return do[api.Repository](ctx, c, call{method: http.MethodPost, path: c.org("apps", app, "repositories"), body: n})
}

// Repositories returns the repositories of an app; with "" those of the org.
func (c *Client) Repositories(ctx context.Context, app string) ([]api.Repository, error) {
	l, err := do[api.Items[api.Repository]](ctx, c, call{method: http.MethodGet, path: c.org("repositories"), query: ofApp(app)})
	return l.Items, err
}

// Deliveries returns what a repository's forge told of, newest first. The repository is named by its id or name.
func (c *Client) Deliveries(ctx context.Context, repository string) ([]api.Delivery, error) {
	l, err := do[api.Items[api.Delivery]](ctx, c, call{method: http.MethodGet, path: c.org("repositories", "deliveries"), query: url.Values{"repository": {repository}}})
	return l.Items, err
}

// RemoveRepository forgets a repository, by its id or name.
func (c *Client) RemoveRepository(ctx context.Context, repository string) error {
	_, err := do[none](ctx, c, call{method: http.MethodDelete, path: c.org("repositories"), query: url.Values{"repository": {repository}}})
	return err
}

// AddGitHubApp keeps a GitHub App. What it returns tells the secret of its webhook, this once.
func (c *Client) AddGitHubApp(ctx context.Context, n api.NewGitHubApp) (api.GitHubApp, error) {
	return do[api.GitHubApp](ctx, c, call{method: http.MethodPost, path: c.org("github-apps"), body: n})
}

// GitHubApps returns the org's GitHub Apps by name.
func (c *Client) GitHubApps(ctx context.Context) ([]api.GitHubApp, error) {
	l, err := do[api.Items[api.GitHubApp]](ctx, c, call{method: http.MethodGet, path: c.org("github-apps")})
	return l.Items, err
}

// RemoveGitHubApp forgets a GitHub App that no repository is opened with.
func (c *Client) RemoveGitHubApp(ctx context.Context, name string) error {
	_, err := do[none](ctx, c, call{method: http.MethodDelete, path: c.org("github-apps", name)})
	return err
}

// CreateDeployHook makes a deploy hook. What it returns tells its address, this once.
func (c *Client) CreateDeployHook(ctx context.Context, r Ref, name string) (api.DeployHook, error) {
	return do[api.DeployHook](ctx, c, call{method: http.MethodPost, path: c.workload(r, "deploy-hooks"), body: api.NewDeployHook{Name: name}})
}

// DeployHooks returns the deploy hooks of an app; with "" those of the org.
func (c *Client) DeployHooks(ctx context.Context, app string) ([]api.DeployHook, error) {
	l, err := do[api.Items[api.DeployHook]](ctx, c, call{method: http.MethodGet, path: c.org("deploy-hooks"), query: ofApp(app)})
	return l.Items, err
}

// RemoveDeployHook ends a deploy hook, by its id or name.
func (c *Client) RemoveDeployHook(ctx context.Context, r Ref, hook string) error {
	_, err := do[none](ctx, c, call{method: http.MethodDelete, path: c.workload(r, "deploy-hooks", hook)})
	return err
}

func ofApp(app string) url.Values {
	if app == "" {
		return nil
	}
	return url.Values{"app": {app}}
}
