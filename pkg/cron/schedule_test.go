package cron

import (
	"errors"
	"fmt"
	"testing"
	"time"

	robfig "github.com/robfig/cron/v3"
	"pgregory.net/rapid"

	"github.com/pandabox/pandabox/pkg/model"
)

func parse(t interface{ Fatalf(string, ...any) }, schedule, tz string) Schedule {
	s, err := Parse(schedule, tz)
	if err != nil {
		t.Fatalf("%q: %v", schedule, err)
	}
	return s
}

// TestDaylightSaving checks the hour that is left out, the hour that comes twice and the day that is left out.
func TestDaylightSaving(t *testing.T) {
	for _, tt := range []struct {
		what, schedule, tz, from string
		want                     []string
	}{
		{"left out, by the calendar: right after", "30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00+01:00",
			[]string{"2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"}},
		{"left out, several: once", "*/20 2 * * *", "Europe/Berlin", "2026-03-29T00:00:00+01:00",
			[]string{"2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00", "2026-03-30T02:20:00+02:00"}},
		{"left out, and the moment after is due anyway: once", "0 2,3 * * *", "Europe/Berlin", "2026-03-29T00:00:00+01:00",
			[]string{"2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00", "2026-03-30T03:00:00+02:00"}},
		{"left out, by what passes", "30 * * * *", "Europe/Berlin", "2026-03-29T00:45:00+01:00",
			[]string{"2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00", "2026-03-29T04:30:00+02:00"}},
		{"twice, by the calendar: the first time", "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00+02:00",
			[]string{"2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"}},
		{"twice, asked in the second: not again", "*/30 2 * * *", "Europe/Berlin", "2026-10-25T02:10:00+01:00",
			[]string{"2026-10-26T02:00:00+01:00"}},
		{"twice, by what passes: both", "30 * * * *", "Europe/Berlin", "2026-10-25T01:00:00+02:00",
			[]string{"2026-10-25T01:30:00+02:00", "2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-25T03:30:00+01:00"}},
		{"the end of the hour that comes twice", "0 3 * * *", "Europe/Berlin", "2026-10-25T02:59:59+02:00",
			[]string{"2026-10-25T03:00:00+01:00"}},
		{"New York, left out", "15 2 * * *", "America/New_York", "2026-03-07T12:00:00-05:00",
			[]string{"2026-03-08T03:00:00-04:00", "2026-03-09T02:15:00-04:00"}},
		{"New York, twice", "15 1 * * *", "America/New_York", "2026-11-01T00:00:00-04:00",
			[]string{"2026-11-01T01:15:00-04:00", "2026-11-02T01:15:00-05:00"}},
		{"New York, every minute", "* * * * *", "America/New_York", "2026-03-08T01:58:30-05:00",
			[]string{"2026-03-08T01:59:00-05:00", "2026-03-08T03:00:00-04:00"}},
		{"half an hour left out", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00+10:30",
			[]string{"2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"}},
		{"half an hour left out, and not touched", "45 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00+10:30",
			[]string{"2026-10-04T02:45:00+11:00"}},
		{"half an hour twice", "45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00+11:00",
			[]string{"2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"}},
		{"half an hour twice, by what passes", "*/15 * * * *", "Australia/Lord_Howe", "2026-04-05T01:40:00+11:00",
			[]string{"2026-04-05T01:45:00+11:00", "2026-04-05T01:30:00+10:30", "2026-04-05T01:45:00+10:30", "2026-04-05T02:00:00+10:30"}},
		{"a day left out", "0 12 * * *", "Pacific/Apia", "2011-12-29T00:00:00-10:00",
			[]string{"2011-12-29T12:00:00-10:00", "2011-12-31T00:00:00+14:00", "2011-12-31T12:00:00+14:00"}},
		{"a day left out that alone was named", "0 12 30 12 *", "Pacific/Apia", "2011-06-01T00:00:00-11:00",
			[]string{"2011-12-31T00:00:00+14:00", "2012-12-30T12:00:00+14:00"}},
		{"a day left out, by what passes", "0 * * * *", "Pacific/Apia", "2011-12-29T22:30:00-10:00",
			[]string{"2011-12-29T23:00:00-10:00", "2011-12-31T00:00:00+14:00"}},
		{"midnight left out", "0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00:00-03:00",
			[]string{"2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"}},
		{"midnight twice", "30 23 * * *", "America/Sao_Paulo", "2018-02-17T12:00:00-02:00",
			[]string{"2018-02-17T23:30:00-02:00", "2018-02-18T23:30:00-03:00"}},
		{"29 February", "0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", []string{"2104-02-29T00:00:00Z"}},
		{"either day", "0 0 13 * 5", "UTC", "2026-03-10T00:00:00Z", []string{"2026-03-13T00:00:00Z", "2026-03-20T00:00:00Z"}},
		{"seconds", "*/20 59 23 31 12 *", "UTC", "2026-12-31T23:59:10Z", []string{"2026-12-31T23:59:20Z", "2026-12-31T23:59:40Z", "2027-12-31T23:59:00Z"}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			s := parse(t, tt.schedule, tt.tz)
			at, err := time.Parse(time.RFC3339, tt.from)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range tt.want {
				if at = s.Next(at, at); at.Format(time.RFC3339) != want {
					t.Fatalf("%s is due at %s, want %s", tt.schedule, at.Format(time.RFC3339), want)
				}
			}
		})
	}
}

