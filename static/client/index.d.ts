// Types of the client. Bodies from the server keep the server's own names.

// What only browsers have is taken from their types where they are there, and is `unknown`-like where
// they are not: a program for Node needs no DOM.

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type UserData = { [key: string]: Json };

/** `T` if all of it is JSON, interfaces and what has `toJSON` included; else `never`. */
export type Jsonable<T> = T extends null | undefined | boolean | number | string
  ? T
  : T extends { toJSON(): unknown }
    ? T
    : T extends (...values: never[]) => unknown
      ? never
      : T extends object
        ? { [Key in keyof T]: Jsonable<T[Key]> }
        : never;

/** What may be sent: what was agreed on; and where that is any JSON, what becomes JSON too. */
type Sendable<Value, Agreed> = Value extends Agreed
  ? unknown
  : Json extends Agreed
    ? Jsonable<Value>
    : Agreed;

type Global<Name extends string, Else> = typeof globalThis extends Record<Name, { prototype: infer T }> ? T : Else;
type Configuration = typeof globalThis extends {
  RTCPeerConnection: new (configuration?: infer C) => unknown;
}
  ? C
  : { [key: string]: unknown };

/** A browser's, or what stands for it. */
export type Stream = Global<"MediaStream", { getTracks(): Track[] }>;
export type Track = Global<"MediaStreamTrack", { kind: string }>;
export type PeerConnection = Global<"RTCPeerConnection", object>;
export type DataChannel = Global<"RTCDataChannel", object>;
export type Abort = Global<"AbortSignal", { readonly aborted: boolean }>;
export type Contents = Global<"Blob", object>;
/** What a call sends. */
export type Sent = Stream | Track | Array<Stream | Track>;

/** A peer as it stands in a list. Times are ISO 8601 in UTC. */
export interface Peer<Data extends object = UserData> {
  peer_id: string;
  username: string;
  joined_at: string;
  is_active: boolean;
  last_seen: string;
  user_data: Data;
  uploaded_files: string[];
  session_count: number;
  /** Why a peer is not active; null while it is. */
  reason: string | null;
  /** What it may do in the room; there alone where an admin has changed that. */
  grants?: Grant[];
}

/** What one may do in a room of a locked server; to “listen” is to take part in calls without sending. */
export type Grant =
  | "join"
  | "update"
  | "room"
  | "upload"
  | "signal"
  | "listen"
  | "list"
  | "enter"
  | "admit"
  | "publish"
  | "events"
  | "admin";

/** Somebody who waits in front of a room, and is no peer of it yet. */
export interface WaitingPeer<Data extends object = UserData> {
  peer_id: string;
  username: string;
  user_data: Data;
  knocked_at: string;
}

export interface Knocking<Data extends object = UserData> {
  room_name: string;
  knocking: WaitingPeer<Data>[];
}

export interface Granted<Grants = Grant[]> {
  room_name: string;
  peer_id: string;
  grants: Grants;
  version: number;
}

/** A room's list: what `join` resolves with, and “peers” is emitted with. */
export interface PeerList<Data extends object = UserData> {
  room_name: string;
  active_peers: number;
  total_peers: number;
  max_peers: number;
  /** Rises with every change of the room. */
  version: number;
  peers: Peer<Data>[];
  /** The room's own data; there alone where it ever had any. */
  room_data?: UserData;
}

export interface Joined<Data extends object = UserData> extends PeerList<Data> {
  ok: true;
  peer_id: string;
  /** What one may do in it; on a locked server. */
  grants?: Grant[];
}

export interface Left {
  room_name: string | null;
  /**
   * “left”, “left_over_rest”, “erased”, “kicked”, “banned”, “room_closed”, “closed”, or the code of
   * what made joining again fail.
   */
  reason: string;
  peer_id?: string;
  is_active?: boolean;
  version?: number;
}

export interface UpdatedData<Data extends object = UserData> {
  ok: true;
  room_name: string;
  peer_id: string;
  /** The whole merged object. */
  user_data: Data;
  version: number;
}

