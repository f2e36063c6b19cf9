package hookwright

import (
	"runtime"

	"hookwright/internal/abi"
)

// Log writes a log line for operators. The level is trace, debug, info, warn or error.
func Log(level, message string, fields ...Pair) {
	var lent abi.Lent
	at, count := lent.Pairs(fields)
	levelAt, levelSize := text(level)
	messageAt, messageSize := text(message)
	logWrite(levelAt, levelSize, messageAt, messageSize, at, count)
	runtime.KeepAlive(lent)
}

// Print passes on output in pieces of any size; fmt.Print does the same.
func Print(output []byte) { logPrint(raw(output)) }

// NowMs is the instant of the call in whole milliseconds since 1970.
func NowMs() int64 { return int64(clockNowMs()) }

// Now is the instant of the call in RFC 3339, UTC, with milliseconds.
func Now() string {
	area := new(abi.Area)
	clockNow(area.At())
	return abi.Text(area[0], area[1])
}

// RandomBytes draws at most 65,536 bytes.
func RandomBytes(count uint32) []byte {
	area := new(abi.Area)
	randomBytes(count, area.At())
	return abi.Bytes(area[0], area[1])
}

// UUID draws a version 4 UUID (RFC 9562).
func UUID() string {
	area := new(abi.Area)
	randomUUID(area.At())
	return abi.Text(area[0], area[1])
}

// Config is a setting that the operator gave to this plugin; nil if there is none.
func Config(key string) *string {
	area := new(abi.Area)
	at, size := text(key)
	configGet(at, size, area.At())
	return abi.Option(area[0], area[1], area[2])
}

// Secret is the text to put where a secret belongs in a request.
func Secret(name string) (string, error) {
	area := new(abi.Area)
	at, size := text(name)
	secretsPlaceholder(at, size, area.At())
	return textOr(area)
}

// textOr takes a result that is a string.
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

// optionOr takes a result that is a string or nothing.
func optionOr(area *abi.Area) (*string, error) {
	if area[0]&0xff != 0 {
		return nil, abi.Error(area[1:])
	}
	return abi.Option(area[1], area[2], area[3]), nil
}

// textsOr takes a result that is a list of strings.
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
