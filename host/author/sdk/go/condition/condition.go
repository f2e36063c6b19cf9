// Package condition makes the program a condition: something that decides whether an event concerns an automation.
package condition

import (
	"errors"

	"hookwright"
	"hookwright/internal/abi"
)

// Verdict is the result of a condition.
type Verdict struct {
	Holds bool
	// Reason names the compared values, and explains why the automation did or did not fire.
	Reason string
}

// Function decides about an event. The parameters are a JSON object.
type Function func(event *hookwright.Event, parameters string) (Verdict, error)

var function Function = func(*hookwright.Event, string) (Verdict, error) {
	return Verdict{}, errors.New("the plugin has not called condition.Is in init")
}

// Is registers the plugin's function. Call it in init.
func Is(manifest hookwright.Manifest, evaluate Function) { abi.Described, function = manifest, evaluate }

func call(event *hookwright.Event, parameters string) (verdict Verdict, err error) {
	defer abi.Caught(&err)
	return function(event, parameters)
}

//go:wasmexport hookwright:plugin/condition@0.1.0#evaluate
func evaluate(at uint32) uint32 {
	words := abi.Words(at, 1, hookwright.EventWords+2)
	event := hookwright.TakeEvent(words)
	verdict, err := call(event, abi.Text(words[15], words[16]))
	area, lent := abi.Begin()
	if err != nil {
		area[0] = 1
		lent.Fail(err, area[1:])
		return abi.Address(area.At())
	}
	if verdict.Holds {
		area[1] = 1
	}
	area[2], area[3] = lent.Text(verdict.Reason)
	return abi.Address(area.At())
}

//go:wasmexport cabi_post_hookwright:plugin/condition@0.1.0#evaluate
func evaluated(uint32) { abi.End() }
