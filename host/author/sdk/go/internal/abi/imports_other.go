//go:build !wasm

package abi

// Outside of a component, as in `go test`, there is no host.
func absent() {
	panic("hookwright: the host is there only inside of a component: test what calls it with `hookwright plugin test`")
}

func hold(begins uint32) { absent() }
