//go:build linux

package build

import "testing"

func TestStageOf(t *testing.T) {
	const text = "ARG V=1\nFROM debian:$V AS build\nRUN <<EOF\nFROM nothing AS trap\nEOF\nFROM scratch\nCOPY --from=build /a /\nfrom scratch as Last\n"
	for target, want := range map[string]int{"": 2, "build": 0, "last": 2, "1": 1} {
		if got, err := stageOf(text, target); err != nil || got != want {
			t.Errorf("the stage %q is %d, %v, want %d", target, got, err, want)
		}
	}
	for text, target := range map[string]string{"FROM scratch\n": "none", "RUN x\n": "", "FROM\n": "", "": ""} {
		if got, err := stageOf(text, target); err == nil {
			t.Errorf("%q has the stage %q: %d", text, target, got)
		}
	}
}