export interface UserDataUpdated<Data extends object = UserData> {
  room_name: string;
  peer_id: string;
  username: string;
  user_data: Data;
  /** The keys that are new, gone or different. */
  changed: string[];
  version: number;
}

/** The room's data after a change. */
export interface UpdatedRoomData<RoomData extends object = UserData> {
  ok: true;
  room_name: string;
  /** The whole merged object. */
  room_data: RoomData;
  version: number;
}

export interface RoomDataUpdated<RoomData extends object = UserData> {
  room_name: string;
  room_data: RoomData;
  /** The keys that are new, gone or different. */
  changed: string[];
  version: number;
  /** The peer who did it; null for a backend. */
  by: string | null;
}

export interface UploadedFile {
  success: true;
  filename: string;
  original_filename: string;
  file_path: string;
  /** Its address on the server. */
  file_url: string;
  /** In bytes. */
  file_size: number;
  content_type: string;
  room_name: string;
  peer_id: string;
  version: number;
}

export interface FileNotice extends UploadedFile {
  username: string;
}

export interface Sender {
  /** The peer_id of the sender; null for what a backend says in the server's name. */
  from: string | null;
  from_session: string | null;
  /** Only then. */
  from_server?: true;
  /** Only then: which part of the backend says it. */
  name?: string | null;
}

export interface Signal<Data = Json> extends Sender {
  room_name: string;
  type: string | null;
  data: Data;
}

export interface Broadcast<Data = Json> extends Sender {
  room_name: string;
  event: string;
  data: Data;
  /** Only of one that is kept: rises with each in the room. */
  id?: number;
  sent_at?: string;
  /** Only of one that was said while this client was away, or before it came. */
  replayed?: true;
}

/** What is true of a connection just now. `idle` says that nobody has touched anything for a while. */
export type MomentState = { [key: string]: Json } & { idle?: boolean };

export interface PeerState {
  peer_id: string;
  session: string;
  state: MomentState;
}

/** From where on nothing is missing of the broadcasts that a room keeps. */
export interface BroadcastsMissed {
  room_name: string;
  /** The last that had been heard. */
  since: number;
  from: number;
  last: number;
  complete: false;
}

export type SignalAnswer =
  | { ok: true; status: "delivered"; to: string; type: string | null; to_session: string }
  | {
      ok: true;
      status: "held";
      to: string;
      type: string | null;
      to_session?: string;
      /** Names the signal if it expires. */
      signal_id: string;
      /** In seconds. */
      expires_in: number;
    };

export interface SignalExpired {
  code: "expired";
  detail: string;
  to: string;
  type: string | null;
  signal_id: string;
}

export interface IceServer {
  urls: string | string[];
  username?: string;
  credential?: string;
}

export interface IceServers {
  iceServers: IceServer[];
  /** How many seconds the TURN credentials are good for; null when there are none. */
  ttl: number | null;
}

/** Codes of the server and, below, of the client itself. */
export type ErrorCode =
  | "invalid_json"
  | "invalid_field"
  | "not_joined"
  | "room_full"
  | "room_not_found"
  | "room_not_made"
  | "waiting"
  | "admission_refused"
  | "not_admitted"
  | "not_waiting"
  | "lobby_full"
  | "password_wanted"
  | "wrong_password"
  | "too_many_wrong_passwords"
  | "too_many_guesses"
  | "peer_not_found"
  | "unknown_peer"
  | "inactive"
  | "too_large"
  | "expired"
  | "user_data_too_large"
  | "room_data_too_large"
  | "file_too_large"
  | "file_type_refused"
  | "storage_full"
  | "storage_unavailable"
  | "maintenance"
  | "internal_error"
  | "token_required"
  | "token_refused"
  | "issuer_unavailable"
  | "token_expired"
  | "token_revoked"
  | "not_granted"
  | "wrong_peer"
  | "banned"
  | "room_closed"
  | "token_failed"
  | "superseded"
  | "left"
  | "closed"
  | "unreachable"
  | "timeout"
  | "connection_lost"
  | "refused"
  | "aborted"
  | "not_open"
  | "not_sent"
  | "conflict"
  | "room_data_conflict"
  | "broadcasts_not_kept"
  | "state_too_large"
  | "no_socket_io"
  | "no_webrtc"
  | "invalid_address"
  | "unreadable_answer"
  | (string & {});

