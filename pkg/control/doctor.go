package control

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// When doctor is not content.
const (
	probeWait   = 10 * time.Second   // for one check
	leastFree   = 512 << 20          // bytes of disk
	leastShare  = 0.03               // of the disk's bytes, and of its inodes
	certWarning = 7 * 24 * time.Hour // before a certificate ends; ACME ones are renewed long before
	maxNamed    = 5                  // things named in one line
)

// Check is one thing doctor looked at.
type Check struct {
	Name   string `json:"name"` // "disk", "store", "apps", "certificates", "clock", or a Probe's
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`         // what was seen: "41 GB free of 80 GB"
	Hint   string `json:"hint,omitempty"` // what to do, when not OK
}

// Doctor looks at everything the box needs to work, at all of it at once. What it finds is in the checks, in a fixed
// order; an error means it was not allowed to look.
func (b *Box) Doctor(ctx context.Context, actor model.Actor) ([]Check, error) {
	err := b.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		_, err := b.c.boxOrg(tx, actor, identity.BoxInspect)
		return err
	})
	if err != nil {
		return nil, err
	}
	probes := []Probe{{"disk", b.c.probeDisk}, {"store", b.c.probeStore}}
	probes = append(probes, b.c.cfg.Probes...)
	probes = append(probes, Probe{"apps", b.c.probeApps}, Probe{"certificates", b.c.probeCertificates}, Probe{"clock", b.c.probeClock})
	checks := make([]Check, len(probes))
	var wg sync.WaitGroup
	for i, p := range probes {
		wg.Go(func() { checks[i] = p.check(ctx) })
	}
	wg.Wait()
	return checks, nil
}

// check runs a probe with its time limit, also where the probe does not mind its context.
func (p Probe) check(ctx context.Context) Check {
	ctx, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	done := make(chan Check, 1)
	go func() { // ends with the probe; nobody waits for one that hangs
		detail, err := p.Run(ctx)
		c := Check{Name: p.Name, OK: err == nil, Detail: detail}
		if err != nil {
			c.Detail = err.Error()
			var e *model.Error
			if errors.As(err, &e) {
				c.Hint = e.Hint
			}
		}
		done <- c
	}()
	select {
	case c := <-done:
		return c
	case <-ctx.Done():
		return Check{Name: p.Name, Detail: fmt.Sprintf("no answer within %s", probeWait), Hint: "look into the daemon's log, or restart it: apps keep running"}
	}
}

func (c *Control) probeDisk(context.Context) (string, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(c.cfg.DataDir, &s); err != nil {
		return "", fmt.Errorf("looking at the disk of %s: %w", c.cfg.DataDir, err)
	}
	size := uint64(s.Bsize)
	free, total := s.Bavail*size, s.Blocks*size
	detail := fmt.Sprintf("%s free of %s", bytesText(free), bytesText(total))
	hint := "free some space: remove apps or volumes nobody needs, or grow the disk of " + c.cfg.DataDir
	switch {
	case free < leastFree || float64(free) < leastShare*float64(total):
		return "", model.Errorf(model.KindNoSpace, "only %s", detail).WithHint("%s", hint)
	case s.Files > 0 && float64(s.Ffree) < leastShare*float64(s.Files):
		return "", model.Errorf(model.KindNoSpace, "only %d files more fit on the disk, of %d", s.Ffree, s.Files).WithHint("%s", hint)
	}
	return detail, nil
}

func bytesText(n uint64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GB", n>>30)
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%d MB", n>>20)
}

// probeStore reads, and writes what is there already.
func (c *Control) probeStore(ctx context.Context) (string, error) {
	began := time.Now()
	err := c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		box, err := tx.Box()
		if err != nil {
			return err
		}
		return tx.PutBox(box)
	})
	return fmt.Sprintf("reads, and writes in %s", time.Since(began).Round(time.Millisecond)), err
}

func (c *Control) probeApps(ctx context.Context) (string, error) {
	all, err := c.cfg.Store.Desired(ctx)
	if err != nil {
		return "", err
	}
	var down []string
	for _, d := range all.Workloads {
		if s := d.Status.State; s == model.WorkloadDown || s == model.WorkloadDegraded {
			down = append(down, fmt.Sprintf("%s (%s)", Ref{App: d.App.Name, Env: d.Env.Name}, s))
		}
	}
	if len(down) > 0 {
		return "", model.Errorf(model.KindUnavailable, "%s of %d not well: %s", plural(len(down), "app"), len(all.Workloads), few(down)).
			WithHint("pandabox status -a APP, and pandabox logs -a APP")
	}
	return plural(len(all.Workloads), "app") + ", none of them down", nil
}

func (c *Control) probeCertificates(ctx context.Context) (string, error) {
	if c.cfg.Certs == nil {
		return "", missing("proxy")
	}
	all, err := c.cfg.Store.Desired(ctx)
	if err != nil {
		return "", err
	}
	var bad []string
	n := 0
	for _, w := range all.Workloads {
		for _, d := range w.Domains {
			if d.TLS == model.TLSOff || w.Workload.Deleting {
				continue
			}
			n++
			s, err := c.cfg.Certs.Certificate(ctx, d.Host)
			switch {
			case err != nil:
				bad = append(bad, d.Host+": "+err.Error())
			case s.Problem != "":
				bad = append(bad, d.Host+": "+s.Problem)
			case !s.NotAfter.IsZero() && d.TLS == model.TLSCustom && c.now().Add(certWarning).After(s.NotAfter):
				bad = append(bad, d.Host+": ends on "+s.NotAfter.Format(time.DateOnly))
			case !s.NotAfter.IsZero() && c.now().After(s.NotAfter):
				bad = append(bad, d.Host+": ended on "+s.NotAfter.Format(time.DateOnly))
			}
		}
	}
	if len(bad) > 0 {
		return "", model.Errorf(model.KindUnavailable, "%s of %d: %s", plural(len(bad), "problem"), n, few(bad)).
			WithHint("see that the domain's DNS points to this box and that ports 80 and 443 reach it")
	}
	return plural(n, "domain") + ", no problem", nil
}

// probeClock notices a clock that stands before something that happened already.
func (c *Control) probeClock(ctx context.Context) (string, error) {
	now := c.now()
	err := c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		box, err := tx.Box()
		if err != nil {
			return err
		}
		last := box.CreatedAt
		if seq := tx.LastEvent(); seq > 0 {
			found, _, _, err := tx.Events(seq-1, 1, func(*model.Event) bool { return true })
			if err != nil {
				return err
			}
			for _, e := range found {
				last = e.At
			}
		}
		if now.Before(last.Add(-time.Minute)) {
			return model.Errorf(model.KindUnavailable, "the clock says %s, but something happened at %s already", now.Format(time.DateTime), last.Format(time.DateTime)).
				WithHint("set the clock, and let it be kept: timedatectl set-ntp true")
		}
		return nil
	})
	return now.Format(time.DateTime) + " UTC", err
}

// few joins names, the first of many.
func few(names []string) string {
	if len(names) > maxNamed {
		return strings.Join(names[:maxNamed], ", ") + fmt.Sprintf(" and %d more", len(names)-maxNamed)
	}
	return strings.Join(names, ", ")
}
