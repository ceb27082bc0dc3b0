// A room's list of peers, kept up to date by whole lists or by changes.

import { compare } from "./base.js";

/** The list of a room as of a version. */
export class Roster {
  peers = [];
  version = 0;
  /** The newest list in the server's own shape, `peers` included. */
  list = { room_name: null, active_peers: 0, total_peers: 0, max_peers: 0, version: 0, peers: [] };

  /** Begin with nobody. */
  clear(roomName = null) {
    return this.#become({ room_name: roomName, active_peers: 0, total_peers: 0, max_peers: 0, version: 0 }, []);
  }

  /** Take a whole list; returns what is different, or null if the list is an older one. */
  replace(list) {
    if (list.version < this.version) return null;
    return this.#become(list, list.peers);
  }

  /**
   * Put a change over the list. Returns what is different: null if the change is old, and
   * “gap” if another one before it is missing.
   */
  change(body) {
    if (body.previous_version > this.version) return "gap";
    if (body.version < this.version) return null;
    const byId = new Map(this.peers.map((peer) => [peer.peer_id, peer]));
    for (const peer of body.peers) {
      if (peer.erased) byId.delete(peer.peer_id);
      else byId.set(peer.peer_id, peer);
    }
    const reasons = new Map(body.peers.map((peer) => [peer.peer_id, reasonOf(peer, body)]));
    return this.#become({ ...this.list, ...body }, [...byId.values()].sort(inOrder), reasons);
  }

  #become(body, peers, reasons = new Map()) {
    const { room_name, active_peers, total_peers, max_peers, version } = body;
    const list = { room_name, active_peers, total_peers, max_peers, version };
    const before = new Map(this.peers.map((peer) => [peer.peer_id, peer]));
    const changes = { joined: [], left: [], updated: [], isNew: list.version !== this.version };
    for (const peer of peers) {
      const was = before.get(peer.peer_id);
      before.delete(peer.peer_id);
      if (peer.is_active && !was?.is_active) changes.joined.push(peer);
      else if (!peer.is_active && was?.is_active) changes.left.push([peer, reasons.get(peer.peer_id) ?? reasonOf(peer)]);
      else if (JSON.stringify(was) !== JSON.stringify(peer)) changes.updated.push(peer);
    }
    // Who is not in the list any more has been erased.
    for (const peer of before.values()) {
      if (peer.is_active) changes.left.push([{ ...peer, is_active: false }, reasons.get(peer.peer_id) ?? "erased"]);
      else changes.updated.push(peer);
    }
    this.peers = peers;
    this.version = list.version;
    this.list = { ...list, peers };
    changes.isNew ||= changes.joined.length + changes.left.length + changes.updated.length > 0;
    return changes;
  }
}

/** Why somebody is not here, if the server told. */
function reasonOf(peer, body) {
  return peer.erased ? "erased" : (peer.reason ?? body?.reason ?? null);
}

/** The server's order. */
function inOrder(one, other) {
  return compare(one.joined_at ?? "", other.joined_at ?? "") || compare(one.peer_id, other.peer_id);
}
