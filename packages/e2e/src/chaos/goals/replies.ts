import { setTimeout as sleep } from 'node:timers/promises'
import type { Goal } from '../goal.ts'
import { startLoad } from '../load.ts'
import { at, count } from '../measure.ts'

const SHARE = 0.3
const ARMED = 8
/** Submit, claim, heartbeat, complete and cancel. */
const REQUEST = /^POST \/v1\/(missions |claims |completions |agents\/[^ ]*heartbeat |missions\/[^ ]*:cancel )/

export const r6: Goal = {
  name: 'R6',
  about: `the server has done it, and the reply is lost, for ${SHARE * 100} % of submits, claims, beats, completions and cancels`,
  bar: 'no attempt lost to it, 0 violations',
  minFaults: 20,
  keepsStreams: true,
  settleMaxMs: 60_000,
  run: async ({ rig, random, seconds, name, log }) => {
    const fromMs = Date.now()
    const load = startLoad(rig, { name, perSecond: 5, cancelShare: 0.1, random })
    let active = true
    let faults = 0
    let inFlight = 0
    const hit = (chunk: Buffer): boolean =>
      active && REQUEST.test(chunk.subarray(0, 200).toString('latin1')) && random.next() < SHARE
    const cutOn = async (): Promise<void> => {
      while (active) {
        await rig.proxies.gateway.cutReply(hit)
        faults += 1
        if (load.open > 0) inFlight += 1
      }
    }
    // Those that still wait for a request in the end wait for ever, and take nobody.
    const cutting = Array.from({ length: ARMED }, cutOn)
    await Promise.race([sleep(seconds * 1000), ...cutting])
    active = false
    log(`${faults} replies were lost`)
    await load.stop()
    const lost = await count(
      rig,
      `select count(*) as n from attempts where outcome = 'lease_lost' and ended_at > ${at(fromMs)}`,
    )
    return { figure: lost, unit: 'attempts lost', ok: lost === 0, faults, inFlight, more: { repliesLost: faults } }
  },
}
