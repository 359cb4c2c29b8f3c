package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"

	"github.com/pandabox/pandabox/pkg/model"
)

const (
	sideBand = "side-band-64k"
	maxLine  = 2000   // bytes of one line that a client is told
	maxChunk = 60_000 // bytes of one packet of a side band: the library's own bound is one its packets do not take
)

// band is one channel of a side band.
type band struct {
	mux *sideband.Muxer
	ch  sideband.Channel
}

func (b band) Write(p []byte) (n int, err error) {
	for chunk := range slices.Chunk(p, maxChunk) {
		m, err := b.mux.WriteChannel(b.ch, chunk)
		if n += m; err != nil {
			return n, err
		}
	}
	return n, nil
}

// reporter tells a client what happens: lines as it happens, and how each ref ended. Its methods may be called from any
// goroutine.
type reporter struct {
	quiet  bool // the client takes no lines
	status bool // the client takes the end
	lost   context.CancelFunc

	mu  sync.Mutex
	out io.Writer
	buf bytes.Buffer    // one write to out for one of ours
	mux *sideband.Muxer // into buf
	at  time.Time       // of the last write
	err error
}

func newReporter(out io.Writer, c commands, lost context.CancelFunc) *reporter {
	r := &reporter{quiet: !c.can(sideBand), status: c.can("report-status"), lost: lost, out: out, at: time.Now()}
	r.mux = sideband.NewMuxer(sideband.Sideband64k, &r.buf)
	return r
}

// say tells one line.
func (r *reporter) say(line string) {
	if !r.quiet {
		r.write(sideband.ProgressMessage, []byte(plain(line)+"\n"))
	}
}

// fail tells an error in three lines: what, why, what now.
func (r *reporter) fail(err error) {
	for _, line := range threeLines(err) {
		r.say(line)
	}
}

func threeLines(err error) []string {
	var e *model.Error
	if !errors.As(err, &e) {
		return []string{"error: " + err.Error()}
	}
	out := []string{"error: " + e.What}
	if e.Why != "" {
		out = append(out, "  "+e.Why)
	}
	if e.Hint != "" {
		out = append(out, "  try: "+e.Hint)
	}
	return out
}

func (r *reporter) write(ch sideband.Channel, b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		_, r.err = band{r.mux, ch}.Write(b)
		if r.err == nil {
			_, r.err = r.out.Write(r.buf.Bytes())
		}
		r.buf.Reset()
		if r.err != nil {
			r.lost()
		}
	}
	r.at = time.Now()
}

// beat sends signs of life until ctx ends.
func (r *reporter) beat(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r.mu.Lock()
		if !r.quiet && r.err == nil && time.Since(r.at) >= every {
			if _, r.err = io.WriteString(r.out, "0005\x02"); r.err != nil { // a packet of the side band without content
				r.lost()
			}
		}
		r.mu.Unlock()
	}
}

// end tells how it ended: unpack is "ok" or what was wrong with the pack, of each command why it was refused.
func (r *reporter) end(unpack string, list []command, refused map[string]string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b bytes.Buffer
	if r.status {
		s := packp.ReportStatus{UnpackStatus: plain(unpack)}
		for _, c := range list {
			one := &packp.CommandStatus{ReferenceName: plumbing.ReferenceName(plain(c.ref)), Status: "ok"}
			if why := refused[c.ref]; why != "" {
				one.Status = plain(why)
			}
			s.CommandStatuses = append(s.CommandStatuses, one)
		}
		if err := s.Encode(&b); err != nil {
			return err
		}
	}
	if r.err != nil {
		return r.err
	}
	if r.quiet {
		_, err := r.out.Write(b.Bytes())
		return err
	}
	if _, err := (band{r.mux, sideband.PackData}).Write(b.Bytes()); err != nil {
		return fmt.Errorf("telling how the push ended: %w", err)
	}
	r.buf.WriteString("0000")
	if _, err := r.out.Write(r.buf.Bytes()); err != nil {
		return fmt.Errorf("telling how the push ended: %w", err)
	}
	return nil
}

// plain returns a line without what would move the cursor of a terminal, or end the line.
func plain(line string) string {
	if len(line) > maxLine {
		line = line[:maxLine] + "…"
	}
	return strings.Map(func(c rune) rune {
		if c == '\t' {
			return c
		}
		if unicode.IsControl(c) {
			return -1
		}
		return c
	}, strings.ToValidUTF8(line, "\uFFFD"))
}
