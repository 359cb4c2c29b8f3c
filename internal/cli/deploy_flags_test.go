package cli

import (
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

func TestBuildFlagsOverTheFile(t *testing.T) {
	dir := t.TempDir()
	sh := &shell{dir: filepath.Join(dir, "deploy")}
	file := model.BuildSpec{Dockerfile: "Dockerfile", Target: "run", Args: map[string]string{"A": "1", "B": "2"}, Secrets: []string{"TOKEN"}}
	b := building{dockerfile: "Dockerfile.dev", args: []string{"B=3", "C=x=y", "D="}, secrets: []string{"TOKEN", "KEY"}, noCache: true}
	got, err := b.over(sh, dir, file)
	if err != nil {
		t.Fatal(err)
	}
	if got.Dockerfile != "deploy/Dockerfile.dev" || got.Target != "run" || !got.NoCache || !slices.Equal(got.Secrets, []string{"TOKEN", "KEY"}) ||
		!maps.Equal(got.Args, map[string]string{"A": "1", "B": "3", "C": "x=y", "D": ""}) {
		t.Errorf("got %+v", got)
	}
	if len(file.Args) != 2 || len(file.Secrets) != 1 {
		t.Errorf("the file's own settings were changed: %+v", file)
	}
	if same, err := (&building{}).over(sh, dir, file); err != nil || same.Dockerfile != "Dockerfile" || !maps.Equal(same.Args, file.Args) {
		t.Errorf("without flags: %+v, %v", same, err)
	}
	for name, b := range map[string]building{
		"no value": {args: []string{"A"}}, "no name": {args: []string{"=1"}}, "a name that is none": {secrets: []string{"a b"}},
		"outside": {dockerfile: "../../Dockerfile"}, "elsewhere": {dockerfile: "/etc/passwd"},
	} {
		if _, err := b.over(sh, dir, file); model.KindOf(err) != model.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBar(t *testing.T) {
	for want, c := range map[string][2]int64{
		"░░░░░░░░░░ 0%": {0, 100}, "██████░░░░ 68%": {68, 100}, "██████████ 100%": {100, 100}, "█████████░ 99%": {999, 1000},
	} {
		if got := bar(c[0], c[1]); got != want {
			t.Errorf("bar(%d, %d) = %q, want %q", c[0], c[1], got, want)
		}
	}
	if got := bar(0, 0); got != "██████████ 100%" {
		t.Errorf("of empty files: %q", got)
	}
	if got := bar(7, 5); got != "██████████ 100%" {
		t.Errorf("of files that grew: %q", got)
	}
}
