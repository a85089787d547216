import { createServer } from 'node:net'
import type { AddressInfo, Server } from 'node:net'
import { freePort } from '@hypercode/testkit/tools'
import { expect, test } from 'vitest'
import { startBalancer } from '../src/chaos/balancer.ts'
import { planStorm } from '../src/chaos/nemesis.ts'
import { Random } from '../src/chaos/random.ts'

const SHAPE = { seconds: 60, everyMs: 500, networkShare: 0.3, process: 'kill', forMs: [100, 3000] } as const
const VICTIMS = ['gateway 0', 'gateway 1', 'redis'] as const

// Goal: a storm that found something can be had again.
test('one seed gives one storm, another seed another', () => {
  const plan = (seed: number) => planStorm(new Random(seed), VICTIMS, SHAPE)
  expect(plan(7)).toEqual(plan(7))
  expect(plan(8)).not.toEqual(plan(7))
})

test('a storm hits everything that it may hit', () => {
  const plan = planStorm(new Random(7), VICTIMS, SHAPE)
  expect(plan.length).toBe(119)
  expect(new Set(plan.map(({ target }) => target))).toEqual(
    new Set([...VICTIMS, 'postgres', 'pgbouncer', 'redis', 'gateway']),
  )
  expect(plan.every(({ forMs }) => forMs >= 100 && forMs <= 3000)).toBe(true)
})

const listen = async (answer: string): Promise<Server> => {
  const server = createServer((socket) =>
    socket.resume().end(`HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\n${answer}`),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}

// Goal: one of two that is down takes nobody with it, as behind a load balancer.
test('connections take turns, and go where somebody listens', async () => {
  const [a, b] = await Promise.all([listen('a'), listen('b')])
  const balancer = await startBalancer(
    await freePort(),
    [a, b].map((server) => (server.address() as AddressInfo).port),
  )
  const ask = async (): Promise<string> =>
    await (await fetch(balancer.url, { headers: { connection: 'close' } })).text()
  expect(new Set([await ask(), await ask()])).toEqual(new Set(['a', 'b']))
  await new Promise((resolve) => a.close(resolve))
  expect([await ask(), await ask(), await ask()]).toEqual(['b', 'b', 'b'])
  await balancer.stop()
  await new Promise((resolve) => b.close(resolve))
})
