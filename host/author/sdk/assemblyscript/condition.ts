// The exports of a condition; the build gives them their names in the component.

import "./runtime";
import { describe, evaluate } from "./plugin";
import { allocate, answer, answerFailure, answerManifest, begin, end, lend, takeEvent, takeText } from "./memory";

export function cabi_realloc(old: usize, oldSize: usize, align: usize, size: usize): usize {
  return allocate(old, oldSize, align, size);
}

export function metadata_describe(): usize {
  begin();
  answerManifest(describe());
  return answer;
}

export function metadata_described(_: usize): void {
  end();
}

export function condition_evaluate(at: usize): usize {
  const event = takeEvent(at);
  const parameters = takeText(at + 60);
  heap.free(at);
  const verdict = evaluate(event, parameters);
  begin();
  const failure = verdict.failure;
  if (failure) {
    answerFailure(failure);
  } else {
    store<u8>(answer, verdict.holds ? 1 : 0, 4);
    lend(verdict.reason, answer + 8);
  }
  return answer;
}

export function condition_evaluated(_: usize): void {
  end();
}
