// The API of plugins in AssemblyScript: the event, the results, and (in host.ts) the host's functions. AssemblyScript has no
// exceptions, so functions that can fail return a Result.

/** A name with its value. */
export class Pair {
  constructor(
    public name: string,
    public value: string,
  ) {}
}

/** Why a call did not succeed. */
export class Failure {
  constructor(
    /** `noun.problem`. */
    public code: string,
    public message: string,
    /** Negative: a retry cannot help. 0: retried by the step's own policy. Otherwise: the minimum delay in milliseconds. */
    public retryAfterMs: i64 = -1,
  ) {}
}

/** The result of a host call: a failure or a value. */
export class Result<T> {
  constructor(
    public value: T,
    public failure: Failure | null = null,
  ) {}
}

/** One fact that happened (CloudEvents 1.0). */
export class Event {
  id: string = "";
  eventType: string = "";
  source: string = "";
  subject: string | null = null;
  /** RFC 3339, UTC. */
  time: string = "";
  /** The payload as JSON. */
  data: string = "";
  attributes: Pair[] = [];
}

/** The manifest of a plugin. */
export class Manifest {
  constructor(
    public name: string,
    public version: string,
    public summary: string,
    /** JSON Schema of the parameters. */
    public parameters: string,
    public hints: Pair[] = [],
  ) {}
}

/** The result of a condition; a failure if it could not decide. */
export class Verdict {
  constructor(
    public holds: bool,
    /** The compared values. */
    public reason: string,
    public failure: Failure | null = null,
  ) {}

  static failed(failure: Failure): Verdict {
    return new Verdict(false, "", failure);
  }
}

/** The result of an action. */
export class Outcome {
  constructor(
    public isSkipped: bool,
    public text: string,
    public failure: Failure | null = null,
  ) {}

  /** Done, with a result in JSON. */
  static done(result: string): Outcome {
    return new Outcome(false, result);
  }

  /** There was nothing to do, because. */
  static skipped(reason: string): Outcome {
    return new Outcome(true, reason);
  }

  static failed(failure: Failure): Outcome {
    return new Outcome(false, "", failure);
  }
}
