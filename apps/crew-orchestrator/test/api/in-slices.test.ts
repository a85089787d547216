import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { beginInSlices } from '../../src/routes/in-slices.ts'

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

describe('work in slices', () => {
  test('is begun a slice a turn, and others have their turn in between', async () => {
    let begun = 0
    const all = beginInSlices(numbers(600), async () => (begun += 1))
    for (const expected of [250, 500, 600]) {
      expect(begun).toBe(expected)
      await nextTurn()
    }
    await all
  })

  test('does not wait for what it has begun', async () => {
    const open = Promise.withResolvers<number>()
    let begun = 0
    const all = beginInSlices(numbers(300), async () => {
      begun += 1
      return await open.promise
    })
    while (begun < 300) await nextTurn()
    open.resolve(1)
    expect(await all).toHaveLength(300)
  })

  test('answers in order, and what fails harms no other', async () => {
    const results = await beginInSlices(numbers(501), async (n) => {
      if (n % 100 === 0) throw new Error(`not ${n}`)
      return n
    })
    expect(results.map((one) => (one.status === 'fulfilled' ? one.value : -1))).toEqual(
      numbers(501).map((n) => (n % 100 === 0 ? -1 : n)),
    )
  })
})
