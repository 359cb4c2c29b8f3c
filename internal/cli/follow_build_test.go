package cli

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/model"
)

// buildEnded is a deploy that ended in a phase.
func buildEnded(s model.DeployState, phase model.DeployState, what string) api.Deploy {
	d := api.Deploy{Deploy: model.Deploy{State: s, Phases: []model.Phase{{State: phase}}}}
	if what != "" {
		d.Error = model.Invalid("%s", what)
	}
	return d
}

func TestTheEndOfAFailingStepIsShown(t *testing.T) {
	const failed = "the build failed at: RUN make"
	for name, c := range map[string]struct {
		whole  bool
		ended  api.Deploy
		lines  []model.BuildLine
		shown  []string
		hidden []string
	}{
		"the step that is named": {
			ended: buildEnded(model.DeployFailed, model.DeployBuilding, failed),
			lines: []model.BuildLine{{Step: "[a 2/2]", Text: "RUN make"}, {Step: "[a 2/2]", Text: "no rule"}, {Step: "[b 1/1]", Text: "FROM scratch"}},
			shown: []string{"    RUN make\n    no rule\n"}, hidden: []string{"FROM"},
		},
		"the newest, where none is": {
			ended: buildEnded(model.DeployFailed, model.DeployBuilding, "the build took longer than 30m0s"),
			lines: []model.BuildLine{{Step: "[1/2]", Text: "FROM scratch"}, {Step: "[2/2]", Text: "RUN sleep 1h"}},
			shown: []string{"    RUN sleep 1h\n"}, hidden: []string{"FROM"},
		},
		"nothing that steers the terminal": {
			ended: buildEnded(model.DeployFailed, model.DeployBuilding, failed),
			lines: []model.BuildLine{{Step: "[1/1]", Text: "RUN make"}, {Step: "[1/1]", Text: "\x1b[31mred\x1b[0m \x1b]0;title\a"}},
			shown: []string{"\x1b[31mred\x1b[0m"}, hidden: []string{"\x1b]", "\a"},
		},
		"not twice": {
			whole: true, ended: buildEnded(model.DeployFailed, model.DeployBuilding, failed),
			lines: []model.BuildLine{{Step: "[1/1]", Text: "RUN make"}}, hidden: []string{"    RUN make"},
		},
		"not of a build that succeeded": {
			ended: buildEnded(model.DeployRolledBack, model.DeployStarting, "web exited"),
			lines: []model.BuildLine{{Step: "[1/1]", Text: "RUN make"}}, hidden: []string{"RUN make"},
		},
	} {
		var b bytes.Buffer
		o := &output{out: &b, err: &b}
		v := buildView{p: o.progress(), whole: c.whole}
		for _, l := range c.lines {
			if err := v.line(l); err != nil {
				t.Fatal(err)
			}
		}
		v.failed(o, c.ended)
		v.Close()
		v.p.Close()
		for _, want := range c.shown {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s: %q is not shown of %q", name, want, b.String())
			}
		}
		for _, no := range c.hidden {
			if strings.Contains(b.String(), no) {
				t.Errorf("%s: %q is shown of %q", name, no, b.String())
			}
		}
	}
}

func TestOnlyTheEndOfAStepIsKept(t *testing.T) {
	var b bytes.Buffer
	o := &output{out: &b, err: &b}
	v := buildView{p: o.progress()}
	defer v.p.Close()
	for i := range 3 * lastLines {
		if err := v.line(model.BuildLine{Step: "[1/1]", Text: fmt.Sprintf("line %d.", i)}); err != nil {
			t.Fatal(err)
		}
	}
	v.failed(o, buildEnded(model.DeployFailed, model.DeployBuilding, "the build failed at: RUN x"))
	if n := strings.Count(b.String(), "\n"); n != lastLines || !strings.Contains(b.String(), "line 89.") || strings.Contains(b.String(), "line 59.") {
		t.Errorf("%d lines:\n%s", n, b.String())
	}
}

func TestStripped(t *testing.T) {
	for text, want := range map[string]string{"plain": "plain", "\x1b[1;31mred\x1b[0m end": "red end", "": "", "a\x1b[2Jb": "a\x1b[2Jb"} {
		if got := stripped(text); got != want {
			t.Errorf("stripped(%q) = %q, want %q", text, got, want)
		}
	}
}
