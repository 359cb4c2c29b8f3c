package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/pandabox/pandabox/pkg/model"
)

// describe makes of any error the three lines a person reads.
func describe(err error) *model.Error {
	var e *model.Error
	switch {
	case errors.As(err, &e):
		if e.Why == "" && e.Err != nil {
			e = e.WithWhy("%s", e.Err)
		}
		return e
	case errors.Is(err, context.Canceled):
		return model.Errorf(model.KindCanceled, "interrupted")
	case errors.Is(err, context.DeadlineExceeded):
		return model.Errorf(model.KindTimeout, "this took too long")
	}
	return model.Errorf(model.KindInternal, "%s", err)
}

// writeError prints err as "error: what", why, and "try: what to do now".
func writeError(w io.Writer, s style, asJSON bool, err error) {
	e := describe(err)
	if asJSON {
		if b, err := json.Marshal(map[string]*model.Error{"error": e}); err == nil {
			_, _ = fmt.Fprintf(w, "%s\n", b)
			return
		}
	}
	line := func(prefix, text string) {
		for i, l := range strings.Split(strings.TrimSpace(text), "\n") {
			if i > 0 {
				prefix = "  "
			}
			_, _ = fmt.Fprintf(w, "%s%s\n", prefix, printable(l))
		}
	}
	line(s.bad("error:")+" ", e.What)
	if e.Why != "" {
		line("  ", e.Why)
	}
	if e.Hint != "" {
		line("  try: ", e.Hint)
	}
}
