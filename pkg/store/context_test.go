package store

import "context"

// noContext is for the child programs of tests, which end with their process.
type noContext struct{ context.Context }

func (noContext) Err() error { return nil }
