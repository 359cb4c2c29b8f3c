package model

import "time"

// ApprovalState is what became of a deploy that had to be approved.
type ApprovalState string

// The states of an approval; all but the first are final.
const (
	ApprovalWaiting    ApprovalState = "waiting"
	ApprovalApproved   ApprovalState = "approved"
	ApprovalRefused    ApprovalState = "refused"
	ApprovalExpired    ApprovalState = "expired"
	ApprovalSuperseded ApprovalState = "superseded" // a newer deploy of the same app was asked for
)

// ApprovalPeriod is how long a deploy waits to be approved.
const ApprovalPeriod = 7 * 24 * time.Hour

// Approval is a deploy to a protected environment that somebody asked for who may not approve it.
type Approval struct {
	ID        string        `json:"id"`
	OrgID     string        `json:"orgId"`
	App       string        `json:"app"`  // its name
	Env       string        `json:"env"`  // its name
	What      string        `json:"what"` // "1a2b3c4 Sell more"
	State     ApprovalState `json:"state"`
	AskedBy   string        `json:"askedBy"` // an Actor's name
	CreatedAt time.Time     `json:"createdAt"`
	ExpiresAt time.Time     `json:"expiresAt"`
	EndedBy   string        `json:"endedBy,omitempty"`
	EndedAt   time.Time     `json:"endedAt,omitzero"`
	DeployID  string        `json:"deployId,omitempty"` // the deploy it became

	Request []byte `json:"request,omitempty"` // the sealed request; kept while it waits
	Source  string `json:"source,omitempty"`  // digest of the source it needs
	Bundle  string `json:"bundle,omitempty"`  // digest of the function's code it needs
	Image   string `json:"image,omitempty"`   // digest of the image it needs
	Site    string `json:"site,omitempty"`    // digest of the site it needs
}

// At returns a as it is at a moment: one that waits expires.
func (a Approval) At(now time.Time) Approval {
	if a.State == ApprovalWaiting && !now.Before(a.ExpiresAt) {
		a.State, a.EndedAt = ApprovalExpired, a.ExpiresAt
	}
	return a
}