export class PresenceError extends Error {
  constructor(code: ErrorCode, detail: string, body?: object, options?: { cause?: unknown });
  /** For programs. */
  readonly code: ErrorCode;
  /** For people: a sentence that says what to do. */
  readonly detail: string;
  /** The server's whole answer. */
  readonly body: { [key: string]: unknown };
  /** What a token function threw, or a browser. */
  readonly cause?: unknown;
}

export class Emitter<Events extends { [name: string]: unknown[] }> {
  /** Returns a function that stops the listening. */
  on<Name extends keyof Events>(event: Name, listener: (...values: Events[Name]) => void): () => void;
  once<Name extends keyof Events>(event: Name, listener: (...values: Events[Name]) => void): () => void;
  off<Name extends keyof Events>(event: Name, listener: (...values: Events[Name]) => void): void;
  hasListener(event: keyof Events): boolean;
}

/** docs/clients.md draws what leads from one to the other. */
export type ClientState = "idle" | "connecting" | "joined" | "reconnecting" | "closed";

export type ClientEvents<Data extends object = UserData, Signals = Json, Broadcasts = Json> = {
  state: [state: ClientState];
  /** The connection to the server is there, in a room or not. */
  connected: [];
  disconnected: [reason: string];
  joined: [body: Joined<Data>, how: { rejoined: boolean }];
  /** Before the client leaves, while it can still say something. */
  leaving: [];
  left: [body: Left];
  /** Whenever the list changed. */
  peers: [peers: Peer<Data>[], list: PeerList<Data> | { room_name: string | null; version: 0 }];
  /** A peer became active. */
  peer_joined: [peer: Peer<Data>];
  /** This client waits to be admitted: `join` goes on for as long as it takes. */
  waiting: [body: { code: string; detail: string; room_name: string }];
  /** Somebody began to wait in front of the room; with all who do, for who may admit them. */
  peer_waiting: [peer: WaitingPeer<Data> & { room_name: string }];
  knocking: [people: Knocking<Data>];
  /** An admin has changed what this client may do in its room. */
  grants_changed: [granted: Granted];
  /** A peer became inactive, for the reason that the server told, if it did. */
  peer_left: [peer: Peer<Data>, how: { reason: string | null }];
  user_data_updated: [body: UserDataUpdated<Data>];
  room_data_updated: [body: RoomDataUpdated];
  /** Whenever the room's data is different from what it was, also after one has come back. */
  room_data: [roomData: UserData];
  file_uploaded: [body: FileNotice];
  file_deleted: [body: FileNotice];
  /** Every signal, those of calls too. */
  signal: [signal: Signal<Signals>];
  /** A signal that was held for a peer, which did not come back in time. */
  signal_expired: [body: SignalExpired];
  /** Whenever the states of others are others; with the option `states`. */
  states: [states: PeerState[]];
  broadcast: [broadcast: Broadcast<Broadcasts>];
  /** This client was away for longer than broadcasts are kept. */
  broadcasts_missed: [body: BroadcastsMissed];
  /** What is watched changed. */
  room_changed: [body: { room_name: string; version: number; active_peers: number; total_peers: number }];
  rooms_changed: [body: object];
  /** A peer calls. A listener takes the call; `connection.close()` refuses it. */
  call: [connection: Connection];
  /** A connection was made, whoever calls. */
  connection: [connection: Connection];
  /** Something failed that no promise reports. */
  error: [error: PresenceError];
};

