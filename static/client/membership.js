// The life of a client: which room it wants to be in, where it is, and the one way from here to there.
//
// What a program wants is a stay in a room, or none. One loop makes the server's idea of this client
// equal to that, asking one thing at a time; whatever happens only changes what is wanted or what is
// known, and lets the loop look again. docs/clients.md draws the states.

import { PresenceError } from "./base.js";
import { delayOf, isPassing } from "./line.js";
import { Stay } from "./stay.js";

// As long as a timer can be: an admission may take any time.
const LONG_MS = 2 ** 31 - 1;

/**
 * Moves a client in and out of rooms over a line.
 *
 * `owner` is told: `changed(state)`, `leaving(stay)` while something can still be said in the room,
 * `entered(body, { stay, rejoined, known })`, `exited(body)`, and `failed(error)` of what no promise
 * reports, `waiting(body)` of a room with a lobby. It is asked: `isHolding()`, whether the line is wanted without a room too, and
 * `completed(message)` for a join as it is to be sent.
 */
export class Membership {
  state = "idle";

  #line;
  #owner;
  #timeout;
  // The stay that is wanted, what the server holds of this connection, and what it held last: a
  // stay, or null for surely none.
  #wanted = null;
  #held = null;
  #placed = null;
  #isClosed = false;
  #isMoving = false;
  // While leave_room is under way: what the server says until it is answered is of before.
  #isDeparting = false;
  // Who waits until the client is in no room, and who looks again after every change.
  #outside = new Set();
  #watching = new Set();

  constructor(line, owner, timeout) {
    this.#line = line;
    this.#owner = owner;
    this.#timeout = timeout;
  }

  /** The stay that is wanted, or null. */
  get stay() {
    return this.#wanted;
  }

  /** Whether the server is to put this client back where it was, when it comes back. */
  get wantsPlace() {
    return this.#wanted !== null && this.#wanted === this.#placed;
  }

