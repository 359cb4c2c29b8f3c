package control

// Bounds of Page.Limit.
const (
	DefaultPageLimit = 100
	MaxPageLimit     = 1000
)

// Page asks for a part of a list.
type Page struct {
	Limit int    // 1 to MaxPageLimit; 0 means DefaultPageLimit
	After string // List.Next of the page before; "" for the first
}

// List is one page of things.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"` // opaque; "" at the end
}
