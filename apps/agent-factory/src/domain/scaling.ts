/**
 * How many instances of one blueprint version there shall be. Pure: a snapshot goes in, what is to change comes out.
 *
 * P1 Members follow the work that they could claim, between min and max; min holds for the stable version alone.
 * P2 What sleeps wakes before anything new is made, and what is warm is promoted before anything cold is started.
 * P3 Only what has nothing to do is put to sleep, and never below what is needed.
 * P4 As many spares as the blueprint wants, for one version of it; spares of other versions go.
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
  /** Tasks that wait and that its instances could claim. */
  readonly queued: number
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
  /** Tasks that it works on. */
  readonly busy: number
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
  const more = grow(snapshot, members, wanted - awake.length)
  const less = shrink(snapshot, members, awake.length - wanted, more.wake)
  return { ...more, ...less, ...warm(snapshot, more), stop: [...less.stop, ...surplusSpares(snapshot, more.promote)] }
}

function grow({ max, room, instances }: ScaleSnapshot, members: readonly ScaleInstance[], missing: number) {
  const need = Math.max(0, missing)
  const wake = members
    .filter((one) => one.state === 'asleep')
    .slice(0, need)
    .map((one) => one.id)
  const left = Math.min(need - wake.length, Math.max(0, max - members.length))
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
  // Nobody asked for them by hand, and nothing asks for their version any more.
  const isLeftOver = (one: ScaleInstance): boolean =>
    one.state === 'asleep' && one.busy === 0 && one.origin !== 'spawned'
  const stop =
    isStable || queued > 0
      ? []
      : members.filter((one) => isLeftOver(one) && !woken.includes(one.id)).map((one) => one.id)
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
