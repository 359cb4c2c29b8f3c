package logs

import (
	"cmp"
	"container/heap"
)

// queue is a heap: first tells which of two items is to be nearer to the front. Use it with package heap.
type queue[T any] struct {
	items []T
	first func(a, b T) bool
}

// byAge puts the container with the oldest line in front.
func byAge(a, b *source) bool {
	return cmp.Or(a.head.At.Compare(b.head.At), cmp.Compare(a.name.Container, b.name.Container)) < 0
}

// byYouth puts the container with the newest line in front.
func byYouth(a, b *backSource) bool {
	return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.container(), b.container())) > 0
}

// Len implements heap.Interface.
func (q *queue[T]) Len() int { return len(q.items) }

// Less implements heap.Interface.
func (q *queue[T]) Less(i, j int) bool { return q.first(q.items[i], q.items[j]) }

// Swap implements heap.Interface.
func (q *queue[T]) Swap(i, j int) { q.items[i], q.items[j] = q.items[j], q.items[i] }

// Push implements heap.Interface.
func (q *queue[T]) Push(x any) {
	if item, ok := x.(T); ok {
		q.items = append(q.items, item)
	}
}

// Pop implements heap.Interface.
func (q *queue[T]) Pop() any {
	last := q.items[len(q.items)-1]
	q.items = q.items[:len(q.items)-1]
	return last
}

var _ heap.Interface = (*queue[int])(nil)
