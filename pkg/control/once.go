package control

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// Bounds of idempotency keys.
const (
	IdempotencyPeriod = 24 * time.Hour
	MaxIdempotencyKey = 255 // bytes
)

// once runs do, or returns what it returned when the same actor made the same request with the same key. Another
// request with that key is a conflict. Answers are sealed: they may hold a secret.
func once[A any](c *Control, tx *store.Tx, actor model.Actor, orgID, action, key string, request any, do func() (A, error)) (A, error) {
	var answer A
	if key == "" {
		return do()
	}
	if len(key) > MaxIdempotencyKey {
		return answer, model.Invalid("the idempotency key is %d bytes long", len(key)).WithHint("at most %d bytes fit", MaxIdempotencyKey)
	}
	body, err := json.Marshal(request)
	if err != nil {
		return answer, fmt.Errorf("encoding the request: %w", err)
	}
	id := hex.EncodeToString(identity.HashSecret(fmt.Sprintf("%q %q %q %q", orgID, actor.ID, action, key)))
	print := c.keys.Fingerprint(body, "idempotency", id)
	known, err := tx.Idempotent(id)
	if err == nil {
		if string(known.Request) != string(print) {
			return answer, model.Conflict("the idempotency key was used for another request").
				WithHint("use a fresh key for each request; a key is remembered for %s", IdempotencyPeriod)
		}
		raw, err := c.keys.Open(known.Answer, "idempotency", id)
		if err != nil {
			return answer, fmt.Errorf("opening a remembered answer: %w", err)
		}
		return answer, json.Unmarshal(raw, &answer)
	} else if !errors.Is(err, store.ErrNotFound) {
		return answer, err
	}
	if answer, err = do(); err != nil {
		return answer, err
	}
	raw, err := json.Marshal(answer)
	if err != nil {
		return answer, fmt.Errorf("encoding the answer: %w", err)
	}
	sealed, err := c.keys.Seal(raw, "idempotency", id)
	if err != nil {
		return answer, err
	}
	return answer, tx.PutIdempotent(store.Idempotent{Key: id, Request: print, Answer: sealed, ExpiresAt: c.now().Add(IdempotencyPeriod)})
}
