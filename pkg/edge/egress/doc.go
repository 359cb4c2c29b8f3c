// Package egress makes the outbound requests of functions. A function reaches public addresses, the apps of its own
// environment by their internal names, and what its policy opens besides: never by default this box, its networks, or
// the cloud's metadata.
//
// A name is resolved here, every address it gives is judged, and the connection is made to an address that was judged:
// a name server that answers differently the next time changes nothing. Redirects are not followed by Client; who follows
// them asks it again for each.
package egress
