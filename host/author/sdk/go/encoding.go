package hookwright

import (
	"unsafe"

	"hookwright/internal/abi"
)

// Go has encodings of its own; these are the host's, which add nothing to the component.

// Base64Encode writes bytes in base64.
func Base64Encode(data []byte) string { return encoded(base64Encode, data) }

// Base64Decode reads base64.
func Base64Decode(text string) ([]byte, error) { return decoded(base64Decode, text) }

// HexEncode writes bytes in hexadecimal digits, in lower case.
func HexEncode(data []byte) string { return encoded(hexEncode, data) }

// HexDecode reads hexadecimal digits.
func HexDecode(text string) ([]byte, error) { return decoded(hexDecode, text) }

// UTF8Encode is the bytes of a string, by way of the host.
func UTF8Encode(said string) []byte {
	area := new(abi.Area)
	at, size := text(said)
	utf8Encode(at, size, area.At())
	return abi.Bytes(area[0], area[1])
}

// UTF8Decode is the text of bytes, or an error if they are not UTF-8.
func UTF8Decode(data []byte) (string, error) {
	area := new(abi.Area)
	at, size := raw(data)
	utf8Decode(at, size, area.At())
	return textOr(area)
}

func encoded(encode func(unsafe.Pointer, uint32, unsafe.Pointer), data []byte) string {
	area := new(abi.Area)
	at, size := raw(data)
	encode(at, size, area.At())
	return abi.Text(area[0], area[1])
}

func decoded(decode func(unsafe.Pointer, uint32, unsafe.Pointer), said string) ([]byte, error) {
	area := new(abi.Area)
	at, size := text(said)
	decode(at, size, area.At())
	return bytesOr(area)
}
