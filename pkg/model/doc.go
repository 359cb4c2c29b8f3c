// Package model holds the nouns of pandabox as plain values: what they are called, what is valid, how they change
// state, and the kinds of error a person can meet. It imports the standard library only, so that every other package
// may import it.
//
// Durations are time.Duration, sizes are bytes in int64, CPU is thousandths of a core, times are UTC.
package model
