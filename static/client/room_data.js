// The data of the room that a client is in, which all in it share, and the way in which one's own and
// the room's are changed by a function of what they are now.

const NOTHING = Object.freeze({});

/** The newest data of a room, as lists, changes, notices and answers tell it. */
export class RoomData {
  value = NOTHING;
  version = 0;

  /** Begin with a room's list, or outside of any; tells whether the data is different. */
  enter(body) {
    this.version = 0;
    return this.take({ room_data: {}, version: 0, ...body });
  }

  /** Take what a body says of it, unless that is old; tells whether the data is different. */
  take({ room_data, version }) {
    if (room_data === undefined || version < this.version) return false;
    const isNew = JSON.stringify(room_data) !== JSON.stringify(this.value);
    this.version = version;
    if (isNew) this.value = room_data;
    return isNew;
  }
}

/**
 * Change data by what `change` makes of the newest, as often as somebody else is faster until the time
 * is over. `now()` returns `{ data, version }`, `update(part, version)` sends, and `of(body)` returns the
 * same of a conflict.
 */
export async function changed(change, { now, update, of, until }) {
  let { data, version } = now();
  for (;;) {
    const part = await change(JSON.parse(JSON.stringify(data ?? {})));
    try {
      return await update(part, version ?? 0);
    } catch (error) {
      if (!error.code?.endsWith("conflict") || Date.now() > until) throw error;
      ({ data, version } = of(error.body));
    }
  }
}