func TestEveryCountsFromWhereItBegan(t *testing.T) {
	s := parse(t, "@every 10m", "")
	since := time.Date(2026, 1, 1, 0, 3, 0, 0, time.UTC)
	for from, want := range map[time.Duration]time.Duration{-time.Hour: 10 * time.Minute, 0: 10 * time.Minute, 10 * time.Minute: 20 * time.Minute, 25 * time.Minute: 30 * time.Minute} {
		if got := s.Next(since.Add(from), since).Sub(since); got != want {
			t.Errorf("after %s it is due at %s, want %s", from, got, want)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		schedule string
		want     model.ScheduleError // zero: no single field is at fault
	}{
		{"", model.ScheduleError{}}, {"* * *", model.ScheduleError{}}, {"* * * * * * *", model.ScheduleError{}},
		{"60 * * * *", model.ScheduleError{Field: "minute", Value: "60", Max: 59}},
		{"* 24 * * *", model.ScheduleError{Field: "hour", Value: "24", Max: 23}},
		{"* * 0 * *", model.ScheduleError{Field: "day of the month", Value: "0", Min: 1, Max: 31}},
		{"* * * 13 *", model.ScheduleError{Field: "month", Value: "13", Min: 1, Max: 12}},
		{"* * * * 8", model.ScheduleError{Field: "day of the week", Value: "8", Max: 7}},
		{"* * * * fry", model.ScheduleError{Field: "day of the week", Value: "fry", Max: 7}},
		{"*/0 * * * *", model.ScheduleError{Field: "minute", Value: "*/0", Max: 59}},
		{"30-10 * * * *", model.ScheduleError{Field: "minute", Value: "30-10", Max: 59}},
		{"1,,2 * * * *", model.ScheduleError{Field: "minute", Value: "", Max: 59}},
		{"-1 * * * *", model.ScheduleError{Field: "minute", Value: "-1", Max: 59}},
		{"99999999999999999999 * * * *", model.ScheduleError{Field: "minute", Value: "99999999999999999999", Max: 59}},
		{"* * L * *", model.ScheduleError{Field: "day of the month", Value: "L", Min: 1, Max: 31}},
		{"60 * * * * *", model.ScheduleError{Field: "second", Value: "60", Max: 59}},
		{"0 0 30 2 *", model.ScheduleError{}}, {"0 0 31 4,6,9,11 *", model.ScheduleError{}},
		{"@reboot", model.ScheduleError{}}, {"@often", model.ScheduleError{}}, {"@every", model.ScheduleError{}}, {"@every 0s", model.ScheduleError{}},
		{"@every 1ms", model.ScheduleError{}}, {"@every -5m", model.ScheduleError{}}, {"@every 1500ms", model.ScheduleError{}}, {"@daily 5", model.ScheduleError{}},
		{"TZ=UTC * * * * *", model.ScheduleError{}}, {"CRON_TZ=UTC * * * * *", model.ScheduleError{}},
	} {
		_, err := Parse(tt.schedule, "")
		var m *model.Error
		if !errors.As(err, &m) || m.Kind != model.KindInvalid || m.Hint == "" {
			t.Errorf("%q: %+v", tt.schedule, err)
			continue
		}
		var at *model.ScheduleError
		if errors.As(err, &at) != (tt.want.Field != "") || at != nil && *at != tt.want {
			t.Errorf("%q: the fault is %+v, want %+v", tt.schedule, at, tt.want)
		}
	}
	for _, tz := range []string{"Mars/Base", "Local", "../etc/passwd", "europe"} {
		if _, err := Parse("* * * * *", tz); model.KindOf(err) != model.KindInvalid {
			t.Errorf("time zone %q: %v", tz, err)
		}
	}
}

func TestDescribe(t *testing.T) {
	for schedule, want := range map[string]string{
		"0 3 * * 1-5":       "at 03:00 on Monday to Friday",
		"0 3 * * *":         "at 03:00 every day",
		"* * * * *":         "every minute",
		"*/15 * * * *":      "every 15 minutes",
		"30 * * * *":        "at minute 30 of every hour",
		"0 */2 * * *":       "at minute 0 of every 2nd hour",
		"0,30 9-17 * * *":   "at minutes 0 and 30 of hours 9 to 17 every day",
		"0 9,18 * * MON":    "at 09:00 and 18:00 on Monday",
		"0 0 1 1,7 *":       "at 00:00 on day 1 of the month in January and July",
		"0 0 13 * 5":        "at 00:00 on day 13 of the month and on Friday",
		"* * * * * *":       "every second",
		"*/10 * * * * *":    "every 10 seconds",
		"15 30 2 * * *":     "at 02:30:15 every day",
		"0 22 * * 5-7":      "at 22:00 on Sunday, Friday and Saturday",
		"@weekly":           "at 00:00 on Sunday",
		"@every 90m":        "every 1 hour 30 minutes",
		"@every 10s":        "every 10 seconds",
		"@every 1h":         "every hour",
		"5 4 */10 * *":      "at 04:05 on every 10th day of the month",
		"0 12 * */3 *":      "at 12:00 in every 3rd month",
		"10-50/20 * * * *":  "at minutes 10 to 50 by 20 of every hour",
		"30 * * * * *":      "at second 30 of every minute",
		"0 0 12 * * sun":    "at 12:00 on Sunday",
		"  0   3  *  * *  ": "at 03:00 every day",
	} {
		if got := parse(t, schedule, "").Describe(); got != want {
			t.Errorf("%q is %q, want %q", schedule, got, want)
		}
	}
}

// anyField draws a field that is right.
func anyField(t *rapid.T, name string, lo, hi int) string {
	n := func(label string, lo, hi int) int { return rapid.IntRange(lo, hi).Draw(t, name+label) }
	switch n(" form", 0, 5) {
	case 0:
		return fmt.Sprint(n("", lo, hi))
	case 1:
		a := n(" from", lo, hi)
		return fmt.Sprintf("%d-%d", a, n(" to", a, hi))
	case 2:
		return fmt.Sprintf("*/%d", n(" step", 1, max(hi/2, 1)))
	case 3:
		return fmt.Sprintf("%d,%d", n(" a", lo, hi), n(" b", lo, hi))
	}
	return "*"
}

func anySchedule(t *rapid.T) string {
	return fmt.Sprintf("%s %s %s %s %s", anyField(t, "minute", 0, 59), anyField(t, "hour", 0, 23), anyField(t, "day", 1, 28), anyField(t, "month", 1, 12), anyField(t, "weekday", 0, 7))
}

func anyZone(t *rapid.T) string {
	return rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu", "America/Sao_Paulo", "Africa/Casablanca"}).Draw(t, "zone")
}

// anyMoment draws a moment, often one near a change of the zone's clock.
func anyMoment(t *rapid.T, loc *time.Location) time.Time {
	at := time.Unix(rapid.Int64Range(1.2e9, 1.9e9).Draw(t, "moment"), 0).In(loc)
	if _, end := at.ZoneBounds(); !end.IsZero() && rapid.Bool().Draw(t, "near a change") {
		return end.Add(time.Duration(rapid.IntRange(-10_000, 10_000).Draw(t, "seconds from it")) * time.Second)
	}
	return at
}

// TestNextAgainstEveryMinute compares Next with asking each minute whether it is due, by the rule of the package comment.
func TestNextAgainstEveryMinute(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		schedule, zone := anySchedule(t), anyZone(t)
		s := parse(t, schedule, zone)
		from := anyMoment(t, s.Location())
		got := s.Next(from, from)
		if !got.After(from) || !s.Next(got, got).After(got) {
			t.Fatalf("%s after %s is %s", schedule, from, got)
		}
		if again := s.Next(got.Add(-time.Second), from); !again.Equal(got) {
			t.Fatalf("one second before %s, the next is %s", got, again)
		}
		at := from.Truncate(time.Minute).Add(time.Minute)
		for range 3 * 24 * 60 {
			if s.dueAt(at) {
				break
			}
			at = at.Add(time.Minute)
		}
		if want := at; s.dueAt(at) && !got.Equal(want) || !s.dueAt(at) && got.Before(at) {
			t.Fatalf("%s after %s is %s, by the minute %s", schedule, from.Format(time.RFC3339), got.Format(time.RFC3339), want.In(s.loc).Format(time.RFC3339))
		}
	})
}

