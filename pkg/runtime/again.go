package runtime

import (
	"context"
	"time"
)

// What containerd's end in the middle broke is begun again so often, after such a pause.
const (
	againTries = 3
	againPause = 20 * time.Millisecond
)

// again does what may be done twice, and begins once more where containerd went away meanwhile.
func again[T any](ctx context.Context, r *Runtime, do func(context.Context) (T, error)) (T, error) {
	for tries := 1; ; tries++ {
		var out T
		turn, err := r.begin(ctx)
		if err == nil {
			out, err = do(turn)
		}
		if err == nil || !isUnavailable(err) || tries == againTries || pauseFor(ctx, againPause) != nil {
			return out, err
		}
	}
}
