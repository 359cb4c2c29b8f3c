package store

import (
	"strings"

	"github.com/pandabox/pandabox/pkg/model"
)

// Domain returns the domain with the host.
func (tx *Tx) Domain(host string) (model.Domain, error) { return domains().get(tx, host) }

// Domains returns a workload's domains by host.
func (tx *Tx) Domains(workloadID string) ([]model.Domain, error) {
	out, _, err := domains().list(tx, scan{index: "workload", prefix: workloadID + "/"})
	return out, err
}

// DomainsUnder returns every domain on the box whose host ends in "." + host. It looks at each domain.
func (tx *Tx) DomainsUnder(host string) ([]model.Domain, error) {
	all, _, err := domains().list(tx, scan{})
	var out []model.Domain
	for _, d := range all {
		if strings.HasSuffix(d.Host, "."+host) {
			out = append(out, d)
		}
	}
	return out, err
}

// PutDomain writes a domain. It must not move a host from one workload to another: delete it first.
func (tx *Tx) PutDomain(d model.Domain) error {
	tx.move(d.WorkloadID)
	return domains().put(tx, d)
}

// DeleteDomain forgets a domain.
func (tx *Tx) DeleteDomain(d model.Domain) error {
	tx.move(d.WorkloadID)
	return domains().delete(tx, d.Host)
}
