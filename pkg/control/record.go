package control

import (
	"strconv"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// record writes the audit event of a change in the change's own transaction. detail must hold no value of a variable.
func (c *Control) record(tx *store.Tx, actor model.Actor, orgID, action, target, detail string) error {
	return tx.Record(model.AuditEvent{
		ID: c.newID("audit"), OrgID: orgID, At: c.now(), Actor: nameOf(actor), Action: action, Target: target, Detail: detail,
	})
}

// nameOf is how records name an actor.
func nameOf(a model.Actor) string {
	switch {
	case a.Name != "":
		return a.Name
	case a.ID != "":
		return a.ID
	case a.Root:
		return "root on this box"
	}
	return "nobody"
}

// plural returns "1 app", "2 apps".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
