// How long a connection is tried, and by what: nudged, built anew, given up, and tried again later.

// How long a path may be interrupted.
const INTERRUPTION_MS = 2500;
// What could not be handed over is tried again after this; so is a peer that is away looked for.
const SOON_MS = 1000;
// After this many steps in vain the connection counts as failed; every third one builds it anew.
const STEPS = 6;
const STEPS_TO_REBUILD = 3;
// A connection that worked once is tried again this often for as long as both are in the room.
const SLOW_RETRY_MS = 15_000;
// A peer that is shown inactive may only be reconnecting: it has the time of this many steps.
const ABSENT_STEPS = 3;

/**
 * Takes the next step towards a connection for as long as there is none. `connection` shows what it is
 * like (`pc`, `channel`, `isBuilding`, `state`) and does what is to be done (`start`, `nudge`, `fail`,
 * `finish`).
 */
export class Attempts {
  /** Whether the connection was up once. */
  worked = false;
  /** What went wrong last, or null. */
  error = null;

  #link;
  #connection;
  #timer = null;
  #steps = 0;
  #absentSince = null;

  constructor(link, connection) {
    this.#link = link;
    this.#connection = connection;
  }

  /** Take the next step after so long, by default after the time that the last one has to work. */
  plan(milliseconds = this.#link.patience) {
    this.stop();
    this.#timer = setTimeout(() => this.#step(), milliseconds);
  }

  stop() {
    clearTimeout(this.#timer);
  }

  /** The connection is up. */
  succeeded() {
    this.worked = true;
    this.error = null;
    this.#steps = 0;
    this.#absentSince = null;
    // What was offered meanwhile, or its answer, may be lost.
    if (isWell(this.#connection)) this.stop();
    else this.plan();
  }

  /** The path was lost, or its end was told. */
  interrupted(isOver) {
    this.plan(isOver ? 0 : INTERRUPTION_MS);
  }

  /** Something could not be done. */
  failed(error) {
    this.error = error;
    if (this.#connection.state !== "closed") this.plan(SOON_MS);
  }

  /** Begin to count anew, now. */
  again() {
    this.#steps = 0;
    this.plan(0);
  }

  #step() {
    const connection = this.#connection;
    if (connection.state === "closed") return;
    if (isWell(connection)) {
      this.#steps = 0;
      return;
    }
    if (this.#link.isReplaced(connection)) {
      return connection.finish("Another connection to the same peer took its place.");
    }
    if (!this.#link.isPresent(connection.peerId)) return this.#waitForPeer();
    this.#absentSince = null;
    if (this.#steps >= STEPS) return this.#giveUp();
    this.#steps += 1;
    if (connection.isBuilding) return this.plan();
    if (this.#steps % STEPS_TO_REBUILD === 0 || isDead(connection)) return connection.start();
    connection.nudge();
    this.plan();
  }

  #waitForPeer() {
    const now = Date.now();
    this.#absentSince ??= now;
    // What is up is not given up because the peer cannot be told of a change.
    if (!this.#link.isHere() || hasPath(this.#connection)) this.#absentSince = now;
    else if (now - this.#absentSince > ABSENT_STEPS * this.#link.patience) {
      return this.#connection.finish(`“${this.#connection.peerId}” is not in the room any more.`);
    }
    this.plan(SOON_MS);
  }

  #giveUp() {
    this.#connection.fail();
    if (!this.worked) return;
    this.#steps = STEPS - 1;
    this.plan(SLOW_RETRY_MS);
  }
}

function isWell(connection) {
  return hasPath(connection) && connection.pc.signalingState === "stable";
}

function hasPath(connection) {
  return !isDead(connection) && connection.pc.connectionState === "connected";
}

function isDead({ pc, channel }) {
  return !pc || ["closing", "closed"].includes(channel?.readyState);
}
