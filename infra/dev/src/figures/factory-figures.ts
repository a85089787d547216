import { setTimeout as sleep } from 'node:timers/promises'
import type { Instance } from '@hypercode/contracts'
import { fleetOf, isAlive, pidOf, startPlatform } from '@hypercode/e2e'
import type { Fleet, Platform } from '@hypercode/e2e'
import { percentile } from '../bench/statistics.ts'
import type { Figure, FigureSpec } from './figure.ts'

const SMALL = { resources: { cpu: 1, memory: '256Mi' } } as const
const TURNS = 20
const BATCH = 5
const COLD_MAX_MS = 5000
const WARM_MAX_MS = 500
const TEN_MAX_MS = 15_000
const HEAL_MAX_MS = 10_000

export const spawnCold: FigureSpec = {
  name: 'spawn-cold',
  about: `an agent from the spawn call until it is ready, p95 of ${TURNS}`,
  bar: `<= ${COLD_MAX_MS} ms p95`,
  measure: async () =>
    await withFleet(async ({ fleet }) => {
      await fleet.blueprint('cold', SMALL)
      const tookMs: number[] = []
      for (let turn = 0; turn < TURNS; turn += 1) {
        const { instances, ms } = await spawn(fleet, 'cold', 1)
        tookMs.push(ms)
        await fleet.stop(instances)
      }
      return latencies(tookMs, COLD_MAX_MS)
    }),
}

export const spawnWarm: FigureSpec = {
  name: 'spawn-warm',
  about: `an agent out of the warm pool, from the spawn call until it is ready, p95 of ${TURNS}`,
  bar: `<= ${WARM_MAX_MS} ms p95`,
  measure: async () =>
    await withFleet(async ({ fleet }) => {
      await fleet.blueprint('warm', { ...SMALL, warmPool: 2, population: { min: 0, max: 10 } })
      await fleet.stop((await spawn(fleet, 'warm', 1)).instances)
      const tookMs: number[] = []
      for (let turn = 0; turn < TURNS; turn += 1) {
        const spares = await untilSpares(fleet, 'warm', 2)
        const { instances, ms } = await spawn(fleet, 'warm', 1)
        if (!spares.some(({ id }) => id === instances[0]?.id)) throw new Error('a ready spare was not taken')
        tookMs.push(ms)
        await fleet.stop(instances)
      }
      return latencies(tookMs, WARM_MAX_MS)
    }),
}

export const spawnTen: FigureSpec = {
  name: 'spawn-10',
  about: 'ten agents of one blueprint, from the spawn call until all are ready',
  bar: `<= ${TEN_MAX_MS} ms`,
  measure: async () =>
    await withFleet(async ({ fleet }) => {
      await fleet.blueprint('ten', SMALL)
      const { instances, ms } = await spawn(fleet, 'ten', 10)
      const pids = new Set(instances.map(pidOf)).size
      return { figure: Math.round(ms), unit: 'ms', ok: ms <= TEN_MAX_MS && pids === 10, more: { processes: pids } }
    }),
}

export const heal: FigureSpec = {
  name: 'heal',
  about: `an agent that is killed with kill -9 until its replacement is ready, slowest of ${TURNS}`,
  bar: `<= ${HEAL_MAX_MS} ms, ${TURNS} of ${TURNS}`,
  measure: async () =>
    await withFleet(async ({ fleet }) => {
      await fleet.blueprint('healed', SMALL)
      const tookMs: number[] = []
      // Each is killed once: the pauses between starts grow with the crashes of an instance, and that is another figure.
      for (let turn = 0; turn < TURNS; turn += BATCH) {
        const { instances } = await spawn(fleet, 'healed', BATCH)
        for (const before of instances) {
          const fromMs = performance.now()
          process.kill(pidOf(before), 'SIGKILL')
          await fleet.until(
            before.id,
            'its replacement',
            (now) => now.starts === 2 && now.lifecycle === 'ready',
            30_000,
          )
          tookMs.push(performance.now() - fromMs)
        }
        await fleet.stop(instances)
      }
      const slowest = Math.max(...tookMs)
      const inTime = tookMs.filter((ms) => ms <= HEAL_MAX_MS).length
      return {
        figure: Math.round(slowest),
        unit: 'ms',
        ok: inTime === TURNS,
        more: { p50Ms: Math.round(percentile(tookMs, 0.5)), inTime, of: TURNS },
      }
    }),
}

