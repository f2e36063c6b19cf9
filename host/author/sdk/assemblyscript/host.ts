// The host's interfaces, one namespace each. Functions that are not called are not in the component, and neither is their capability.

import { Pair, Result } from "./hookwright";
import {
  area,
  bytesResult,
  lendPairs,
  lendTexts,
  lendWords,
  optionResult,
  plainResult,
  takeBytes,
  takeFailure,
  takeOption,
  takePairs,
  takeText,
  textResult,
  textsResult,
} from "./memory";

function at(text: string): usize {
  return changetype<usize>(text);
}

// @ts-ignore: decorator
@external("hookwright:plugin/log@0.1.0", "write")
declare function log_write(level: usize, levelUnits: i32, message: usize, messageUnits: i32, fields: usize, fieldsCount: i32): void;

// @ts-ignore: decorator
@external("hookwright:plugin/log@0.1.0", "print")
declare function log_print(output: usize, outputSize: i32): void;

// @ts-ignore: decorator
@external("hookwright:plugin/clock@0.1.0", "now-ms")
declare function clock_nowMs(): f64;

// @ts-ignore: decorator
@external("hookwright:plugin/clock@0.1.0", "now")
declare function clock_now(to: usize): void;

// @ts-ignore: decorator
@external("hookwright:plugin/random@0.1.0", "bytes")
declare function random_bytes(count: u32, to: usize): void;

// @ts-ignore: decorator
@external("hookwright:plugin/random@0.1.0", "uuid")
declare function random_uuid(to: usize): void;

// @ts-ignore: decorator
@external("hookwright:plugin/random@0.1.0", "bits")
declare function random_bits(): u32;

// @ts-ignore: decorator
@external("hookwright:plugin/config@0.1.0", "get")
declare function config_get(key: usize, keyUnits: i32, to: usize): void;

// @ts-ignore: decorator
@external("hookwright:plugin/secrets@0.1.0", "placeholder")
declare function secrets_placeholder(name: usize, nameUnits: i32, to: usize): void;

// @ts-ignore: decorator
@external("hookwright:plugin/crypto@0.1.0", "digest")
declare function crypto_digest(algorithm: usize, algorithmUnits: i32, data: usize, dataSize: i32, to: usize): void;

// @ts-ignore: decorator
@external("hookwright:plugin/crypto@0.1.0", "hmac")
declare function crypto_hmac(algorithm: usize, algorithmUnits: i32, secret: usize, secretUnits: i32, data: usize, dataSize: i32, to: usize): void;

// @ts-ignore: decorator
@external("hookwright:plugin/crypto@0.1.0", "verify-hmac")
declare function crypto_verifyHmac(algorithm: usize, algorithmUnits: i32, secret: usize, secretUnits: i32, data: usize, dataSize: i32, code: usize, codeSize: i32, to: usize): void;

// @ts-ignore: decorator
@external("hookwright:plugin/crypto@0.1.0", "verify-token")
declare function crypto_verifyToken(secret: usize, secretUnits: i32, token: usize, tokenUnits: i32, to: usize): void;

// @ts-ignore: decorator
@external("hookwright:plugin/crypto@0.1.0", "verify-ed25519")
declare function crypto_verifyEd25519(publicKey: usize, publicKeySize: i32, data: usize, dataSize: i32, signature: usize, signatureSize: i32, to: usize): void;

// @ts-ignore: decorator
@external("hookwright:plugin/encoding@0.1.0", "base64-encode")
declare function encoding_base64Encode(data: usize, dataSize: i32, to: usize): void;

// @ts-ignore: decorator
@external("hookwright:plugin/encoding@0.1.0", "base64-decode")
declare function encoding_base64Decode(text: usize, textUnits: i32, to: usize): void;

// @ts-ignore: decorator
@external("hookwright:plugin/encoding@0.1.0", "hex-encode")
declare function encoding_hexEncode(data: usize, dataSize: i32, to: usize): void;

// @ts-ignore: decorator
@external("hookwright:plugin/encoding@0.1.0", "hex-decode")
declare function encoding_hexDecode(text: usize, textUnits: i32, to: usize): void;

// @ts-ignore: decorator
@external("hookwright:plugin/encoding@0.1.0", "utf8-encode")
declare function encoding_utf8Encode(text: usize, textUnits: i32, to: usize): void;

// @ts-ignore: decorator
@external("hookwright:plugin/encoding@0.1.0", "utf8-decode")
declare function encoding_utf8Decode(data: usize, dataSize: i32, to: usize): void;

// @ts-ignore: decorator
@external("hookwright:plugin/kv@0.1.0", "set")
declare function kv_set(key: usize, keyUnits: i32, value: usize, valueSize: i32, hasSeconds: u32, seconds: u32, to: usize): void;

