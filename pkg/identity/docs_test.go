package identity

import (
	"fmt"
	"os"
	"regexp"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

// TestTheDocumentedTable compares docs/access.md with the table that counts.
func TestTheDocumentedTable(t *testing.T) {
	raw, err := os.ReadFile("../../docs/access.md")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z.]+)` \\| ([^|]+) \\|").FindAllStringSubmatch(string(raw), -1) {
		said[m[1]] = m[2]
	}
	for _, p := range Permissions() {
		r, ok := ruleOf(p)
		if !ok {
			t.Errorf("%s has no rule", p)
		}
		want := map[scope]string{
			inOrg: string(r.least), onBox: fmt.Sprintf("%s of the default org", r.least), anywhere: "any role in any org", rootOnly: "root only",
		}[r.scope]
		if r.scope == anywhere && r.least != model.RoleMember {
			t.Errorf("%s is not for any role", p)
		}
		if said[string(p)] != want {
			t.Errorf("docs/access.md says %q of %s, it is %q", said[string(p)], p, want)
		}
		delete(said, string(p))
	}
	if len(said) > 0 {
		t.Errorf("docs/access.md has permissions that do not exist: %v", said)
	}
}
