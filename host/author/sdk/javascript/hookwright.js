// What every plugin wants: failures, and an entry that never traps.

/** A failure that trying again cannot help; throw it. The code is `noun.problem`. A plain object, since the host takes no `Error`. */
export function failure(code, message) {
  return { code: String(code), message: String(message), retryAfterMs: undefined };
}

/**
 * A failure after which the step is tried again, not before so many milliseconds; 0 leaves it to the step. The engine
 * cuts counts of 2^31 and more at 2^31 - 1, unless they are given as the same 32 bits with a sign.
 */
export function retry(code, message, milliseconds = 0) {
  return { code: String(code), message: String(message), retryAfterMs: milliseconds | 0 };
}

/** The failure that an exception stands for; undefined if it stands for none. */
export function failureOf(error) {
  const found = error?.payload ?? error;
  return typeof found?.code === 'string' ? found : undefined;
}

/**
 * Wraps the plugin's entry. An `Error` that reaches the host is a trap whose message is lost, so it becomes a failure
 * with the code `plugin.error`. Failures, the host's among them, pass through.
 */
export function guarded(entry) {
  return (...args) => {
    try {
      return entry(...args);
    } catch (error) {
      throw failureOf(error) ?? failure('plugin.error', error?.message ?? error);
    }
  };
}