// @ts-ignore: decorator
@external("hookwright:plugin/kv@0.1.0", "remove")
declare function kv_remove(key: usize, keyUnits: i32, to: usize): void;

// @ts-ignore: decorator
@external("hookwright:plugin/kv@0.1.0", "keys")
declare function kv_keys(prefix: usize, prefixUnits: i32, limit: u32, to: usize): void;

// @ts-ignore: decorator
@external("hookwright:plugin/records@0.1.0", "get")
declare function records_get(kind: usize, kindUnits: i32, id: usize, idUnits: i32, to: usize): void;

// @ts-ignore: decorator
@external("hookwright:plugin/records@0.1.0", "find")
declare function records_find(kind: usize, kindUnits: i32, filter: usize, filterUnits: i32, limit: u32, to: usize): void;

// @ts-ignore: decorator
@external("hookwright:plugin/records@0.1.0", "create")
declare function records_create(kind: usize, kindUnits: i32, fields: usize, fieldsUnits: i32, to: usize): void;

// @ts-ignore: decorator
@external("hookwright:plugin/records@0.1.0", "update")
declare function records_update(kind: usize, kindUnits: i32, id: usize, idUnits: i32, changes: usize, changesUnits: i32, to: usize): void;

// @ts-ignore: decorator
@external("hookwright:plugin/records@0.1.0", "remove")
declare function records_remove(kind: usize, kindUnits: i32, id: usize, idUnits: i32, to: usize): void;

// @ts-ignore: decorator
@external("hookwright:plugin/tickets@0.1.0", "get")
declare function tickets_get(id: usize, idUnits: i32, to: usize): void;

// @ts-ignore: decorator
@external("hookwright:plugin/tickets@0.1.0", "update")
declare function tickets_update(id: usize, idUnits: i32, changes: usize, changesUnits: i32, to: usize): void;

// @ts-ignore: decorator
@external("hookwright:plugin/tickets@0.1.0", "add-note")
declare function tickets_addNote(id: usize, idUnits: i32, text: usize, textUnits: i32, isPublic: u32, to: usize): void;

// @ts-ignore: decorator
@external("hookwright:plugin/events@0.1.0", "emit")
declare function events_emit(eventType: usize, eventTypeUnits: i32, hasSubject: u32, subject: usize, subjectUnits: i32, data: usize, dataUnits: i32, to: usize): void;

// @ts-ignore: decorator
@external("hookwright:plugin/workflows@0.1.0", "start")
declare function workflows_start(name: usize, nameUnits: i32, input: usize, inputUnits: i32, to: usize): void;

// @ts-ignore: decorator
@external("hookwright:plugin/kv@0.1.0", "get")
declare function kv_get(key: usize, keyUnits: i32, to: usize): void;

// @ts-ignore: decorator
@external("hookwright:plugin/mail@0.1.0", "send")
declare function mail_send(to: usize, toCount: i32, subject: usize, subjectUnits: i32, text: usize, textUnits: i32, hasHtml: u32, html: usize, htmlUnits: i32, headers: usize, headersCount: i32, attachments: usize, attachmentsCount: i32, into: usize): void;

// @ts-ignore: decorator
@external("hookwright:plugin/http@0.1.0", "send")
declare function http_send(method: usize, methodUnits: i32, url: usize, urlUnits: i32, headers: usize, headersCount: i32, body: usize, bodySize: i32, hasTimeout: u32, timeout: u32, to: usize): void;

/** An attachment of a mail. */
export class Attachment {
  constructor(
    public name: string,
    public contentType: string,
    public content: Uint8Array,
  ) {}
}

/** A mail. */
export class Letter {
  /** Addresses as in RFC 5322. */
  to: string[] = [];
  subject: string = "";
  text: string = "";
  html: string | null = null;
  headers: Pair[] = [];
  attachments: Attachment[] = [];
}

/** A request to a host that the operator allowed. */
export class Request {
  headers: Pair[] = [];
  body: Uint8Array = new Uint8Array(0);
  /** Negative: the server's own. */
  timeoutMs: i64 = -1;

  constructor(
    public method: string,
    public url: string,
  ) {}
}

/** A response with any status. */
export class Response {
  status: u16 = 0;
  headers: Pair[] = [];
  body: Uint8Array = new Uint8Array(0);

  /** The first value of a header, by its name in lower case; null if there is none. */
  header(name: string): string | null {
    for (let i = 0; i < this.headers.length; i++) {
      if (this.headers[i].name.toLowerCase() == name) return this.headers[i].value;
    }
    return null;
  }
}

