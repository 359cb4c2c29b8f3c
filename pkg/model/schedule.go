package model

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Bounds of "@every".
const (
	MinEvery = time.Second
	MaxEvery = 366 * 24 * time.Hour
)

// ScheduleError is a fault in one field of a schedule. It is wrapped by the *Error that CheckSchedule returns.
type ScheduleError struct {
	Field    string // "minute"
	Value    string // as written: "61", "5-1"
	Min, Max int    // what the field may be
}

// Error says which field is wrong.
func (e *ScheduleError) Error() string {
	return fmt.Sprintf("%q in the field %s; it goes from %d to %d", e.Value, e.Field, e.Min, e.Max)
}

// scheduleField is what one field of a cron expression may be.
type scheduleField struct {
	name     string
	min, max int
	names    []string // of min, min+1 …
}

func scheduleFields() []scheduleField {
	return []scheduleField{
		{name: "second", max: 59},
		{name: "minute", max: 59},
		{name: "hour", max: 23},
		{name: "day of the month", min: 1, max: 31},
		{name: "month", min: 1, max: 12, names: []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
		{name: "day of the week", max: 7, names: []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
	}
}

// CheckSchedule refuses a schedule that cannot be read or never comes, and returns it in its plain form: five or six
// fields of numbers, Sunday as 0, or "@every" with a duration.
func CheckSchedule(s string) (string, error) {
	words := strings.Fields(s)
	switch {
	case len(words) == 0:
		return "", Invalid("the schedule is empty").WithHint(`write five fields: "0 3 * * *" is at 03:00 every day; or "@daily", "@every 10m"`)
	case strings.HasPrefix(words[0], "@"):
		return checkDescriptor(words)
	case strings.Contains(words[0], "="):
		return "", Invalid("the schedule begins with %q", words[0]).WithHint(`leave it out and say the time zone beside it: timezone = "Europe/Berlin", --tz Europe/Berlin`)
	case len(words) != 5 && len(words) != 6:
		return "", Invalid("the schedule %q has %d fields, it needs 5 or 6", s, len(words)).
			WithHint("minute, hour, day of the month, month, day of the week; seconds come first where there are 6")
	}
	fields := scheduleFields()
	fields = fields[len(fields)-len(words):]
	sets := make([]uint64, len(words))
	for i, f := range fields {
		plain, set, err := f.read(words[i])
		if err != nil {
			return "", err
		}
		words[i], sets[i] = plain, set
	}
	if n := len(words); words[n-1] == "*" && !possibleDay(sets[n-3], sets[n-2]) {
		return "", Invalid("the schedule %q never comes", s).WithWhy("no such day is in those months").WithHint("correct the day of the month, the third field from the end")
	}
	return strings.Join(words, " "), nil
}

// possibleDay tells whether any of the months has any of the days.
func possibleDay(days, months uint64) bool {
	for m := 1; m <= 12; m++ {
		last := time.Date(2024, time.Month(m+1), 0, 0, 0, 0, 0, time.UTC).Day() // a leap year
		if months&(1<<m) != 0 && days&(1<<(last+1)-1) != 0 {
			return true
		}
	}
	return false
}

func checkDescriptor(words []string) (string, error) {
	if words[0] == "@every" {
		return checkEvery(strings.Join(words[1:], " "))
	}
	known := map[string]string{
		"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
		"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
	}
	plain, ok := known[strings.ToLower(words[0])]
	switch {
	case words[0] == "@reboot":
		return "", Invalid("@reboot is not a schedule here").WithWhy("an app does not boot").
			WithHint("what should run at each deploy is the process release; what should always run is a process of its own")
	case !ok:
		return "", Invalid("%q is not a schedule", words[0]).WithHint("there are @hourly, @daily, @weekly, @monthly, @yearly and @every 10m")
	case len(words) > 1:
		return "", Invalid("%q says more than %s", strings.Join(words, " "), words[0]).WithHint("leave out what follows it, or write five fields")
	}
	return plain, nil
}

func checkEvery(text string) (string, error) {
	d, err := time.ParseDuration(text)
	switch {
	case text == "":
		return "", Invalid("@every does not say how often").WithHint("write @every 10m, @every 90s, @every 12h")
	case err != nil:
		return "", Invalid("@every %s: %q is not a length of time", text, text).WithHint("write it with s, m and h: @every 10m, @every 1h30m; a day is 24h")
	case d < MinEvery || d > MaxEvery || d%time.Second != 0:
		return "", Invalid("@every %s is not possible", text).WithHint("choose whole seconds, %s to %s", Duration(MinEvery), Duration(MaxEvery))
	}
	return "@every " + d.String(), nil
}

// read checks one field and returns its plain form and the set of its values, one bit each.
func (f scheduleField) read(text string) (string, uint64, error) {
	var plain []string
	var set uint64
	for item := range strings.SplitSeq(text, ",") {
		parts, bits, err := f.item(item)
		if err != nil {
			return "", 0, err
		}
		plain, set = append(plain, parts...), set|bits
	}
	return strings.Join(plain, ","), set, nil
}

// item reads "*", "5", "1-5", "*/10", "10-50/20", "mon-fri".
func (f scheduleField) item(item string) (plain []string, set uint64, err error) {
	span, stepText, stepped := strings.Cut(item, "/")
	step := 1
	if stepped {
		if step, err = strconv.Atoi(stepText); err != nil || step < 1 || step > f.max {
			return nil, 0, f.wrong(item, fmt.Sprintf("behind / stands how many to go on by, 1 to %d: */15", f.max))
		}
	}
	lo, hi, all := f.min, f.top(), span == "*" || span == "?"
	if !all {
		first, last, ranged := strings.Cut(span, "-")
		if lo, err = f.value(first, item); err != nil {
			return nil, 0, err
		}
		switch {
		case ranged:
			if hi, err = f.value(last, item); err != nil {
				return nil, 0, err
			}
		case !stepped:
			hi = lo
		}
		if lo > hi {
			return nil, 0, f.wrong(item, fmt.Sprintf("the first is behind the last; write %d-%d,%d-%d", lo, f.top(), f.min, hi))
		}
	}
	for v := lo; v <= hi; v += step {
		set |= 1 << (v % (f.top() + 1)) // 7 is Sunday too
	}
	switch sunday := f.max == 7 && hi == 7; {
	case all && stepped:
		return []string{"*/" + strconv.Itoa(step)}, set, nil
	case all:
		return []string{"*"}, set, nil
	case sunday:
		for v := range 7 {
			if set&(1<<v) != 0 {
				plain = append(plain, strconv.Itoa(v))
			}
		}
		return plain, set, nil
	case lo == hi:
		return []string{strconv.Itoa(lo)}, set, nil
	case stepped:
		return []string{fmt.Sprintf("%d-%d/%d", lo, hi, step)}, set, nil
	}
	return []string{fmt.Sprintf("%d-%d", lo, hi)}, set, nil
}

// top is the greatest value that is not another name of the least.
func (f scheduleField) top() int {
	if f.max == 7 {
		return 6
	}
	return f.max
}

func (f scheduleField) value(text, item string) (int, error) {
	for i, name := range f.names {
		if strings.EqualFold(text, name) {
			return f.min + i, nil
		}
	}
	if strings.Trim(text, "0123456789") != "" || text == "" {
		hint := fmt.Sprintf("write a number from %d to %d, *, a list 1,2, a range 1-5 or a step */5", f.min, f.max)
		if len(f.names) > 0 {
			hint += fmt.Sprintf("; or %s to %s", f.names[0], f.names[len(f.names)-1])
		}
		if strings.ContainsAny(item, "LW#") {
			hint = "L, W and # are not known here; " + hint
		}
		return 0, f.wrong(item, hint)
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < f.min || n > f.max {
		return 0, f.wrong(item, fmt.Sprintf("choose %d to %d", f.min, f.max))
	}
	return n, nil
}

func (f scheduleField) wrong(item, hint string) *Error {
	return Invalid("%q cannot be the %s of a schedule", item, f.name).WithWhy("it goes from %d to %d", f.min, f.max).
		WithHint("%s", hint).Wrap(&ScheduleError{Field: f.name, Value: item, Min: f.min, Max: f.max})
}
