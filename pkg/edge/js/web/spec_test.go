//go:build linux

package web_test

import (
	"testing"

	"github.com/pandabox/pandabox/pkg/edge/js/jstest"
)

// section is a part of a specification: what its script returns, as JSON.
type section struct{ name, source, want string }

// throwing is put before each script: name(f) is the name of what f throws, "nothing" where it does not; of promises as
// well.
const throwing = `
const name = (f) => {
  try {
    const v = f();
    return v instanceof Promise ? v.then(() => "nothing", (e) => e.name) : "nothing";
  } catch (e) { return e.name; }
};
`

func check(t *testing.T, sections []section) {
	t.Helper()
	e := engine(t)
	for _, s := range sections {
		t.Run(s.name, func(t *testing.T) {
			got, printed := jstest.Run(t, e, throwing+s.source)
			if got != s.want {
				t.Errorf("got  %s\nwant %s", got, s.want)
			}
			for _, l := range printed {
				t.Log(l.Text)
			}
		})
	}
}
