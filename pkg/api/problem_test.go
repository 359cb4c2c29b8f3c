package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

func TestProblemTellsWhatThePersonNeedsAndNoMore(t *testing.T) {
	secret := errors.New("open /var/lib/pandabox/keys: secret")
	err := fmt.Errorf("deploying: %w", model.Conflict("shop is there").WithWhy("made yesterday").WithHint("choose another").Wrap(secret))
	b, merr := json.Marshal(NewProblem(err))
	if merr != nil {
		t.Fatal(merr)
	}
	want := `{"type":"about:blank","title":"shop is there","status":409,"detail":"made yesterday","hint":"choose another","kind":"conflict"}`
	if string(b) != want {
		t.Errorf("got %s", b)
	}
	var p Problem
	if err := json.Unmarshal(b, &p); err != nil {
		t.Fatal(err)
	}
	if e := p.Err(); e.Kind != model.KindConflict || e.What != "shop is there" || e.Why != "made yesterday" || e.Hint != "choose another" {
		t.Errorf("got %+v", e)
	}
	if p := NewProblem(secret); p.Status != http.StatusInternalServerError || strings.Contains(fmt.Sprint(p), "secret") {
		t.Errorf("an unknown error is told as %+v", p)
	}
}

func TestStatusAndKindAgree(t *testing.T) {
	for _, k := range []model.Kind{
		model.KindInvalid, model.KindUnauthenticated, model.KindForbidden, model.KindNotFound, model.KindConflict, model.KindTooLarge,
		model.KindRateLimited, model.KindUnavailable, model.KindNoSpace, model.KindTimeout, model.KindInternal,
	} {
		if got := KindOf(Status(k)); got != k {
			t.Errorf("%s becomes %d becomes %s", k, Status(k), got)
		}
	}
	if Status("a later kind") != http.StatusInternalServerError || KindOf(http.StatusTeapot) != model.KindInvalid {
		t.Error("what is not known is not the caller's or the box's fault as it should be")
	}
}