  /** Want to be in a room; resolves with the server's answer. */
  join(message, waitForPlace = false) {
    if (this.#isClosed) return Promise.reject(closedError());
    const superseded = new PresenceError("superseded", "Another join() came before this one was answered.");
    const before = this.#wanted;
    const isInside = before?.wasIn && before.isOf(message);
    const stay = isInside ? before : new Stay(message);
    if (isInside) {
      // In already, or on the way back: what is new of the username and the data is added.
      stay.settle("reject", superseded);
      const { password } = stay.message;
      stay.message = { ...(password && { password }), ...message, room_name: stay.roomName, peer_id: stay.peerId };
    }
    const answer = new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#expire(stay), this.#timeout);
      stay.attempt = { resolve, reject, timer, waitForPlace };
    });
    if (!isInside && before) {
      before.settle("reject", superseded);
      this.#end(before, before.wasIn ? new PresenceError("left", "Another room was joined.") : superseded, { reason: "left" }, stay);
    } else {
      this.#wanted = stay;
    }
    this.#line.hold();
    this.#look();
    return answer;
  }

  /** Want to be in no room; resolves once that is so. */
  async leave() {
    if (this.#isClosed) throw closedError();
    const stay = this.#wanted;
    const left = { room_name: stay?.wasIn ? stay.roomName : null, reason: "left" };
    if (stay?.wasIn) left.peer_id = stay.peerId;
    if (stay) this.#end(stay, new PresenceError("left", "leave() came before this was answered."), left);
    this.#look();
    return { ...left, ...(await this.#untilOutside()) };
  }

  /** Want nothing any more, ever. */
  close() {
    if (this.#isClosed) return;
    const stay = this.#wanted;
    this.#isClosed = true;
    if (stay) this.#end(stay, closedError(), { reason: "closed" });
    this.#held = this.#placed = null;
    this.#line.drop();
    for (const waiting of [...this.#outside]) waiting("reject", closedError());
    this.#look();
  }

  /** Resolve once a stay is in its room; rejects with why it is not, at the latest at `until`. */
  async untilIn(stay, until) {
    while (!stay.isIn) {
      if (stay.ended) throw stay.ended;
      if (Date.now() >= until) throw this.#whyNot(stay);
      await this.#change(until - Date.now());
    }
  }

  /** Look at what there is to do: the line went up, or is wanted no more. */
  look() {
    this.#look();
  }

  /** The line went down. */
  down() {
    this.#held = null;
    if (this.#wanted) this.#wanted.isIn = false;
    this.#look();
  }

  /** The server will not have us, whatever is wanted; somebody may have been told already. */
  refused(error, isTold) {
    this.#held = this.#placed = null;
    if (this.#wanted) this.#fail(this.#wanted, error);
    else if (!isTold) this.#owner.failed(error);
    this.#look();
  }

  /** The server says that this connection is in a room now. */
  entered(body) {
    if (this.#isDeparting) return;
    const stay = this.#wanted;
    const isAnswer = stay !== null && this.#held === stay && !stay.isIn;
    if (!isAnswer && !stay?.isOf(body)) {
      // It puts back whom it lost, and answers what was withdrawn meanwhile.
      this.#held = this.#placed = new Stay(body);
      if (stay) stay.isIn = false;
      this.#look();
      return;
    }
    const known = stay.isIn;
    const rejoined = stay.wasIn;
    this.#held = this.#placed = stay;
    stay.wasIn = stay.isIn = true;
    stay.answer = body;
    stay.refusal = null;
    stay.refusals = 0;
    stay.message = { ...stay.message, room_name: body.room_name, peer_id: body.peer_id };
    // Where a join came after a leave so soon that it got the same place, nobody will be outside.
    this.#tellOutside({});
    this.#settleState();
    this.#owner.entered(body, { stay, rejoined, known });
    this.#look();
  }

  /** The server says that whoever waited to be admitted is not; other refusals are answers. */
  turnedAway(body) {
    const stay = this.#wanted;
    if (!stay?.isWaiting || body.code === "waiting" || !stay.isOf({ room_name: body.room_name ?? stay.roomName })) return;
    this.#held = null;
    this.#fail(stay, new PresenceError(body.code, body.detail, body));
    this.#look();
  }

  /** The server says that this connection is in a room no more. */
  exited(body) {
    if (this.#isDeparting) return;
    if (this.#held?.isOf(body)) this.#held = this.#placed = null;
    const stay = this.#wanted;
    if (!stay?.isIn || !stay.isOf(body)) return;
    stay.isIn = false;
    this.#end(stay, new PresenceError(body.reason ?? "left", `You are no longer in “${stay.roomName}”.`, body), body);
    this.#look();
  }

  #look() {
    this.#settleState();
    for (const check of [...this.#watching]) check();
    if (!this.#isMoving) this.#move();
  }

  /** Take one step after the other until what is wanted is so, or cannot be for now. */
  async #move() {
    this.#isMoving = true;
    try {
      while (!this.#isClosed) {
        const stay = this.#wanted;
        if (this.#held === null) this.#tellOutside({});
        if (!this.#line.isUp) {
          if (!stay && !this.#owner.isHolding()) this.#line.drop();
          return;
        }
        if (this.#held !== null && this.#held !== stay) await this.#depart();
        else if (!stay || (stay.isIn && !stay.attempt)) return;
        else await this.#enter(stay);
      }
    } finally {
      this.#isMoving = false;
    }
  }

  async #enter(stay) {
    const { attempt } = stay;
    const message = this.#owner.completed(stay.message);
    stay.message = message;
    this.#held = stay;
    try {
      const body = await this.#line.ask("join_room", message, this.#timeout);
      if (this.#wanted !== stay) return;
      if (!stay.isIn) this.entered(body);
      // Unless another join has added something meanwhile.
      if (stay.attempt !== attempt) return;
      stay.dropData();
      stay.settle("resolve", body);
    } catch (error) {
      if (error.code === "waiting" && this.#wanted === stay && !stay.isIn) return void (await this.#wait(stay, error));
      // Who is in stays in when a further join is refused; who got no answer may be in.
      if (this.#held === stay && !stay.isIn && error.code !== "timeout") this.#held = null;
      if (error.code === "connection_lost" || this.#wanted !== stay || stay.attempt !== attempt) return;
      stay.refusal = error;
      const isWaiting = error.code === "room_full" && (stay.wasIn || attempt?.waitForPlace);
      if (stay.isIn || !(isWaiting || isPassing(error))) return void this.#fail(stay, error);
      // Who was in waits for the place; the call does so only if it is to.
      if (isWaiting && attempt?.waitForPlace) clearTimeout(attempt.timer);
      this.#owner.failed(error);
      const isOver = () => this.#wanted !== stay || stay.attempt !== attempt || !this.#line.isUp;
      await this.#change(delayOf(stay.refusals++, error), isOver);
    }
  }

  /** Wait to be admitted, for as long as it takes and the line is up. */
  async #wait(stay, error) {
    const { attempt } = stay;
    if (attempt) clearTimeout(attempt.timer);
    stay.isWaiting = true;
    stay.refusal = error;
    this.#owner.waiting(error.body);
    await this.#change(LONG_MS, () => stay.isIn || this.#wanted !== stay || stay.attempt !== attempt || !this.#line.isUp);
    stay.isWaiting = false;
    if (!stay.isIn || stay.attempt !== attempt) return;
    stay.dropData();
    stay.settle("resolve", { ok: true, ...stay.answer });
  }

  async #depart() {
    const held = this.#held;
    this.#isDeparting = true;
    try {
      const { ok: _ok, ...left } = await this.#line.ask("leave_room", {}, this.#timeout);
      if (this.#held === held) this.#held = this.#placed = null;
      this.#tellOutside(left);
    } catch (error) {
      if (this.#held !== held) return;
      this.#held = this.#placed = null;
      // Whether it is in or not: without this connection it is out.
      if (error.code !== "not_joined") this.#renew();
    } finally {
      this.#isDeparting = false;
    }
  }

  /** Open another connection, of which the server knows nothing yet, if one is wanted. */
  #renew() {
    this.#line.drop();
    this.#held = this.#placed = null;
    if (this.#wanted) this.#wanted.isIn = false;
    if (this.#wanted || this.#owner.isHolding()) this.#line.hold();
  }

  /** A stay cannot be had, or a further join of it is refused. */
  #fail(stay, error) {
    const isTold = stay.attempt !== null;
    if (stay.isIn) stay.settle("reject", error);
    else this.#end(stay, error, { reason: error.code });
    if (!isTold) this.#owner.failed(error);
  }

  /** The time of a `join` is over. Who was in is still wanted back. */
  #expire(stay) {
    const error = this.#whyNot(stay);
    if (stay.wasIn) stay.settle("reject", error);
    else this.#end(stay, error, { reason: error.code });
    this.#look();
  }

  /** Want a stay no more, but `next`: whatever waits for it ends with `error`. */
  #end(stay, error, body, next = null) {
    stay.ended = error;
    this.#wanted = next;
    if (stay.isIn) this.#owner.leaving(stay);
    stay.isIn = false;
    this.#settleState();
    stay.settle("reject", error);
    if (stay.wasIn) this.#owner.exited({ room_name: stay.roomName, peer_id: stay.peerId, ...body });
  }

  #whyNot(stay) {
    if (!this.#line.isUp) return this.#line.problem;
    return stay.refusal ?? new PresenceError("timeout", "The server did not answer in time.");
  }

  /** Resolve once this connection is in no room, with what the server said of it. */
  #untilOutside() {
    if (this.#held === null && !this.#isMoving) return Promise.resolve({});
    return new Promise((resolve, reject) => {
      const waiting = (how, value) => {
        clearTimeout(timer);
        this.#outside.delete(waiting);
        if (how === "reject") reject(value);
        else resolve(value);
      };
      const timer = setTimeout(() => {
        this.#renew();
        this.#look();
        waiting("resolve", {});
      }, this.#timeout);
      this.#outside.add(waiting);
    });
  }

  #tellOutside(body) {
    for (const waiting of [...this.#outside]) waiting("resolve", body);
  }

  /** Wait for something that `isEnough`, at most for so long. */
  #change(milliseconds, isEnough = () => true) {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#watching.delete(check);
        resolve();
      };
      const check = () => (isEnough() || this.#isClosed) && done();
      const timer = setTimeout(done, milliseconds);
      this.#watching.add(check);
    });
  }

  #settleState() {
    const state = this.#stateNow();
    if (state === this.state) return;
    this.state = state;
    this.#owner.changed(state);
  }

  #stateNow() {
    if (this.#isClosed) return "closed";
    if (!this.#wanted) return "idle";
    if (this.#wanted.isIn) return "joined";
    return this.#wanted.wasIn ? "reconnecting" : "connecting";
  }
}

/** The error of whatever is asked of a closed client. */
export function closedError() {
  return new PresenceError("closed", "This client was closed. Make another one to go on.");
}
