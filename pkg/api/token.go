package api

import (
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// Token lets a machine or a person's CLI in. Its secret is told once, in IssuedToken.
type Token struct {
	ID        string         `json:"id"`
	OrgID     string         `json:"orgId"`
	Name      string         `json:"name"`
	Role      model.RoleName `json:"role"`
	CreatedBy string         `json:"createdBy"`
	CreatedAt time.Time      `json:"createdAt"`
	LastUsed  time.Time      `json:"lastUsed,omitzero"`
	ExpiresAt time.Time      `json:"expiresAt,omitzero"`
}

// NewToken asks for a token.
type NewToken struct {
	Name      string         `json:"name" minLength:"1" maxLength:"100" doc:"what it is for"`
	Role      model.RoleName `json:"role,omitempty" enum:"owner,admin,member" doc:"at most the caller's own; default: member"`
	ExpiresAt time.Time      `json:"expiresAt,omitzero" doc:"absent: never"`

	IdempotencyKey string `json:"-"` // sent as the header of that name; the client makes one where it is ""
}

// IssuedToken is a new token with its secret, which is told this once.
type IssuedToken struct {
	Token
	Secret string `json:"secret"`
}
