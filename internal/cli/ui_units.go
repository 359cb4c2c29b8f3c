package cli

import (
	"fmt"
	"strconv"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// size writes an amount of bytes as people do: "1.2 MB". MB is 1024 × 1024 bytes, as in pandabox.toml.
func size(n int64) string {
	if n < 1<<10 {
		return strconv.FormatInt(n, 10) + " B"
	}
	v, unit := float64(n)/(1<<10), 0
	for v >= 1023.95 && unit < 3 {
		v, unit = v/(1<<10), unit+1
	}
	text := strconv.FormatFloat(v, 'f', 1, 64)
	if v >= 10 {
		text = strconv.FormatFloat(v, 'f', 0, 64)
	}
	return text + " " + []string{"KB", "MB", "GB", "TB"}[unit]
}

// seconds writes how long a step took: "0.4 s", "2 min 5 s".
func seconds(d time.Duration) string {
	switch {
	case d < 0:
		return "0.0 s"
	case d < time.Minute-50*time.Millisecond:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		d = d.Round(time.Second)
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
}

// ago writes how long before now a time was: "3 min ago".
func ago(now, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	if d := now.Sub(t); d < -time.Second {
		return "in " + span(-d)
	} else if d >= time.Second {
		return span(d) + " ago"
	}
	return "just now"
}

// span writes a length of time in its greatest unit.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
}

// cores writes a share of cores: "0.5".
func cores(milli int) string {
	if milli == 0 {
		return "-"
	}
	return strconv.FormatFloat(float64(milli)/1000, 'g', -1, 64)
}

// number writes a release as people name it; 0 is none.
func number(release int) string {
	if release == 0 {
		return "-"
	}
	return "v" + strconv.Itoa(release)
}

// count writes "1 app", "2 apps".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// words writes a state with spaces: "rolled back".
func words(s model.DeployState) string {
	if s == model.DeployRolledBack {
		return "rolled back"
	}
	return string(s)
}

func pct(n int) string { return strconv.Itoa(n) + "%" }
