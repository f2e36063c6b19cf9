//go:build !wasm

package hookwright

import "unsafe"

// Outside of a component, as in `go test`, there is no host.
func absent() {
	panic("hookwright: the host is there only inside of a component: test what calls it with `hookwright plugin test`")
}

func kvGet(key unsafe.Pointer, size uint32, to unsafe.Pointer) { absent() }

func kvSet(key unsafe.Pointer, keySize uint32, value unsafe.Pointer, size, limited, seconds uint32, to unsafe.Pointer) {
	absent()
}

func kvRemove(key unsafe.Pointer, size uint32, to unsafe.Pointer) { absent() }

func kvKeys(prefix unsafe.Pointer, size, limit uint32, to unsafe.Pointer) { absent() }

func recordsGet(kind unsafe.Pointer, kindSize uint32, id unsafe.Pointer, size uint32, to unsafe.Pointer) {
	absent()
}

func recordsFind(kind unsafe.Pointer, kindSize uint32, filter unsafe.Pointer, size, limit uint32, to unsafe.Pointer) {
	absent()
}

func recordsCreate(kind unsafe.Pointer, kindSize uint32, fields unsafe.Pointer, size uint32, to unsafe.Pointer) {
	absent()
}

func recordsUpdate(kind unsafe.Pointer, kindSize uint32, id unsafe.Pointer, idSize uint32,
	changes unsafe.Pointer, size uint32, to unsafe.Pointer) {
	absent()
}

func recordsRemove(kind unsafe.Pointer, kindSize uint32, id unsafe.Pointer, size uint32, to unsafe.Pointer) {
	absent()
}

func ticketsGet(id unsafe.Pointer, size uint32, to unsafe.Pointer) { absent() }

func ticketsUpdate(id unsafe.Pointer, idSize uint32, changes unsafe.Pointer, size uint32, to unsafe.Pointer) {
	absent()
}

func ticketsAddNote(id unsafe.Pointer, idSize uint32, said unsafe.Pointer, size, isPublic uint32, to unsafe.Pointer) {
	absent()
}

func eventsEmit(kind unsafe.Pointer, kindSize, about, subject, subjectSize uint32,
	data unsafe.Pointer, size uint32, to unsafe.Pointer) {
	absent()
}

func workflowsStart(name unsafe.Pointer, nameSize uint32, input unsafe.Pointer, size uint32, to unsafe.Pointer) {
	absent()
}

func cryptoDigest(algorithm unsafe.Pointer, algorithmSize uint32, data unsafe.Pointer, size uint32, to unsafe.Pointer) {
	absent()
}

func cryptoHmac(algorithm unsafe.Pointer, algorithmSize uint32, secret unsafe.Pointer, secretSize uint32,
	data unsafe.Pointer, size uint32, to unsafe.Pointer) {
	absent()
}

func cryptoVerifyHmac(algorithm unsafe.Pointer, algorithmSize uint32, secret unsafe.Pointer, secretSize uint32,
	data unsafe.Pointer, size uint32, code unsafe.Pointer, codeSize uint32, to unsafe.Pointer) {
	absent()
}

func cryptoVerifyToken(secret unsafe.Pointer, secretSize uint32, token unsafe.Pointer, size uint32, to unsafe.Pointer) {
	absent()
}

func cryptoVerifyEd25519(key unsafe.Pointer, keySize uint32, data unsafe.Pointer, size uint32,
	signature unsafe.Pointer, signatureSize uint32, to unsafe.Pointer) {
	absent()
}

func base64Encode(data unsafe.Pointer, size uint32, to unsafe.Pointer) { absent() }

func base64Decode(data unsafe.Pointer, size uint32, to unsafe.Pointer) { absent() }

func hexEncode(data unsafe.Pointer, size uint32, to unsafe.Pointer) { absent() }

func hexDecode(data unsafe.Pointer, size uint32, to unsafe.Pointer) { absent() }

func utf8Encode(data unsafe.Pointer, size uint32, to unsafe.Pointer) { absent() }

func utf8Decode(data unsafe.Pointer, size uint32, to unsafe.Pointer) { absent() }

func logWrite(level unsafe.Pointer, levelSize uint32, message unsafe.Pointer, messageSize, fields, count uint32) {
	absent()
}

func logPrint(output unsafe.Pointer, size uint32) { absent() }

func clockNowMs() float64 { absent(); return 0 }

func clockNow(to unsafe.Pointer) { absent() }

func randomBytes(count uint32, to unsafe.Pointer) { absent() }

func randomUUID(to unsafe.Pointer) { absent() }

func RandomBits() uint32 { absent(); return 0 }

func configGet(key unsafe.Pointer, size uint32, to unsafe.Pointer) { absent() }

func secretsPlaceholder(name unsafe.Pointer, size uint32, to unsafe.Pointer) { absent() }

func httpSend(method unsafe.Pointer, methodSize uint32, url unsafe.Pointer, urlSize, headers, count uint32,
	body unsafe.Pointer, size, limited, timeout uint32, to unsafe.Pointer) {
	absent()
}

func mailSend(to, toCount uint32, subject unsafe.Pointer, subjectSize uint32, said unsafe.Pointer, saidSize uint32,
	hasHTML, html, htmlSize, headers, headerCount, attachments, attachmentCount uint32, into unsafe.Pointer) {
	absent()
}
