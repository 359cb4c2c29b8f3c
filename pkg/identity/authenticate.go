package identity

import (
	"context"
	"crypto/subtle"
	"strings"
	"sync"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// TouchInterval is the least time between two writes of when one token was last used.
const TouchInterval = 5 * time.Minute

// Tokens is where tokens are kept. pkg/store satisfies it.
type Tokens interface {
	// TokenByHash returns the token whose secret has the SHA-256 hash, and whether there is one.
	TokenByHash(ctx context.Context, hash []byte) (model.Token, bool, error)
	// TouchToken writes when a token was last used.
	TouchToken(ctx context.Context, id string, at time.Time) error
}

// Authenticator knows people and machines by their tokens. Its methods may be called from any goroutine.
type Authenticator struct {
	tokens Tokens
	now    func() time.Time

	mu      sync.Mutex
	touched map[string]time.Time // by token id: the last attempt to write its use
}

// NewAuthenticator returns an Authenticator over tokens.
func NewAuthenticator(tokens Tokens, now func() time.Time) *Authenticator {
	return &Authenticator{tokens: tokens, now: now, touched: map[string]time.Time{}}
}

// Authenticate returns who a bearer token is. One that is missing, unknown or expired is a *model.Error of
// KindUnauthenticated, which does not tell which; other errors mean that the store could not be read.
func (a *Authenticator) Authenticate(ctx context.Context, bearer string) (model.Actor, error) {
	if !strings.HasPrefix(bearer, TokenPrefix) || len(bearer) > 200 {
		return model.Actor{}, unknown()
	}
	hash, now := HashSecret(bearer), a.now()
	t, found, err := a.tokens.TokenByHash(ctx, hash)
	if err != nil {
		return model.Actor{}, err
	}
	if !found || subtle.ConstantTimeCompare(hash, t.Hash) != 1 || (!t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt)) {
		return model.Actor{}, unknown()
	}
	if a.mayTouch(t, now) {
		// A full disk must not keep anybody out, least of all whoever comes to free it.
		_ = a.tokens.TouchToken(ctx, t.ID, now)
	}
	return model.Actor{ID: t.ID, Name: t.Name, Roles: map[string]model.RoleName{t.OrgID: t.Role}}, nil
}

// mayTouch tells whether the use of t should be written down, at most once per TouchInterval also where writing fails.
func (a *Authenticator) mayTouch(t model.Token, now time.Time) bool {
	if now.Sub(t.LastUsed) < TouchInterval {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if now.Sub(a.touched[t.ID]) < TouchInterval {
		return false
	}
	for id, at := range a.touched {
		if now.Sub(at) >= TouchInterval {
			delete(a.touched, id)
		}
	}
	a.touched[t.ID] = now
	return true
}

func unknown() error {
	return model.Errorf(model.KindUnauthenticated, "nobody is signed in").
		WithWhy("there is no token, or it is unknown, revoked or expired").
		WithHint("pandabox login URL, with a token an owner gave you")
}
