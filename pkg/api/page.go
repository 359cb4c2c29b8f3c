package api

// Bounds of Page.Limit.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
)

// Page asks for a part of a list.
type Page struct {
	Limit int    // 1 to MaxLimit; 0 means DefaultLimit
	After string // List.Next of the page before; "" for the first
}

// List is one page of things.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty" doc:"cursor of the next page, for the parameter after; absent at the end"`
}

// Items is a list that always comes whole.
type Items[T any] struct {
	Items []T `json:"items"`
}
