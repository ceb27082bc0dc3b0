// Types of presence-client/react.

import type {
  Broadcast,
  Call,
  ClientOptions,
  Connection,
  JoinOptions,
  Json,
  MomentState,
  Peer,
  PresenceClient,
  PresenceError,
  PeerState,
  ClientState,
  Stream,
  UpdatedData,
  UpdatedRoomData,
  UpdateOptions,
  UserData,
  everyone,
} from "./index.js";

export interface RoomHandle<Data extends object = UserData, Signals = Json, Broadcasts = Json> {
  /** Null until the component is there, and while there is no room. */
  client: PresenceClient<Data, Signals, Broadcasts> | null;
  state: ClientState;
  /** Why it could not be joined, or what went wrong last. */
  error: PresenceError | null;
}

export type RoomOptions<Data extends object = UserData> = ClientOptions &
  JoinOptions<Data> & { url?: string };

/** Be in a room for as long as the component is there; in none while the name is empty. */
export function useRoom<Data extends object = UserData, Signals = Json, Broadcasts = Json>(
  roomName: string | null | undefined,
  options?: RoomOptions<Data>,
): RoomHandle<Data, Signals, Broadcasts>;

/** The peers of the room, or those only who are there now. */
export function usePeers<Data extends object>(
  room: RoomHandle<Data, any, any>,
  how?: { active?: boolean },
): readonly Peer<Data>[];

export type Change<Data extends object> =
  | Partial<Data>
  | ((userData: Partial<Data>) => Partial<Data> | Promise<Partial<Data>>);

/** One's own data, and the function that merges into it. */
export function useMyData<Data extends object>(
  room: RoomHandle<Data, any, any>,
): [
  data: Partial<Data>,
  update: (change: Change<Data>, how?: UpdateOptions) => Promise<UpdatedData<Data> | null>,
];

/** The room's own data, and the function that merges into it. */
export function useRoomData(
  room: RoomHandle<any, any, any>,
): [
  data: UserData,
  update: (
    change: UserData | ((roomData: UserData) => UserData | Promise<UserData>),
    how?: UpdateOptions,
  ) => Promise<UpdatedRoomData | null>,
];

/** What is true of the others' connections just now, and the function that says it of one's own. */
export function useStates(
  room: RoomHandle<any, any, any>,
): [states: readonly PeerState[], set: (state: MomentState | null) => void];

/** The last broadcasts that were heard, and the function that says something. */
export function useBroadcasts<Broadcasts = Json>(
  room: RoomHandle<any, any, Broadcasts>,
  how?: { event?: string; most?: number },
): [
  heard: readonly Broadcast<Broadcasts>[],
  say: (event: string, data?: Broadcasts, how?: { keep?: boolean }) => Promise<{ id?: number } | null>,
];

export interface RemoteStream {
  peerId: string;
  stream: Stream;
  muted: boolean;
  hidden: boolean;
}

/** A call to everyone, or one peer, for as long as the component is there. */
export function useCall(
  room: RoomHandle<any, any, any>,
  media?: Stream | null,
  how?: { target?: string | typeof everyone },
): {
  call: Call | null;
  connections: readonly Connection[];
  streams: readonly RemoteStream[];
};
