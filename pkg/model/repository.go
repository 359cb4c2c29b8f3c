package model

import "time"

// Forge is what hosts a repository.
type Forge string

// The forges.
const (
	ForgeGitHub Forge = "github"
	ForgeGitLab Forge = "gitlab"
	ForgeGitea  Forge = "gitea" // Forgejo too
)

// Repository is an app's code at a forge. What is secret of it is sealed.
type Repository struct {
	ID        string    `json:"id"`
	OrgID     string    `json:"orgId"`
	AppID     string    `json:"appId"`
	Forge     Forge     `json:"forge"`
	URL       string    `json:"url"`  // to fetch from: https://…, or ssh://… with a deploy key
	Name      string    `json:"name"` // "acme/shop"
	PublicKey string    `json:"publicKey,omitempty"`
	HostKey   string    `json:"hostKey,omitempty"`   // the forge's SSH host key, as it was when it was first seen
	GitHubApp string    `json:"githubApp,omitempty"` // id of the app it is opened with, whose webhook counts; "" none
	CreatedBy string    `json:"createdBy"`
	CreatedAt time.Time `json:"createdAt"`

	Secret []byte `json:"secret,omitempty"` // of the webhook
	Token  []byte `json:"token,omitempty"`  // to fetch and to report with; nil: none
	Key    []byte `json:"key,omitempty"`    // the deploy key's private half; nil: none
}

// Arrival is what a forge told of: code at a commit, or a pull request that was closed.
type Arrival struct {
	Branch  string       `json:"branch"`           // that was pushed to; of a pull request its own
	Ref     string       `json:"ref"`              // to fetch: "refs/heads/main"; "": main or else master
	Commit  string       `json:"commit,omitempty"` // the full hash; "" whichever Ref is at
	Message string       `json:"message,omitempty"`
	Author  string       `json:"author,omitempty"`
	URL     string       `json:"url,omitempty"` // of the commit
	Changed []string     `json:"changed,omitempty"`
	All     bool         `json:"all,omitempty"` // which paths changed is not known: all count
	Pull    *PullRequest `json:"pull,omitempty"`
	Closed  bool         `json:"closed,omitempty"` // with Pull
	Env     string       `json:"env,omitempty"`    // only this environment, as a deploy hook asks; "" as it is tracked
}

// DeliveryState is what became of a delivery.
type DeliveryState string

// The states of a delivery; all but the first two are final.
const (
	DeliveryPending DeliveryState = "pending"
	DeliveryWaiting DeliveryState = "waiting" // for somebody to approve a deploy
	DeliveryDone    DeliveryState = "done"
	DeliveryIgnored DeliveryState = "ignored" // there was nothing to do
	DeliveryFailed  DeliveryState = "failed"
)

// Final tells whether nothing more becomes of it.
func (s DeliveryState) Final() bool { return s != DeliveryPending && s != DeliveryWaiting }

// HeldDeploy is a deploy of a delivery that waits to be approved.
type HeldDeploy struct {
	Env      string `json:"env"`              // its name
	Approval string `json:"approval"`         // id
	Record   string `json:"record,omitempty"` // the forge's own record of the deployment
}

// Delivery is one message of a forge that was taken: none is done twice.
type Delivery struct {
	ID           string        `json:"id"` // the repository's id, /, the forge's own id
	RepositoryID string        `json:"repositoryId"`
	Event        string        `json:"event"` // as the forge calls it
	State        DeliveryState `json:"state"`
	Detail       string        `json:"detail,omitempty"`
	Arrival      *Arrival      `json:"arrival,omitempty"` // nil: there is nothing to do
	Deploys      []string      `json:"deploys,omitempty"` // ids
	Held         []HeldDeploy  `json:"held,omitempty"`    // what is waited for
	At           time.Time     `json:"at"`
	EndedAt      time.Time     `json:"endedAt,omitzero"`
}

// DeployHook is an address that deploys when it is asked.
type DeployHook struct {
	ID        string    `json:"id"`
	OrgID     string    `json:"orgId"`
	App       string    `json:"app"` // its name
	Env       string    `json:"env"` // its name
	Name      string    `json:"name"`
	Hash      []byte    `json:"hash"` // SHA-256 of the secret
	CreatedBy string    `json:"createdBy"`
	CreatedAt time.Time `json:"createdAt"`
	LastUsed  time.Time `json:"lastUsed,omitzero"`
}
