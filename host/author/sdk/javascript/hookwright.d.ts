import type { Failure } from 'hookwright:plugin/types@0.1.0';

/** A failure that trying again cannot help; throw it. The code is `noun.problem`. */
export function failure(code: string, message: string): Failure;

/** A failure after which the step is tried again, not before so many milliseconds; 0 leaves it to the step. */
export function retry(code: string, message: string, milliseconds?: number): Failure;

/** The failure that an exception stands for; undefined if it stands for none. */
export function failureOf(error: unknown): Failure | undefined;

/** Wraps the plugin's entry, so that an `Error` becomes a failure instead of a trap. */
export function guarded<A extends unknown[], R>(entry: (...args: A) => R): (...args: A) => R;
