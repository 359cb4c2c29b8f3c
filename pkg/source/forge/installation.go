package forge

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/pandabox/pandabox/pkg/control"
)

// Times of GitHub Apps: a claim of theirs is good for at most ten minutes, a token for an hour.
const (
	claimTime = 9 * time.Minute
	clockSkew = time.Minute
	tokenLeft = 10 * time.Minute // one with less left is replaced
)

// installed is a token of a GitHub App for one repository.
type installed struct {
	token string
	until time.Time
}

// opened returns the repository with a token that is good now, where it is opened with a GitHub App.
func (s *Server) opened(ctx context.Context, repo control.OpenRepository) (control.OpenRepository, error) {
	if repo.AppKey == "" {
		return repo, nil
	}
	s.mu.Lock()
	have := s.tokens[repo.ID]
	s.mu.Unlock()
	if time.Until(have.until) < tokenLeft {
		var err error
		if have, err = s.install(ctx, repo); err != nil {
			return repo, err
		}
		s.mu.Lock()
		s.tokens[repo.ID] = have
		s.mu.Unlock()
	}
	repo.Token = have.token
	return repo, nil
}

// install asks GitHub for a token of the app's installation at the repository.
func (s *Server) install(ctx context.Context, repo control.OpenRepository) (installed, error) {
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(repo.AppKey))
	if err != nil {
		return installed{}, fmt.Errorf("reading the key of the GitHub App: %w", err)
	}
	now := time.Now()
	claim, err := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.RegisteredClaims{
		Issuer: strconv.FormatInt(repo.AppNumber, 10), IssuedAt: jwt.NewNumericDate(now.Add(-clockSkew)), ExpiresAt: jwt.NewNumericDate(now.Add(claimTime)),
	}).SignedString(key)
	if err != nil {
		return installed{}, fmt.Errorf("signing for the GitHub App: %w", err)
	}
	as := repo
	as.Token = claim
	var at struct {
		ID int64 `json:"id"`
	}
	if err := s.call(ctx, as, http.MethodGet, "/repos/"+repo.Name+"/installation", nil, &at); err != nil {
		return installed{}, fmt.Errorf("is the GitHub App installed at %s? %w", repo.Name, err)
	}
	var made struct {
		Token     string    `json:"token"`
		ExpiresAt time.Time `json:"expires_at"`
	}
	err = s.call(ctx, as, http.MethodPost, "/app/installations/"+strconv.FormatInt(at.ID, 10)+"/access_tokens", map[string]any{}, &made)
	if err == nil && made.Token == "" {
		err = fmt.Errorf("GitHub gave no token")
	}
	return installed{made.Token, made.ExpiresAt}, err
}
