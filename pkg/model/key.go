package model

import "time"

// Key lets a person in over SSH, to push code, as a member of the org.
type Key struct {
	ID          string    `json:"id"`
	OrgID       string    `json:"orgId"`
	Name        string    `json:"name"`
	Type        string    `json:"type"`        // "ssh-ed25519"
	Fingerprint string    `json:"fingerprint"` // "SHA256:…", as ssh-keygen -l shows it
	Public      []byte    `json:"public"`      // in SSH's wire format
	CreatedBy   string    `json:"createdBy"`
	CreatedAt   time.Time `json:"createdAt"`
	LastUsed    time.Time `json:"lastUsed,omitzero"`
}
