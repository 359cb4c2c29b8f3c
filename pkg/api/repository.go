package api

import "github.com/pandabox/pandabox/pkg/model"

// NewRepository asks to connect a repository at a forge.
type NewRepository struct {
	URL       string      `json:"url" maxLength:"1000" example:"https://github.com/acme/shop" doc:"as it is cloned"`
	Forge     model.Forge `json:"forge,omitempty" enum:"github,gitlab,gitea" doc:"absent: as the host's name says"`
	Token     string      `json:"token,omitempty" maxLength:"4096" doc:"to fetch and to report with"`
	DeployKey bool        `json:"deployKey,omitempty" doc:"make a key pair to fetch with over ssh"`
	GitHubApp string      `json:"githubApp,omitempty" maxLength:"40" doc:"name of the GitHub App to open it with"`
}

// Repository is an app's code at a forge.
type Repository struct {
	model.Repository
	App    string `json:"app"`
	Hook   string `json:"hook" doc:"address of the webhook to enter at the forge"`
	Signed string `json:"signed,omitempty" doc:"the webhook's secret, told when it is connected"`
}

// NewGitHubApp asks to keep a GitHub App.
type NewGitHubApp struct {
	Name       string `json:"name" maxLength:"40"`
	AppID      int64  `json:"appId" minimum:"1" doc:"as GitHub shows it"`
	PrivateKey string `json:"privateKey" maxLength:"16384" doc:"PEM, as GitHub made it"`
}

// GitHubApp opens repositories at GitHub: one webhook and one key for all of them.
type GitHubApp struct {
	model.GitHubApp
	Hook   string `json:"hook" doc:"address of the webhook to enter at GitHub"`
	Signed string `json:"signed,omitempty" doc:"the webhook's secret, told when it is added"`
}

// Delivery is one message of a forge and what became of it.
type Delivery = model.Delivery

// NewDeployHook asks for a deploy hook.
type NewDeployHook struct {
	Name string `json:"name" maxLength:"100" example:"ci"`
}

// DeployHook is an address that deploys when it is asked.
type DeployHook struct {
	model.DeployHook
	Address string `json:"address,omitempty" doc:"told when it is made"`
}
