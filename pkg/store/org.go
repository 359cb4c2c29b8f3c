package store

import "github.com/pandabox/pandabox/pkg/model"

// Org returns an org by its id.
func (tx *Tx) Org(id string) (model.Org, error) { return orgs().get(tx, id) }

// OrgNamed returns an org by its name.
func (tx *Tx) OrgNamed(name string) (model.Org, error) { return orgs().by(tx, "name", name) }

// Orgs returns every org, oldest first.
func (tx *Tx) Orgs() ([]model.Org, error) {
	out, _, err := orgs().list(tx, scan{})
	return out, err
}

// PutOrg writes an org.
func (tx *Tx) PutOrg(o model.Org) error { return orgs().put(tx, o) }

// Project returns a project by its id.
func (tx *Tx) Project(id string) (model.Project, error) { return projects().get(tx, id) }

// ProjectNamed returns a project of an org by its name.
func (tx *Tx) ProjectNamed(orgID, name string) (model.Project, error) {
	return projects().by(tx, "name", join(orgID, name))
}

// PutProject writes a project.
func (tx *Tx) PutProject(p model.Project) error { return projects().put(tx, p) }

// Environment returns an environment by its id.
func (tx *Tx) Environment(id string) (model.Environment, error) { return environments().get(tx, id) }

// EnvironmentNamed returns an environment of a project by its name.
func (tx *Tx) EnvironmentNamed(projectID, name string) (model.Environment, error) {
	return environments().by(tx, "name", join(projectID, name))
}

// Environments returns a project's environments by name.
func (tx *Tx) Environments(projectID string) ([]model.Environment, error) {
	out, _, err := environments().list(tx, scan{index: "name", prefix: projectID + "/"})
	return out, err
}

// PutEnvironment writes an environment.
func (tx *Tx) PutEnvironment(e model.Environment) error {
	if err := environments().put(tx, e); err != nil {
		return err
	}
	in, _, err := workloads().list(tx, scan{index: "env", prefix: e.ID + "/"})
	for _, w := range in {
		tx.touch(w.ID)
	}
	return err
}
