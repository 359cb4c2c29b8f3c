package httpapi

import (
	"time"

	"github.com/pandabox/pandabox/pkg/identity"
)

// How many attempts to claim the box one remote address has.
const (
	claimEvery = 10 * time.Second
	claimBurst = 10
)

func newClaims() *identity.Attempts { return identity.NewAttempts(claimEvery, claimBurst) }
