// The host's interfaces, as the QuickJS toolchain presents them: names in camel case, an option that may be undefined or
// null, a list of pairs as arrays of two. A refusal of the host is thrown, and becomes the plugin's own failure.

declare module 'hookwright:plugin/types@0.1.0' {
  /** Names with their values, in order. Names may be repeated. */
  export type Pairs = [string, string][];

  /** One fact that happened: the context attributes of CloudEvents 1.0 and the payload. */
  export interface Event {
    id: string;
    eventType: string;
    source: string;
    subject?: string | null;
    /** RFC 3339, UTC. */
    time: string;
    /** The payload as JSON. */
    data: string;
    attributes: Pairs;
  }

  /** The manifest of a plugin. */
  export interface Manifest {
    name: string;
    version: string;
    summary: string;
    /** JSON Schema of the plugin's parameters. */
    parameters: string;
    hints: Pairs;
  }

  /** Why a call did not succeed. */
  export interface Failure {
    /** `noun.problem`. */
    code: string;
    message: string;
    /** undefined: a retry cannot help. 0: retried by the step's own policy. */
    retryAfterMs?: number | null;
  }
}

declare module 'hookwright:plugin/log@0.1.0' {
  export function write(level: string, message: string, fields: [string, string][]): void;
  export function print(output: Uint8Array): void;
}

declare module 'hookwright:plugin/clock@0.1.0' {
  /** Whole milliseconds since 1970. */
  export function nowMs(): number;
  /** RFC 3339, UTC, milliseconds. */
  export function now(): string;
}

declare module 'hookwright:plugin/random@0.1.0' {
  /** At most 65,536 bytes a call. */
  export function bytes(count: number): Uint8Array;
  export function uuid(): string;
  export function bits(): number;
}

declare module 'hookwright:plugin/config@0.1.0' {
  export function get(key: string): string | null | undefined;
}

declare module 'hookwright:plugin/secrets@0.1.0' {
  export function placeholder(name: string): string;
}

declare module 'hookwright:plugin/crypto@0.1.0' {
  /** `algorithm` is sha1, sha256 or sha512. */
  export function digest(algorithm: string, data: Uint8Array): Uint8Array;
  export function hmac(algorithm: string, secret: string, data: Uint8Array): Uint8Array;
  /** Throws if the code is wrong. */
  export function verifyHmac(algorithm: string, secret: string, data: Uint8Array, code: Uint8Array): void;
  export function verifyToken(secret: string, token: string): void;
  export function verifyEd25519(publicKey: Uint8Array, data: Uint8Array, signature: Uint8Array): void;
}

declare module 'hookwright:plugin/encoding@0.1.0' {
  export function base64Encode(data: Uint8Array): string;
  export function base64Decode(text: string): Uint8Array;
  export function hexEncode(data: Uint8Array): string;
  export function hexDecode(text: string): Uint8Array;
  export function utf8Encode(text: string): Uint8Array;
  export function utf8Decode(data: Uint8Array): string;
  /** In a charset of the Encoding standard, such as ISO-8859-1; no character is replaced. */
  export function textDecode(charset: string, data: Uint8Array): string;
  /** gzip, deflate, br. */
  export function contentDecode(coding: string, data: Uint8Array): Uint8Array;
}

declare module 'hookwright:plugin/kv@0.1.0' {
  export function get(key: string): Uint8Array | null | undefined;
  export function set(key: string, value: Uint8Array, ttlSeconds: number | undefined): void;
  export function remove(key: string): void;
  /** At most 1,000. */
  export function keys(prefix: string, limit: number): string[];
}

declare module 'hookwright:plugin/records@0.1.0' {
  export function get(kind: string, id: string): string | null | undefined;
  export function find(kind: string, filter: string, limit: number): string[];
  export function create(kind: string, fields: string): string;
  export function update(kind: string, id: string, changes: string): string;
  export function remove(kind: string, id: string): void;
}

declare module 'hookwright:plugin/tickets@0.1.0' {
  export function get(id: string): string | null | undefined;
  /** Returns the ticket in its new state, as JSON. */
  export function update(id: string, changes: string): string;
  /** Returns the note's id. */
  export function addNote(id: string, text: string, isPublic: boolean): string;
}

declare module 'hookwright:plugin/events@0.1.0' {
  /** Returns the event's id. */
  export function emit(eventType: string, subject: string | undefined, data: string): string;
}

declare module 'hookwright:plugin/mail@0.1.0' {
  export interface Attachment {
    name: string;
    contentType: string;
    content: Uint8Array;
  }
  export interface Letter {
    to: string[];
    subject: string;
    text: string;
    html?: string;
    headers: [string, string][];
    attachments: Attachment[];
  }
  /** Returns the mail's id. */
  export function send(letter: Letter): string;
}

declare module 'hookwright:plugin/workflows@0.1.0' {
  /** Returns the run's id. */
  export function start(name: string, input: string): string;
}

declare module 'hookwright:plugin/http@0.1.0' {
  export interface Request {
    method: string;
    url: string;
    headers: [string, string][];
    body: Uint8Array;
    timeoutMs?: number;
  }
  export interface Response {
    status: number;
    headers: [string, string][];
    body: Uint8Array;
  }
  /** Any answer is a response; no answer is thrown. */
  export function send(request: Request): Response;
}

declare module 'hookwright:plugin/metadata@0.1.0' {
  import type { Manifest } from 'hookwright:plugin/types@0.1.0';
  /** `export const metadata: Metadata`. */
  export interface Metadata {
    describe(): Manifest;
  }
}

declare module 'hookwright:plugin/condition@0.1.0' {
  import type { Event } from 'hookwright:plugin/types@0.1.0';
  export interface Verdict {
    holds: boolean;
    reason: string;
  }
  /** `export const condition: Condition`. */
  export interface Condition {
    evaluate(event: Event, parameters: string): Verdict;
  }
}

declare module 'hookwright:plugin/action@0.1.0' {
  import type { Event } from 'hookwright:plugin/types@0.1.0';
  export type Outcome = { tag: 'done'; val: string } | { tag: 'skipped'; val: string };
  /** `export const action: Action`. */
  export interface Action {
    run(event: Event, parameters: string): Outcome;
  }
}

declare module 'hookwright:plugin/transform@0.1.0' {
  import type { Event, Pairs } from 'hookwright:plugin/types@0.1.0';
  export interface Message {
    headers: Pairs;
    contentType: string;
    body: Uint8Array;
  }
  export type Verdict = { tag: 'send'; val: Message } | { tag: 'drop'; val: string };
  /** `export const transform: Transform`. */
  export interface Transform {
    apply(event: Event, message: Message, parameters: string): Verdict;
  }
}

declare module 'hookwright:plugin/source@0.1.0' {
  import type { Pairs } from 'hookwright:plugin/types@0.1.0';
  export interface Request {
    method: string;
    path: string;
    query: string;
    /** Names in lower case. */
    headers: Pairs;
    body: Uint8Array;
    remoteAddress: string;
  }
  export interface Draft {
    id?: string;
    eventType: string;
    subject?: string;
    time?: string;
    data: string;
    attributes: Pairs;
  }
  export interface Answer {
    /** 0: the host responds as to requests of its own API. */
    status: number;
    headers: Pairs;
    body: Uint8Array;
  }
  export type Reception =
    | { tag: 'accepted'; val: { events: Draft[]; answer: Answer } }
    | { tag: 'refused'; val: { status: number; code: string; message: string } };
  /** `export const source: Source`. */
  export interface Source {
    receive(request: Request, parameters: string): Reception;
  }
}
