package static

import (
	"context"
	"runtime"
)

// How much effort compressing is worth, by what one import has compressed so far, in bytes: brotli at its best takes
// three seconds a MiB, and a deploy waits for it.
const (
	bestUntil = 512 << 10
	goodUntil = 16 << 20
	fastUntil = 256 << 20
)

// effort is how hard a content is compressed.
type effort int

const (
	effortNone effort = iota
	effortFast
	effortGood
	effortBest
)

func effortAfter(spent int64) effort {
	switch {
	case spent < bestUntil:
		return effortBest
	case spent < goodUntil:
		return effortGood
	case spent < fastUntil:
		return effortFast
	}
	return effortNone
}

// squeezer makes the compressed forms of an import's files while it goes on, in a thread that gives way to all others.
type squeezer struct {
	files chan squeezed
	done  chan struct{}
	forms map[string][]string // by name; valid after done
	err   error               // likewise
}

type squeezed struct {
	name string
	file File
}

// squeeze begins; wait must be called.
func squeeze(ctx context.Context, b blobs) *squeezer {
	q := &squeezer{files: make(chan squeezed, 256), done: make(chan struct{}), forms: map[string][]string{}}
	go func() {
		defer close(q.done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		giveWay()
		var spent int64
		for f := range q.files {
			if q.err == nil {
				q.err = ctx.Err()
			}
			if q.err != nil {
				continue
			}
			var did int64
			q.forms[f.name], did, q.err = b.compress(f.file.Hash, f.file.Size, effortAfter(spent))
			spent += did
		}
	}()
	return q
}

// add asks for the forms of a file.
func (q *squeezer) add(name string, f File) {
	if worthCompressing(typeOf(name)) {
		q.files <- squeezed{name, f}
	}
}

// wait returns once all that was added is done, and puts the forms into the site.
func (q *squeezer) wait(site *Site) error {
	close(q.files)
	<-q.done
	for name, forms := range q.forms {
		f := site.Files[name]
		f.Forms = forms
		site.Files[name] = f
	}
	return q.err
}
