package hookwright

import (
	"runtime"
	"unsafe"

	"hookwright/internal/abi"
)

//go:wasmimport hookwright:plugin/log@0.1.0 write
func logWrite(level unsafe.Pointer, levelSize uint32, message unsafe.Pointer, messageSize, fields, count uint32)

// Log writes a line for whoever operates the server. The level is trace, debug, info, warn or error.
func Log(level, message string, fields ...Pair) {
	var lent abi.Lent
	at, count := lent.Pairs(fields)
	levelAt, levelSize := text(level)
	messageAt, messageSize := text(message)
	logWrite(levelAt, levelSize, messageAt, messageSize, at, count)
	runtime.KeepAlive(lent)
}

//go:wasmimport hookwright:plugin/log@0.1.0 print
func logPrint(output unsafe.Pointer, size uint32)

// Print hands on output in pieces of any size; fmt.Print does the same.
func Print(output []byte) { logPrint(raw(output)) }

//go:wasmimport hookwright:plugin/clock@0.1.0 now-ms
func clockNowMs() float64

// NowMs is the instant of the call in whole milliseconds since 1970.
func NowMs() int64 { return int64(clockNowMs()) }

//go:wasmimport hookwright:plugin/clock@0.1.0 now
func clockNow(to unsafe.Pointer)

// Now is the instant of the call in RFC 3339, UTC, with milliseconds.
func Now() string {
	area := new(abi.Area)
	clockNow(area.At())
	return abi.Text(area[0], area[1])
}

//go:wasmimport hookwright:plugin/random@0.1.0 bytes
func randomBytes(count uint32, to unsafe.Pointer)

// RandomBytes draws at most 65,536 bytes.
func RandomBytes(count uint32) []byte {
	area := new(abi.Area)
	randomBytes(count, area.At())
	return abi.Bytes(area[0], area[1])
}

//go:wasmimport hookwright:plugin/random@0.1.0 uuid
func randomUUID(to unsafe.Pointer)

// UUID draws a version 4 UUID (RFC 9562).
func UUID() string {
	area := new(abi.Area)
	randomUUID(area.At())
	return abi.Text(area[0], area[1])
}

// RandomBits draws 32 bits.
//
//go:wasmimport hookwright:plugin/random@0.1.0 bits
func RandomBits() uint32

//go:wasmimport hookwright:plugin/config@0.1.0 get
func configGet(key unsafe.Pointer, size uint32, to unsafe.Pointer)

// Config is a setting that the operator gave to this plugin; nil if there is none.
func Config(key string) *string {
	area := new(abi.Area)
	at, size := text(key)
	configGet(at, size, area.At())
	return abi.Option(area[0], area[1], area[2])
}

//go:wasmimport hookwright:plugin/secrets@0.1.0 placeholder
func secretsPlaceholder(name unsafe.Pointer, size uint32, to unsafe.Pointer)

// Secret is the text to put where a secret belongs in a request.
func Secret(name string) (string, error) {
	area := new(abi.Area)
	at, size := text(name)
	secretsPlaceholder(at, size, area.At())
	return textOr(area)
}

// textOr takes a result that is a text.
func textOr(area *abi.Area) (string, error) {
	if area[0]&0xff != 0 {
		return "", abi.Error(area[1:])
	}
	return abi.Text(area[1], area[2]), nil
}

// bytesOr takes a result that is bytes.
func bytesOr(area *abi.Area) ([]byte, error) {
	if area[0]&0xff != 0 {
		return nil, abi.Error(area[1:])
	}
	return abi.Bytes(area[1], area[2]), nil
}

// nothingOr takes a result without a value.
func nothingOr(area *abi.Area) error {
	if area[0]&0xff != 0 {
		return abi.Error(area[1:])
	}
	return nil
}

// optionOr takes a result that is a text or nothing.
func optionOr(area *abi.Area) (*string, error) {
	if area[0]&0xff != 0 {
		return nil, abi.Error(area[1:])
	}
	return abi.Option(area[1], area[2], area[3]), nil
}

// textsOr takes a result that is a list of texts.
func textsOr(area *abi.Area) ([]string, error) {
	if area[0]&0xff != 0 {
		return nil, abi.Error(area[1:])
	}
	words := abi.Words(area[1], area[2], 2)
	texts := make([]string, 0, len(words)/2)
	for ; len(words) >= 2; words = words[2:] {
		texts = append(texts, abi.Text(words[0], words[1]))
	}
	return texts, nil
}
