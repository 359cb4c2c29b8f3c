package api

import "time"

// Key lets a person push code over SSH, as a member of the org.
type Key struct {
	ID          string    `json:"id"`
	OrgID       string    `json:"orgId"`
	Name        string    `json:"name"`
	Type        string    `json:"type"`
	Fingerprint string    `json:"fingerprint" doc:"as ssh-keygen -l shows it"`
	CreatedBy   string    `json:"createdBy"`
	CreatedAt   time.Time `json:"createdAt"`
	LastUsed    time.Time `json:"lastUsed,omitzero"`
}

// NewKey asks for a key.
type NewKey struct {
	Name   string `json:"name,omitempty" maxLength:"100" doc:"default: the comment behind the key"`
	Public string `json:"public" maxLength:"16384" doc:"a line as in ~/.ssh/id_ed25519.pub"`

	IdempotencyKey string `json:"-"` // sent as the header of that name; the client makes one where it is ""
}
