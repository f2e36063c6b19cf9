// The exports of an action; the build gives them their names in the component.

import "./runtime";
import { describe, run } from "./plugin";
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

export function action_run(at: usize): usize {
  const event = takeEvent(at);
  const parameters = takeText(at + 60);
  heap.free(at);
  const outcome = run(event, parameters);
  begin();
  const failure = outcome.failure;
  if (failure) {
    answerFailure(failure);
  } else {
    store<u8>(answer, outcome.isSkipped ? 1 : 0, 4);
    lend(outcome.text, answer + 8);
  }
  return answer;
}

export function action_ran(_: usize): void {
  end();
}
