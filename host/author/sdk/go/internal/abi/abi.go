// Package abi is the layout of values in memory between a plugin and the host (the component model's canonical ABI).
package abi

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"unsafe"
)

// Failure is why a call did not succeed; package hookwright has it as its own.
type Failure struct {
	// Code is stable, for programs: noun.problem.
	Code string
	// Message is for people: what is wrong, with which value, and what to do.
	Message string
	// RetryAfterMs: nil means that trying again cannot help, 0 that the step's own policy decides.
	RetryAfterMs *uint32
}

func (f *Failure) Error() string { return f.Code + ": " + f.Message }

// Pair is a name with its value.
type Pair struct{ Name, Value string }

// Manifest describes a plugin.
type Manifest struct {
	Name, Version, Summary string
	// Parameters is a JSON Schema.
	Parameters string
	Hints      []Pair
}

// Area is memory that both sides look at, in words.
type Area [16]uint32

// At is the area's address.
func (a *Area) At() unsafe.Pointer { return unsafe.Pointer(a) }

// Address is where a pointer points to, as the other side sees it.
func Address(p unsafe.Pointer) uint32 { return uint32(uintptr(p)) }

// Memory that the host has filled and the plugin has not taken yet.
var pinned = map[uint32][]uint64{}

//go:wasmexport cabi_realloc
func realloc(old, oldSize, align, size uint32) uint32 {
	if size == 0 {
		return align
	}
	hold(1)
	buffer := make([]uint64, (size+7)/8)
	at := Address(unsafe.Pointer(unsafe.SliceData(buffer)))
	if oldSize > 0 {
		copy(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(buffer))), size), take(old, oldSize))
	}
	pinned[at] = buffer
	hold(0)
	return at
}

// take returns the memory that the host filled at an address, which belongs to the plugin from now on.
func take(at, size uint32) []byte {
	buffer, found := pinned[at]
	if !found || size == 0 {
		return nil
	}
	delete(pinned, at)
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(buffer))), size)
}

// Text takes a string.
func Text(at, size uint32) string {
	bytes := take(at, size)
	return unsafe.String(unsafe.SliceData(bytes), len(bytes))
}

// Bytes takes bytes.
func Bytes(at, size uint32) []byte { return take(at, size) }

// Option takes a string that may be missing, from a word that says whether it is there.
func Option(there, at, size uint32) *string {
	if there&0xff == 0 {
		return nil
	}
	text := Text(at, size)
	return &text
}

// Words takes a list of records of some words each.
func Words(at, count, words uint32) []uint32 {
	bytes := take(at, count*words*4)
	return unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(bytes))), len(bytes)/4)
}

// Pairs takes a list of names and values.
func Pairs(at, count uint32) []Pair {
	words := Words(at, count, 4)
	pairs := make([]Pair, 0, count)
	for ; len(words) >= 4; words = words[4:] {
		pairs = append(pairs, Pair{Text(words[0], words[1]), Text(words[2], words[3])})
	}
	return pairs
}

// Error takes a failure.
func Error(words []uint32) *Failure {
	failure := &Failure{Code: Text(words[0], words[1]), Message: Text(words[2], words[3])}
	if words[4]&0xff != 0 {
		milliseconds := words[5]
		failure.RetryAfterMs = &milliseconds
	}
	return failure
}

// Lent is memory that the host may read until the current call has ended.
type Lent struct{ kept []any }

// Text lends a string.
func (l *Lent) Text(text string) (at, size uint32) {
	l.kept = append(l.kept, text)
	return Address(unsafe.Pointer(unsafe.StringData(text))), uint32(len(text))
}

// Bytes lends bytes.
func (l *Lent) Bytes(bytes []byte) (at, size uint32) {
	l.kept = append(l.kept, bytes)
	return Address(unsafe.Pointer(unsafe.SliceData(bytes))), uint32(len(bytes))
}

// Words lends records of words.
func (l *Lent) Words(words []uint32) (at uint32) {
	l.kept = append(l.kept, words)
	return Address(unsafe.Pointer(unsafe.SliceData(words)))
}

// Texts lends a list of strings.
func (l *Lent) Texts(texts []string) (at, count uint32) {
	words := make([]uint32, 0, len(texts)*2)
	for _, text := range texts {
		at, size := l.Text(text)
		words = append(words, at, size)
	}
	return l.Words(words), uint32(len(texts))
}

// Pairs lends a list of names and values.
func (l *Lent) Pairs(pairs []Pair) (at, count uint32) {
	words := make([]uint32, 0, len(pairs)*4)
	for _, pair := range pairs {
		name, nameSize := l.Text(pair.Name)
		value, valueSize := l.Text(pair.Value)
		words = append(words, name, nameSize, value, valueSize)
	}
	return l.Words(words), uint32(len(pairs))
}

// Option lends a string that may be missing, as the three words it takes.
func (l *Lent) Option(text *string) (there, at, size uint32) {
	if text == nil {
		return 0, 0, 0
	}
	at, size = l.Text(*text)
	return 1, at, size
}

// Fail lends a failure from the given place on. An error that is none becomes one with the code plugin.error.
func (l *Lent) Fail(err error, to []uint32) {
	var failure *Failure
	if !errors.As(err, &failure) {
		failure = &Failure{Code: "plugin.error", Message: err.Error()}
	}
	to[0], to[1] = l.Text(failure.Code)
	to[2], to[3] = l.Text(failure.Message)
	to[4], to[5] = 0, 0
	if failure.RetryAfterMs != nil {
		to[4], to[5] = 1, *failure.RetryAfterMs
	}
}

// The answer of the present call, which the host reads after it.
var (
	answer Area
	given  Lent
)

// Begin starts an answer.
func Begin() (*Area, *Lent) {
	answer, given = Area{}, Lent{}
	return &answer, &given
}

// End forgets an answer that the host has read.
func End() { given = Lent{} }

// Caught turns a panic into an error with the line that it came from, since a trap would lose both, and prints all the
// lines, which are the log's then. Defer it.
func Caught(err *error) {
	reason := recover()
	if reason == nil {
		return
	}
	fmt.Fprintf(os.Stderr, "panic: %v\n", reason)
	*err = fmt.Errorf("panic: %v", reason)
	var callers [32]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers[:])])
	for first := true; ; {
		frame, more := frames.Next()
		if own := strings.HasPrefix(frame.Function, "runtime.") || strings.HasPrefix(frame.Function, "hookwright/"); !own {
			fmt.Fprintf(os.Stderr, "  at %s:%d in %s\n", frame.File, frame.Line, frame.Function)
			if first {
				*err = fmt.Errorf("panic: %v (%s:%d)", reason, frame.File, frame.Line)
				first = false
			}
		}
		if !more {
			return
		}
	}
}

// Described is the manifest that a kind's package was given.
var Described Manifest

//go:wasmexport hookwright:plugin/metadata@0.1.0#describe
func describe() uint32 {
	area, lent := Begin()
	area[0], area[1] = lent.Text(Described.Name)
	area[2], area[3] = lent.Text(Described.Version)
	area[4], area[5] = lent.Text(Described.Summary)
	area[6], area[7] = lent.Text(Described.Parameters)
	area[8], area[9] = lent.Pairs(Described.Hints)
	return Address(area.At())
}

//go:wasmexport cabi_post_hookwright:plugin/metadata@0.1.0#describe
func described(uint32) { End() }
