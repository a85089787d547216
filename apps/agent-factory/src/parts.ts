import { newId } from '@hypercode/contracts'
import type { Publisher } from '@hypercode/events'
import type { AppDeps, AppOptions } from './app.ts'
import { createEnder } from './engine/ender.ts'
import { createEngine } from './engine/engine.ts'
import type { Engine } from './engine/engine.ts'
import { createRing } from './engine/fleet.ts'
import type { Fleet } from './engine/fleet.ts'
import { createInstanceWriter } from './engine/instance-writer.ts'
import { createKeeper } from './engine/keeper.ts'
import { createLaunchSecret } from './engine/launch-secret.ts'
import { createLogPump } from './engine/log-pump.ts'
import type { LogPump } from './engine/log-pump.ts'
import { createNudge } from './engine/nudge.ts'
import { createOrphanSweep } from './engine/orphans.ts'
import { park } from './engine/park.ts'
import { createPlatformProbe } from './engine/platform-probe.ts'
import type { PlatformProbe } from './engine/platform-probe.ts'
import { createScaler } from './engine/scaler.ts'
import { createStarter } from './engine/starter.ts'
import { factoryMetrics } from './metrics.ts'
import type { FactoryMetrics } from './metrics.ts'

/** What a factory is made of, without its HTTP side and its loops. */
export interface Parts {
  readonly fleet: Fleet
  readonly metrics: FactoryMetrics
  readonly engine: Engine
  readonly pump: LogPump
  readonly probe: PlatformProbe
  readonly rescale: () => Promise<void>
  readonly sweepOrphans: () => Promise<void>
  /** Ends everything that runs here. Never throws. */
  readonly endAgents: () => Promise<void>
}

/** The longest life of a token that any gateway gives. */
const TOKEN_LIFE_S = 900

export function createParts(options: AppOptions, deps: AppDeps & { publisher: Publisher }): Parts {
  const { db, redis, keys, drivers, publisher, log } = deps
  const { limits, instancesMax } = options
  const metrics = factoryMetrics(deps.metrics)
  const nudge = createNudge()
  const fleet: Fleet = {
    db,
    publish: (row) => publisher.publishSoon(row),
    tokenLifeS: TOKEN_LIFE_S,
    limits,
    instancesMax,
    nudge,
    ring: createRing({ redis, keys, log }),
  }
  const owner = newId()
  const probe = createPlatformProbe(options.launch.agentUrl)
  const pump = createLogPump({ db, log, linesMax: options.logLinesMax })
  const writer = createInstanceWriter({ ...fleet, owner, log, metrics })
  const launchSecret = createLaunchSecret(options.secret)
  const { startsMax, startTimeoutMs, inspectTimeoutMs, stopGraceMs } = options.keeper
  const keeper = createKeeper({
    drivers,
    writer,
    starter: createStarter({
      writer,
      launchSettings: options.launch,
      launchSecret,
      startsMax,
      startTimeoutMs,
      log,
      metrics,
    }),
    ender: createEnder({ writer, pump, stopGraceMs }),
    weather: () => ({ canJudgeSilence: probe.hasAnsweredFor(options.silenceGraceMs) }),
    inspectTimeoutMs,
    log,
    metrics,
  })
  const { leaseMs, hostLostMs, tickMs } = options
  const ownership = { owner, leaseMs, hostLostMs, ownedMax: instancesMax }
  const { populationMax } = limits
  const engine = createEngine({ db, drivers, keeper, nudge, ownership, populationMax, tickMs, log, metrics })
  return {
    fleet,
    metrics,
    engine,
    pump,
    probe,
    rescale: createScaler({ fleet, scaleAfterMs: options.scaleAfterMs, log, metrics }),
    sweepOrphans: createOrphanSweep({ db, drivers, graceMs: options.orphanGraceMs, log, metrics }),
    endAgents: async () =>
      await park({ ...fleet, owner, drivers, graceMs: options.launch.agentDrainMs, log }, await engine.owned()),
  }
}
