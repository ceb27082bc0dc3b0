// Types of the client. Bodies from the server keep the server's own names.

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type UserData = { [key: string]: Json };

/** A peer as it stands in a list. Times are ISO 8601 in UTC. */
export interface Peer {
  peer_id: string;
  username: string;
  joined_at: string;
  is_active: boolean;
  last_seen: string;
  user_data: UserData;
  uploaded_files: string[];
  session_count: number;
}

/** A room's list: what `join` resolves with, and “peers” is emitted with. */
export interface PeerList {
  room_name: string;
  active_peers: number;
  total_peers: number;
  max_peers: number;
  /** Rises with every change of the room. */
  version: number;
  peers: Peer[];
}

export interface Joined extends PeerList {
  ok: true;
  peer_id: string;
}

export interface Left {
  room_name: string | null;
  /** “left”, “left_over_rest”, “erased”, “kicked”, “banned”, “room_closed”, “closed”, or the code of what made joining again fail. */
  reason: string;
  peer_id?: string;
  is_active?: boolean;
  version?: number;
}

export interface UpdatedData {
  ok: true;
  room_name: string;
  peer_id: string;
  /** The whole merged object. */
  user_data: UserData;
  version: number;
}

export interface UserDataUpdated {
  room_name: string;
  peer_id: string;
  username: string;
  user_data: UserData;
  /** The keys that are new, gone or different. */
  changed: string[];
  version: number;
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

export interface Signal<Data = Json> {
  from: string;
  from_session: string;
  room_name: string;
  type: string | null;
  data: Data;
}

export interface Broadcast<Data = Json> {
  from: string;
  from_session: string;
  room_name: string;
  event: string;
  data: Data;
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

export interface IceServers {
  iceServers: RTCIceServer[];
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
  | "peer_not_found"
  | "unknown_peer"
  | "inactive"
  | "too_large"
  | "expired"
  | "user_data_too_large"
  | "file_too_large"
  | "file_type_refused"
  | "storage_full"
  | "storage_unavailable"
  | "internal_error"
  | "token_required"
  | "token_refused"
  | "token_expired"
  | "not_granted"
  | "wrong_peer"
  | "banned"
  | "room_closed"
  | "no_token"
  | "unreachable"
  | "timeout"
  | "connection_lost"
  | "not_connected"
  | "refused"
  | "aborted"
  | "not_open"
  | "no_socket_io"
  | "no_webrtc"
  | "invalid_address"
  | "unreadable_answer"
  | (string & {});

export class PresenceError extends Error {
  constructor(code: ErrorCode, detail: string, body?: object);
  /** For programs. */
  readonly code: ErrorCode;
  /** For people: a sentence that says what to do. */
  readonly detail: string;
  /** The server's whole answer. */
  readonly body: { [key: string]: unknown };
}

export class Emitter<Events extends { [name: string]: unknown[] }> {
  /** Returns a function that stops the listening. */
  on<Name extends keyof Events>(event: Name, listener: (...values: Events[Name]) => void): () => void;
  once<Name extends keyof Events>(event: Name, listener: (...values: Events[Name]) => void): () => void;
  off<Name extends keyof Events>(event: Name, listener: (...values: Events[Name]) => void): void;
  hasListener(event: keyof Events): boolean;
}

export type ClientState = "idle" | "connecting" | "connected" | "joined" | "reconnecting" | "closed";

export type ClientEvents = {
  state: [state: ClientState];
  disconnected: [reason: string];
  joined: [body: Joined, how: { rejoined: boolean }];
  /** Before the client leaves, while it can still say something. */
  leaving: [];
  left: [body: Left];
  /** Whenever the list changed. */
  peers: [peers: Peer[], list: PeerList | { room_name: string | null; version: 0 }];
  /** A peer became active, or inactive. */
  peer_joined: [peer: Peer];
  peer_left: [peer: Peer];
  user_data_updated: [body: UserDataUpdated];
  file_uploaded: [body: FileNotice];
  file_deleted: [body: FileNotice];
  /** Every signal, those of calls too. */
  signal: [signal: Signal];
  /** A signal that was held for a peer, which did not come back in time. */
  signal_expired: [body: SignalExpired];
  broadcast: [broadcast: Broadcast];
  /** A peer calls. A listener takes the call; `connection.close()` refuses it. */
  call: [connection: Connection];
  /** A connection was made, whoever calls. */
  connection: [connection: Connection];
  /** Something failed that no promise reports. */
  error: [error: PresenceError];
};

export interface ClientOptions {
  /** `io` of socket.io-client; else the global one, else the installed package. */
  io?: (url: string, options: object) => unknown;
  /** A random one by default. */
  peerId?: string;
  /** The peer_id by default. */
  username?: string;
  /**
   * What a locked server wants to see: a token, or a function that fetches a fresh one. It is asked
   * before every connection, also after a lost one, and before every request.
   */
  token?: string | (() => string | Promise<string>);
  /** How many milliseconds a call waits for its answer, reconnecting included; 10,000 by default. */
  timeout?: number;
  /** More options for socket.io-client. */
  socket?: object;
  fetch?: typeof fetch;
  /** Where there is no global one, as in React Native. */
  RTCPeerConnection?: typeof RTCPeerConnection;
  /** More of every connection's configuration, such as `{ iceTransportPolicy: "relay" }`. */
  configuration?: RTCConfiguration;
  /** How many milliseconds a step towards a connection may take; 5,000 by default. */
  patience?: number;
}

/** What React Native has for a file. */
export interface NativeFile {
  uri: string;
  type: string;
  name: string;
}

export class PresenceClient extends Emitter<ClientEvents> {
  /** `url` is a page's own origin by default. */
  constructor(url?: string, options?: ClientOptions);
  readonly state: ClientState;
  readonly roomName: string | null;
  readonly peers: Peer[];
  readonly activePeers: Peer[];
  readonly version: number;
  peerId: string;
  username: string;
  /** This connection's session id. */
  readonly session: string | null;
  /** The socket of socket.io-client. */
  readonly socket: unknown;

