import { newId } from '@hypercode/contracts'
import type { ClaimedTask } from '@hypercode/contracts'
import { expect, test } from 'vitest'
import { createClaimDesk } from '../../src/engine/claim-desk.ts'

// Goal: a tenant with endless work and many agents does not keep another tenant from being served.
// Method: one connection for all, as a pool gives it out; the busy tenant has many groups, each of which always finds more.
test('groups of tenants are served in turn', async () => {
  const served: string[] = []
  let connection = Promise.resolve()
  const desk = createClaimDesk({
    lease: (tenantId, _skills, asks) => {
      const turn = connection.then(async () => {
        await new Promise((done) => setImmediate(done))
        served.push(tenantId)
        const tasks = [{ taskId: newId() } as ClaimedTask]
        return { answers: asks.map(() => ({ kind: 'tasks' as const, tasks })), outbox: undefined, contended: true }
      })
      connection = turn.then(() => undefined)
      return turn
    },
    pollMs: 60_000,
    waitingMax: 10_000,
    onFull: () => new Error('full'),
    onTooMany: () => new Error('too many'),
    onFenced: () => new Error('fenced'),
    asksMax: 1,
  })
  const claim = (tenantId: string, skill: string) =>
    desk.claim({
      claimId: newId(),
      subject: newId(),
      instanceId: newId(),
      incarnation: 1,
      max: 1,
      tenantId,
      skills: [skill],
      waitMs: 60_000,
      signal: new AbortController().signal,
    })
  const GROUPS = 5
  const busy = Array.from({ length: GROUPS * 200 }, (_, n) => claim('busy', `skill-${n % GROUPS}`))
  while (served.length < 50) await new Promise((done) => setImmediate(done))
  const before = served.length
  await claim('small', 'work')
  // Each group of the busy tenant at most once more than the one that was being served.
  expect(served.length - before).toBeLessThanOrEqual(GROUPS + 2)
  desk.stop()
  await Promise.allSettled(busy)
})
