// Package static keeps the releases of static sites and answers requests from them.
//
// Files are kept once per content, with the compressed forms that are worth having. A site is an immutable list of
// paths and contents:
//
//	DIR/blobs/ab/abcd…            a file's content, named by its SHA-256; .br, .zst and .gz beside it
//	DIR/sites/abcd…               a site: JSON, named by its SHA-256
//
// Serving looks at a map of the paths a site has, never at a path of the disk, so that there is nothing to climb out of.
package static