export const crashLoop: FigureSpec = {
  name: 'crash-loop',
  about:
    'an agent that ends five times within 60 s: quarantined, with the reason and the last lines of its log, and not started again',
  bar: '5 starts, quarantined',
  measure: async () =>
    await withFleet(async ({ fleet }) => {
      await fleet.blueprint('looping', SMALL)
      const { instances } = await spawn(fleet, 'looping', 1)
      const { id } = instances[0] as Instance
      await fleet.submit('looping', Array(12).fill({ exitCode: 3 }))
      const end = await fleet.until(id, 'the quarantine', (now) => now.lifecycle === 'quarantined', 60_000)
      await sleep(5000)
      const later = await fleet.get(id)
      const says = (end.lastLines?.length ?? 0) > 0 && end.reason !== undefined
      return {
        figure: later.starts,
        unit: 'starts',
        ok: later.starts === 5 && later.lifecycle === 'quarantined' && says,
        more: { lifecycle: later.lifecycle, reason: end.reason ?? '', lastLines: end.lastLines?.length ?? 0 },
      }
    }),
}

export const adopt: FigureSpec = {
  name: 'adopt',
  about: 'ten running agents whose factory is killed with kill -9 and started again: all found, none started twice',
  bar: '10 adopted, 0 doubled',
  measure: async () =>
    await withFleet(async ({ fleet, platform }) => {
      await fleet.blueprint('adopted', SMALL)
      const { instances } = await spawn(fleet, 'adopted', 10)
      const before = new Set(instances.map(pidOf))
      platform.factory.kill('SIGKILL')
      await platform.factory.exited
      await platform.factory.restart()
      // Longer than the lease of the dead factory, and than an orphan may live.
      await sleep(30_000)
      const after = await fleet.list('adopted')
      const same = after.filter((one) => one.lifecycle === 'ready' && before.has(pidOf(one)) && isAlive(pidOf(one)))
      const doubled = after.filter(({ starts }) => starts > 1).length + Math.max(0, after.length - instances.length)
      const mission = await fleet.submit('adopted', Array(20).fill({ waitMs: 20 }))
      const { state } = await fleet.end(mission.id)
      return {
        figure: same.length,
        unit: 'adopted',
        ok: same.length === 10 && doubled === 0 && state === 'completed',
        more: { doubled, missionAfter: state },
      }
    }),
}

async function withFleet(measure: (rig: { fleet: Fleet; platform: Platform }) => Promise<Figure>): Promise<Figure> {
  const platform = await startPlatform({ durable: true, env: { LOG_LEVEL: 'warn', FACTORY_AGENT_DRAIN_MS: '2000' } })
  try {
    return await measure({ fleet: fleetOf(platform), platform })
  } finally {
    await platform.stop()
  }
}

/** Spawns and waits until all are ready. */
async function spawn(fleet: Fleet, name: string, count: number): Promise<{ instances: Instance[]; ms: number }> {
  const fromMs = performance.now()
  const instances = await fleet.spawn(name, { count, waitMs: 30_000 })
  const ms = performance.now() - fromMs
  const late = instances.find(({ lifecycle }) => lifecycle !== 'ready')
  if (late !== undefined)
    throw new Error(`an instance is ${late.lifecycle}: ${late.reason ?? late.crashes[0]?.detail ?? ''}`)
  return { instances, ms }
}

async function untilSpares(fleet: Fleet, name: string, count: number): Promise<Instance[]> {
  for (let turn = 0; turn < 600; turn += 1) {
    const spares = (await fleet.list(name)).filter((one) => one.role === 'spare' && one.readyAt !== undefined)
    if (spares.length >= count) return spares
    await sleep(100)
  }
  throw new Error(`there were no ${count} spares within 60 s`)
}

function latencies(tookMs: readonly number[], maxMs: number): Figure {
  const p95 = percentile(tookMs, 0.95)
  return {
    figure: Math.round(p95),
    unit: 'ms',
    ok: p95 <= maxMs,
    more: { p50Ms: Math.round(percentile(tookMs, 0.5)), slowestMs: Math.round(Math.max(...tookMs)) },
  }
}