export interface ClientOptions {
  /** `io` of socket.io-client; else the global one, else the installed package. */
  io?: (url: string, options: any) => unknown;
  /** Else what the token is for, else a made-up one that a browser keeps with the tab. */
  peerId?: string;
  /** Else the token's `name`, else the peer_id. */
  username?: string;
  /**
   * What a locked server wants to see: a token, or a function that fetches a fresh one. It is asked
   * before every connection, also after a lost one, and before every request.
   */
  token?: string | (() => string | Promise<string>);
  /** How many milliseconds a call waits for its answer, reconnecting included; 10,000 by default. */
  timeout?: number;
  /** How the server tells of changes: “delta”, who changed (the default), or “list”, everybody. */
  updates?: "delta" | "list";
  /** Hear the states of others: `client.states`. */
  states?: boolean;
  /** With false “user_data_updated” and “room_data_updated” are not heard, which spares half of what changes bring. */
  dataNotices?: boolean;
  /** After how many milliseconds without a hand on it a page says `idle: true` by itself. */
  idleAfter?: number;
  /** More options for socket.io-client. */
  socket?: object;
  fetch?: (url: any, init?: any) => Promise<any>;
  /** Where there is no global one, as in React Native. */
  RTCPeerConnection?: new (configuration?: any) => any;
  /** More of every connection's configuration, such as `{ iceTransportPolicy: "relay" }`. */
  configuration?: Configuration;
  /** How many milliseconds a step towards a connection may take; 5,000 by default. */
  patience?: number;
}

/** What React Native has for a file. */
export interface NativeFile {
  uri: string;
  type: string;
  name: string;
}

export interface JoinOptions<Data extends object = UserData> {
  peerId?: string;
  username?: string;
  userData?: Partial<Data>;
  /** The room's, where it has one. */
  password?: string;
  /** Wait for a place in a full room, for as long as it takes. */
  waitForPlace?: boolean;
  /** Hear what was kept of the room's broadcasts before. */
  history?: boolean;
}

/** In one's own room, or another. */
export interface Where {
  roomName?: string;
}

export interface UpdateOptions {
  /** Keys to delete. */
  remove?: string[];
  /** Start afresh. */
  replace?: boolean;
}

/**
 * One peer. `Data` is what its user data, and that of the others, look like; `Signals` and
 * `Broadcasts` what is sent.
 */
export class PresenceClient<
  Data extends object = UserData,
  Signals = Json,
  Broadcasts = Json,
