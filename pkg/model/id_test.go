package model

import (
	"testing"
	"time"
)

func TestIDsSortByAgeAndTellIt(t *testing.T) {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	last := ""
	for range 1000 {
		id := NewID("deploy", at)
		if !TimeOfID(id).Equal(at) {
			t.Fatalf("%s tells %v, want %v", id, TimeOfID(id), at)
		}
		if id <= last {
			t.Fatalf("%s sorts before %s, which is older", id, last)
		}
		last, at = id, at.Add(time.Millisecond)
	}
	for _, odd := range []string{"", "deploy", "deploy-", "deploy-xyz", "-0000000000000000000i"} {
		if got := TimeOfID(odd); !got.IsZero() {
			t.Errorf("%q tells %v", odd, got)
		}
	}
}
