package cli

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/model"
)

// defaultTail is how many lines of the log are shown where nothing is asked for.
const defaultTail = 100

func (sh *shell) logs() *cobra.Command {
	q := api.LogQuery{}
	var since, release string
	var build bool
	cmd := &cobra.Command{
		Use: "logs", Short: "What an app printed",
		Example: `  pandabox logs -f
  pandabox logs --build
  pandabox logs --since 1h --process worker
  pandabox logs --release v7 --tail -1`,
		Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if since != "" {
				if q.Since, err = parseSince(since, time.Now()); err != nil {
					return err
				}
				if !cmd.Flags().Changed("tail") {
					q.Tail = -1
				}
			}
			if release != "" {
				if q.Release, err = parseRelease(release); err != nil {
					return err
				}
			}
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			if build {
				return sh.buildLog(cmd.Context(), c, ref, "", q.Follow)
			}
			err = c.Logs(cmd.Context(), ref, q, sh.printer())
			if q.Follow && interrupted(cmd.Context(), err) {
				return &exitError{code: ExitInterrupted}
			}
			return err
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&q.Follow, "follow", "f", false, "go on as lines are written")
	f.IntVarP(&q.Tail, "tail", "n", defaultTail, "only the last lines; -1 for all that are kept")
	f.StringVar(&since, "since", "", "only lines since: 10m, 2h, or a time like 2026-01-02T15:04:05Z")
	f.StringVarP(&q.Process, "process", "p", "", "only this process")
	f.StringVar(&release, "release", "", "only this release: v7")
	f.BoolVar(&build, "build", false, "what its newest build printed, as pandabox builds log")
	for _, other := range []string{"tail", "since", "process", "release"} {
		cmd.MarkFlagsMutuallyExclusive("build", other)
	}
	complete(cmd, "process", sh.completeProcesses)
	return sh.aboutApp(cmd)
}

// printer writes log lines: time, replica, text.
func (sh *shell) printer() func(model.LogLine) error {
	if sh.json {
		e := json.NewEncoder(sh.out)
		e.SetEscapeHTML(false)
		return func(l model.LogLine) error { return e.Encode(l) }
	}
	s, width := sh.outStyle(), 0
	tty := terminal(sh.out) != nil
	return func(l model.LogLine) error {
		name := l.Process + "." + strconv.Itoa(l.Index)
		width = max(width, len(name))
		at, text := l.At.UTC().Format("2006-01-02T15:04:05.000Z"), l.Text
		if tty {
			at, text = l.At.Local().Format("15:04:05"), defuse(text)
		}
		_, err := fmt.Fprintf(sh.out, "%s %s  %s\n", s.faint(at), s.lane(l.Process, name+strings.Repeat(" ", width-len(name))), text)
		return err
	}
}

// defuse leaves colours in a line of an app's and takes out what would steer the terminal otherwise.
func defuse(text string) string {
	var b strings.Builder
	for text != "" {
		if n := colorCode(text); n > 0 {
			b.WriteString(text[:n])
			text = text[n:]
			continue
		}
		next := strings.IndexByte(text[1:], '\x1b') + 1
		if next == 0 {
			next = len(text)
		}
		b.WriteString(printable(text[:next]))
		text = text[next:]
	}
	return b.String()
}

// colorCode returns the length of the colour sequence text begins with, 0 for none.
func colorCode(text string) int {
	if !strings.HasPrefix(text, "\x1b[") {
		return 0
	}
	for i := 2; i < len(text); i++ {
		switch c := text[i]; {
		case c == 'm':
			return i + 1
		case (c < '0' || c > '9') && c != ';':
			return 0
		}
	}
	return 0
}

func parseSince(s string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return now.Add(-d), nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	for _, form := range []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(form, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, model.Invalid("%q is no time", s).WithHint("write 10m, 2h, 3d, or 2026-01-02T15:04:05Z")
}

// parseRelease reads "v7" or "7".
func parseRelease(s string) (int, error) {
	n, err := strconv.Atoi(strings.TrimPrefix(s, "v"))
	if err != nil || n < 1 {
		return 0, model.Invalid("%q is no release", s).WithHint("write v7; see them with pandabox releases")
	}
	return n, nil
}
