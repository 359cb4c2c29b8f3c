// Package runtime runs containers on this box. It drives a containerd of its own: the same binary as a supervised
// child, with its own root, state, sockets and namespace, so that a containerd or Docker already on the box is never
// touched.
//
// # Who lives how long
//
// The daemon supervises containerd, containerd starts one shim per container, and the shim holds the container and its
// log writer. Shims outlive containerd and containerd outlives the daemon: after a kill -9 of either, the containers
// go on serving, and New adopts what still runs. Close stops containerd and leaves the containers; Shutdown ends
// everything, and Purge removes every trace.
//
// # What is written down, and where
//
// A container carries its model.Replica, its address and its aliases as labels, so that one found after a crash can be
// adopted or removed without any other record. Images are containerd image records named after their digest. Nothing
// else is stored.
//
//	DataDir/containerd/  containerd's root: content, snapshots, its database, its log
//	DataDir/parts/HASH/  runc, shim, log writer, unpacked from the binary
//	DataDir/volumes/WORKLOAD/NAME, DataDir/logs/WORKLOAD, DataDir/network
//	DataDir/registries.toml  mirrors and credentials, optional
//	RunDir/              sockets, containerd's state, hosts and resolv.conf of containers
package runtime
