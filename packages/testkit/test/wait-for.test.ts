import { expect, test } from 'vitest'
import { atMost, waitFor } from '../src/tools.ts'

test('answers the first truthy value', async () => {
  let looks = 0
  expect(await waitFor(() => (++looks === 3 ? `look ${looks}` : undefined), { what: 'three looks', everyMs: 1 })).toBe(
    'look 3',
  )
})

test('forgives errors on the way, and names the last one at the end', async () => {
  let looks = 0
  const shaky = (): boolean => {
    looks += 1
    if (looks < 3) throw new Error('not yet')
    return true
  }
  expect(await waitFor(shaky, { what: 'calm', everyMs: 1 })).toBe(true)
  const never = (): boolean => {
    throw new Error('the very last')
  }
  await expect(waitFor(never, { what: 'a miracle', timeoutMs: 30, everyMs: 5 })).rejects.toThrow(
    /waited 30 ms for a miracle .*the very last/,
  )
})

test('looks once more when the time is up, however short it was', async () => {
  expect(await waitFor(() => true, { what: 'now', timeoutMs: 0 })).toBe(true)
})

test('atMost passes on what comes in time, and ends the waiting for what does not', async () => {
  expect(await atMost(1000, 'this', Promise.resolve(7))).toBe(7)
  await expect(atMost(1000, 'this', Promise.reject(new Error('its own')))).rejects.toThrow('its own')
  await expect(atMost(20, 'closing a pool', new Promise(() => undefined))).rejects.toThrow(
    'closing a pool took longer than 20 ms',
  )
})
