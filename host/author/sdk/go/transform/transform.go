// Package transform makes the program a transform: something that gives a message another shape.
package transform

import (
	"errors"

	"hookwright"
	"hookwright/internal/abi"
)

// Message is an outgoing message, or the payload between two steps.
type Message struct {
	Headers     []hookwright.Pair
	ContentType string
	Body        []byte
}

// Verdict is the result of a transform; make one with Send or Drop.
type Verdict struct {
	dropped bool
	message Message
	reason  string
}

// Send lets a message go.
func Send(message Message) Verdict { return Verdict{message: message} }

// Drop drops the message, for this reason.
func Drop(reason string) Verdict { return Verdict{dropped: true, reason: reason} }

// Function reshapes a message. The parameters are a JSON object.
type Function func(event *hookwright.Event, message Message, parameters string) (Verdict, error)

var function Function = func(*hookwright.Event, Message, string) (Verdict, error) {
	return Verdict{}, errors.New("the plugin has not called transform.Is in init")
}

// Is registers the plugin's function. Call it in init.
func Is(manifest hookwright.Manifest, apply Function) { abi.Described, function = manifest, apply }

func call(event *hookwright.Event, message Message, parameters string) (verdict Verdict, err error) {
	defer abi.Caught(&err)
	return function(event, message, parameters)
}

//go:wasmexport hookwright:plugin/transform@0.1.0#apply
func apply(at uint32) uint32 {
	words := abi.Words(at, 1, hookwright.EventWords+8)
	event := hookwright.TakeEvent(words)
	message := Message{
		Headers:     abi.Pairs(words[15], words[16]),
		ContentType: abi.Text(words[17], words[18]),
		Body:        abi.Bytes(words[19], words[20]),
	}
	verdict, err := call(event, message, abi.Text(words[21], words[22]))
	area, lent := abi.Begin()
	switch {
	case err != nil:
		area[0] = 1
		lent.Fail(err, area[1:])
	case verdict.dropped:
		area[1] = 1
		area[2], area[3] = lent.Text(verdict.reason)
	default:
		area[2], area[3] = lent.Pairs(verdict.message.Headers)
		area[4], area[5] = lent.Text(verdict.message.ContentType)
		area[6], area[7] = lent.Bytes(verdict.message.Body)
	}
	return abi.Address(area.At())
}

//go:wasmexport cabi_post_hookwright:plugin/transform@0.1.0#apply
func applied(uint32) { abi.End() }
