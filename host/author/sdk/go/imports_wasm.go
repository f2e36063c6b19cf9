package hookwright

// The host's functions, as the component imports them.

import "unsafe"

//go:wasmimport hookwright:plugin/kv@0.1.0 get
func kvGet(key unsafe.Pointer, size uint32, to unsafe.Pointer)

//go:wasmimport hookwright:plugin/kv@0.1.0 set
func kvSet(key unsafe.Pointer, keySize uint32, value unsafe.Pointer, size, limited, seconds uint32, to unsafe.Pointer)

//go:wasmimport hookwright:plugin/kv@0.1.0 remove
func kvRemove(key unsafe.Pointer, size uint32, to unsafe.Pointer)

//go:wasmimport hookwright:plugin/kv@0.1.0 keys
func kvKeys(prefix unsafe.Pointer, size, limit uint32, to unsafe.Pointer)

//go:wasmimport hookwright:plugin/records@0.1.0 get
func recordsGet(kind unsafe.Pointer, kindSize uint32, id unsafe.Pointer, size uint32, to unsafe.Pointer)

//go:wasmimport hookwright:plugin/records@0.1.0 find
func recordsFind(kind unsafe.Pointer, kindSize uint32, filter unsafe.Pointer, size, limit uint32, to unsafe.Pointer)

//go:wasmimport hookwright:plugin/records@0.1.0 create
func recordsCreate(kind unsafe.Pointer, kindSize uint32, fields unsafe.Pointer, size uint32, to unsafe.Pointer)

//go:wasmimport hookwright:plugin/records@0.1.0 update
func recordsUpdate(kind unsafe.Pointer, kindSize uint32, id unsafe.Pointer, idSize uint32,
	changes unsafe.Pointer, size uint32, to unsafe.Pointer)

//go:wasmimport hookwright:plugin/records@0.1.0 remove
func recordsRemove(kind unsafe.Pointer, kindSize uint32, id unsafe.Pointer, size uint32, to unsafe.Pointer)

//go:wasmimport hookwright:plugin/tickets@0.1.0 get
func ticketsGet(id unsafe.Pointer, size uint32, to unsafe.Pointer)

//go:wasmimport hookwright:plugin/tickets@0.1.0 update
func ticketsUpdate(id unsafe.Pointer, idSize uint32, changes unsafe.Pointer, size uint32, to unsafe.Pointer)

//go:wasmimport hookwright:plugin/tickets@0.1.0 add-note
func ticketsAddNote(id unsafe.Pointer, idSize uint32, said unsafe.Pointer, size, isPublic uint32, to unsafe.Pointer)

//go:wasmimport hookwright:plugin/events@0.1.0 emit
func eventsEmit(kind unsafe.Pointer, kindSize, about, subject, subjectSize uint32,
	data unsafe.Pointer, size uint32, to unsafe.Pointer)

//go:wasmimport hookwright:plugin/workflows@0.1.0 start
func workflowsStart(name unsafe.Pointer, nameSize uint32, input unsafe.Pointer, size uint32, to unsafe.Pointer)

//go:wasmimport hookwright:plugin/crypto@0.1.0 digest
func cryptoDigest(algorithm unsafe.Pointer, algorithmSize uint32, data unsafe.Pointer, size uint32, to unsafe.Pointer)

//go:wasmimport hookwright:plugin/crypto@0.1.0 hmac
func cryptoHmac(algorithm unsafe.Pointer, algorithmSize uint32, secret unsafe.Pointer, secretSize uint32,
	data unsafe.Pointer, size uint32, to unsafe.Pointer)

//go:wasmimport hookwright:plugin/crypto@0.1.0 verify-hmac
func cryptoVerifyHmac(algorithm unsafe.Pointer, algorithmSize uint32, secret unsafe.Pointer, secretSize uint32,
	data unsafe.Pointer, size uint32, code unsafe.Pointer, codeSize uint32, to unsafe.Pointer)

//go:wasmimport hookwright:plugin/crypto@0.1.0 verify-token
func cryptoVerifyToken(secret unsafe.Pointer, secretSize uint32, token unsafe.Pointer, size uint32, to unsafe.Pointer)

//go:wasmimport hookwright:plugin/crypto@0.1.0 verify-ed25519
func cryptoVerifyEd25519(key unsafe.Pointer, keySize uint32, data unsafe.Pointer, size uint32,
	signature unsafe.Pointer, signatureSize uint32, to unsafe.Pointer)

//go:wasmimport hookwright:plugin/encoding@0.1.0 base64-encode
func base64Encode(data unsafe.Pointer, size uint32, to unsafe.Pointer)

//go:wasmimport hookwright:plugin/encoding@0.1.0 base64-decode
func base64Decode(data unsafe.Pointer, size uint32, to unsafe.Pointer)

//go:wasmimport hookwright:plugin/encoding@0.1.0 hex-encode
func hexEncode(data unsafe.Pointer, size uint32, to unsafe.Pointer)

//go:wasmimport hookwright:plugin/encoding@0.1.0 hex-decode
func hexDecode(data unsafe.Pointer, size uint32, to unsafe.Pointer)

//go:wasmimport hookwright:plugin/encoding@0.1.0 utf8-encode
func utf8Encode(data unsafe.Pointer, size uint32, to unsafe.Pointer)

//go:wasmimport hookwright:plugin/encoding@0.1.0 utf8-decode
func utf8Decode(data unsafe.Pointer, size uint32, to unsafe.Pointer)

//go:wasmimport hookwright:plugin/log@0.1.0 write
func logWrite(level unsafe.Pointer, levelSize uint32, message unsafe.Pointer, messageSize, fields, count uint32)

//go:wasmimport hookwright:plugin/log@0.1.0 print
func logPrint(output unsafe.Pointer, size uint32)

//go:wasmimport hookwright:plugin/clock@0.1.0 now-ms
func clockNowMs() float64

//go:wasmimport hookwright:plugin/clock@0.1.0 now
func clockNow(to unsafe.Pointer)

//go:wasmimport hookwright:plugin/random@0.1.0 bytes
func randomBytes(count uint32, to unsafe.Pointer)

//go:wasmimport hookwright:plugin/random@0.1.0 uuid
func randomUUID(to unsafe.Pointer)

// RandomBits draws 32 bits.
//
//go:wasmimport hookwright:plugin/random@0.1.0 bits
func RandomBits() uint32

//go:wasmimport hookwright:plugin/config@0.1.0 get
func configGet(key unsafe.Pointer, size uint32, to unsafe.Pointer)

//go:wasmimport hookwright:plugin/secrets@0.1.0 placeholder
func secretsPlaceholder(name unsafe.Pointer, size uint32, to unsafe.Pointer)

//go:wasmimport hookwright:plugin/http@0.1.0 send
func httpSend(method unsafe.Pointer, methodSize uint32, url unsafe.Pointer, urlSize, headers, count uint32,
	body unsafe.Pointer, size, limited, timeout uint32, to unsafe.Pointer)

//go:wasmimport hookwright:plugin/mail@0.1.0 send
func mailSend(to, toCount uint32, subject unsafe.Pointer, subjectSize uint32, said unsafe.Pointer, saidSize uint32,
	hasHTML, html, htmlSize, headers, headerCount, attachments, attachmentCount uint32, into unsafe.Pointer)