> extends Emitter<ClientEvents<Data, Signals, Broadcasts>> {
  /** `url` is a page's own origin by default. */
  constructor(url?: string, options?: ClientOptions);
  readonly state: ClientState;
  /** Whether there is a connection just now. */
  readonly connected: boolean;
  readonly roomName: string | null;
  readonly peers: Peer<Data>[];
  readonly activePeers: Peer<Data>[];
  /** One's own peer in the list. */
  readonly me: Peer<Data> | null;
  readonly version: number;
  /** What is true of the others' connections just now. */
  readonly states: PeerState[];
  /** The room's own data, which all in it share. */
  readonly roomData: UserData;
  /** What one may do in the room; null in none, and on an open server. */
  readonly grants: Grant[] | null;
  readonly peerId: string;
  readonly username: string;
  /** This connection's session id. */
  readonly session: string | null;
  /** The socket of socket.io-client. */
  readonly socket: unknown;

  connect(): Promise<void>;
  join(roomName: string, who?: JoinOptions<Data>): Promise<Joined<Data>>;
  leave(): Promise<Left>;
  update(
    userData?: Partial<Data>,
    how?: UpdateOptions & { ifVersion?: number },
  ): Promise<UpdatedData<Data>>;
  /** Called again with the data of now whenever somebody else was faster. */
  update(
    change: (userData: Partial<Data>) => Partial<Data> | Promise<Partial<Data>>,
    how?: UpdateOptions,
  ): Promise<UpdatedData<Data>>;
  /** Merge into the room's own data, which everybody in it shares. */
  updateRoomData(
    roomData?: UserData,
    how?: UpdateOptions & { ifVersion?: number },
  ): Promise<UpdatedRoomData>;
  /** Called again with the data of now whenever somebody else was faster. */
  updateRoomData(
    change: (roomData: UserData) => UserData | Promise<UserData>,
    how?: UpdateOptions,
  ): Promise<UpdatedRoomData>;
  upload(
    file: Contents | NativeFile,
    how?: {
      name?: string;
      /** `isWaiting` says that the network, or the server, is waited for. */
      onProgress?: (progress: { loaded: number; total: number; isWaiting: boolean }) => void;
      signal?: Abort;
    },
  ): Promise<UploadedFile>;
  signal<Value>(
    to: string,
    data: Value & Sendable<Value, Signals>,
    how?: { type?: string; session?: string },
  ): Promise<SignalAnswer>;
  broadcast<Value = null>(
    event: string,
    data?: Value & Sendable<Value, Broadcasts>,
    /** With `keep` those who are away hear it when they come back. */
    how?: { keep?: boolean },
  ): Promise<{ ok: true; status: "delivered" | "partial"; event: string; id?: number }>;
  /** Merge into what is true of this connection just now; null: nothing. */
  setState(state: MomentState | null): void;
  iceServers(): Promise<IceServers>;
  /** Every room that one may know of, by its name. */
  rooms(): Promise<{ [name: string]: Room<Data> }>;
  /** One's own room, or another. */
  room(roomName?: string): Promise<Room<Data>>;
  /** One peer, with fresh addresses of its files. */
  peer(peerId: string, where?: Where): Promise<Peer<Data>>;
  activity(roomName?: string): Promise<{ activity: object[]; occupancy: object }>;
  deleteFile(filename: string, where?: Where): Promise<object>;
  /** With data and files: oneself, or as an admin anybody. */
  erase(peerId: string, where?: Where): Promise<object>;
  /** Out, now; this and the next need an admin's token. */
  kick(peerId: string, where?: Where): Promise<Left>;
  ban(peerId: string, how?: Where & { seconds?: number; reason?: string }): Promise<Bar & { peer_id: string }>;
  unban(peerId: string, where?: Where): Promise<{ room_name: string; peer_id: string }>;
  /** Who waits in front of a room; this and the next need a token with “admit”. */
  knocking(roomName?: string): Promise<Knocking<Data>>;
  admit(peerId: string, where?: Where): Promise<{ room_name: string; peer_id: string; version: number }>;
  refuse(peerId: string, how?: Where & { reason?: string }): Promise<{ room_name: string; peer_id: string; reason: string }>;
  /** Let a peer do these things and no others; `null`: what its token says again. */
  setGrants(peerId: string, grants: Grant[] | null, where?: Where): Promise<Granted<Grant[] | null>>;
  bans(roomName?: string): Promise<{
    room_name: string;
    bans: Array<Bar & { peer_id: string }>;
    closed: Bar | null;
  }>;
  closeRoom(
    roomName?: string,
    how?: { seconds?: number; reason?: string },
  ): Promise<Bar & { put_out: string[] }>;
  reopenRoom(roomName?: string): Promise<{ room_name: string }>;
  call(target: string | typeof everyone, media?: Sent): Call;
  /** Hear `room_changed`, or without a name `rooms_changed`. */
  watch(roomName?: string): Promise<{ ok: true; watching: string | null }>;
  unwatch(): void;
  close(): void;
}

/** A room as the server lists it. */
export interface Room<Data extends object = UserData> {
  name: string;
  active_peer_count: number;
  total_peer_count: number;
  max_peers: number;
  created_at: string;
  version: number;
  peers: Peer<Data>[];
}

export interface Bar {
  room_name: string;
  until: string | null;
  reason: string;
}

/** The target that calls every other peer of the room, those who come later included. */
export const everyone: unique symbol;

