package daemon

import (
	"context"

	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/cron"
	"github.com/pandabox/pandabox/pkg/runtime"
	"github.com/pandabox/pandabox/pkg/store"
)

var (
	_ cron.Book          = (*store.Store)(nil)
	_ control.JobRuntime = (*runtime.Runtime)(nil)
)

// runJobs runs the jobs of all apps until ctx ends.
func (p *parts) runJobs(ctx context.Context) error {
	log := p.log
	s, err := cron.New(cron.Config{Book: p.store, Runner: p.control.JobRunner(), Logger: &log})
	if err != nil {
		return err
	}
	return s.Run(ctx)
}
