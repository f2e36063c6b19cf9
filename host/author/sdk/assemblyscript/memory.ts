// The layout of values in memory between a plugin and the host: the component model's canonical ABI, with texts in UTF-16.

import { Event, Failure, Manifest, Pair, Result } from "./hookwright";

/** Called by the host to allocate memory for values that it passes. */
export function allocate(old: usize, oldSize: usize, align: usize, size: usize): usize {
  if (size == 0) return align;
  return old == 0 ? heap.alloc(size) : heap.realloc(old, size);
}

/** Takes a string from the host. */
export function takeText(at: usize): string {
  const from = load<u32>(at);
  const units = load<u32>(at, 4);
  if (units == 0) return "";
  const text = String.UTF16.decodeUnsafe(from, <usize>units << 1);
  heap.free(from);
  return text;
}

export function takeOption(at: usize): string | null {
  return load<u8>(at) == 0 ? null : takeText(at + 4);
}

export function takeBytes(at: usize): Uint8Array {
  const from = load<u32>(at);
  const size = load<u32>(at, 4);
  const bytes = new Uint8Array(size);
  if (size == 0) return bytes;
  memory.copy(bytes.dataStart, from, size);
  heap.free(from);
  return bytes;
}

export function takePairs(at: usize): Pair[] {
  const from = load<u32>(at);
  const count = load<u32>(at, 4);
  const pairs: Pair[] = [];
  for (let i: u32 = 0; i < count; i++) pairs.push(new Pair(takeText(from + i * 16), takeText(from + i * 16 + 8)));
  if (count > 0) heap.free(from);
  return pairs;
}

export function takeTexts(at: usize): string[] {
  const from = load<u32>(at);
  const count = load<u32>(at, 4);
  const texts: string[] = [];
  for (let i: u32 = 0; i < count; i++) texts.push(takeText(from + i * 8));
  if (count > 0) heap.free(from);
  return texts;
}

/** An event takes 60 bytes. */
export function takeEvent(at: usize): Event {
  const event = new Event();
  event.id = takeText(at);
  event.eventType = takeText(at + 8);
  event.source = takeText(at + 16);
  event.subject = takeOption(at + 24);
  event.time = takeText(at + 36);
  event.data = takeText(at + 44);
  event.attributes = takePairs(at + 52);
  return event;
}

/** The area for the host's results. */
export const area: usize = memory.data(40, 8);

/** The failure in the area; null if there is none. */
export function takeFailure(): Failure | null {
  if (load<u8>(area) == 0) return null;
  const failure = new Failure(takeText(area + 4), takeText(area + 12));
  if (load<u8>(area, 20) != 0) failure.retryAfterMs = load<u32>(area, 24);
  return failure;
}

/** A result that is a string. */
export function textResult(): Result<string> {
  const failure = takeFailure();
  return new Result<string>(failure == null ? takeText(area + 4) : "", failure);
}

/** A result that is bytes. */
export function bytesResult(): Result<Uint8Array> {
  const failure = takeFailure();
  return new Result<Uint8Array>(failure == null ? takeBytes(area + 4) : new Uint8Array(0), failure);
}

/** A result that is a string or nothing. */
export function optionResult(): Result<string | null> {
  const failure = takeFailure();
  return new Result<string | null>(failure == null ? takeOption(area + 4) : null, failure);
}

/** A result that is a list of strings. */
export function textsResult(): Result<string[]> {
  const failure = takeFailure();
  return new Result<string[]>(failure == null ? takeTexts(area + 4) : [], failure);
}

/** A result without a value: whether it went well. */
export function plainResult(): Result<bool> {
  const failure = takeFailure();
  return new Result<bool>(failure == null, failure);
}

/** Memory that the host may still read: strings, and lists of strings. */
let kept: Array<string> = [];
let lists: Array<StaticArray<u32>> = [];

/** Lends a string: its address and its length are at `at`. */
export function lend(text: string, at: usize): void {
  kept.push(text);
  store<u32>(at, <u32>changetype<usize>(text));
  store<u32>(at, text.length, 4);
}

/** Lends a list of strings. Returns its address. */
export function lendTexts(texts: string[]): usize {
  const words = new StaticArray<u32>(texts.length * 2);
  lists.push(words);
  for (let i = 0; i < texts.length; i++) lend(texts[i], changetype<usize>(words) + i * 8);
  return changetype<usize>(words);
}

/** Lends a list of names and values. Returns its address. */
export function lendPairs(pairs: Pair[]): usize {
  const words = new StaticArray<u32>(pairs.length * 4);
  lists.push(words);
  for (let i = 0; i < pairs.length; i++) {
    lend(pairs[i].name, changetype<usize>(words) + i * 16);
    lend(pairs[i].value, changetype<usize>(words) + i * 16 + 8);
  }
  return changetype<usize>(words);
}

/** Keeps words until the result was read. Returns their address. */
export function lendWords(words: StaticArray<u32>): usize {
  lists.push(words);
  return changetype<usize>(words);
}

/** The answer of the present call. */
export const answer: usize = memory.data(48, 8);

export function begin(): void {
  memory.fill(answer, 0, 48);
}

export function answerFailure(failure: Failure): void {
  store<u8>(answer, 1);
  lend(failure.code, answer + 4);
  lend(failure.message, answer + 12);
  store<u8>(answer, failure.retryAfterMs >= 0 ? 1 : 0, 20);
  store<u32>(answer, <u32>failure.retryAfterMs, 24);
}

export function answerManifest(manifest: Manifest): void {
  lend(manifest.name, answer);
  lend(manifest.version, answer + 8);
  lend(manifest.summary, answer + 16);
  lend(manifest.parameters, answer + 24);
  store<u32>(answer, <u32>lendPairs(manifest.hints), 32);
  store<u32>(answer, manifest.hints.length, 36);
}

/** Forgets what the host has read. */
export function end(): void {
  kept = [];
  lists = [];
  __collect();
}