/** A listener that is there when the call is made hears of all that there is already. */
export type CallEvents = {
  connection: [connection: Connection];
  /** What comes on any of the connections. */
  stream: [stream: Stream, connection: Connection];
  stream_removed: [stream: Stream, connection: Connection];
  message: [data: string | ArrayBuffer, connection: Connection];
  media: [off: { muted: boolean; hidden: boolean }, connection: Connection];
  closed: [];
};

export interface Call extends Emitter<CallEvents>, Iterable<Connection> {
  readonly target: string | typeof everyone;
  /** Closed, or its room was left. */
  readonly ended: boolean;
  readonly connections: Connection[];
  readonly streams: Stream[];
  readonly tracks: Track[];
  readonly muted: boolean;
  readonly hidden: boolean;
  /** Without an id: the only connection, or the first. */
  connection(peerId?: string): Connection | undefined;
  includes(peerId: string): boolean;
  /** One with a name is something of its own: `mute` and `hide` leave it alone, and the others hear its name. */
  addStream(stream: Stream, name?: string): void;
  removeStream(stream: Stream): void;
  /** The others see it in `stream`, or in one of its own. */
  addTrack(track: Track, stream?: Stream): void;
  removeTrack(track: Track): void;
  /** In its place: no new offer is needed. `null` is as `removeTrack`. */
  replaceTrack(old: Track, track: Track | null): void;
  /** In the place of everything that is sent. */
  setStream(stream: Stream | null): void;
  /** Send no sound for now; the others hear of it with “media”. */
  mute(): void;
  unmute(): void;
  /** Send no picture for now. */
  hide(): void;
  show(): void;
  /** Hang up everything that belongs to this call. */
  close(): void;
}

export type ConnectionState = "connecting" | "connected" | "recovering" | "failed" | "closed";

export type ConnectionEvents = {
  /** `reason` says in words why it failed or closed. */
  state: [change: { state: ConnectionState; reason: string | null }];
  /** The data channel is open. */
  open: [];
  message: [data: string | ArrayBuffer];
  stream: [stream: Stream];
  stream_removed: [stream: Stream];
  /** The peer switched its microphone or camera off, or on, or calls its streams something else. */
  media: [off: { muted: boolean; hidden: boolean }];
  /** A channel that the peer opened besides the one both have. */
  datachannel: [channel: DataChannel];
  /** A new RTCPeerConnection: the first one, or one in another's place. */
  peerconnection: [pc: PeerConnection];
  closed: [reason: string];
};

export interface PathStats {
  path: "direct" | "relayed" | null;
  /** In milliseconds. */
  roundTripTime: number | null;
  protocol: string | null;
  localCandidate: "host" | "srflx" | "prflx" | "relay" | null;
  remoteCandidate: "host" | "srflx" | "prflx" | "relay" | null;
  bytesSent: number;
  bytesReceived: number;
}

export interface Connection extends Emitter<ConnectionEvents> {
  readonly peerId: string;
  readonly state: ConnectionState;
  readonly reason: string | null;
  readonly polite: boolean;
  readonly pc: PeerConnection | null;
  readonly channel: DataChannel | null;
  readonly remoteStreams: Stream[];
  /** Whether the peer has its microphone, or its camera, off. */
  readonly muted: boolean;
  readonly hidden: boolean;
  /** The session of the peer at the other end, once known. */
  readonly session: string | null;
  /** Resolves once there is room for it; rejects with `not_open`, `too_large` or `not_sent`. */
  send(message: string | ArrayBuffer | ArrayBufferView | Contents): Promise<void>;
  /** One with a name is something of its own: `mute` and `hide` leave it alone, and the others hear its name. */
  addStream(stream: Stream, name?: string): void;
  removeStream(stream: Stream): void;
  /** What the peer calls one of its streams, such as “screen”, or null. */
  nameOf(stream: Stream): string | null;
  stats(): Promise<PathStats>;
  /** Try again now. */
  retry(): void;
  close(): void;
}
