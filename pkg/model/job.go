package model

import (
	"strconv"
	"time"
)

// JobSpec is a schedule and what it runs: exactly one of Command, Path and Scheduled.
type JobSpec struct {
	Name      string   `json:"name"`                // unique in the workload
	Schedule  string   `json:"schedule"`            // five or six fields, "@daily", "@every 10m"
	Timezone  string   `json:"timezone,omitempty"`  // IANA name; "" means UTC
	Command   []string `json:"command,omitempty"`   // runs as a container of the release that serves
	Path      string   `json:"path,omitempty"`      // "/tasks/tidy": GET of the app, on its first domain
	Scheduled bool     `json:"scheduled,omitempty"` // calls the function's scheduled handler

	Timeout     Duration       `json:"timeout,omitempty"`     // of one attempt; 0 means DefaultJobTimeout
	Retries     int            `json:"retries,omitempty"`     // attempts after the first that failed, 0 to MaxJobRetries
	Backoff     Duration       `json:"backoff,omitempty"`     // before the first retry, doubled for each; 0 means DefaultJobBackoff
	Concurrency JobConcurrency `json:"concurrency,omitempty"` // when the one before still runs; "" means ConcurrencyForbid
	Misfire     JobMisfire     `json:"misfire,omitempty"`     // what of due times that passed while nobody looked; "" means MisfireOnce
	MisfireMax  int            `json:"misfireMax,omitempty"`  // of MisfireAll: the newest so many; 0 means DefaultMisfireMax
	Jitter      Duration       `json:"jitter,omitempty"`      // a start is put off by up to this much, by chance
	KeepRuns    int            `json:"keepRuns,omitempty"`    // ended runs kept; 0 means DefaultKeepRuns
	KeepFor     Duration       `json:"keepFor,omitempty"`     // age at which an ended run is forgotten; 0 means DefaultKeepFor
}

// JobConcurrency says what becomes of a due time while an earlier run goes on.
type JobConcurrency string

// The kinds of concurrency.
const (
	ConcurrencyAllow   JobConcurrency = "allow"   // both run
	ConcurrencyForbid  JobConcurrency = "forbid"  // the new one is recorded as skipped
	ConcurrencyReplace JobConcurrency = "replace" // the old one is ended
)

// JobMisfire says what becomes of due times that passed while pandabox did not run.
type JobMisfire string

// The kinds of misfire policy. Every due time that is not run is recorded as missed.
const (
	MisfireSkip JobMisfire = "skip" // none is run
	MisfireOnce JobMisfire = "once" // the newest is run
	MisfireAll  JobMisfire = "all"  // the newest MisfireMax are run, oldest first
)

// JobSource is where a job was written.
type JobSource string

// The sources of jobs.
const (
	JobOfRelease JobSource = "release" // [[job]] of the release that serves; comes and goes with it
	JobAdded     JobSource = "added"   // pandabox job add
)

// Job is a schedule of a workload.
type Job struct {
	ID         string    `json:"id"`
	OrgID      string    `json:"orgId"`
	WorkloadID string    `json:"workloadId"`
	Spec       JobSpec   `json:"spec"`
	Source     JobSource `json:"source"`
	Paused     bool      `json:"paused,omitempty"`
	Since      time.Time `json:"since"`             // due times after this count: when it was made, changed or resumed
	Cursor     time.Time `json:"cursor"`            // every due time up to this has its run; only the scheduler moves it
	LastRun    int       `json:"lastRun"`           // the greatest run number given out
	Deleted    bool      `json:"deleted,omitempty"` // its release is gone: runs stay until their retention ends them
	CreatedAt  time.Time `json:"createdAt"`
}

// JobRunState is how far a run has come.
type JobRunState string

// The states of a run. Those behind running are final.
const (
	RunPending   JobRunState = "pending"   // recorded, not yet begun: waiting for its jitter or a retry
	RunRunning   JobRunState = "running"   //
	RunSucceeded JobRunState = "succeeded" //
	RunFailed    JobRunState = "failed"    // every attempt failed
	RunTimedOut  JobRunState = "timed_out" // the last attempt took longer than its timeout
	RunSkipped   JobRunState = "skipped"   // an earlier run went on, or nothing was deployed
	RunMissed    JobRunState = "missed"    // its time passed while pandabox did not run
	RunCanceled  JobRunState = "canceled"  // by a person, or replaced by a newer one
)

