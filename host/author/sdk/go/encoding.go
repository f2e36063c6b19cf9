package hookwright

import (
	"unsafe"

	"hookwright/internal/abi"
)

// Go has encodings of its own; these are the host's, which add nothing to the component.

//go:wasmimport hookwright:plugin/encoding@0.1.0 base64-encode
func base64Encode(data unsafe.Pointer, size uint32, to unsafe.Pointer)

// Base64Encode writes bytes in base64.
func Base64Encode(data []byte) string { return encoded(base64Encode, data) }

//go:wasmimport hookwright:plugin/encoding@0.1.0 base64-decode
func base64Decode(data unsafe.Pointer, size uint32, to unsafe.Pointer)

// Base64Decode reads base64.
func Base64Decode(text string) ([]byte, error) { return decoded(base64Decode, text) }

//go:wasmimport hookwright:plugin/encoding@0.1.0 hex-encode
func hexEncode(data unsafe.Pointer, size uint32, to unsafe.Pointer)

// HexEncode writes bytes in hexadecimal digits, in lower case.
func HexEncode(data []byte) string { return encoded(hexEncode, data) }

//go:wasmimport hookwright:plugin/encoding@0.1.0 hex-decode
func hexDecode(data unsafe.Pointer, size uint32, to unsafe.Pointer)

// HexDecode reads hexadecimal digits.
func HexDecode(text string) ([]byte, error) { return decoded(hexDecode, text) }

//go:wasmimport hookwright:plugin/encoding@0.1.0 utf8-encode
func utf8Encode(data unsafe.Pointer, size uint32, to unsafe.Pointer)

// UTF8Encode is the bytes of a text, by way of the host.
func UTF8Encode(said string) []byte {
	area := new(abi.Area)
	at, size := text(said)
	utf8Encode(at, size, area.At())
	return abi.Bytes(area[0], area[1])
}

//go:wasmimport hookwright:plugin/encoding@0.1.0 utf8-decode
func utf8Decode(data unsafe.Pointer, size uint32, to unsafe.Pointer)

// UTF8Decode is the text of bytes, or an error if they are none.
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
