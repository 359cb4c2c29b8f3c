package identity

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

type tokenTable struct {
	mu      sync.Mutex
	byHash  map[string]model.Token
	touches int
	fail    error
}

func (t *tokenTable) TokenByHash(_ context.Context, hash []byte) (model.Token, bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tok, ok := t.byHash[string(hash)]
	return tok, ok, t.fail
}

func (t *tokenTable) TouchToken(_ context.Context, id string, at time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.touches++
	for h, tok := range t.byHash {
		if tok.ID == id {
			tok.LastUsed = at
			t.byHash[h] = tok
		}
	}
	return errors.New("the disk is full") // whoever calls must not mind
}

func TestAuthenticate(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	good, goodHash := NewSecret(TokenPrefix)
	expired, expiredHash := NewSecret(TokenPrefix)
	claim, claimHash := NewSecret(ClaimPrefix)
	table := &tokenTable{byHash: map[string]model.Token{
		string(goodHash):    {ID: "tok-1", OrgID: "org-1", Name: "ci", Role: model.RoleAdmin, Hash: goodHash, ExpiresAt: now.Add(time.Second)},
		string(expiredHash): {ID: "tok-2", OrgID: "org-1", Role: model.RoleOwner, Hash: expiredHash, ExpiresAt: now},
		string(claimHash):   {ID: "tok-3", OrgID: "org-1", Role: model.RoleOwner, Hash: claimHash},
	}}
	a := NewAuthenticator(table, func() time.Time { return now })
	actor, err := a.Authenticate(t.Context(), good)
	if err != nil || actor.ID != "tok-1" || actor.Name != "ci" || actor.Root || actor.Roles["org-1"] != model.RoleAdmin || len(actor.Roles) != 1 {
		t.Fatalf("got %+v, %v", actor, err)
	}
	for name, bearer := range map[string]string{
		"empty": "", "prefix": TokenPrefix, "cut": good[:len(good)-1], "longer": good + "a", "upper case": strings.ToUpper(good),
		"expired": expired, "a claim's secret": claim, "huge": TokenPrefix + strings.Repeat("a", 1<<20), "hash": string(goodHash),
	} {
		actor, err := a.Authenticate(t.Context(), bearer)
		if model.KindOf(err) != model.KindUnauthenticated || actor.ID != "" {
			t.Errorf("%s: got %+v, %v", name, actor, err)
		}
	}
	table.fail = errors.New("broken")
	if _, err := a.Authenticate(t.Context(), good); !errors.Is(err, table.fail) {
		t.Errorf("got %v", err)
	}
}

func TestUseIsWrittenSeldom(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	secret, hash := NewSecret(TokenPrefix)
	table := &tokenTable{byHash: map[string]model.Token{string(hash): {ID: "tok-1", OrgID: "o", Role: model.RoleMember, Hash: hash}}}
	a := NewAuthenticator(table, func() time.Time { return now })
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := a.Authenticate(t.Context(), secret); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if table.touches != 1 {
		t.Fatalf("%d writes for 50 uses at once", table.touches)
	}
	now = now.Add(TouchInterval)
	if _, err := a.Authenticate(t.Context(), secret); err != nil || table.touches != 2 {
		t.Fatalf("%d writes, %v", table.touches, err)
	}
}

func TestSecretsAreLongAndDiffer(t *testing.T) {
	a, hashA := NewSecret(TokenPrefix)
	b, _ := NewSecret(TokenPrefix)
	if a == b || len(a) != len(TokenPrefix)+52 || !strings.HasPrefix(a, TokenPrefix) || len(hashA) != 32 {
		t.Fatalf("%q, %q", a, b)
	}
}
