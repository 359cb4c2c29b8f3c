package model

import (
	"path"
	"strconv"
	"strings"
	"time"
)

// Validate refuses a job that could not run, and names the field.
func (s JobSpec) Validate() error {
	if s.Name == "" {
		return &JobError{"name", Invalid("a job has no name").WithHint(`give it one: name = "nightly"`)}
	}
	if err := CheckName("job", s.Name); err != nil {
		return &JobError{"name", err}
	}
	if _, err := CheckSchedule(s.Schedule); err != nil {
		return &JobError{"schedule", err}
	}
	if _, err := CheckTimezone(s.Timezone); err != nil {
		return &JobError{"timezone", err}
	}
	if err := s.validateWhat(); err != nil {
		return err
	}
	return s.validateBounds()
}

// validateWhat refuses all but one of command, path and scheduled.
func (s JobSpec) validateWhat() error {
	n := 0
	for _, is := range []bool{len(s.Command) > 0, s.Path != "", s.Scheduled} {
		if is {
			n++
		}
	}
	switch {
	case n == 0:
		return &JobError{"command", Invalid("the job %s does not say what it runs", s.Name).WithHint("give it one of command, path and scheduled")}
	case n > 1:
		return &JobError{"command", Invalid("the job %s runs more than one thing", s.Name).WithHint("keep one of command, path and scheduled")}
	case len(s.Command) > 0 && s.Command[0] == "":
		return &JobError{"command", Invalid("the command of the job %s is empty", s.Name).WithHint("write the whole command line")}
	case s.Path != "":
		if err := checkJobPath(s.Path); err != nil {
			return &JobError{"path", err}
		}
	}
	for _, arg := range s.Command {
		if strings.ContainsRune(arg, 0) {
			return &JobError{"command", Invalid("the command of the job %s holds a NUL byte", s.Name).WithHint("write the command as text")}
		}
	}
	return nil
}

func checkJobPath(p string) error {
	bare, _, _ := strings.Cut(p, "?")
	if !strings.HasPrefix(p, "/") || len(p) > 2000 || strings.ContainsAny(p, "# \\") || (bare != "/" && path.Clean(bare) != strings.TrimSuffix(bare, "/")) ||
		strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r > '~' }) {
		return Invalid("%q is not a path of the app", p).WithHint(`write it as "/tasks/tidy" or "/tasks/tidy?deep=1"`)
	}
	return nil
}

func (s JobSpec) validateBounds() error {
	bad := func(field string, value any, hint string, args ...any) error {
		return &JobError{field, Invalid("%s of the job %s cannot be %v", field, s.Name, value).WithHint(hint, args...)}
	}
	switch {
	case s.Timeout < 0 || s.Timeout > MaxJobTimeout || (s.Timeout > 0 && s.Timeout < Duration(time.Second)):
		return bad("timeout", s.Timeout, "choose 1s to %s", MaxJobTimeout)
	case s.Retries < 0 || s.Retries > MaxJobRetries:
		return bad("retries", s.Retries, "choose 0 to %d", MaxJobRetries)
	case s.Backoff < 0 || s.Backoff > MaxJobBackoff:
		return bad("backoff", s.Backoff, "choose up to %s", MaxJobBackoff)
	case s.Jitter < 0 || s.Jitter > MaxJobJitter:
		return bad("jitter", s.Jitter, "choose up to %s", MaxJobJitter)
	case s.MisfireMax < 0 || s.MisfireMax > MaxMisfireMax:
		return bad("misfire_max", s.MisfireMax, "choose 1 to %d", MaxMisfireMax)
	case s.KeepRuns < 0 || s.KeepRuns > MaxKeepRuns:
		return bad("keep.runs", s.KeepRuns, "choose 1 to %d", MaxKeepRuns)
	case s.KeepFor < 0 || s.KeepFor > MaxKeepFor:
		return bad("keep.age", s.KeepFor, "choose up to %s", MaxKeepFor)
	}
	switch s.Concurrency {
	case "", ConcurrencyAllow, ConcurrencyForbid, ConcurrencyReplace:
	default:
		return bad("concurrency", strconv.Quote(string(s.Concurrency)), "choose forbid, allow or replace")
	}
	switch s.Misfire {
	case "", MisfireSkip, MisfireOnce, MisfireAll:
	default:
		return bad("misfire", strconv.Quote(string(s.Misfire)), "choose once, skip or all")
	}
	return nil
}

// JobError is a fault in one field of a job, named as pandabox.toml has it. Unwrap gives the *Error.
type JobError struct {
	Field string // "schedule"
	Err   error
}

// Error says what is wrong.
func (e *JobError) Error() string { return e.Err.Error() }

// Unwrap returns the fault.
func (e *JobError) Unwrap() error { return e.Err }

// CheckTimezone returns the time zone of an IANA name; "" is UTC.
func CheckTimezone(name string) (*time.Location, error) {
	e := Invalid("%q is not a time zone", name).WithHint(`write a name like "Europe/Berlin" or "UTC"`)
	if name == "Local" {
		return nil, e.WithWhy("a job runs in the time zone it names, not in that of the box")
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, e
	}
	return loc, nil
}
