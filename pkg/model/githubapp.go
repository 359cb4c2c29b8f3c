package model

import "time"

// GitHubApp is an app of GitHub's that repositories are opened with: one webhook and one key for all of them. What is
// secret of it is sealed.
type GitHubApp struct {
	ID        string    `json:"id"`
	OrgID     string    `json:"orgId"`
	Name      string    `json:"name"` // unique in the org
	AppID     int64     `json:"appId"`
	CreatedBy string    `json:"createdBy"`
	CreatedAt time.Time `json:"createdAt"`

	Secret []byte `json:"secret,omitempty"` // of the webhook
	Key    []byte `json:"key,omitempty"`    // private, PEM
}
