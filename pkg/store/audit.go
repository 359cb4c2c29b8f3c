package store

import "github.com/pandabox/pandabox/pkg/model"

// MaxAudit is how many audit events are kept on the box.
const MaxAudit = 100_000

// Audited is an audit event as it is stored.
type Audited struct {
	Seq uint64 `json:"seq"`
	model.AuditEvent
}

// Record appends an audit event and drops the oldest above MaxAudit.
func (tx *Tx) Record(e model.AuditEvent) error {
	seq, err := tx.bucket("audit").NextSequence()
	if err != nil {
		return err
	}
	if err := audit().put(tx, Audited{Seq: seq, AuditEvent: e}); err != nil {
		return err
	}
	return dropOldest(tx, audit(), seq, MaxAudit)
}

// Audit returns an org's audit events, newest first, at most limit of those behind after; "" begins with the newest.
func (tx *Tx) Audit(orgID, after string, limit int) ([]model.AuditEvent, string, error) {
	found, next, err := audit().list(tx, scan{index: "org", prefix: orgID + "/", after: after, limit: limit, reverse: true})
	out := make([]model.AuditEvent, len(found))
	for i, a := range found {
		out[i] = a.AuditEvent
	}
	return out, next, err
}

// dropOldest deletes from the front of a table keyed by a sequence without gaps until at most keep are left.
func dropOldest[T any](tx *Tx, t table[T], newest, keep uint64) error {
	if newest <= keep {
		return nil
	}
	limit := number(newest - keep)
	var old []string
	for k := range keys(tx.bucket(t.name), scan{}) {
		if string(k) > limit {
			break
		}
		old = append(old, string(k))
	}
	for _, k := range old {
		if err := t.delete(tx, k); err != nil {
			return err
		}
	}
	return nil
}
