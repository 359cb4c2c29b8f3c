// Package manifest reads what a folder says about its app: pandabox.toml and Procfile. Every key is known, checked and
// used, or refused with file, line and column; nothing is ignored. See docs/pandabox.toml.md.
package manifest
