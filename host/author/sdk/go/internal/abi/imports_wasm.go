package abi

// The host's functions, as the component imports them.

// While the host allocates, nothing may leave the plugin; a collection that begins then asks for the time. The adapter
// answers by itself while it is held.
//
//go:wasmimport wasi_snapshot_preview1 hookwright_hold
func hold(begins uint32)
