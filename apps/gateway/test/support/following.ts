/** Tests that follow streams of a gateway. */
import { waitFor } from '@hypercode/testkit'
import { FormatRegistry } from '@sinclair/typebox'
import { subscribe } from './event-source.ts'
import type { TestSubscriber } from './event-source.ts'
import { test as base } from './gateway.ts'
import { createMission, hintSender } from './missions.ts'

// What comes is checked against schemas of CloudEvents, which have instants.
FormatRegistry.Set('date-time', (text) => !Number.isNaN(Date.parse(text)))

export const test = base
  .extend('mission', async ({ db, tenant }) => await createMission(db, tenant.id))
  .extend('hint', ({ db, redis, keys }) => hintSender(db, redis, keys))
  .extend('token', ({ tokenFor }) => tokenFor(['mission:read', 'agent:read']))
  .extend('follow', async ({ token }, { onCleanup }) => {
    const open: TestSubscriber[] = []
    onCleanup(() => {
      for (const subscriber of open) subscriber.close()
    })
    return async (gateway: { url: string }, path: string, lastEventId?: number | string) => {
      const subscriber = await subscribe(gateway.url + path, {
        token,
        ...(lastEventId !== undefined && { lastEventId }),
      })
      open.push(subscriber)
      return subscriber
    }
  })

export const arrived = async (subscriber: TestSubscriber, count: number, timeoutMs = 5000): Promise<void> =>
  void (await waitFor(() => subscriber.events.length >= count, { what: `${count} events`, timeoutMs }))
