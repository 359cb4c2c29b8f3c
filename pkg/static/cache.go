package static

import (
	"container/list"
	"os"
	"sync"
	"time"
)

// Small files are answered from memory: up to maxCached bytes each, cacheBudget in all.
const (
	maxCached   = 128 << 10
	cacheBudget = 16 << 20
)

// cache holds the contents of files read lately, by path.
type cache struct {
	mu    sync.Mutex
	items map[string]*list.Element
	order list.List // of *cached, the latest used first
	bytes int
}

type cached struct {
	path string
	b    []byte
}

func newCache() *cache { return &cache{items: map[string]*list.Element{}} }

// get returns a file's content, which is never written to.
func (c *cache) get(path string) ([]byte, error) {
	c.mu.Lock()
	if e, ok := c.items[path]; ok {
		c.order.MoveToFront(e)
		c.mu.Unlock()
		return e.Value.(*cached).b, nil
	}
	c.mu.Unlock()
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.items[path]; !ok {
		c.items[path] = c.order.PushFront(&cached{path, b})
		c.bytes += len(b)
	}
	for c.bytes > cacheBudget {
		last := c.order.Back()
		old := c.order.Remove(last).(*cached)
		delete(c.items, old.path)
		c.bytes -= len(old.b)
	}
	return b, nil
}

// noTime makes http.ServeContent leave out Last-Modified: archives are packed without times, and the Etag says more.
func noTime() time.Time { return time.Time{} }
