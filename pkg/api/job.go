package api

import (
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// JobSpec is a schedule and what it runs.
type JobSpec = model.JobSpec

// JobRun is one due time of a job, or one start by hand, and what became of it.
type JobRun = model.JobRun

// Job is a job with what is to be said of it now.
type Job struct {
	model.Job
	Description string      `json:"description" doc:"the schedule in words"`
	Next        []time.Time `json:"next" doc:"its next due times; none while it is paused"`
	Last        *JobRun     `json:"last,omitempty" doc:"its newest run"`
}

// Schedule is a schedule in words.
type Schedule struct {
	Description string      `json:"description"`
	Timezone    string      `json:"timezone"`
	Next        []time.Time `json:"next"`
}
