import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { startCosts } from '../src/bench/costs.ts'

test('what this process computes is what it costs, per unit', async () => {
  const costs = startCosts()
  const before = process.cpuUsage()
  const until = performance.now() + 300
  while (performance.now() < until);
  const { user, system } = process.cpuUsage(before)
  const { 'us submitter': us = 0 } = costs(10)
  // Linux counts in hundredths of a second, and this process goes on meanwhile.
  expect(Math.abs(us * 10 - (user + system))).toBeLessThan(60_000)
})

test('what a child has computed counts when it has ended, too', async () => {
  const costs = startCosts()
  const child = spawn(process.execPath, ['-e', 'while (process.cpuUsage().user < 200_000);'], { stdio: 'ignore' })
  await once(child, 'exit')
  const total = Object.values(costs(1)).reduce((sum, us) => sum + us, 0)
  expect(total).toBeGreaterThanOrEqual(190_000)
})
