import { expect, test } from 'vitest'
import { createPatience } from '../src/patience.ts'

const SHORT_MS = 1000
const LONG_MS = 6000

/** Patience on a clock of its own; `silence` lets one come and go. */
function onAClock() {
  const clock = { ms: 0 }
  const patience = createPatience(() => clock.ms)
  const pass = (ms: number): void => void (clock.ms += ms)
  const silence = (ms: number): void => {
    patience.changed(true)
    pass(ms)
    patience.changed(false)
  }
  return { patience, pass, silence }
}

test('silences that were soon over make it grow, to a bound', () => {
  const { patience, silence } = onAClock()
  const times = [patience.times]
  for (let n = 0; n < 5; n += 1) {
    silence(SHORT_MS)
    times.push(patience.times)
  }
  expect(times).toEqual([1, 2, 4, 8, 8, 8])
})

// Goal: on a machine that has too much to do for minutes, not every half minute costs all connections again.
test('half of it is lost with every half minute without a silence', () => {
  const { patience, pass, silence } = onAClock()
  for (let n = 0; n < 3; n += 1) silence(SHORT_MS)
  const times = Array.from({ length: 5 }, () => {
    pass(30_000)
    return patience.times
  })
  expect(times).toEqual([4, 2, 1, 1, 1])
})

test('what is left of it is what the next short silence doubles', () => {
  const { patience, pass, silence } = onAClock()
  for (let n = 0; n < 3; n += 1) silence(SHORT_MS)
  pass(30_000)
  silence(SHORT_MS)
  expect(patience.times).toBe(8)
})

test('a server that was really gone is not waited for any longer than at first', () => {
  const { patience, silence } = onAClock()
  silence(SHORT_MS)
  silence(LONG_MS)
  expect(patience.times).toBe(1)
})
