package abi

// What the host offers, as the component imports it.

// While the host allocates, nothing may leave the plugin; a collection that begins then asks for the time. The adapter
// answers by itself while it is held.
//
//go:wasmimport wasi_snapshot_preview1 hookwright_hold
func hold(begins uint32)