/** Log lines for operators. */
export namespace log {
  /** `level` is trace, debug, info, warn or error. */
  export function write(level: string, message: string, fields: Pair[]): void {
    log_write(at(level), level.length, at(message), message.length, lendPairs(fields), fields.length);
  }

  /** Output in pieces of any size. */
  export function print(output: Uint8Array): void {
    log_print(output.dataStart, output.length);
  }
}

/** The instant of the call. */
export namespace clock {
  /** Whole milliseconds since 1970. */
  export function nowMs(): f64 {
    return clock_nowMs();
  }

  /** RFC 3339, UTC, milliseconds. */
  export function now(): string {
    clock_now(area);
    return takeText(area);
  }
}

/** Randomness. */
export namespace random {
  /** At most 65,536. */
  export function bytes(count: u32): Uint8Array {
    random_bytes(count, area);
    return takeBytes(area);
  }

  /** A version 4 UUID (RFC 9562). */
  export function uuid(): string {
    random_uuid(area);
    return takeText(area);
  }

  /** 32 random bits. */
  export function bits(): u32 {
    return random_bits();
  }
}

/** Settings of this plugin. */
export namespace config {
  /** A setting that the operator gave to this plugin. */
  export function get(key: string): string | null {
    config_get(at(key), key.length, area);
    return takeOption(area);
  }
}

/** Secrets that the operator granted to this plugin. */
export namespace secrets {
  /** Text to put where the secret belongs in a request. */
  export function placeholder(name: string): Result<string> {
    secrets_placeholder(at(name), name.length, area);
    return textResult();
  }
}

/** Keys stay with the host. */
export namespace crypto {
  /** `algorithm` is sha1, sha256 or sha512. */
  export function digest(algorithm: string, data: Uint8Array): Result<Uint8Array> {
    crypto_digest(at(algorithm), algorithm.length, data.dataStart, data.length, area);
    return bytesResult();
  }

  /** Keyed by the named secret. */
  export function hmac(algorithm: string, secret: string, data: Uint8Array): Result<Uint8Array> {
    crypto_hmac(at(algorithm), algorithm.length, at(secret), secret.length, data.dataStart, data.length, area);
    return bytesResult();
  }

  /** In constant time. A wrong code is a failure. */
  export function verifyHmac(algorithm: string, secret: string, data: Uint8Array, code: Uint8Array): Result<bool> {
    crypto_verifyHmac(at(algorithm), algorithm.length, at(secret), secret.length, data.dataStart, data.length, code.dataStart, code.length, area);
    return plainResult();
  }

  /** Compares text with the named secret in constant time. */
  export function verifyToken(secret: string, token: string): Result<bool> {
    crypto_verifyToken(at(secret), secret.length, at(token), token.length, area);
    return plainResult();
  }

  /** RFC 8032: a key of 32 bytes, a signature of 64. */
  export function verifyEd25519(publicKey: Uint8Array, data: Uint8Array, signature: Uint8Array): Result<bool> {
    crypto_verifyEd25519(publicKey.dataStart, publicKey.length, data.dataStart, data.length, signature.dataStart, signature.length, area);
    return plainResult();
  }
}

/** Base64, hexadecimal digits and UTF-8. */
export namespace encoding {
  export function base64Encode(data: Uint8Array): string {
    encoding_base64Encode(data.dataStart, data.length, area);
    return takeText(area);
  }

  export function base64Decode(text: string): Result<Uint8Array> {
    encoding_base64Decode(at(text), text.length, area);
    return bytesResult();
  }

  export function hexEncode(data: Uint8Array): string {
    encoding_hexEncode(data.dataStart, data.length, area);
    return takeText(area);
  }

  export function hexDecode(text: string): Result<Uint8Array> {
    encoding_hexDecode(at(text), text.length, area);
    return bytesResult();
  }

  export function utf8Encode(text: string): Uint8Array {
    encoding_utf8Encode(at(text), text.length, area);
    return takeBytes(area);
  }

  export function utf8Decode(data: Uint8Array): Result<string> {
    encoding_utf8Decode(data.dataStart, data.length, area);
    return textResult();
  }
}

/** A small store of the plugin's own in each space. */
export namespace kv {
  /** The value; null if there is no such key. */
  export function get(key: string): Result<Uint8Array | null> {
    kv_get(at(key), key.length, area);
    const failure = takeFailure();
    if (failure != null || load<u8>(area, 4) == 0) return new Result<Uint8Array | null>(null, failure);
    return new Result<Uint8Array | null>(takeBytes(area + 8));
  }

