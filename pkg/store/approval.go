package store

import "github.com/pandabox/pandabox/pkg/model"

// KeepApprovals is how many of an org's approvals that are over are kept.
const KeepApprovals = 200

func approvals() table[model.Approval] {
	return table[model.Approval]{"approvals", func(a *model.Approval) string { return a.ID }, []index[model.Approval]{
		{"org", func(a *model.Approval) string { return join(a.OrgID, a.ID) }},
	}}
}

// Approval returns an approval by its id.
func (tx *Tx) Approval(id string) (model.Approval, error) { return approvals().get(tx, id) }

// Approvals returns an org's approvals, newest first, at most limit of those behind after; "" begins with the newest.
func (tx *Tx) Approvals(orgID, after string, limit int) ([]model.Approval, string, error) {
	return approvals().list(tx, scan{index: "org", prefix: orgID + "/", after: after, limit: limit, reverse: true})
}

// PutApproval writes an approval and tells of it, and forgets the org's oldest that are over.
func (tx *Tx) PutApproval(a model.Approval) error {
	if a.State != model.ApprovalWaiting {
		a.Request = nil
	}
	if err := approvals().put(tx, a); err != nil {
		return err
	}
	all, _, err := tx.Approvals(a.OrgID, "", 0)
	for i, old := range all {
		if i < KeepApprovals || old.At(tx.Now()).State == model.ApprovalWaiting {
			continue
		}
		if err := approvals().delete(tx, old.ID); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	return tx.Emit(model.Event{Kind: "approval", OrgID: a.OrgID, DeployID: a.DeployID, State: string(a.State), Detail: a.What + " to " + a.App + " in " + a.Env})
}

// awaited adds to what must not be reclaimed what deploys that wait for approval need.
func (tx *Tx) awaited(add func(images, bundles, sites, sources string)) error {
	all, _, err := approvals().list(tx, scan{})
	for _, a := range all {
		if a.At(tx.Now()).State == model.ApprovalWaiting {
			add(a.Image, a.Bundle, a.Site, a.Source)
		}
	}
	return err
}
