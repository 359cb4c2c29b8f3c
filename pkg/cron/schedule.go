package cron

import (
	"strings"
	"time"
	_ "time/tzdata" // the box may have no zone files

	robfig "github.com/robfig/cron/v3"

	"github.com/pandabox/pandabox/pkg/model"
)

// horizon is how far ahead a due time is looked for: 29 February comes at least every eight years.
const horizon = 10 * 366 * 24 * time.Hour

// star is the bit robfig/cron sets in a field that was written as *.
const star = 1 << 63

// Schedule says when something is due. Its zero value is not usable; see Parse.
type Schedule struct {
	spec  *robfig.SpecSchedule // nil with every
	every time.Duration
	loc   *time.Location
	steps bool // every hour of the day: it follows the time that passes
	plain string
}

// Parse reads a schedule: five fields, six with seconds first, @daily and the like, or @every; timezone is an IANA
// name, "" means UTC. An error is a *model.Error, and wraps a *model.ScheduleError where one field is at fault.
func Parse(schedule, timezone string) (Schedule, error) {
	plain, err := model.CheckSchedule(schedule)
	if err != nil {
		return Schedule{}, err
	}
	loc, err := model.CheckTimezone(timezone)
	if err != nil {
		return Schedule{}, err
	}
	parser := robfig.NewParser(robfig.SecondOptional | robfig.Minute | robfig.Hour | robfig.Dom | robfig.Month | robfig.Dow | robfig.Descriptor)
	parsed, err := parser.Parse(plain)
	if err != nil {
		return Schedule{}, model.Invalid("%q is not a schedule", schedule).Wrap(err).WithWhy("%s", err)
	}
	switch p := parsed.(type) {
	case robfig.ConstantDelaySchedule:
		return Schedule{every: p.Delay, loc: loc, plain: plain}, nil
	case *robfig.SpecSchedule:
		return Schedule{spec: p, loc: loc, steps: p.Hour&^star == 1<<24-1, plain: plain}, nil
	}
	return Schedule{}, model.Invalid("%q is not a schedule", schedule)
}

// Location returns the schedule's time zone.
func (s Schedule) Location() *time.Location { return s.loc }

// Next returns the first due time after t, in whole seconds, in the schedule's time zone; the zero time when there is
// none within ten years. since is where "@every" begins to count; other schedules do not look at it.
func (s Schedule) Next(t, since time.Time) time.Time {
	if s.spec == nil {
		return s.nextEvery(t, since)
	}
	t = t.In(s.loc)
	end := t.Add(horizon)
	for at, inclusive := t, false; at.Before(end); inclusive = true {
		due, boundary := s.inSegment(at, inclusive)
		if !due.IsZero() {
			return due
		}
		if boundary.IsZero() {
			break
		}
		at = boundary
	}
	return time.Time{}
}

func (s Schedule) nextEvery(t, since time.Time) time.Time {
	since = since.Truncate(time.Second)
	if t.Before(since) {
		return since.Add(s.every).In(s.loc)
	}
	n := t.Sub(since)/s.every + 1
	return since.Add(n * s.every).In(s.loc)
}

// inSegment looks for the first due time after at (or at it) up to the next change of the zone's clock. With none
// there, it returns the moment of that change; the zero time where the zone never changes again, and nothing is due.
func (s Schedule) inSegment(at time.Time, inclusive bool) (due, boundary time.Time) {
	start, end := at.ZoneBounds()
	offset := offsetOf(at)
	low := wall(at, offset)
	if !inclusive {
		low = low.Truncate(time.Second).Add(time.Second)
	}
	if !s.steps && !start.IsZero() {
		// What the clock showed before it went back is not due again.
		if before := offsetOf(start.Add(-1)); before > offset {
			if shown := wall(start, before); shown.After(low) {
				low = shown
			}
		}
	}
	match := s.match(low)
	if match.IsZero() {
		return time.Time{}, end
	}
	is := match.Add(-offset).In(s.loc)
	if end.IsZero() || is.Before(end) {
		return is, time.Time{}
	}
	if after := offsetOf(end); !s.steps && after > offset && match.Before(wall(end, after)) {
		return end, time.Time{} // the clock leaves it out
	}
	return time.Time{}, end
}

func offsetOf(t time.Time) time.Duration {
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second
}

// wall returns what a clock offset from UTC shows at t, as a time in UTC.
func wall(t time.Time, offset time.Duration) time.Time { return t.UTC().Add(offset) }

// match returns the first time of the calendar, from low on, that the fields choose; low is whole seconds or rounded up.
func (s Schedule) match(low time.Time) time.Time {
	if r := low.Truncate(time.Second); r.Before(low) {
		low = r.Add(time.Second)
	}
	y, mo, d := low.Date()
	h, mi, sec := low.Clock()
	for limit := y + 9; y < limit; {
		if !has(s.spec.Month, int(mo)) {
			first := time.Date(y, mo+1, 1, 0, 0, 0, 0, time.UTC)
			y, mo, d = first.Date()
			h, mi, sec = 0, 0, 0
			continue
		}
		if s.day(y, mo, d) {
			if h, mi, sec, ok := s.clock(h, mi, sec); ok {
				return time.Date(y, mo, d, h, mi, sec, 0, time.UTC)
			}
		}
		next := time.Date(y, mo, d+1, 0, 0, 0, 0, time.UTC)
		y, mo, d = next.Date()
		h, mi, sec = 0, 0, 0
	}
	return time.Time{}
}

// day tells whether a day is chosen: where both the day of the month and that of the week are named, either is enough.
func (s Schedule) day(y int, mo time.Month, d int) bool {
	dom := has(s.spec.Dom, d)
	dow := has(s.spec.Dow, int(time.Date(y, mo, d, 0, 0, 0, 0, time.UTC).Weekday()))
	if s.spec.Dom&star != 0 || s.spec.Dow&star != 0 {
		return dom && dow
	}
	return dom || dow
}

// clock returns the first time of day from h:mi:sec on that is chosen.
func (s Schedule) clock(h, mi, sec int) (int, int, int, bool) {
	for ; h < 24; h, mi, sec = h+1, 0, 0 {
		if !has(s.spec.Hour, h) {
			continue
		}
		for ; mi < 60; mi, sec = mi+1, 0 {
			if !has(s.spec.Minute, mi) {
				continue
			}
			for ; sec < 60; sec++ {
				if has(s.spec.Second, sec) {
					return h, mi, sec, true
				}
			}
		}
	}
	return 0, 0, 0, false
}

func has(set uint64, n int) bool { return set&(1<<n) != 0 }

// String returns the schedule in its plain form.
func (s Schedule) String() string { return strings.TrimSpace(s.plain) }