  /** Negative seconds keep the value until it is replaced or removed. */
  export function set(key: string, value: Uint8Array, seconds: i64): Result<bool> {
    kv_set(at(key), key.length, value.dataStart, value.length, seconds >= 0 ? 1 : 0, <u32>seconds, area);
    return plainResult();
  }

  /** Whether there was such a key makes no difference. */
  export function remove(key: string): Result<bool> {
    kv_remove(at(key), key.length, area);
    return plainResult();
  }

  /** At most 1,000. */
  export function keys(prefix: string, limit: u32): Result<string[]> {
    kv_keys(at(prefix), prefix.length, limit, area);
    return textsResult();
  }
}

/** Records of the event's own space. */
export namespace records {
  /** The record as JSON, as this call would leave it. */
  export function get(kind: string, id: string): Result<string | null> {
    records_get(at(kind), kind.length, at(id), id.length, area);
    return optionResult();
  }

  /** Records whose fields equal those of `filter`, the newest first, at most 100. */
  export function find(kind: string, filter: string, limit: u32): Result<string[]> {
    records_find(at(kind), kind.length, at(filter), filter.length, limit, area);
    return textsResult();
  }

  /** Returns the new record's id. */
  export function create(kind: string, fields: string): Result<string> {
    records_create(at(kind), kind.length, at(fields), fields.length, area);
    return textResult();
  }

  /** Returns the record in its new state. */
  export function update(kind: string, id: string, changes: string): Result<string> {
    records_update(at(kind), kind.length, at(id), id.length, at(changes), changes.length, area);
    return textResult();
  }

  export function remove(kind: string, id: string): Result<bool> {
    records_remove(at(kind), kind.length, at(id), id.length, area);
    return plainResult();
  }
}

/** Tickets of the event's own space. */
export namespace tickets {
  /** The ticket as JSON, as this call would leave it. */
  export function get(id: string): Result<string | null> {
    tickets_get(at(id), id.length, area);
    return optionResult();
  }

  /** Returns the ticket in its new state. */
  export function update(id: string, changes: string): Result<string> {
    tickets_update(at(id), id.length, at(changes), changes.length, area);
    return textResult();
  }

  /** Returns the note's id. */
  export function addNote(id: string, text: string, isPublic: bool): Result<string> {
    tickets_addNote(at(id), id.length, at(text), text.length, isPublic ? 1 : 0, area);
    return textResult();
  }
}

/** New events. */
export namespace events {
  /** Returns the new event's id. */
  export function emit(eventType: string, subject: string | null, data: string): Result<string> {
    const said: string = subject == null ? "" : subject;
    events_emit(at(eventType), eventType.length, subject == null ? 0 : 1, at(said), said.length, at(data), data.length, area);
    return textResult();
  }
}

/** Workflows of the event's own space. */
export namespace workflows {
  /** Returns the run's id. */
  export function start(name: string, input: string): Result<string> {
    workflows_start(at(name), name.length, at(input), input.length, area);
    return textResult();
  }
}

/** Mails. */
export namespace mail {
  /** Queues a mail. Returns its id. */
  export function send(letter: Letter): Result<string> {
    const html = letter.html;
    const said: string = html == null ? "" : html;
    const words = new StaticArray<u32>(letter.attachments.length * 6);
    for (let i = 0; i < letter.attachments.length; i++) {
      const attachment = letter.attachments[i];
      words[i * 6] = <u32>at(attachment.name);
      words[i * 6 + 1] = attachment.name.length;
      words[i * 6 + 2] = <u32>at(attachment.contentType);
      words[i * 6 + 3] = attachment.contentType.length;
      words[i * 6 + 4] = <u32>attachment.content.dataStart;
      words[i * 6 + 5] = attachment.content.length;
    }
    mail_send(lendTexts(letter.to), letter.to.length, at(letter.subject), letter.subject.length, at(letter.text), letter.text.length, html == null ? 0 : 1, at(said), said.length, lendPairs(letter.headers), letter.headers.length, lendWords(words), letter.attachments.length, area);
    return textResult();
  }
}

/** Requests to hosts that the operator allowed. */
export namespace http {
  /** Any answer is a response; no answer is a failure. */
  export function send(request: Request): Result<Response> {
    http_send(at(request.method), request.method.length, at(request.url), request.url.length, lendPairs(request.headers), request.headers.length, request.body.dataStart, request.body.length, request.timeoutMs >= 0 ? 1 : 0, <u32>request.timeoutMs, area);
    const failure = takeFailure();
    const response = new Response();
    if (failure == null) {
      response.status = load<u16>(area, 4);
      response.headers = takePairs(area + 8);
      response.body = takeBytes(area + 16);
    }
    return new Result<Response>(response, failure);
  }
}