// dueAt tells whether a minute is due, from what a clock on the wall shows then and showed before.
func (s Schedule) dueAt(at time.Time) bool {
	at = at.In(s.loc)
	shows := func(t time.Time) bool {
		return has(s.spec.Minute, t.Minute()) && has(s.spec.Hour, t.Hour()) && has(s.spec.Month, int(t.Month())) && s.day(t.Year(), t.Month(), t.Day())
	}
	_, now := at.Zone()
	before := at.Add(-time.Second)
	_, then := before.Zone()
	if s.steps {
		return shows(at)
	}
	if shows(at) {
		twice := false
		for m := range 26 * 60 { // did the clock show this before?
			past := at.Add(-time.Duration(m+1) * time.Minute)
			twice = twice || past.Format("2006-01-02 15:04") == at.Format("2006-01-02 15:04")
		}
		return !twice
	}
	for left := then; left < now; left += 60 { // minutes the clock left out
		if shows(at.UTC().Add(time.Duration(left) * time.Second)) {
			return true
		}
	}
	return false
}

// TestLikeRobfig compares Next with robfig/cron's own where no clock changes.
func TestLikeRobfig(t *testing.T) {
	parser := robfig.NewParser(robfig.Minute | robfig.Hour | robfig.Dom | robfig.Month | robfig.Dow)
	rapid.Check(t, func(t *rapid.T) {
		s := parse(t, anySchedule(t), "UTC")
		theirs, err := parser.Parse(s.String())
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		from := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "from"), 0).UTC()
		if ours, want := s.Next(from, from), theirs.Next(from); !ours.Equal(want) {
			t.Fatalf("%q after %s is %s, robfig says %s", s, from, ours, want)
		}
	})
}

// FuzzParse shows that no text makes Parse, Next or Describe fail otherwise than with an error.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"0 3 * * *", "@every 5m", "*/5 1-2,3 ? jan sun", "* * * * * *", "@daily", "1/2/3 * * * *", "5-7/2 * * * 5-7"} {
		f.Add(s, "Europe/Berlin")
	}
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, schedule, tz string) {
		s, err := Parse(schedule, tz)
		if err != nil {
			return
		}
		if s.Describe() == "" || !s.Next(now, now).After(now) {
			t.Errorf("%q: %q, next %s", schedule, s.Describe(), s.Next(now, now))
		}
		if again, err := Parse(s.String(), tz); err != nil || !again.Next(now, now).Equal(s.Next(now, now)) {
			t.Errorf("%q in its plain form %q is another schedule (%v)", schedule, s, err)
		}
	})
}