  connect(): Promise<void>;
  join(
    roomName: string,
    who?: { peerId?: string; username?: string; userData?: UserData },
  ): Promise<Joined>;
  leave(): Promise<Left>;
  update(
    userData?: UserData,
    how?: { remove?: string[]; replace?: boolean },
  ): Promise<UpdatedData>;
  upload(
    file: File | Blob | NativeFile,
    how?: {
      name?: string;
      onProgress?: (progress: { loaded: number; total: number }) => void;
      signal?: AbortSignal;
    },
  ): Promise<UploadedFile>;
  signal(
    to: string,
    data: Json,
    how?: { type?: string; session?: string },
  ): Promise<SignalAnswer>;
  broadcast(event: string, data?: Json): Promise<{ ok: true; status: "delivered"; event: string }>;
  iceServers(): Promise<IceServers>;
  call(target: string | typeof everyone, stream?: MediaStream): Call;
  close(): void;
}

/** The target that calls every other peer of the room, those who come later included. */
export const everyone: unique symbol;

export type CallEvents = { connection: [connection: Connection] };

export interface Call extends Emitter<CallEvents>, Iterable<Connection> {
  readonly target: string | typeof everyone;
  readonly connections: Connection[];
  readonly streams: MediaStream[];
  /** Without an id: the only connection, or the first. */
  connection(peerId?: string): Connection | undefined;
  includes(peerId: string): boolean;
  addStream(stream: MediaStream): void;
  removeStream(stream: MediaStream): void;
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
  stream: [stream: MediaStream];
  stream_removed: [stream: MediaStream];
  /** A channel that the peer opened besides the one both have. */
  datachannel: [channel: RTCDataChannel];
  /** A new RTCPeerConnection: the first one, or one in another's place. */
  peerconnection: [pc: RTCPeerConnection];
  closed: [reason: string];
};

export interface PathStats {
  path: "direct" | "relayed" | null;
  /** In milliseconds. */
  roundTripTime: number | null;
  protocol: string | null;
  localCandidate: RTCIceCandidateType | null;
  remoteCandidate: RTCIceCandidateType | null;
  bytesSent: number;
  bytesReceived: number;
}

export interface Connection extends Emitter<ConnectionEvents> {
  readonly peerId: string;
  readonly state: ConnectionState;
  readonly reason: string | null;
  readonly polite: boolean;
  readonly pc: RTCPeerConnection | null;
  readonly channel: RTCDataChannel | null;
  readonly remoteStreams: MediaStream[];
  /** The session of the peer at the other end, once known. */
  readonly session: string | null;
  /** Throws `not_open` while the data channel is not open. */
  send(message: string | ArrayBuffer | Blob): void;
  addStream(stream: MediaStream): void;
  removeStream(stream: MediaStream): void;
  stats(): Promise<PathStats>;
  /** Try again now. */
  retry(): void;
  close(): void;
}
