package daemon

import (
	"errors"
	"io"
	"sync"

	"github.com/pandabox/pandabox/pkg/model"
)

// siteSink takes the archive of a site's files that a build writes. Taking it in begins with its first byte, which comes
// when all else is done: the store of sites is not held up by a build.
type siteSink struct {
	take func(io.Reader) (*model.Static, error)
	once sync.Once
	pr   *io.PipeReader
	pw   *io.PipeWriter
	done chan struct{}
	site *model.Static // once done is closed
	err  error
}

func newSiteSink(take func(io.Reader) (*model.Static, error)) *siteSink {
	s := &siteSink{take: take, done: make(chan struct{})}
	s.pr, s.pw = io.Pipe()
	return s
}

// Write implements io.Writer. A site that is refused is an error of the next Write.
func (s *siteSink) Write(b []byte) (int, error) {
	s.once.Do(s.begin)
	return s.pw.Write(b)
}

func (s *siteSink) begin() {
	go func() { // until end at the latest
		s.site, s.err = s.take(s.pr)
		if s.err == nil {
			_, s.err = io.Copy(io.Discard, s.pr)
		}
		close(s.done)
		_ = s.pr.CloseWithError(errors.Join(s.err, io.ErrClosedPipe))
	}()
}

// end returns the site once the build has ended, failure being how. A site that was refused is why a build failed.
func (s *siteSink) end(failure error) (*model.Static, error) {
	s.once.Do(func() {
		if failure == nil {
			s.begin()
			return
		}
		close(s.done)
	})
	refused := false
	select {
	case <-s.done:
		refused = s.err != nil
	default:
	}
	_ = s.pw.CloseWithError(failure)
	<-s.done
	if failure != nil && !refused {
		return nil, failure
	}
	return s.site, s.err
}
