package hookwright

import (
	"errors"

	"hookwright/internal/abi"
)

// Digest by sha1, sha256 or sha512.
func Digest(algorithm string, data []byte) ([]byte, error) {
	area := new(abi.Area)
	algorithmAt, algorithmSize := text(algorithm)
	at, size := raw(data)
	cryptoDigest(algorithmAt, algorithmSize, at, size, area.At())
	return bytesOr(area)
}

// Hmac is a code keyed by the named secret.
func Hmac(algorithm, secret string, data []byte) ([]byte, error) {
	area := new(abi.Area)
	algorithmAt, algorithmSize := text(algorithm)
	secretAt, secretSize := text(secret)
	at, size := raw(data)
	cryptoHmac(algorithmAt, algorithmSize, secretAt, secretSize, at, size, area.At())
	return bytesOr(area)
}

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

// Checked distinguishes a wrong code, token or signature, the sender's fault, from a check that could not be made,
// as without the secret: that is an error.
func Checked(err error) (bool, error) {
	var failure *Failure
	if errors.As(err, &failure) && failure.Code == "signature.wrong" {
		return false, nil
	}
	return err == nil, err
}

// VerifyToken compares text with the named secret in constant time.
func VerifyToken(secret, token string) error {
	area := new(abi.Area)
	secretAt, secretSize := text(secret)
	at, size := text(token)
	cryptoVerifyToken(secretAt, secretSize, at, size, area.At())
	return nothingOr(area)
}

// VerifyEd25519 verifies a signature (RFC 8032) by a key of 32 bytes.
func VerifyEd25519(publicKey, data, signature []byte) error {
	area := new(abi.Area)
	keyAt, keySize := raw(publicKey)
	at, size := raw(data)
	signatureAt, signatureSize := raw(signature)
	cryptoVerifyEd25519(keyAt, keySize, at, size, signatureAt, signatureSize, area.At())
	return nothingOr(area)
}
