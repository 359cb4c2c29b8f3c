package api

import "time"

// Box describes the box.
type Box struct {
	Version    string    `json:"version"`
	Instance   string    `json:"instance" doc:"four characters that tell two instances on one machine apart"`
	BaseDomain string    `json:"baseDomain"`
	URL        string    `json:"url" doc:"where this API answers, as seen from outside"`
	SSHPort    int       `json:"sshPort,omitempty" doc:"where git push over SSH is taken; left out: nowhere"`
	Claimed    bool      `json:"claimed" doc:"it has an owner"`
	CreatedAt  time.Time `json:"createdAt"`
}

// ClaimLink makes its first user the owner of the box.
type ClaimLink struct {
	Secret    string    `json:"secret"`
	URL       string    `json:"url"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// Claim uses the secret of a ClaimLink.
type Claim struct {
	Secret string `json:"secret" minLength:"1" maxLength:"200"`
	Name   string `json:"name,omitempty" maxLength:"100" doc:"what the owner's token is called; default: owner"`
}

// Check is one thing doctor looked at.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail" doc:"what was seen"`
	Hint   string `json:"hint,omitempty" doc:"what to do, when not ok"`
}
