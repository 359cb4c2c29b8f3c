package store

import "github.com/pandabox/pandabox/pkg/model"

func gitHubApps() table[model.GitHubApp] {
	return table[model.GitHubApp]{"githubapps", func(a *model.GitHubApp) string { return a.ID }, []index[model.GitHubApp]{
		{"name", func(a *model.GitHubApp) string { return join(a.OrgID, a.Name) }},
	}}
}

// GitHubApp returns a GitHub App by its id.
func (tx *Tx) GitHubApp(id string) (model.GitHubApp, error) { return gitHubApps().get(tx, id) }

// GitHubAppNamed returns an org's GitHub App by its name.
func (tx *Tx) GitHubAppNamed(orgID, name string) (model.GitHubApp, error) {
	return gitHubApps().by(tx, "name", join(orgID, name))
}

// GitHubApps returns an org's GitHub Apps by name.
func (tx *Tx) GitHubApps(orgID string) ([]model.GitHubApp, error) {
	all, _, err := gitHubApps().list(tx, scan{index: "name", prefix: orgID + "/"})
	return all, err
}

// PutGitHubApp writes a GitHub App.
func (tx *Tx) PutGitHubApp(a model.GitHubApp) error { return gitHubApps().put(tx, a) }

// DeleteGitHubApp forgets a GitHub App.
func (tx *Tx) DeleteGitHubApp(id string) error { return gitHubApps().delete(tx, id) }
