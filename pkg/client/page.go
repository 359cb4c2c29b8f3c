package client

import (
	"context"
	"iter"

	"github.com/pandabox/pandabox/pkg/api"
)

// All goes through every page of a list: for app, err := range client.All(ctx, c.Apps). It ends with the first error.
func All[T any](ctx context.Context, list func(context.Context, api.Page) (api.List[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		p := api.Page{Limit: api.MaxLimit}
		for {
			l, err := list(ctx, p)
			if err != nil {
				var zero T
				yield(zero, err)
				return
			}
			for _, item := range l.Items {
				if !yield(item, nil) {
					return
				}
			}
			if l.Next == "" {
				return
			}
			p.After = l.Next
		}
	}
}
