// Package action makes the program an action: something that does something about an event.
package action

import (
	"errors"

	"hookwright"
	"hookwright/internal/abi"
)

// Outcome is the result of an action; make one with Done or Skipped.
type Outcome struct {
	skipped bool
	text    string
}

// Done is an outcome with a result in JSON, which later steps can use.
func Done(result string) Outcome { return Outcome{false, result} }

// Skipped is the outcome that there was nothing to do, because.
func Skipped(reason string) Outcome { return Outcome{true, reason} }

// Function does something about an event. The parameters are a JSON object.
type Function func(event *hookwright.Event, parameters string) (Outcome, error)

var function Function = func(*hookwright.Event, string) (Outcome, error) {
	return Outcome{}, errors.New("the plugin has not called action.Is in init")
}

// Is registers the plugin's function. Call it in init.
func Is(manifest hookwright.Manifest, run Function) { abi.Described, function = manifest, run }

func call(event *hookwright.Event, parameters string) (outcome Outcome, err error) {
	defer abi.Caught(&err)
	return function(event, parameters)
}

//go:wasmexport hookwright:plugin/action@0.1.0#run
func run(at uint32) uint32 {
	words := abi.Words(at, 1, hookwright.EventWords+2)
	event := hookwright.TakeEvent(words)
	outcome, err := call(event, abi.Text(words[15], words[16]))
	area, lent := abi.Begin()
	if err != nil {
		area[0] = 1
		lent.Fail(err, area[1:])
		return abi.Address(area.At())
	}
	if outcome.skipped {
		area[1] = 1
	}
	area[2], area[3] = lent.Text(outcome.text)
	return abi.Address(area.At())
}

//go:wasmexport cabi_post_hookwright:plugin/action@0.1.0#run
func ran(uint32) { abi.End() }
