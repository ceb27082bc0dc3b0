// Types of presence-client/react.

import type {
  Call,
  ClientOptions,
  Connection,
  JoinOptions,
  Json,
  Peer,
  PresenceClient,
  PresenceError,
  ClientState,
  Stream,
  UpdatedData,
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
