package forge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/model"
)

// How often it is asked how a deploy is doing, and whether one was approved.
const (
	watchEvery  = 500 * time.Millisecond
	decideEvery = 2 * time.Second
)

// held is what a delivery says of an environment whose deploy waits.
const held = "waits for approval"

// outcome waits for the end of what was shipped, tells the forge, and says what became of the delivery, or what it waits
// for.
func (s *Server) outcome(ctx context.Context, repo control.OpenRepository, shipped []ship, err error) (model.DeliveryState, string, []model.HeldDeploy) {
	var none nothing
	switch {
	case errors.As(err, &none):
		return model.DeliveryIgnored, none.why, nil
	case err != nil:
		s.cfg.Logger.Warn().Err(err).Str("repository", repo.Name).Msg("what a forge told of could not be done")
		return model.DeliveryFailed, told(err), nil
	case len(shipped) == 0:
		return model.DeliveryDone, "the preview is removed", nil
	}
	state, parts := model.DeliveryDone, make([]string, 0, len(shipped))
	var waiting []model.HeldDeploy
	for _, one := range shipped {
		text := held
		if one.deploy.Approval != "" {
			waiting = append(waiting, model.HeldDeploy{Env: one.env, Approval: one.deploy.Approval, Record: one.record})
			s.tellHeld(ctx, repo, one)
		} else {
			var good bool
			if text, good = s.end(ctx, repo, one); !good {
				state = model.DeliveryFailed
			}
		}
		parts = append(parts, one.env+": "+text)
	}
	if len(waiting) > 0 {
		state = model.DeliveryWaiting
	}
	return state, strings.Join(parts, "; "), waiting
}

// tellHeld tells the forge that a deploy waits.
func (s *Server) tellHeld(ctx context.Context, repo control.OpenRepository, one ship) {
	if commit, _, _ := strings.Cut(one.record, " "); commit != "" {
		s.status(ctx, repo, commit, one.env, "pending", held, "")
	}
}

// decided waits until somebody decides on what a delivery waits for, for days maybe, and says what became of it then.
func (s *Server) decided(ctx context.Context, repo control.OpenRepository, d model.Delivery) model.Delivery {
	state := model.DeliveryDone
	for _, id := range d.Deploys {
		if slices.ContainsFunc(d.Held, func(h model.HeldDeploy) bool { return h.Approval == id }) {
			continue
		}
		one, err := s.cfg.Control.Deploys.Get(ctx, repo.Actor(), control.Ref{Org: repo.Org}, id)
		if _, good := outcomeOf(one); err != nil || !good {
			state = model.DeliveryFailed
		}
	}
	for _, h := range d.Held {
		one := ship{env: h.Env, record: h.Record}
		one.deploy.ID, one.err = s.approved(ctx, repo, h.Approval)
		text, good := s.end(ctx, repo, one)
		if ctx.Err() != nil {
			return d // the next Run waits again
		}
		if !good {
			state = model.DeliveryFailed
		}
		d.Detail = strings.Replace(d.Detail, h.Env+": "+held, h.Env+": "+text, 1)
		d.Deploys = append(d.Deploys, one.deploy.ID)
	}
	d.State, d.Held = state, nil
	return d
}

// approved waits for the end of an approval and returns the deploy it became.
func (s *Server) approved(ctx context.Context, repo control.OpenRepository, id string) (string, error) {
	tick := time.NewTicker(decideEvery)
	defer tick.Stop()
	for {
		a, err := s.cfg.Control.Approvals.Get(ctx, repo.Actor(), repo.Org, id)
		switch {
		case err != nil:
			return "", err
		case a.State == model.ApprovalApproved:
			return a.DeployID, nil
		case a.State != model.ApprovalWaiting:
			return "", model.Errorf(model.KindCanceled, "it was not approved: it is %s", a.State)
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-tick.C:
		}
	}
}

// end waits for one deploy's end and tells the forge.
func (s *Server) end(ctx context.Context, repo control.OpenRepository, one ship) (text string, good bool) {
	d, err := s.wait(ctx, repo, one)
	if err != nil {
		text, good = told(err), false
	} else {
		text, good = outcomeOf(d)
		one.deploy = d
	}
	if again, err := s.opened(ctx, repo); s.noted(err, repo) { // a build may take longer than a token is good for
		s.finish(ctx, again, one, text, good)
	}
	return text, good
}

func (s *Server) wait(ctx context.Context, repo control.OpenRepository, one ship) (control.Deploy, error) {
	if one.err != nil {
		return one.deploy, one.err
	}
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		d, err := s.cfg.Control.Deploys.Get(ctx, repo.Actor(), control.Ref{Org: repo.Org}, one.deploy.ID)
		if err != nil || d.State.Final() {
			return d, err
		}
		select {
		case <-ctx.Done():
			return d, ctx.Err()
		case <-tick.C:
		}
	}
}

func outcomeOf(d control.Deploy) (string, bool) {
	switch d.State {
	case model.DeploySucceeded:
		return fmt.Sprintf("v%d serves", d.Release), true
	case model.DeploySuperseded:
		return "a newer deploy took over", true
	}
	if d.Error != nil {
		return told(d.Error), false
	}
	return string(d.State), false
}

func told(err error) string {
	var e *model.Error
	if errors.As(err, &e) {
		return e.Error()
	}
	return "something went wrong, see the daemon's log"
}
