// Package hookwright is the API of plugins: the event, and the host's functions.
//
// A plugin imports one of the packages condition, action, transform and source too, and gives it a function. A function
// of this package that nobody calls is not in the component, and neither is its capability.
package hookwright

import (
	"unsafe"

	"hookwright/internal/abi"
)

type (
	// Failure is why a call did not succeed. As an error it reaches the host with its code; any other error
	// becomes a failure with the code plugin.error.
	Failure = abi.Failure
	// Pair is a name with its value.
	Pair = abi.Pair
	// Manifest describes a plugin.
	Manifest = abi.Manifest
)

// Fail is a failure that trying again cannot help.
func Fail(code, message string) *Failure { return &Failure{Code: code, Message: message} }

// Retry is a failure after which the step is retried, not before this number of milliseconds; 0 leaves the delay to the step.
func Retry(code, message string, milliseconds uint32) *Failure {
	return &Failure{Code: code, Message: message, RetryAfterMs: &milliseconds}
}

// Event is one fact that happened (CloudEvents 1.0).
type Event struct {
	ID, Type, Source string
	// Subject is nil if there is none.
	Subject *string
	// Time is RFC 3339, UTC.
	Time string
	// Data is the payload as JSON.
	Data       string
	Attributes []Pair
}

// EventWords is how many words an event takes.
const EventWords = 15

// TakeEvent reads an event that the host gave to an exported function. Packages of the kinds call it.
func TakeEvent(words []uint32) *Event {
	return &Event{
		ID:         abi.Text(words[0], words[1]),
		Type:       abi.Text(words[2], words[3]),
		Source:     abi.Text(words[4], words[5]),
		Subject:    abi.Option(words[6], words[7], words[8]),
		Time:       abi.Text(words[9], words[10]),
		Data:       abi.Text(words[11], words[12]),
		Attributes: abi.Pairs(words[13], words[14]),
	}
}

// text is a pointer to a string's bytes and their number.
func text(text string) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.StringData(text)), uint32(len(text))
}

// raw is a pointer to bytes and their number.
func raw(bytes []byte) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.SliceData(bytes)), uint32(len(bytes))
}
