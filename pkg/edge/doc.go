// Package edge runs functions inside the daemon. A Host is to functions what pkg/runtime is to containers: it lists,
// starts and removes them, and besides that serves their requests.
//
// # On the disk
//
//	DataDir/bundles/HEX              uploaded bundles under their digest
//	DataDir/functions/NAME/spec      what was started, sealed: it holds variables
//	DataDir/functions/.cache/        compiled code; may be deleted while no daemon runs
//
// A function that is started is on the disk before Start returns. After a restart List has it at once, and its code is
// made ready by the first request.
//
// # A request
//
// Serve finds the function in a table that is replaced as a whole, waits for its turn where the function has as many
// requests as it may have at once, takes the isolate that was used last or makes one of the function's snapshot, and runs
// it. What an isolate did wrong is written to the function's own log; the client gets a plain page. An isolate that
// returned an error, was cut by a limit, or grew is thrown away.
package edge
