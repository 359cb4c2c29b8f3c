package cli

import "context"

// Main runs the program's command line in its own surroundings and returns its exit code.
func Main(ctx context.Context, version string, args []string) int {
	return Run(ctx, Config{Version: version, Extra: serviceCommands(version)}, args)
}
