package hookwright

import (
	"unsafe"

	"hookwright/internal/abi"
)

//go:wasmimport hookwright:plugin/crypto@0.1.0 digest
func cryptoDigest(algorithm unsafe.Pointer, algorithmSize uint32, data unsafe.Pointer, size uint32, to unsafe.Pointer)

// Digest by sha1, sha256 or sha512.
func Digest(algorithm string, data []byte) ([]byte, error) {
	area := new(abi.Area)
	algorithmAt, algorithmSize := text(algorithm)
	at, size := raw(data)
	cryptoDigest(algorithmAt, algorithmSize, at, size, area.At())
	return bytesOr(area)
}

//go:wasmimport hookwright:plugin/crypto@0.1.0 hmac
func cryptoHmac(algorithm unsafe.Pointer, algorithmSize uint32, secret unsafe.Pointer, secretSize uint32,
	data unsafe.Pointer, size uint32, to unsafe.Pointer)

// Hmac is a code keyed by the named secret.
func Hmac(algorithm, secret string, data []byte) ([]byte, error) {
	area := new(abi.Area)
	algorithmAt, algorithmSize := text(algorithm)
	secretAt, secretSize := text(secret)
	at, size := raw(data)
	cryptoHmac(algorithmAt, algorithmSize, secretAt, secretSize, at, size, area.At())
	return bytesOr(area)
}

//go:wasmimport hookwright:plugin/crypto@0.1.0 verify-hmac
func cryptoVerifyHmac(algorithm unsafe.Pointer, algorithmSize uint32, secret unsafe.Pointer, secretSize uint32,
	data unsafe.Pointer, size uint32, code unsafe.Pointer, codeSize uint32, to unsafe.Pointer)

// VerifyHmac compares a code in constant time. A wrong one is an error.
func VerifyHmac(algorithm, secret string, data, code []byte) error {
	area := new(abi.Area)
	algorithmAt, algorithmSize := text(algorithm)
	secretAt, secretSize := text(secret)
	at, size := raw(data)
	codeAt, codeSize := raw(code)
	cryptoVerifyHmac(algorithmAt, algorithmSize, secretAt, secretSize, at, size, codeAt, codeSize, area.At())
	return nothingOr(area)
}

//go:wasmimport hookwright:plugin/crypto@0.1.0 verify-token
func cryptoVerifyToken(secret unsafe.Pointer, secretSize uint32, token unsafe.Pointer, size uint32, to unsafe.Pointer)

// VerifyToken compares text with the named secret in constant time.
func VerifyToken(secret, token string) error {
	area := new(abi.Area)
	secretAt, secretSize := text(secret)
	at, size := text(token)
	cryptoVerifyToken(secretAt, secretSize, at, size, area.At())
	return nothingOr(area)
}

//go:wasmimport hookwright:plugin/crypto@0.1.0 verify-ed25519
func cryptoVerifyEd25519(key unsafe.Pointer, keySize uint32, data unsafe.Pointer, size uint32,
	signature unsafe.Pointer, signatureSize uint32, to unsafe.Pointer)

// VerifyEd25519 verifies a signature (RFC 8032) by a key of 32 bytes.
func VerifyEd25519(publicKey, data, signature []byte) error {
	area := new(abi.Area)
	keyAt, keySize := raw(publicKey)
	at, size := raw(data)
	signatureAt, signatureSize := raw(signature)
	cryptoVerifyEd25519(keyAt, keySize, at, size, signatureAt, signatureSize, area.At())
	return nothingOr(area)
}
