// React's hooks for the client: a room, its people, its data and one's own, what is true just now, what
// is said, and a call. Right under
// StrictMode, which runs every effect twice, and when rendered on a server, where no effect runs.

import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { PresenceClient, everyone } from "./index.js";

const NOBODY = Object.freeze([]);
const NOTHING = Object.freeze({});
const NO_CALL = Object.freeze({ call: null, connections: NOBODY, streams: NOBODY });

/**
 * Be in a room for as long as the component is there. Without a name it is in none.
 *
 * Options are those of the client and of `join`, and `url`. Another room, address, peerId or username
 * makes another client; of a token function the newest one is asked.
 */
export function useRoom(roomName, options = {}) {
  const { url, peerId, username } = options;
  const newest = useRef(options);
  const [room, setRoom] = useState({ client: null, state: "idle", error: null });
  useEffect(() => {
    newest.current = options;
  });
  useEffect(() => {
    if (!roomName) return undefined;
    const { url: _url, userData, password, waitForPlace, history, token, ...rest } = newest.current;
    const isFunction = typeof token === "function";
    const client = new PresenceClient(url, {
      ...rest,
      token: isFunction ? () => newest.current.token() : token,
    });
    const tell = (what) => setRoom((now) => ({ ...now, ...what }));
    client.on("state", (state) => tell({ state, ...(state === "joined" ? { error: null } : {}) }));
    client.on("error", (error) => tell({ error }));
    tell({ client, state: client.state, error: null });
    client.join(roomName, { userData, password, waitForPlace, history }).catch((error) => error.code !== "closed" && tell({ error }));
    return () => {
      // Its events are of the past for whoever renders; only calls still hear that it ends.
      client.close();
      setRoom((now) => (now.client === client ? { client: null, state: "idle", error: null } : now));
    };
  }, [url, roomName, peerId, username]);
  return room;
}

/** The peers of the room; with `{ active: true }` those only who are there now. */
export function usePeers({ client }, { active = false } = {}) {
  const kept = useRef({ of: NOBODY, active: NOBODY });
  const snapshot = () => {
    const peers = client?.peers ?? NOBODY;
    if (!active) return peers;
    if (kept.current.of !== peers) {
      kept.current = { of: peers, active: peers.filter((peer) => peer.is_active) };
    }
    return kept.current.active;
  };
  const subscribe = useCallback((changed) => client?.on("peers", changed) ?? (() => {}), [client]);
  return useSyncExternalStore(subscribe, snapshot, () => NOBODY);
}

/**
 * One's own data as everybody sees it, and a function that merges into it: an object, or a function
 * of the data of now as in `client.update`.
 */
export function useMyData(room) {
  const peers = usePeers(room);
  const { client } = room;
  const own = peers.find((peer) => peer.peer_id === client?.peerId);
  const update = useCallback((change, how) => client?.update(change, how) ?? Promise.resolve(null), [client]);
  return [own?.user_data ?? NOTHING, update];
}

/** The room's own data, and a function that merges into it as `client.updateRoomData` does. */
export function useRoomData({ client }) {
  const data = useOf(client, "room_data", () => client.roomData, NOTHING);
  const update = useCallback((change, how) => client?.updateRoomData(change, how) ?? Promise.resolve(null), [client]);
  return [data, update];
}

/**
 * What is true of the others' connections just now, of a room used with `states: true`, and a function
 * that says it of one's own, as `client.setState` does.
 */
export function useStates({ client }) {
  const states = useOf(client, "states", () => client.states, NOBODY);
  const set = useCallback((state) => client?.setState(state), [client]);
  return [states, set];
}

/**
 * The last broadcasts that were heard, at most `most` of them and of one `event` if given, and a function
 * that says something as `client.broadcast` does. With the room's `history: true` they begin with those
 * that were kept.
 */
export function useBroadcasts({ client }, { event, most = 100 } = {}) {
  const [heard, setHeard] = useState(NOBODY);
  useEffect(() => {
    setHeard(NOBODY);
    return client?.on("broadcast", (broadcast) => {
      if (event === undefined || broadcast.event === event) setHeard((now) => [...now, broadcast].slice(-most));
    });
  }, [client, event, most]);
  const say = useCallback((...what) => client?.broadcast(...what) ?? Promise.resolve(null), [client]);
  return [heard, say];
}

/** What `read` returns, read again whenever the client tells of `event`; `none` without a client. */
function useOf(client, event, read, none) {
  const subscribe = useCallback((changed) => client?.on(event, changed) ?? (() => {}), [client, event]);
  return useSyncExternalStore(subscribe, () => (client ? read() : none), () => none);
}

/**
 * Call everyone in the room, or one `target`, for as long as the component is there; sends `media` if
 * given, and what is given instead of it in its place. Returns `{ call, connections, streams }`, whose
 * streams are `{ peerId, stream, muted, hidden }`.
 */
export function useCall({ client, state }, media = null, { target = everyone } = {}) {
  const [shown, setShown] = useState(NO_CALL);
  const current = useRef(null);
  const sent = useRef(media);
  const isIn = state === "joined" || state === "reconnecting";
  useEffect(() => {
    if (sent.current === media) return;
    sent.current = media;
    current.current?.setStream(media);
  }, [media]);
  useEffect(() => {
    if (!client || !isIn || client.roomName === null) return undefined;
    const call = client.call(target, sent.current ?? undefined);
    current.current = call;
    const stops = [];
    const look = () => {
      const { connections } = call;
      const streams = connections.flatMap(({ peerId, remoteStreams, muted, hidden }) =>
        remoteStreams.map((stream) => ({ peerId, stream, muted, hidden })),
      );
      setShown({ call, connections, streams });
    };
    const follow = (connection) => {
      for (const event of ["state", "stream", "stream_removed", "media", "closed"]) {
        stops.push(connection.on(event, look));
      }
      look();
    };
    stops.push(call.on("connection", follow), call.on("closed", look));
    look();
    return () => {
      current.current = null;
      for (const stop of stops) stop();
      call.close();
      setShown(NO_CALL);
    };
  }, [client, isIn, target]);
  return shown;
}
