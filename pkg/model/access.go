package model

import "time"

// RoleName is what a member may do in an org.
type RoleName string

// The roles of a member, greatest first.
const (
	RoleOwner  RoleName = "owner"
	RoleAdmin  RoleName = "admin"
	RoleMember RoleName = "member"
)

// Actor is who asks. The zero Actor is nobody and may do nothing.
type Actor struct {
	ID    string              // a token's id, or "root"
	Name  string              // for records: "root on this box", a token's name
	Root  bool                // came through the box's own socket as root, or is the platform itself
	Roles map[string]RoleName // by org id
}

// Token lets a machine or a person's CLI in. The secret itself is shown once and only its SHA-256 is kept.
type Token struct {
	ID        string    `json:"id"`
	OrgID     string    `json:"orgId"`
	Name      string    `json:"name"`
	Role      RoleName  `json:"role"`
	Hash      []byte    `json:"hash"` // SHA-256 of the secret
	CreatedBy string    `json:"createdBy"`
	CreatedAt time.Time `json:"createdAt"`
	LastUsed  time.Time `json:"lastUsed,omitzero"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
}

// Claim is the one-time link that makes whoever first uses it the owner of the box. The secret itself is shown once and
// only its SHA-256 is kept.
type Claim struct {
	Hash      []byte    `json:"hash"`
	ExpiresAt time.Time `json:"expiresAt"`
	UsedAt    time.Time `json:"usedAt,omitzero"`
}

// AuditEvent records one change: it is written in the transaction of the change itself.
type AuditEvent struct {
	ID     string    `json:"id"`
	OrgID  string    `json:"orgId,omitempty"`
	At     time.Time `json:"at"`
	Actor  string    `json:"actor"`
	Action string    `json:"action"`           // "deploy.create", "variable.set"
	Target string    `json:"target"`           // "shop in production"
	Detail string    `json:"detail,omitempty"` // never holds a value of a variable
}

// Event is one thing that happened, as the event stream tells it. Seq grows by at least one and never repeats.
type Event struct {
	Seq        uint64    `json:"seq"`
	At         time.Time `json:"at"`
	Kind       string    `json:"kind"` // "deploy", "workload", "domain", "app"
	OrgID      string    `json:"orgId,omitempty"`
	WorkloadID string    `json:"workloadId,omitempty"`
	DeployID   string    `json:"deployId,omitempty"`
	State      string    `json:"state,omitempty"`  // the new state of the deploy or workload
	Detail     string    `json:"detail,omitempty"` // one line
}
