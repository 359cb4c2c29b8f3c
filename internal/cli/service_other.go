//go:build !linux

package cli

import "github.com/spf13/cobra"

// serviceCommands returns nothing: a box runs Linux, and this program is only its client here.
func serviceCommands(string) []*cobra.Command { return nil }
