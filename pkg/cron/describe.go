package cron

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Describe says in words when the schedule is due: "at 03:00 on Monday to Friday". It does not name the time zone.
func (s Schedule) Describe() string {
	if s.spec == nil {
		return "every " + one(words(s.every))
	}
	f := strings.Fields(s.plain)
	if len(f) == 5 {
		f = append([]string{"0"}, f...)
	}
	text := clockWords(f[0], f[1], f[2])
	days := dayWords(f[3], f[4], f[5])
	if days == "" && fixedClock(f) {
		days = "every day"
	}
	if days == "" {
		return text
	}
	return text + " " + days
}

func fixedClock(f []string) bool { return !strings.Contains(f[2], "*") }

// clockWords says the time of day.
func clockWords(sec, mi, h string) string {
	if times := times(sec, mi, h); len(times) > 0 {
		return "at " + list(times)
	}
	var parts []string
	switch {
	case sec == "*" && mi == "*":
		parts = append(parts, "every second")
	case sec == "*":
		parts = append(parts, "every second of "+unit(mi, "minute"))
	case isStep(sec) && mi == "*":
		parts = append(parts, "every "+sec[2:]+" seconds")
	case sec != "0":
		parts = append(parts, "at "+unit(sec, "second"))
		if mi != "*" {
			parts = append(parts, "of "+unit(mi, "minute"))
		} else {
			parts = append(parts, "of every minute")
		}
	case mi == "*":
		parts = append(parts, "every minute")
	case isStep(mi):
		parts = append(parts, "every "+mi[2:]+" minutes")
	default:
		parts = append(parts, "at "+unit(mi, "minute"))
	}
	switch {
	case h == "*" && (mi == "*" || isStep(mi)):
	case h == "*":
		parts = append(parts, "of every hour")
	case isStep(h):
		parts = append(parts, "of every "+ordinal(h[2:])+" hour")
	default:
		parts = append(parts, "of "+unit(h, "hour"))
	}
	return strings.Join(parts, " ")
}

// times returns up to eight times of day where hour, minute and second are lists of numbers.
func times(sec, mi, h string) []string {
	var out []string
	for _, hour := range strings.Split(h, ",") {
		for _, minute := range strings.Split(mi, ",") {
			for _, second := range strings.Split(sec, ",") {
				a, errA := strconv.Atoi(hour)
				b, errB := strconv.Atoi(minute)
				c, errC := strconv.Atoi(second)
				if errA != nil || errB != nil || errC != nil || len(out) == 8 {
					return nil
				}
				text := fmt.Sprintf("%02d:%02d", a, b)
				if sec != "0" {
					text += fmt.Sprintf(":%02d", c)
				}
				out = append(out, text)
			}
		}
	}
	return out
}

func dayWords(dom, month, dow string) string {
	var parts []string
	week := named(dow, weekday)
	switch {
	case dom != "*" && dow != "*" && !isStep(dom) && !isStep(dow):
		parts = append(parts, "on "+unit(dom, "day")+" of the month and on "+week)
	default:
		switch {
		case isStep(dom):
			parts = append(parts, "on every "+ordinal(dom[2:])+" day of the month")
		case dom != "*":
			parts = append(parts, "on "+unit(dom, "day")+" of the month")
		}
		switch {
		case isStep(dow):
			parts = append(parts, "on every "+ordinal(dow[2:])+" day of the week")
		case dow != "*":
			parts = append(parts, "on "+week)
		}
	}
	switch {
	case isStep(month):
		parts = append(parts, "in every "+ordinal(month[2:])+" month")
	case month != "*":
		parts = append(parts, "in "+named(month, func(n int) string { return time.Month(n).String() }))
	}
	return strings.Join(parts, " ")
}

func isStep(field string) bool { return strings.HasPrefix(field, "*/") }

// unit says a field of numbers: "minute 5", "minutes 0 and 30", "hours 9 to 17".
func unit(field, noun string) string {
	if field == "*" {
		return "every " + noun
	}
	if isStep(field) {
		return "every " + ordinal(field[2:]) + " " + noun
	}
	text := named(field, strconv.Itoa)
	if strings.Trim(field, "0123456789") != "" {
		noun += "s"
	}
	return noun + " " + text
}

// named says a list of numbers and ranges, each number by its name.
func named(field string, name func(int) string) string {
	var out []string
	for _, item := range strings.Split(field, ",") {
		span, step, stepped := strings.Cut(item, "/")
		lo, hi, ranged := strings.Cut(span, "-")
		text := numberName(lo, name)
		if ranged {
			text += " to " + numberName(hi, name)
		}
		if stepped {
			text += " by " + step
		}
		out = append(out, text)
	}
	return list(out)
}

func numberName(text string, name func(int) string) string {
	n, err := strconv.Atoi(text)
	if err != nil {
		return text
	}
	return name(n)
}

func weekday(n int) string { return time.Weekday(n).String() }

// list joins with commas and "and".
func list(items []string) string {
	if len(items) < 2 {
		return strings.Join(items, "")
	}
	return strings.Join(items[:len(items)-1], ", ") + " and " + items[len(items)-1]
}

func ordinal(n string) string {
	switch {
	case n == "1":
		return "single"
	case strings.HasSuffix(n, "11"), strings.HasSuffix(n, "12"), strings.HasSuffix(n, "13"):
		return n + "th"
	case strings.HasSuffix(n, "1"):
		return n + "st"
	case strings.HasSuffix(n, "2"):
		return n + "nd"
	case strings.HasSuffix(n, "3"):
		return n + "rd"
	}
	return n + "th"
}

// one leaves the 1 out where it is all there is: "1 hour" is "hour".
func one(text string) string {
	if bare, ok := strings.CutPrefix(text, "1 "); ok && !strings.Contains(bare, " ") {
		return bare
	}
	return text
}

// words says a length of time: "10 minutes", "1 hour 30 minutes".
func words(d time.Duration) string {
	var out []string
	for _, u := range []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		n := int(d / u.of)
		if d -= time.Duration(n) * u.of; n == 0 {
			continue
		}
		text := strconv.Itoa(n) + " " + u.name
		if n > 1 {
			text += "s"
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}
