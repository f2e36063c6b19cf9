package hookwright

import (
	"runtime"

	"hookwright/internal/abi"
)

// KvGet reads from the plugin's own store; nil if there is no such key.
func KvGet(key string) ([]byte, error) {
	area := new(abi.Area)
	at, size := text(key)
	kvGet(at, size, area.At())
	if area[0]&0xff != 0 {
		return nil, abi.Error(area[1:])
	}
	if area[1]&0xff == 0 {
		return nil, nil
	}
	if area[3] == 0 {
		return []byte{}, nil
	}
	return abi.Bytes(area[2], area[3]), nil
}

// KvSet puts a value into the plugin's own store. Without seconds it stays until it is replaced or removed.
func KvSet(key string, value []byte, seconds *uint32) error {
	area := new(abi.Area)
	keyAt, keySize := text(key)
	at, size := raw(value)
	limited, ttl := number(seconds)
	kvSet(keyAt, keySize, at, size, limited, ttl, area.At())
	return nothingOr(area)
}

// number is a number that may be missing, as the two words it takes.
func number(number *uint32) (there, value uint32) {
	if number == nil {
		return 0, 0
	}
	return 1, *number
}

// KvRemove removes a key, whether there is one or not.
func KvRemove(key string) error {
	area := new(abi.Area)
	at, size := text(key)
	kvRemove(at, size, area.At())
	return nothingOr(area)
}

// KvKeys lists keys that begin with a prefix, at most 1,000.
func KvKeys(prefix string, limit uint32) ([]string, error) {
	area := new(abi.Area)
	at, size := text(prefix)
	kvKeys(at, size, limit, area.At())
	return textsOr(area)
}

// RecordGet is a record as JSON; nil if there is none.
func RecordGet(kind, id string) (*string, error) {
	area := new(abi.Area)
	kindAt, kindSize := text(kind)
	at, size := text(id)
	recordsGet(kindAt, kindSize, at, size, area.At())
	return optionOr(area)
}

// RecordFind lists records whose fields equal those of a JSON object, the newest first, at most 100.
func RecordFind(kind, filter string, limit uint32) ([]string, error) {
	area := new(abi.Area)
	kindAt, kindSize := text(kind)
	at, size := text(filter)
	recordsFind(kindAt, kindSize, at, size, limit, area.At())
	return textsOr(area)
}

// RecordCreate creates a record from a JSON object and returns its id.
func RecordCreate(kind, fields string) (string, error) {
	area := new(abi.Area)
	kindAt, kindSize := text(kind)
	at, size := text(fields)
	recordsCreate(kindAt, kindSize, at, size, area.At())
	return textOr(area)
}

// RecordUpdate sets the fields of a JSON object, removes those that are null, and returns the record as JSON.
func RecordUpdate(kind, id, changes string) (string, error) {
	area := new(abi.Area)
	kindAt, kindSize := text(kind)
	idAt, idSize := text(id)
	at, size := text(changes)
	recordsUpdate(kindAt, kindSize, idAt, idSize, at, size, area.At())
	return textOr(area)
}

// RecordRemove removes a record.
func RecordRemove(kind, id string) error {
	area := new(abi.Area)
	kindAt, kindSize := text(kind)
	at, size := text(id)
	recordsRemove(kindAt, kindSize, at, size, area.At())
	return nothingOr(area)
}

// TicketGet is a ticket as JSON, as this call would leave it; nil if there is none.
func TicketGet(id string) (*string, error) {
	area := new(abi.Area)
	at, size := text(id)
	ticketsGet(at, size, area.At())
	return optionOr(area)
}

// TicketUpdate sets the fields of a JSON object and returns the ticket in its new state, as JSON.
func TicketUpdate(id, changes string) (string, error) {
	area := new(abi.Area)
	idAt, idSize := text(id)
	at, size := text(changes)
	ticketsUpdate(idAt, idSize, at, size, area.At())
	return textOr(area)
}

// NoteAdd adds a note to a ticket and returns the note's id.
func NoteAdd(id, note string, isPublic bool) (string, error) {
	area := new(abi.Area)
	idAt, idSize := text(id)
	at, size := text(note)
	var public uint32
	if isPublic {
		public = 1
	}
	ticketsAddNote(idAt, idSize, at, size, public, area.At())
	return textOr(area)
}

// Emit emits an event with JSON data and returns its id. The subject may be nil.
func Emit(eventType string, subject *string, data string) (string, error) {
	area := new(abi.Area)
	var lent abi.Lent
	kindAt, kindSize := text(eventType)
	about, subjectAt, subjectSize := lent.Option(subject)
	at, size := text(data)
	eventsEmit(kindAt, kindSize, about, subjectAt, subjectSize, at, size, area.At())
	runtime.KeepAlive(lent)
	return textOr(area)
}

// WorkflowStart starts a workflow with JSON and returns its run's id.
func WorkflowStart(name, input string) (string, error) {
	area := new(abi.Area)
	nameAt, nameSize := text(name)
	at, size := text(input)
	workflowsStart(nameAt, nameSize, at, size, area.At())
	return textOr(area)
}
