package control

import (
	"encoding/base64"

	"github.com/pandabox/pandabox/pkg/model"
)

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

// cursor is a Page that was checked.
type cursor struct {
	after string
	limit int
}

// check refuses a limit out of bounds and a cursor that is none.
func (p Page) check() (cursor, error) {
	c := cursor{limit: p.Limit}
	if c.limit == 0 {
		c.limit = DefaultPageLimit
	}
	if c.limit < 1 || c.limit > MaxPageLimit {
		return c, model.Invalid("%d is not a limit for a list", p.Limit).WithHint("choose 1 to %d", MaxPageLimit)
	}
	raw, err := base64.RawURLEncoding.DecodeString(p.After)
	if err != nil {
		return c, model.Invalid("%q is not a cursor", p.After).WithHint("use the value of next from the page before")
	}
	c.after = string(raw)
	return c, nil
}

// page makes one page.
func page[T any](items []T, next string) List[T] {
	if items == nil {
		items = []T{}
	}
	return List[T]{Items: items, Next: base64.RawURLEncoding.EncodeToString([]byte(next))}
}
