import { setTimeout as sleep } from 'node:timers/promises'
import { hashSecret } from '@hypercode/db'
import { newId } from '@hypercode/contracts'
import { expect, test } from 'vitest'
import { createSecretCheck } from '../src/domain/secret-check.ts'

// Goal: the time of an answer says nothing about whether a client exists.
// Method: the work is counted instead of the time. A guess for a client that exists and one for a client that does not cost one run each.
test('an unknown client costs exactly what a wrong secret costs', async () => {
  const check = createSecretCheck()
  const stored = await hashSecret('right')

  expect(await check.verify(newId(), 'guess', stored)).toBe(false)
  expect(check.runs).toBe(1)
  expect(await check.verify(newId(), 'guess', undefined)).toBe(false)
  expect(check.runs).toBe(2)
})

test('a wrong guess is paid for every time, a right secret once', async () => {
  const check = createSecretCheck()
  const stored = await hashSecret('right')
  const id = newId()

  for (let i = 0; i < 3; i += 1) expect(await check.verify(id, 'wrong', stored)).toBe(false)
  expect(check.runs).toBe(3)
  for (let i = 0; i < 5; i += 1) expect(await check.verify(id, 'right', stored)).toBe(true)
  expect(check.runs).toBe(4)
})

test('what was remembered does not outlive a new secret, nor a revocation', async () => {
  const check = createSecretCheck()
  const id = newId()
  expect(await check.verify(id, 'right', await hashSecret('right'))).toBe(true)

  expect(await check.verify(id, 'right', await hashSecret('another'))).toBe(false)
  expect(await check.verify(id, 'right', undefined)).toBe(false)
})

test('what was remembered does not outlive its time', async () => {
  const check = createSecretCheck({ rememberMs: 50 })
  const [id, stored] = [newId(), await hashSecret('right')]
  expect(await check.verify(id, 'right', stored)).toBe(true)
  await sleep(60)
  expect(await check.verify(id, 'right', stored)).toBe(true)
  expect(check.runs).toBe(2)
})

test('processes of one client that come at once share one run', async () => {
  const check = createSecretCheck()
  const stored = await hashSecret('right')
  const id = newId()
  const answers = await Promise.all(Array.from({ length: 50 }, async () => await check.verify(id, 'right', stored)))

  expect(answers.every(Boolean)).toBe(true)
  expect(check.runs).toBe(1)
})

test('more guesses than may wait are refused with 503 and Retry-After, and the others are answered', async () => {
  const check = createSecretCheck({ parallel: 1, waitingMax: 3 })
  const stored = await hashSecret('right')
  const guesses = Array.from({ length: 10 }, async (_, i) => await check.verify(newId(), `guess ${i}`, stored))
  const outcomes = await Promise.allSettled(guesses)
  const refused = outcomes.filter((outcome) => outcome.status === 'rejected')

  expect(refused.length).toBeGreaterThanOrEqual(6)
  for (const { reason } of refused)
    expect(reason).toMatchObject({ code: 'unavailable', status: 503, retryAfterMs: 1000 })
  expect(outcomes.length - refused.length).toBe(check.runs)
})
