package store

import "github.com/pandabox/pandabox/pkg/model"

// MaxEvents is how many events are kept on the box.
const MaxEvents = 10_000

// Emit appends an event with the next Seq, at this moment, and drops the oldest above MaxEvents. It is seen when the
// transaction commits.
func (tx *Tx) Emit(e model.Event) error {
	seq, err := tx.bucket("events").NextSequence()
	if err != nil {
		return err
	}
	e.Seq, e.At, tx.tell = seq, tx.Now(), true
	if err := events().put(tx, e); err != nil {
		return err
	}
	return dropOldest(tx, events(), seq, MaxEvents)
}

// Events returns the events behind after that keep chooses, oldest first, at most limit of them, and the Seq up to
// which it looked. first is the oldest Seq that is kept, 0 for none.
func (tx *Tx) Events(after uint64, limit int, keep func(*model.Event) bool) (out []model.Event, upTo, first uint64, err error) {
	oldest, _, err := events().list(tx, scan{limit: 1})
	if err != nil {
		return nil, after, 0, err
	}
	if len(oldest) > 0 {
		first = oldest[0].Seq
	}
	upTo = after
	for len(out) < limit {
		batch, next, err := events().list(tx, scan{after: number(upTo), limit: limit})
		if err != nil {
			return nil, after, first, err
		}
		for i := range batch {
			if len(out) == limit {
				return out, upTo, first, nil
			}
			if upTo = batch[i].Seq; keep(&batch[i]) {
				out = append(out, batch[i])
			}
		}
		if next == "" {
			break
		}
	}
	return out, upTo, first, nil
}

// LastEvent returns the Seq given out last, 0 for none.
func (tx *Tx) LastEvent() uint64 { return tx.bucket("events").Sequence() }
