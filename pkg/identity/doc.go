// Package identity decides who may do what, and lets machines and people in by token.
//
// Authorize is pure: an actor, a permission and an org in, yes or a typed error out. Tokens are 256 random bits shown
// once; only their SHA-256 is kept.
package identity
