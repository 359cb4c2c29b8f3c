// Package runtimetest helps to test what stands on a container runtime: Fake is one in memory, TestConformance says how
// every runtime behaves and runs against the fake and the real one, and Image makes images on the spot. It does not
// import the real runtime; package boxtest gives tests that one.
package runtimetest