// Final tells whether s never changes again.
func (s JobRunState) Final() bool { return s != RunPending && s != RunRunning }

// JobRun is one due time of a job, or one start by hand, and what became of it. (JobID, Due) is unique. Many due times
// that were missed at once are one record: see Until.
type JobRun struct {
	ID         string      `json:"id"`
	OrgID      string      `json:"orgId"`
	WorkloadID string      `json:"workloadId"`
	JobID      string      `json:"jobId"`
	Job        string      `json:"job"`             // its name
	Number     int         `json:"number"`          // 1, 2, 3 … within the job
	Due        time.Time   `json:"due,omitzero"`    // zero: started by hand
	Until      time.Time   `json:"until,omitzero"`  // this record of missed ones stands for every due time from Due to Until
	Count      int         `json:"count,omitempty"` // with Until: how many those are; at most MaxCounted are counted
	By         string      `json:"by,omitempty"`    // an Actor's name, where started by hand
	StartAt    time.Time   `json:"startAt"`         // not before: due, jitter and back-off
	State      JobRunState `json:"state"`
	Why        string      `json:"why,omitempty"`       // of skipped, missed, canceled and failed, in one line
	Ending     string      `json:"ending,omitempty"`    // why it is being ended: it becomes Why
	Attempt    int         `json:"attempt"`             // 1 … Retries+1; 0 before the first
	Release    int         `json:"release,omitempty"`   // number of the release it ran in
	Container  string      `json:"container,omitempty"` // of the last attempt; see ContainerOf
	ExitCode   *int        `json:"exitCode,omitempty"`  // of a command's last attempt; the status of a path's answer
	CreatedAt  time.Time   `json:"createdAt"`
	StartedAt  time.Time   `json:"startedAt,omitzero"` // of the last attempt
	FinishedAt time.Time   `json:"finishedAt,omitzero"`
}

// ContainerOf returns the name of an attempt's container: the same attempt always has the same name, so that starting
// it twice is starting it once.
func (r JobRun) ContainerOf(attempt int) string {
	return r.WorkloadID + "-" + r.ID + "-" + strconv.Itoa(attempt)
}

// JobState is a job with its runs that are not final, oldest first.
type JobState struct {
	Job  Job
	Open []JobRun
}

// JobDecision is what one look at a job and the clock comes to. All of it is written in one transaction.
type JobDecision struct {
	Runs     []JobRun       // to be recorded, oldest first; ID and Number are given when they are. One whose due time has its run already is left out
	Ending   map[int]string // by number: open runs to be ended, and why; one that is pending is canceled at once
	Cursor   time.Time      // the new cursor; zero leaves it
	TakeBack bool           // the clock went back: due times behind Cursor have not come, those that were recorded as skipped or missed will come again
	Told     string         // one line for the event stream; "" for none
}

// JobOutcome is how one attempt ended.
type JobOutcome struct {
	Succeeded bool
	TimedOut  bool
	ExitCode  *int   // of a command; the status of a path's answer
	Why       string // of one that failed, in one line
}

// Defaults and bounds of jobs.
const (
	DefaultJobTimeout = Duration(time.Hour)
	MaxJobTimeout     = Duration(24 * time.Hour)
	DefaultJobBackoff = Duration(10 * time.Second)
	MaxJobBackoff     = Duration(time.Hour)
	MaxJobRetries     = 10
	DefaultMisfireMax = 10
	MaxMisfireMax     = 100
	MaxJobJitter      = Duration(time.Hour)
	DefaultKeepRuns   = 100
	MaxKeepRuns       = 10_000
	DefaultKeepFor    = Duration(90 * 24 * time.Hour)
	MaxKeepFor        = Duration(10 * 366 * 24 * time.Hour)
	MaxJobs           = 1000   // of one workload
	MaxMissed         = 100    // due times missed at once that are recorded one by one, the newest; the rest is one record
	MaxCounted        = 10_000 // of Count
)

// ScheduledEvent is what a function's scheduled handler is told.
type ScheduledEvent struct {
	Cron          string    `json:"cron"`          // the job's schedule; "" when started by hand
	Job           string    `json:"job"`           // its name
	ScheduledTime time.Time `json:"scheduledTime"` // the due time, or when it was started by hand
}
