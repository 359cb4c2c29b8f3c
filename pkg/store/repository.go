package store

import (
	"encoding/hex"

	"github.com/pandabox/pandabox/pkg/model"
)

// KeepDeliveries is how many of a repository's deliveries are kept: one that comes again after that many others is done
// again.
const KeepDeliveries = 1000

func repositories() table[model.Repository] {
	return table[model.Repository]{"repositories", func(r *model.Repository) string { return r.ID }, []index[model.Repository]{
		{"app", func(r *model.Repository) string { return join(r.AppID, r.ID) }},
		{"org", func(r *model.Repository) string { return join(r.OrgID, r.ID) }},
	}}
}

func deliveries() table[model.Delivery] {
	at := func(d *model.Delivery) string { return number(uint64(d.At.UnixNano())) } //nolint:gosec // not before 1970
	return table[model.Delivery]{"deliveries", func(d *model.Delivery) string { return d.ID }, []index[model.Delivery]{
		{"time", func(d *model.Delivery) string { return join(d.RepositoryID, at(d)+"/"+d.ID) }},
		{"open", func(d *model.Delivery) string {
			if d.State.Final() {
				return ""
			}
			return join(at(d), d.ID)
		}},
	}}
}

func deployHooks() table[model.DeployHook] {
	return table[model.DeployHook]{"hooks", func(h *model.DeployHook) string { return h.ID }, []index[model.DeployHook]{
		{"hash", func(h *model.DeployHook) string { return hex.EncodeToString(h.Hash) }},
		{"org", func(h *model.DeployHook) string { return join(h.OrgID, h.ID) }},
	}}
}

// Repository returns a repository by its id.
func (tx *Tx) Repository(id string) (model.Repository, error) { return repositories().get(tx, id) }

// Repositories returns an org's repositories.
func (tx *Tx) Repositories(orgID string) ([]model.Repository, error) {
	all, _, err := repositories().list(tx, scan{index: "org", prefix: orgID + "/"})
	return all, err
}

// RepositoriesOf returns an app's repositories.
func (tx *Tx) RepositoriesOf(appID string) ([]model.Repository, error) {
	all, _, err := repositories().list(tx, scan{index: "app", prefix: appID + "/"})
	return all, err
}

// PutRepository writes a repository.
func (tx *Tx) PutRepository(r model.Repository) error { return repositories().put(tx, r) }

// DeleteRepository forgets a repository and its deliveries.
func (tx *Tx) DeleteRepository(id string) error {
	if err := deleteAll(tx, deliveries(), scan{index: "time", prefix: id + "/"}); err != nil {
		return err
	}
	return repositories().delete(tx, id)
}

// Delivery returns a delivery by its id.
func (tx *Tx) Delivery(id string) (model.Delivery, error) { return deliveries().get(tx, id) }

// Deliveries returns a repository's deliveries, newest first, at most limit; 0 for all.
func (tx *Tx) Deliveries(repositoryID string, limit int) ([]model.Delivery, error) {
	all, _, err := deliveries().list(tx, scan{index: "time", prefix: repositoryID + "/", limit: limit, reverse: true})
	return all, err
}

// OpenDeliveries returns the deliveries that are still to be done, oldest first.
func (tx *Tx) OpenDeliveries() ([]model.Delivery, error) {
	all, _, err := deliveries().list(tx, scan{index: "open"})
	return all, err
}

// PutDelivery writes a delivery, and forgets the repository's oldest.
func (tx *Tx) PutDelivery(d model.Delivery) error {
	if err := deliveries().put(tx, d); err != nil {
		return err
	}
	all, err := tx.Deliveries(d.RepositoryID, 0)
	for i, old := range all {
		if i >= KeepDeliveries && old.State.Final() {
			if err := deliveries().delete(tx, old.ID); err != nil {
				return err
			}
		}
	}
	return err
}

// DeployHook returns a deploy hook by its id.
func (tx *Tx) DeployHook(id string) (model.DeployHook, error) { return deployHooks().get(tx, id) }

// DeployHookByHash returns the deploy hook whose secret has the SHA-256 hash.
func (tx *Tx) DeployHookByHash(hash []byte) (model.DeployHook, error) {
	return deployHooks().by(tx, "hash", hex.EncodeToString(hash))
}

// DeployHooks returns an org's deploy hooks.
func (tx *Tx) DeployHooks(orgID string) ([]model.DeployHook, error) {
	all, _, err := deployHooks().list(tx, scan{index: "org", prefix: orgID + "/"})
	return all, err
}

// PutDeployHook writes a deploy hook.
func (tx *Tx) PutDeployHook(h model.DeployHook) error { return deployHooks().put(tx, h) }

// DeleteDeployHook ends a deploy hook.
func (tx *Tx) DeleteDeployHook(id string) error { return deployHooks().delete(tx, id) }

// forgetApp forgets the repositories and deploy hooks of an app that is gone.
func (tx *Tx) forgetApp(a model.App) error {
	rs, err := tx.RepositoriesOf(a.ID)
	if err != nil {
		return err
	}
	for _, r := range rs {
		if err := tx.DeleteRepository(r.ID); err != nil {
			return err
		}
	}
	hs, err := tx.DeployHooks(a.OrgID)
	for _, h := range hs {
		if h.App == a.Name {
			if err := tx.DeleteDeployHook(h.ID); err != nil {
				return err
			}
		}
	}
	return err
}
