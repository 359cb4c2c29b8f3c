// Package cron knows when jobs are due and sees to it that each due time ends as exactly one recorded run.
//
// Parse reads a schedule in a time zone, Schedule.Next tells the next due time and Schedule.Describe says it in words.
// Step decides, without side effects, what becomes of a job's due times. Scheduler is the loop: it has what Step decided
// written to the Book before anything starts, and gives attempts to the Runner. Where jobs are kept and what an attempt
// does is the caller's.
//
// # Daylight saving
//
// A schedule of every hour of the day ("*/15 * * * *", "30 * * * *") and "@every" follow the time that passes: a time
// of day that does not exist is not due, one that exists twice is due twice. Every other schedule names hours of the day
// and follows the calendar: what falls into the hour that is left out is due at the moment after it, once however many
// due times that were, and what falls into the hour that comes twice is due the first time only. A day that a zone leaves
// out is a long hour of that sort.
package cron
