package store

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// Box is what is known of the box itself.
type Box struct {
	CreatedAt time.Time    `json:"createdAt"`
	ClaimedAt time.Time    `json:"claimedAt,omitzero"`
	Claim     *model.Claim `json:"claim,omitempty"`    // the one link that works, used or not
	KeyCheck  []byte       `json:"keyCheck,omitempty"` // sealed by the master key: shows that a key file is this store's
}

// Box returns the box's own record.
func (tx *Tx) Box() (b Box, err error) {
	if err := json.Unmarshal(tx.bucket(bucketMeta).Get([]byte("box")), &b); err != nil {
		return b, fmt.Errorf("decoding the box's record: %w", err)
	}
	return b, nil
}

// PutBox writes the box's own record.
func (tx *Tx) PutBox(b Box) error {
	raw, err := json.Marshal(b)
	if err != nil {
		return fmt.Errorf("encoding the box's record: %w", err)
	}
	tx.wrote = true
	return tx.bucket(bucketMeta).Put([]byte("box"), raw)
}
