// What a plugin in AssemblyScript sees: the event that it is called for, what it answers, and (in host.ts) what it may ask
// for. AssemblyScript has no exceptions, so what can fail answers a Result.

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
    /** Negative: trying again cannot help. 0: as the step's own policy says. Otherwise not before so many. */
    public retryAfterMs: i64 = -1,
  ) {}
}

/** What came of asking the host: a failure, or else a value. */
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

/** What a plugin says of itself. */
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

/** What a condition decided; a failure says that it could not. */
export class Verdict {
  constructor(
    public holds: bool,
    /** What was compared with what. */
    public reason: string,
    public failure: Failure | null = null,
  ) {}

  static failed(failure: Failure): Verdict {
    return new Verdict(false, "", failure);
  }
}

/** What came of an action. */
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
