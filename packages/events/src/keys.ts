/**
 * The only maker of Redis keys. Every key carries the hash tag of its shard, so that all keys of a shard live in one slot of a cluster.
 * `prefix` sets installations (and tests) that share a Redis apart.
 */
export interface Keys {
  /** Hints that missions or agents have new events. */
  readonly events: string
  /** Doorbells: work was queued. */
  readonly bell: string
  /** How many requests a caller sent in a window of time, summed over all replicas. */
  readonly rate: (caller: string, window: number) => string
}

export function makeKeys(prefix = 'hc', shard = 0): Keys {
  const at = (name: string): string => `${prefix}:{s${shard}}:${name}`
  return { events: at('events'), bell: at('bell'), rate: (caller, window) => at(`rate:${window}:${caller}`) }
}
