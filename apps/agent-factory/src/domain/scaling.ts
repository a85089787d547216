/**
 * How many instances of one blueprint version there shall be. Pure: a snapshot goes in, what is to change comes out.
 *
 * P1 Members follow the work that they could claim, between min and max; min holds for the stable version alone.
 * P2 What sleeps wakes before anything new is made, and what is warm is promoted before anything cold is started.
 * P3 Only what has nothing to do is put to sleep, and never below what is needed. What somebody has spawned wakes for any task that it
 *    could claim, as if it had never slept.
 * P4 What the scaler has made of a version that is not stable works for tasks that require the version; found at other work, it leaves.
 * P5 As many spares as the blueprint wants, for one version of it; spares of other versions go.
 */
export interface ScaleSnapshot {
  readonly isStable: boolean
  /** This version is the one whose spares are kept. */
  readonly keepsWarm: boolean
  readonly min: number
  readonly max: number
  readonly slots: number
  readonly warmPool: number
  readonly idleTtlMs: number | undefined
  /** Tasks that wait and that instances are made for: all that the stable version could claim, and those that require another one. */
  readonly queued: number
  /** Further tasks that wait and that an instance of a version which is not stable would claim if it were awake. */
  readonly others: number
  /** Instances that the factory may still make, for whatever blueprint. */
  readonly room: number
  /** Without those of pools, which somebody else looks after. */
  readonly instances: readonly ScaleInstance[]
}

export interface ScaleInstance {
  readonly id: string
  readonly role: 'member' | 'spare'
  readonly origin: 'spawned' | 'population' | 'warm' | 'assembly'
  readonly state: 'starting' | 'ready' | 'asleep' | 'quarantined' | 'leaving'
  /** Tasks that it works on, and how many of these require its version. */
  readonly busy: number
  readonly required: number
  /** How long it has had none; 0 when that is not known. */
  readonly idleMs: number
}

export interface ScaleDecision {
  readonly wake: readonly string[]
  readonly promote: number
  readonly spawn: number
  readonly hibernate: readonly string[]
  readonly stop: readonly string[]
  readonly spawnSpares: number
}

/** For blueprints that do not say how long an instance may idle. */
const IDLE_TTL_MS = 60_000

export function scale(snapshot: ScaleSnapshot): ScaleDecision {
  const { slots, queued, instances } = snapshot
  const members = instances.filter((one) => one.role === 'member' && one.state !== 'leaving')
  const awake = members.filter((one) => one.state === 'starting' || one.state === 'ready')
  // What one still has in hand while it goes to sleep is finished, or handed back and queued.
  const busy = awake.reduce((sum, one) => sum + one.busy, 0)
  const least = snapshot.isStable ? snapshot.min : 0
  const wanted = Math.min(snapshot.max, Math.max(least, Math.ceil((queued + busy) / slots)))
  const served = Math.min(snapshot.max, Math.ceil((queued + snapshot.others + busy) / slots))
  const more = grow(snapshot, members, wanted - awake.length, served - awake.length)
  // What grows does not shrink in the same turn, or the two would take turns for ever.
  const isGrowing = more.wake.length + more.promote + more.spawn > 0
  const less = shrink(snapshot, members, isGrowing ? 0 : awake.length - wanted, more.wake)
  return { ...more, ...less, ...warm(snapshot, more), stop: [...less.stop, ...surplusSpares(snapshot, more.promote)] }
}

function grow(
  { max, room, instances }: ScaleSnapshot,
  members: readonly ScaleInstance[],
  missing: number,
  missingForAll: number,
) {
  const need = Math.max(0, missing)
  const asleep = members.filter((one) => one.state === 'asleep')
  const needed = asleep.slice(0, need)
  const byHand = asleep.slice(need).filter((one) => one.origin === 'spawned')
  const wake = [...needed, ...byHand.slice(0, Math.max(0, missingForAll - need))].map((one) => one.id)
  const left = Math.min(need - needed.length, Math.max(0, max - members.length))
  const promote = Math.min(left, instances.filter(isWarm).length)
  return { wake, promote, spawn: Math.min(left - promote, room) }
}

const isWarm = ({ role, state }: ScaleInstance): boolean => role === 'spare' && state === 'ready'

function shrink(
  { isStable, idleTtlMs, queued }: ScaleSnapshot,
  members: readonly ScaleInstance[],
  surplus: number,
  woken: readonly string[],
) {
  const ttlMs = idleTtlMs ?? IDLE_TTL_MS
  const hibernate = members
    .filter((one) => one.state === 'ready' && one.busy === 0 && one.idleMs >= ttlMs)
    .filter((one) => one.origin !== 'spawned' || idleTtlMs !== undefined)
    .sort((a, b) => b.idleMs - a.idleMs)
    .slice(0, Math.max(0, surplus))
    .map((one) => one.id)
  const isLeftOver = ({ id, origin, state, busy, required }: ScaleInstance): boolean => {
    if (isStable || queued > 0 || origin === 'spawned' || woken.includes(id)) return false
    return state === 'asleep' ? busy === 0 : busy > required
  }
  const stop = members.filter(isLeftOver).map((one) => one.id)
  return { hibernate, stop }
}

const sparesOf = (instances: readonly ScaleInstance[]): ScaleInstance[] =>
  instances.filter((one) => one.role === 'spare' && one.state !== 'leaving')

function warm(
  { keepsWarm, warmPool, room, instances }: ScaleSnapshot,
  { promote, spawn }: { promote: number; spawn: number },
) {
  const missing = keepsWarm ? warmPool - (sparesOf(instances).length - promote) : 0
  return { spawnSpares: Math.max(0, Math.min(missing, room - spawn)) }
}

function surplusSpares({ keepsWarm, warmPool, instances }: ScaleSnapshot, promote: number): string[] {
  const spares = sparesOf(instances)
  const surplus = spares.length - promote - (keepsWarm ? warmPool : 0)
  // Those that are not warm yet go first, and the ones that are about to be promoted never.
  const order = [...spares].sort((a, b) => Number(isWarm(a)) - Number(isWarm(b)))
  return order.slice(0, Math.max(0, surplus)).map((one) => one.id)
}

export const isNothing = (decision: ScaleDecision): boolean =>
  decision.promote + decision.spawn + decision.spawnSpares === 0 &&
  [decision.wake, decision.hibernate, decision.stop].every((list) => list.length === 0)
