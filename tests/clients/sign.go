// Prints the header that a sender in Go puts beside a body: sha256=HEX, its HMAC by the secret.
//
// go run sign.go SECRET BODY
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
)

func main() {
	code := hmac.New(sha256.New, []byte(os.Args[1]))
	code.Write([]byte(os.Args[2]))
	fmt.Println("sha256=" + hex.EncodeToString(code.Sum(nil)))
}
