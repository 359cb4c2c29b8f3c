package logs

import (
	"cmp"
	"container/heap"
)

// sources is a heap of containers, the one with the oldest line first.
type sources []*source

func (h sources) Len() int { return len(h) }
func (h sources) Less(i, j int) bool {
	return cmp.Or(h[i].head.At.Compare(h[j].head.At), cmp.Compare(h[i].name.Container, h[j].name.Container)) < 0
}
func (h sources) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *sources) Push(x any)   { *h = append(*h, x.(*source)) }
func (h *sources) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// backSources is a heap of containers, the one with the newest line first.
type backSources []backHead

type backHead struct {
	container string
	*backSource
}

func (h backSources) Len() int { return len(h) }
func (h backSources) Less(i, j int) bool {
	return cmp.Or(h[i].at.Compare(h[j].at), cmp.Compare(h[i].container, h[j].container)) > 0
}
func (h backSources) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *backSources) Push(x any)   { *h = append(*h, x.(backHead)) }
func (h *backSources) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

var (
	_ heap.Interface = (*sources)(nil)
	_ heap.Interface = (*backSources)(nil)
)
