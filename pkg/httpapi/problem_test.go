package httpapi

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/pandabox/pandabox/pkg/api"
)

// problemOf reads an answer that must be a Problem.
func problemOf(t *testing.T, res *http.Response) api.Problem {
	t.Helper()
	if got := res.Header.Get("Content-Type"); got != api.ProblemType {
		t.Errorf("the content type of a problem is %q", got)
	}
	var p api.Problem
	if err := json.NewDecoder(res.Body).Decode(&p); err != nil {
		t.Fatal(err)
	}
	return p
}
